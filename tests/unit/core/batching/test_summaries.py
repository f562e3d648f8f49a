"""Summaries of messages: every message is in one, before it is answered, without a line for each of thousands."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from importer import log
from importer.core.batching.batcher import Batcher
from importer.core.batching.source import Source
from importer.core.batching.summaries import Summaries
from importer.core.pipeline import Pipeline
from importer.settings import CredentialKind, Credentials, Settings

TOKEN = Credentials(CredentialKind.PROJECT_TOKEN, "a-token", "", None)
NO_NETWORK = Settings(TOKEN, "http://127.0.0.1:9", transform="tests.unit.core.batching.test_summaries:nothing")


def nothing(_: object) -> None:
    """A transform that drops all."""


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


class Flow:
    """Messages of three records each that come and are answered, at times that the test says; and what is logged."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.time = 1_000.0
        self._capsys = capsys
        self._batcher = Batcher(Pipeline(NO_NETWORK, self._clock), retry_seconds=10)
        self._summaries = Summaries(self._batcher, "push", self._clock)
        self._began: dict[Source, float] = {}

    def _clock(self) -> float:
        return self.time

    def open(self) -> Source:
        source = self._batcher.source()
        source.__enter__()
        self._began[source] = self.time
        return source

    async def answer(self, source: Source, name: str = "s", published: str = "", *, fails: bool = False) -> None:
        await source.deliver("m", [(1, 0, b"{}"), (2, 3, b"{}"), (3, 6, b"bad")], b"")
        source.__exit__(LookupError if fails else None, None, None)
        self._summaries.answer(name, published, self._began[source])

    async def pass_through(self, after: float = 0, hold: float = 0, **how: Any) -> None:
        """A message comes `after` seconds, and is answered, alone, `hold` seconds later."""
        self.time += after
        source = self.open()
        self.time += hold
        await self.answer(source, **how)

    def leave_unread(self, source: Source) -> None:
        """Answers what is no message."""
        source.__exit__(LookupError, None, None)
        self._summaries.consider()

    def end(self) -> None:
        self._summaries.end()

    def logged(self) -> list[dict[str, Any]]:
        """The summaries since it was asked last."""
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]

    def read(self) -> list[int]:
        """Of each of these, how many records were read."""
        return [line["read"] for line in self.logged()]


@pytest.fixture
async def flow(capsys: pytest.CaptureFixture[str]) -> Flow:
    log.configure("INFO")
    return Flow(capsys)


async def test_a_message_alone_is_in_a_summary_before_it_is_answered(flow: Flow) -> None:
    await flow.pass_through(after=50, hold=0.1234, published=ago(seconds=90))
    (line,) = flow.logged()
    assert 90 <= line.pop("oldest_event_age_seconds") < 100
    assert line == {
        "severity": "WARNING",
        "message": "s: read 3, imported 0, rejected 1, dropped 2, handed back 0 in 0.1 s",
        "kind": "import",
        "source": "s",
        "outcome": "done",
        "read": 3, "imported": 0, "rejected": 1, "dropped": 2, "handed_back": 0,
        "dropped_by": {"transform": 2},
        "requests": 0, "retried": 0, "bytes": 7, "sent_bytes": 0, "seconds": 0.123,
    }  # fmt: skip


async def test_messages_that_are_open_together_share_a_summary_when_the_last_is_answered(flow: Flow) -> None:
    together = [flow.open() for _ in range(100)]
    for source in together[:99]:
        await flow.answer(source)
    assert flow.read() == []
    await flow.answer(together[99])
    assert flow.read() == [300]


async def test_while_messages_are_open_all_the_time_there_is_a_summary_every_thirty_seconds(flow: Flow) -> None:
    always = flow.open()
    for _ in range(80):
        await flow.pass_through(after=1)
    lines = flow.logged()
    assert [(line["read"], line["seconds"]) for line in lines] == [(93, 30), (93, 30)]
    await flow.answer(always)
    (rest,) = flow.logged()
    assert (rest["read"], rest["seconds"]) == (57, 18)


async def test_a_message_open_when_a_summary_is_written_is_counted_whole_in_the_next(flow: Flow) -> None:
    long, other = flow.open(), flow.open()
    flow.time += 40
    await flow.answer(other)
    assert flow.read() == [3]
    flow.time += 5
    await flow.answer(long)
    (line,) = flow.logged()
    assert (line["read"], line["rejected"], line["handed_back"], line["seconds"]) == (3, 1, 0, 5)


async def test_single_messages_are_told_at_once_ten_times_and_then_every_three_seconds(flow: Flow) -> None:
    for _ in range(30):
        await flow.pass_through()
    assert flow.read() == [3] * 10
    await flow.pass_through(after=2.9)
    assert flow.read() == []
    await flow.pass_through(after=0.2)
    assert flow.read() == [66]
    await flow.pass_through()
    await flow.pass_through(after=6.1)
    await flow.pass_through(after=0.1)
    await flow.pass_through(after=0.1)
    assert flow.read() == [6, 3]


async def test_after_a_pause_ten_are_told_at_once_again_and_not_more(flow: Flow) -> None:
    for first in (3, 33):
        flow.time += 1_000
        for _ in range(20):
            await flow.pass_through()
        assert flow.read() == [first, *[3] * 9]


async def test_thousands_of_single_messages_are_told_in_few_lines_and_none_is_left_out(flow: Flow) -> None:
    for _ in range(3_000):
        await flow.pass_through(after=0.1)
    flow.end()
    read = flow.read()
    assert sum(read) == 9_000
    assert len(read) in {10 + 300 // 3, 10 + 300 // 3 + 1}


async def test_where_the_processor_goes_on_what_remains_is_told_soon(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.core.batching.summaries._AGAIN_AFTER", 0.02)
    for _ in range(15):
        await flow.pass_through()
    assert flow.read() == [3] * 10
    await asyncio.sleep(0.1)
    assert flow.read() == [15]
    await asyncio.sleep(0.1)
    assert flow.read() == []


async def test_there_is_one_timer_for_what_remains_until_a_summary_may_be_written(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def call_later(wait: float, _: Any) -> object:
        waits.append(wait)
        return object()

    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", call_later)
    for _ in range(10):
        await flow.pass_through()
    open_ = flow.open()
    await flow.pass_through()
    await flow.answer(open_)
    assert waits == [3]
    await flow.pass_through(after=1)
    assert waits == [3]


async def test_the_timer_waits_no_longer_than_it_has_to(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda wait, _: waits.append(wait))
    for _ in range(10):
        await flow.pass_through()
    await flow.pass_through(after=1)
    assert waits == [pytest.approx(2)]


async def test_a_summary_of_thirty_seconds_counts_as_one_of_the_ten(flow: Flow) -> None:
    """As each does; the thirty seconds have made up for ten by then."""
    always = flow.open()
    for _ in range(31):
        await flow.pass_through(after=1)
    await flow.answer(always)
    for _ in range(10):
        await flow.pass_through()
    assert flow.read() == [93, 3, *[3] * 8]


async def test_what_remains_waits_for_the_next_message_if_that_is_open_by_then(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.core.batching.summaries._AGAIN_AFTER", 0.02)
    for _ in range(11):
        await flow.pass_through()
    next_ = flow.open()
    await asyncio.sleep(0.1)
    assert flow.read() == [3] * 10
    flow.time += 1
    await flow.answer(next_)
    assert flow.read() == [6]


async def test_at_the_end_what_remains_is_told_at_once_and_each_last_answer_too(flow: Flow) -> None:
    for _ in range(11):
        await flow.pass_through()
    flow.end()
    assert flow.read() == [3] * 11
    await flow.pass_through()
    assert flow.read() == [3]
    flow.end()
    assert flow.read() == []


async def test_at_the_end_open_messages_are_told_with_the_last_of_them(flow: Flow) -> None:
    for _ in range(10):
        await flow.pass_through()
    open_ = [flow.open() for _ in range(2)]
    flow.read()
    flow.end()
    await flow.answer(open_[0])
    assert flow.read() == []
    await flow.answer(open_[1])
    assert flow.read() == [6]


async def test_what_is_no_message_is_told_of_nowhere_and_holds_up_nothing(flow: Flow) -> None:
    no_message, other = flow.open(), flow.open()
    await flow.answer(other)
    assert flow.read() == []
    flow.leave_unread(no_message)
    assert flow.read() == [3]
    flow.leave_unread(flow.open())
    flow.end()
    assert flow.read() == []


async def test_a_message_that_is_handed_back_counts_as_that_whatever_was_found_in_it(flow: Flow) -> None:
    """As when its rejects could not be stored."""
    await flow.pass_through(fails=True)
    (line,) = flow.logged()
    assert (line["read"], line["rejected"], line["dropped"], line["handed_back"]) == (3, 0, 0, 3)
    assert (line["severity"], line["outcome"]) == ("WARNING", "handed back")


async def test_the_age_is_that_of_the_oldest_when_it_was_answered(flow: Flow) -> None:
    """And not when the summary is written; what has no time that can be read has none."""
    together = [flow.open() for _ in range(4)]
    for source, published in zip(together, [ago(minutes=5), ago(minutes=50), "yesterday", ""], strict=True):
        await flow.answer(source, published=published)
    (line,) = flow.logged()
    assert 3_000 <= line["oldest_event_age_seconds"] < 3_010
    await flow.pass_through(published="2999-01-01T00:00:00Z")
    await flow.pass_through(published="9999-12-31T23:59:59-23:59")
    assert [line["oldest_event_age_seconds"] for line in flow.logged()] == [0, 0]


@pytest.mark.parametrize("published", ["", "yesterday", "9999-12-31T23:59:59-23:59"])
async def test_what_has_no_time_has_no_age(published: str, flow: Flow) -> None:
    await flow.pass_through(published=published)
    assert [line["oldest_event_age_seconds"] for line in flow.logged()] == [0]


async def test_a_time_without_a_zone_is_in_utc(flow: Flow) -> None:
    await flow.pass_through(published=ago(hours=1).removesuffix("+00:00"))
    (line,) = flow.logged()
    assert 3_600 <= line["oldest_event_age_seconds"] < 3_610


async def test_a_summary_names_what_its_messages_belong_to_ten_at_most(flow: Flow) -> None:
    for names, told in ([["b", "", "a", "b"], "a, b"], [[""], "push"], [list("0123456789x"), ", ".join("0123456789")]):
        together = [(flow.open(), name) for name in names]
        for source, name in together:
            await flow.answer(source, name)
        assert [line["source"] for line in flow.logged()] == [told]


async def test_where_all_is_well_a_summary_is_no_warning(flow: Flow) -> None:
    source = flow.open()
    await source.deliver("m", [(1, 0, b"{}")], b"")
    source.__exit__(None, None, None)
    flow._summaries.answer("s", "", flow.time)
    assert [line["severity"] for line in flow.logged()] == ["INFO"]
