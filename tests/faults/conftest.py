"""What the tests of faults share: a bucket that delivers again soon, and a way to note figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox import processes


@pytest.fixture(scope="session")
def bucket_process() -> Iterator[processes.Service]:
    """The local bucket's process, whose trigger does not wait long before it delivers again."""
    options = ("--port", "0", "--bucket", "events", "--first-wait", "0.05", "--longest-wait", "0.1")
    with processes.service("sandbox.bucket", *options) as service:
        yield service


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes what a test measured, to be printed when all are done."""
    return lambda text: request.node.user_properties.append(("figure", text))
