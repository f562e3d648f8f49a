"""What is set up around the parts: signals, which are nobody's business but the process's own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from importer import bootstrap
from importer.settings import CredentialKind, Credentials, Settings
from importer.sources.pubsub.push import PushSource

TERM, INT = signal.SIGTERM, signal.SIGINT
SETTINGS = Settings(Credentials(CredentialKind.PROJECT_TOKEN, "a-token", "", None), "http://127.0.0.1:9")

Passed = list[int]


@pytest.fixture
def passed() -> Iterator[Passed]:
    """The signals that reach the server, whose handlers are in place as under gunicorn."""
    found: Passed = []

    def servers(number: int, _: FrameType | None) -> None:
        found.append(number)

    before = {number: signal.signal(number, servers) for number in (TERM, INT)}
    yield found
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Has an entry for each time that the source was told that the process ends."""
    found: list[None] = []
    monkeypatch.setattr(PushSource, "end", lambda _: found.append(None))
    return found


def start() -> PushSource:
    return bootstrap.push_source.__wrapped__(SETTINGS)


async def test_making_a_source_changes_no_signal_handler(passed: Passed) -> None:
    before = [signal.getsignal(number) for number in (TERM, INT)]
    PushSource(SETTINGS)
    assert [signal.getsignal(number) for number in (TERM, INT)] == before


@pytest.mark.parametrize(
    ("sent", "reach_the_server"),
    [
        ([TERM], [TERM]),
        ([INT], [INT]),
        ([TERM, INT], [TERM]),
        ([INT, TERM], [INT]),
        ([TERM, TERM], [TERM, TERM]),
        ([INT, INT], [INT, INT]),
        ([TERM, INT, INT], [TERM, INT]),
    ],
)
async def test_the_source_hears_once_of_the_end_and_the_server_of_no_haste_that_is_not_meant(
    sent: list[signal.Signals], reach_the_server: list[int], passed: Passed, ended: list[None]
) -> None:
    start()
    for number in sent:
        signal.raise_signal(number)
    assert passed == reach_the_server
    assert ended == [None]


async def test_the_source_hears_of_the_end_before_the_server(passed: Passed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PushSource, "end", lambda _: passed.append(-1))
    start()
    signal.raise_signal(TERM)
    assert passed == [-1, TERM]


async def test_where_the_server_ignores_a_signal_the_source_hears_of_it_all_the_same(ended: list[None]) -> None:
    before = signal.signal(TERM, signal.SIG_IGN)
    try:
        start()
        signal.raise_signal(TERM)
    finally:
        signal.signal(TERM, before)
    assert ended == [None]


async def test_off_the_main_thread_signals_are_left_alone(passed: Passed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the main thread may listen to signals: the server there does so itself, or another in the process."""
    before = signal.getsignal(TERM)
    monkeypatch.setattr(threading, "main_thread", lambda: None)
    start()
    assert signal.getsignal(TERM) is before
