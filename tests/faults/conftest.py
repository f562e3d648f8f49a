"""What the tests of faults share: a bucket that delivers again soon, and a way to note figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox import processes
from tests.faults.trouble import QUICK


@pytest.fixture(scope="session")
def bucket_process() -> Iterator[processes.Service]:
    """The local bucket's process, whose trigger does not wait long before it delivers again."""
    options = ("--port", "0", "--bucket", "events", "--first-wait", "0.05", "--longest-wait", "0.1")
    with processes.service("sandbox.bucket", *options) as service:
        yield service


@pytest.fixture(scope="session")
def environment(standin_process: processes.Service, bucket_process: processes.Service) -> dict[str, str]:
    """The settings of a function that several tests use."""
    return {
        **QUICK,
        "MIXPANEL_API_URL": standin_process.url,
        "MIXPANEL_PROJECT_TOKEN": "demo",
        "STORAGE_EMULATOR_HOST": bucket_process.url,
    }


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes what a test measured, to be printed when all are done."""
    return lambda text: request.node.user_properties.append(("figure", text))
