"""What the tests of faults share: a bucket that delivers again soon, and the figures, printed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox import processes
from tests.faults.trouble import SEED

_figures: list[str] = []


@pytest.fixture(scope="session")
def bucket_process() -> Iterator[processes.Service]:
    """The local bucket's process, whose trigger does not wait long before it delivers again."""
    options = ("--port", "0", "--bucket", "events", "--first-wait", "0.05", "--longest-wait", "0.1")
    with processes.service("sandbox.bucket", *options) as service:
        yield service


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes what a test measured, to be printed when all are done."""
    return lambda text: _figures.append(f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures, and the seed that chose the troubled requests."""
    if _figures:
        terminalreporter.section(f"faults, FAULTS_SEED={SEED}")
        for line in _figures:
            terminalreporter.write_line(line)
