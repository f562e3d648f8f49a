"""Real processes for tests to use: the stand-in for Mixpanel, the local bucket, and functions under the framework."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from importer import log
from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.topic import emulator as pubsub_emulator
from sandbox.topic.emulator import Emulator

if TYPE_CHECKING:
    from sandbox.aws.clients import Cloud

os.environ.setdefault("FAULTS_SEED", str(random.randrange(1_000_000)))
"""The same in every process that runs tests."""

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
"""Tests that publish start processes, too: gRPC's handler of forks can wait for its own threads for ever, where no
signal reaches the process. What is started executes another program at once, so that nothing of gRPC is used there."""

signal.signal(signal.SIGINT, signal.default_int_handler)
"""Where a shell runs the tests in the background, they ignore Ctrl-C, and so would all they start."""


_LOG = log.get_in_use()


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """What is logged goes where it goes from the start, before and after each test: a command writes to what standard
    error is while it runs, and a fixture of a module may run one."""
    log.use(_LOG)
    yield
    log.use(_LOG)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Google's Pub/Sub emulator, which lives as long as the session: it takes seconds to start.

    Without it the test is skipped, except on CI.
    """
    if sentence := pubsub_emulator.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    with pubsub_emulator.emulator() as running:
        yield running


class StartFunction(Protocol):
    """Starts a function that imports into `standin` from `bucket`; `settings` add to that, None takes one away."""

    def __call__(self, target: str, **settings: str | None) -> processes.Function: ...


@pytest.fixture(scope="session")
def standin_process() -> Iterator[processes.Service]:
    """The stand-in's process, which lives as long as the session."""
    with processes.service("sandbox.mixpanel", "--port", "0") as service:
        yield service


@pytest.fixture
def standin(standin_process: processes.Service) -> Standin:
    """Mixpanel's stand-in, empty and without faults."""
    client = Standin(standin_process.url)
    client.reset()
    return client


@pytest.fixture(scope="session")
def bucket_process() -> Iterator[processes.Service]:
    """The local bucket's process, which lives as long as the session."""
    with processes.service("sandbox.bucket", "--port", "0", "--bucket", "events") as service:
        yield service


@pytest.fixture
def bucket(bucket_process: processes.Service) -> Iterator[Bucket]:
    """The local bucket, empty; its events wait until the test says where they go."""
    client = Bucket(bucket_process.url, str(bucket_process.ready["bucket"]))
    client.reset()
    yield client
    client.reset()


@pytest.fixture(scope="session")
def cloud_process() -> Iterator[processes.Service]:
    """The local S3 and SQS, which live as long as the session."""
    with processes.service("sandbox.aws", "--port", "0", "--visibility", "1") as service:
        yield service


@pytest.fixture
def cloud(cloud_process: processes.Service, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The local S3 and SQS, empty and without faults; boto3 finds them."""
    from sandbox.aws.clients import Cloud

    client = Cloud(cloud_process.url, visibility=1)
    client.reset()
    for name, value in client.environment.items():
        monkeypatch.setenv(name, value)
    return client


@pytest.fixture
def function(standin: Standin, bucket: Bucket) -> Iterator[StartFunction]:
    """Starts functions as production does, and stops them after the test."""
    with ExitStack() as running:

        def start(target: str, **settings: str | None) -> processes.Function:
            everything = {
                "MIXPANEL_API_URL": standin.url,
                "MIXPANEL_PROJECT_TOKEN": "demo",
                "STORAGE_EMULATOR_HOST": bucket.url,
                **settings,
            }
            environment = {name: value for name, value in everything.items() if value is not None}
            return running.enter_context(processes.function(target, environment=environment))

        yield start


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures that tests of faults noted, and the seed that chose the troubled requests."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {text}"
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, text in report.user_properties
        if name == "figure"
    ]
    if lines:
        terminalreporter.section(f"faults, FAULTS_SEED={os.environ['FAULTS_SEED']}")
        for line in lines:
            terminalreporter.write_line(line)
