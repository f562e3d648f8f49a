"""When batches leave, what is in them, and that whoever brought something hears what became of just that."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from itertools import accumulate, count
from typing import Any

import pytest
import requests as http
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importer.core.batching.batcher import Batcher
from importer.core.batching.memory_budget import BudgetExceeded
from importer.core.batching.source import Source
from importer.core.pipeline import Pipeline
from importer.core.rejects.reject import Reject
from importer.errors import DeliveryError
from importer.formats.content import records_of_message
from importer.records import Record
from importer.settings import CredentialKind, Credentials, Settings
from sandbox.clients import Standin

FOR_EVER = 3_600.0
"""A wait that no test lives to see the end of."""

BLANK, BAD, REFUSED = b"  ", b'{"event":"no properties"}', b'{"event":"e","properties":{"time":1,"distinct_id":"u"}}'
"""A line that is no record; records that are refused here, and by Mixpanel."""


def event(identifier: str, padding: int = 0) -> bytes:
    properties = {"time": 1_700_000_000, "distinct_id": "u", "$insert_id": identifier, "padding": "x" * padding}
    return json.dumps({"event": "e", "properties": properties}).encode()


def one(identifier: str) -> Iterable[Record]:
    return [(1, 0, event(identifier))]


def several(*records: bytes) -> Iterable[Record]:
    offsets = accumulate((len(record) + 1 for record in records), initial=0)
    return list(zip(count(1), offsets, records, strict=False))


@asynccontextmanager
async def importing(
    standin: Standin, retry_seconds: float = 30.0, *, clock: Callable[[], float] = time.monotonic, **given: Any
) -> AsyncIterator[Batcher]:
    chosen = {"max_wait": FOR_EVER, "backoff": 0.01, **given}
    credentials = Credentials(CredentialKind.PROJECT_TOKEN, "demo", "", None)
    pipeline = Pipeline(Settings(credentials, standin.url, **chosen), clock)
    try:
        yield Batcher(pipeline, retry_seconds)
    finally:
        await asyncio.to_thread(pipeline.close)


async def requests(standin: Standin) -> int:
    return int((await asyncio.to_thread(standin.summary))["requests"])


async def wait_for_requests(standin: Standin, count: int) -> None:
    async with asyncio.timeout(20):
        while await requests(standin) < count:
            await asyncio.sleep(0.01)


async def nothing_leaves(standin: Standin) -> None:
    before = await requests(standin)
    await asyncio.sleep(0.1)
    assert await requests(standin) == before


async def taken(*takes: asyncio.Task[list[Reject]]) -> list[list[Reject]]:
    async with asyncio.timeout(30):
        return list(await asyncio.gather(*takes))


@contextmanager
def opened(batcher: Batcher, count: int) -> Iterator[Iterator[Source]]:
    """So many sources, which are open within the block."""
    with ExitStack() as stack:
        yield iter([stack.enter_context(batcher.source()) for _ in range(count)])


def take(
    sources: Iterator[Source], name: str, records: Iterable[Record], whole: bytes = b""
) -> asyncio.Task[list[Reject]]:
    """Has the next of the sources deliver."""
    return asyncio.create_task(next(sources).deliver(name, records, whole))


def take_alone(
    batcher: Batcher, name: str, records: Iterable[Record], whole: bytes = b""
) -> asyncio.Task[list[Reject]]:
    """Has a source of its own deliver, which is open no longer than that."""

    async def deliver() -> list[Reject]:
        with batcher.source() as source:
            return await source.deliver(name, records, whole)

    return asyncio.create_task(deliver())


# When a batch leaves


async def test_a_source_alone_waits_for_nobody(standin: Standin) -> None:
    async with importing(standin) as batcher:
        with opened(batcher, 1) as sources:
            assert await taken(take(sources, "a", one("a"))) == [[]]
    assert standin.ids() == {"a": 1}


async def test_a_batch_leaves_with_a_quarter_of_what_is_open_and_not_before(standin: Standin) -> None:
    async with importing(standin) as batcher:
        with opened(batcher, 12) as sources:
            waiting = [take(sources, name, one(name)) for name in "ab"]
            await nothing_leaves(standin)
            assert await taken(*waiting, take(sources, "c", one("c"))) == [[], [], []]
    assert standin.summary()["answers"] == {"200": 1}


async def test_a_batch_of_many_leaves_on_the_spot_with_no_more_than_its_quarter(standin: Standin) -> None:
    async with importing(standin) as batcher:
        with opened(batcher, 800) as sources:
            waiting = [take(sources, f"a{n}", one(f"a{n}")) for n in range(399)]
            await taken(*waiting[:200])
            await nothing_leaves(standin)
            batcher.flush()
            await taken(*waiting)
    assert standin.summary()["largest_request"]["events"] == 200
    assert standin.summary()["requests"] == 2


async def test_while_four_are_on_their_way_the_batch_grows(standin: Standin) -> None:
    standin.faults(latency=1)
    async with importing(standin) as batcher:
        waiting = []
        for n in range(16):
            waiting.append(take_alone(batcher, f"a{n}", one(f"a{n}")))
            await asyncio.sleep(0.01)
        await taken(*waiting)
    assert standin.summary()["requests"] == 5


async def test_a_source_counts_once_however_many_events_it_brings(standin: Standin) -> None:
    async with importing(standin) as batcher:
        with opened(batcher, 8) as sources:
            waiting = take(sources, "a", several(*(event(f"a{n}") for n in range(10))))
            await nothing_leaves(standin)
            await taken(waiting, take(sources, "b", one("b")))
    assert standin.summary()["largest_request"]["events"] == 11


async def test_nobody_waits_longer_than_the_longest_wait(standin: Standin) -> None:
    async with importing(standin, max_wait=0.05) as batcher:
        with opened(batcher, 1_000) as sources:
            await taken(take(sources, "a", one("a")))
            await taken(take(sources, "b", one("b")))
    assert standin.summary()["requests"] == 2


async def test_a_full_batch_leaves_at_once_and_the_rest_waits(standin: Standin) -> None:
    async with importing(standin, batch_events=10) as batcher:
        with opened(batcher, 1_000) as sources:
            waiting = take(sources, "a", several(*(event(f"a{n}") for n in range(25))))
            await wait_for_requests(standin, 2)
            await nothing_leaves(standin)
            batcher.flush()
            await taken(waiting)
    assert standin.summary()["largest_request"]["events"] == 10
    assert len(standin.ids()) == 25


async def test_a_batch_is_full_by_its_bytes_too(standin: Standin) -> None:
    async with importing(standin, batch_bytes=5_000) as batcher:
        with opened(batcher, 1) as sources:
            await taken(take(sources, "a", several(*(event(f"a{n}", 900) for n in range(20)))))
    assert standin.summary()["largest_request"]["bytes"] <= 5_000
    assert len(standin.ids()) == 20


async def test_while_all_senders_are_busy_the_batch_grows(standin: Standin) -> None:
    standin.faults(latency=0.3)
    async with importing(standin, concurrency=1) as batcher:
        with opened(batcher, 30) as sources:
            first = [take(sources, f"a{n}", one(f"a{n}")) for n in range(8)]
            await wait_for_requests(standin, 1)
            await taken(*first, *(take(sources, f"b{n}", one(f"b{n}")) for n in range(22)))
    assert standin.summary()["requests"] == 2


async def test_in_a_hurry_what_waits_leaves_and_nothing_waits_from_then_on(standin: Standin) -> None:
    async with importing(standin) as batcher:
        with opened(batcher, 1_000) as sources:
            waiting = take(sources, "a", one("a"))
            await nothing_leaves(standin)
            batcher.flush()
            await taken(waiting)
            await taken(take(sources, "b", one("b")))
    assert standin.ids() == {"a": 1, "b": 1}


LARGE: dict[str, Iterable[Record]] = {
    "blank lines": [(n, n, BLANK) for n in range(1, 20_001)],
    "an array without an end": records_of_message(b"[" * 2_000_000, 10**7),
}


@pytest.mark.parametrize("records", LARGE.values(), ids=LARGE.keys())
async def test_a_large_source_leaves_others_their_turn(records: Iterable[Record], standin: Standin) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticks = count(step=0.1)
    async with importing(standin, clock=lambda: next(ticks)) as batcher:
        with opened(batcher, 1) as sources:
            task = asyncio.create_task(other())
            await asyncio.sleep(0)
            await next(sources).deliver("a", records, b"")
            task.cancel()
    assert turns >= 5


AROUND = {"alone": (b"", b""), "in an array": (b"[", b"]"), "after another": (b'{"a":1}\n', b"")}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND.keys())
@pytest.mark.parametrize(("size", "is_imported"), [(30, True), (90, False)], ids=["3 MB", "9 MB"])
async def test_a_messages_record_may_be_longer_than_an_event_where_a_mapping_makes_many_of_it(
    around: tuple[bytes, bytes], size: int, is_imported: bool, standin: Standin
) -> None:
    """Of one that is too long for that, too, nothing is imported, and it is one reject."""
    data = {"event_name": "e", "timestamp_unixtime_ms": 1_700_000_000_000, "custom_attributes": {"a": "x" * 100_000}}
    events = [{"event_type": "custom_event", "data": data | {"event_id": n}} for n in range(size)]
    message = around[0] + json.dumps({"mpid": 1, "batch_id": 1, "events": events}).encode() + around[1]
    async with importing(standin, mapping="mparticle") as batcher:
        (rejects,) = await taken(take_alone(batcher, "a", records_of_message(message, 10**8, "records"), message))
    of_batch = [one for one in rejects if one.event != '{"a":1}']
    assert [(one.records, one.reason) for one in of_batch] == (
        [] if is_imported else [(1, "is too long: a mapping takes records under 8 MB")]
    )
    assert (await asyncio.to_thread(standin.summary))["imported"] == (size if is_imported else 0)


async def test_a_large_source_alone_fills_its_batches(standin: Standin) -> None:
    async with importing(standin) as batcher:
        with opened(batcher, 1) as sources:
            await taken(take(sources, "a", several(*(event(f"a{n}") for n in range(6_000)))))
    assert standin.summary()["requests"] == 3


# Who hears what


async def test_rejects_go_to_the_source_they_are_from_with_their_place(standin: Standin) -> None:
    async with importing(standin) as batcher:
        with opened(batcher, 8) as sources:
            good = take(sources, "good", one("g"))
            bad = take(sources, "bad", several(event("b1"), BLANK, BAD, event("b2"), REFUSED))
            none, rejects = await taken(good, bad)
    assert none == []
    offset = len(event("b1")) + len(BLANK) + 2
    places = sorted((reject.source, reject.line, reject.offset, reject.event.encode()) for reject in rejects)
    assert places[0] == ("bad", 3, offset, BAD)
    assert places[1][:2] == ("bad", 5)
    assert json.loads(places[1][3])["properties"]["time"] == 1
    assert standin.ids() == {"g": 1, "b1": 1, "b2": 1}


async def test_the_reject_of_an_event_that_a_transform_made_is_the_record_as_it_came(standin: Standin) -> None:
    async with importing(standin, transform="tests.unit.core.batching.test_batcher:with_another_year") as batcher:
        with opened(batcher, 1) as sources:
            records = (event("a"), BLANK, event("both"), event("c"))
            ((first, second),) = await taken(take(sources, "a message", several(*records)))
    offset = len(event("a")) + len(BLANK) + 2
    for reject in (first, second):
        assert (reject.source, reject.line, reject.offset, reject.records) == ("a message", 3, offset, 1)
        assert (reject.record(), reject.encoding, reject.whole) == (event("both"), None, False)
        assert reject.field == "properties.time"
        assert "must be 1971-01-01 or later" in reject.reason
    assert [reject.insert_id for reject in (first, second)] == ["both-1", "both-2"]
    assert standin.ids() == {"a": 1, "both": 1, "c": 1}


def with_another_year(record: dict[str, Any]) -> Any:
    """A transform that makes three of what is called so, two of them from before there were computers."""
    properties = record["properties"]
    if properties["$insert_id"] != "both":
        return record
    ids = [{"time": 1, "$insert_id": f"both-{n}"} for n in (1, 2)]
    return [record, *({**record, "properties": {**properties, **one}} for one in ids)]


async def test_the_events_of_a_source_share_their_fate_and_neighbours_do_not(standin: Standin) -> None:
    """The first batch fails, with all of a and a part of b; the second, with the rest of b and all of c, does not."""
    standin.faults(fail_first={"status": 503, "requests": 1})
    async with importing(standin, retry_seconds=0.2, backoff=2.0, batch_events=3, concurrency=1) as batcher:
        takes = [
            take_alone(batcher, "a", several(event("a1"), event("a2"))),
            take_alone(batcher, "b", several(event("b1"), BAD, event("b2"))),
            take_alone(batcher, "c", one("c")),
        ]
        await asyncio.sleep(0)
        batcher.flush()
        a, b, c = await asyncio.gather(*takes, return_exceptions=True)
        report = batcher.new_report()
    assert isinstance(a, DeliveryError)
    assert isinstance(b, DeliveryError)
    assert c == []
    assert standin.ids() == {"b2": 1, "c": 1}
    assert (report.read, report.imported, report.rejected, report.handed_back) == (6, 2, 0, 4)


async def test_a_source_that_breaks_off_is_refused_whole_from_there(standin: Standin) -> None:
    data = b"[" + event("a") + b"," + event("b")[:-9]
    async with importing(standin) as batcher:
        with opened(batcher, 1) as sources:
            [rejects] = await taken(take(sources, "a", records_of_message(data, 10_000), data))
    assert [reject.event.encode() for reject in rejects][-1] == data
    assert standin.ids() == {"a": 1}


async def test_of_very_many_bad_records_the_good_ones_are_imported_and_the_rest_is_folded(standin: Standin) -> None:
    """A thousand rejects have one bad record each, those beyond have as many as fit; nothing is lost."""
    data = b"\n".join([event("first"), *[b"7"] * 150_000, event("last"), b"8"])
    async with importing(standin) as batcher:
        [rejects] = await taken(take_alone(batcher, "a", records_of_message(data, 10**6), data))
        report = batcher.new_report()
    assert standin.ids() == {"first": 1, "last": 1}
    assert [reject.records for reject in rejects] == [1] * 1_000 + [100_000, 49_001]
    assert b"\n".join(reject.record() for reject in rejects) == b"\n".join([*[b"7"] * 150_000, b"8"])
    assert {reject.whole for reject in rejects} == {False}
    assert (report.read, report.imported, report.rejected, report.handed_back) == (150_003, 2, 150_001, 0)


async def test_with_more_bad_records_than_anybody_waits_for_the_source_is_kept_whole(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.core.batching.source._MAX_BAD", 3_000)
    data = b"\n".join([event("first"), *[b"7"] * 3_001, event("last")])
    async with importing(standin) as batcher:
        [rejects] = await taken(take_alone(batcher, "a", records_of_message(data, 10**6), data))
        report = batcher.new_report()
    assert standin.ids() == {"first": 1}
    assert [reject.records for reject in rejects] == [1] * 1_000 + [2_001]
    assert rejects[-1].event.encode() == data
    assert rejects[-1].whole
    assert rejects[-1].reason == "from here on: more than 3000 records of it cannot be imported"
    assert rejects[-1].line == 3_002
    assert (report.read, report.imported, report.rejected, report.handed_back) == (3_002, 1, 3_001, 0)


@pytest.mark.parametrize(("name", "filler"), [("_MAX_BAD", b"7"), ("_MAX_BLANK", b"")])
async def test_where_nobody_waits_bad_and_blank_records_may_be_any_number(
    name: str, filler: bytes, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"importer.core.batching.source.{name}", 10)
    records = [filler] * 11 + [event("last")]
    async with importing(standin) as batcher:
        with batcher.source() as source:
            bounded = await source.deliver("a", several(*records), b"whole")
        assert bounded[-1].record() == b"whole"
        with batcher.source(is_bounded=False) as source:
            rejects = await source.deliver("a", several(*records), b"whole")
    assert [reject.record() for reject in rejects if reject.record()] == [b"7"] * 11 * (filler == b"7")
    assert standin.ids() == {"last": 1}


async def test_as_many_bad_and_blank_records_as_are_waited_for_cost_no_good_one(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.core.batching.source._MAX_BAD", 10)
    monkeypatch.setattr("importer.core.batching.source._MAX_BLANK", 10)
    records = [b"7"] * 10 + [BLANK] * 10 + [event("last")]
    async with importing(standin) as batcher:
        [rejects] = await taken(take_alone(batcher, "a", several(*records)))
    assert [reject.record() for reject in rejects] == [b"7"] * 10
    assert standin.ids() == {"last": 1}


async def test_a_source_that_raises_is_its_own_trouble(standin: Standin) -> None:
    def broken() -> Iterable[Record]:
        yield 1, 0, event("a")
        raise ZeroDivisionError

    async with importing(standin) as batcher:
        with opened(batcher, 8) as sources:
            other = take(sources, "b", one("b"))
            with pytest.raises(ZeroDivisionError):
                await next(sources).deliver("a", broken(), b"")
            assert await taken(other) == [[]]
    assert standin.ids() == {"a": 1, "b": 1}


async def test_whoever_stops_waiting_does_not_disturb_the_others(standin: Standin) -> None:
    async with importing(standin) as batcher:
        with opened(batcher, 12) as sources:
            gone, waiting = take(sources, "a", one("a")), take(sources, "b", one("b"))
            await asyncio.sleep(0)
            gone.cancel()
            assert await taken(waiting, take(sources, "c", one("c"))) == [[], []]
    assert standin.ids() == {"a": 1, "b": 1, "c": 1}


async def test_nothing_to_import_is_settled_without_a_request(standin: Standin) -> None:
    async with importing(standin) as batcher:
        with opened(batcher, 1) as sources:
            assert await taken(take(sources, "a", several(BLANK, BLANK))) == [[]]
    assert standin.summary()["requests"] == 0


# What is counted, and when


async def test_a_source_is_counted_whole_when_it_is_left_whatever_batches_its_events_travel_in(
    standin: Standin,
) -> None:
    bad = b'{"event":"no properties"}'
    texts = [*(event(f"a{n}") for n in range(15)), bad]
    async with importing(standin, batch_events=10) as batcher:
        with opened(batcher, 100) as sources:
            waiting = take(sources, "a", several(*texts))
            await wait_for_requests(standin, 1)
            await asyncio.sleep(0.1)
            before = batcher.new_report()
            batcher.flush()
            await taken(waiting)
            unanswered = batcher.new_report()
        after = batcher.new_report()
    assert (before.read, before.imported, before.handed_back, before.requests) == (0, 0, 0, 1)
    assert (unanswered.read, unanswered.imported, unanswered.handed_back, unanswered.requests) == (0, 0, 0, 1)
    assert (after.read, after.imported, after.rejected, after.handed_back) == (16, 15, 1, 0)
    assert after.bytes == sum(map(len, texts))
    assert (after.requests, after.sent_bytes) == (0, 0)
    assert [reject.record() for reject in after.first_rejects] == [bad]


async def test_of_a_source_that_is_handed_back_only_what_mixpanel_took_counts_as_more_than_read(
    standin: Standin,
) -> None:
    """As when its rejects cannot be stored: then they are none yet."""
    async with importing(standin, transform="tests.unit.core.batching.test_batcher:without_dropped") as batcher:
        with suppress(LookupError), batcher.source() as source:
            await source.deliver("a", several(event("a"), BAD, event("dropped"), REFUSED), b"")
            raise LookupError
        report = batcher.new_report()
        assert batcher.open == 0
    assert (report.read, report.imported, report.rejected, report.dropped, report.handed_back) == (4, 1, 0, 0, 3)
    assert report.first_rejects == []


async def test_what_is_dropped_is_counted_when_its_source_is_left(standin: Standin) -> None:
    async with importing(standin, transform="tests.unit.core.batching.test_batcher:without_dropped") as batcher:
        with batcher.source() as source:
            await source.deliver("a", several(event("a"), event("dropped"), event("dropped")), b"")
            assert batcher.report.dropped == 0
        report = batcher.new_report()
    assert (report.read, report.imported, report.dropped, report.handed_back) == (3, 1, 2, 0)
    assert sum(report.dropped_by.values()) == 2


def without_dropped(record: dict[str, Any]) -> Any:
    """A transform that drops what is called so."""
    return None if record["properties"]["$insert_id"] == "dropped" else record


# Memory


class Held:
    """Memory that writes down what was taken, up to `most` bytes."""

    def __init__(self, most: int = 10**9) -> None:
        self.takes: list[int] = []
        self._most = most

    def take(self, size: int) -> None:
        if sum(self.takes) + size > self._most:
            raise BudgetExceeded
        self.takes.append(size)


async def test_each_record_takes_what_it_needs_of_the_memory(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event its text, 250 bytes, and the record if that is another text; a reject 600, unless it is folded."""
    monkeypatch.setattr("importer.core.rejects.folded.MAX_UNFOLDED", 2)
    held = Held()
    whole = event("b").replace(b'"time"', b'"ip": "0", "time"')
    async with importing(standin) as batcher:
        with batcher.source(held) as source:
            await source.deliver("a", several(event("a"), BLANK, BAD, whole, BAD, BAD), b"")
    sent = len(event("a")) + len(b'"ip":0,')
    assert held.takes == [sent + len(event("a")) + 250, len(BAD) + 600, len(whole) + 250, len(BAD) + 600, len(BAD)]


async def test_what_is_made_of_a_record_takes_memory_and_what_is_dropped_none(standin: Standin) -> None:
    held = Held()
    records = [event("a"), event("dropped"), event("twice")]
    async with importing(standin, transform="tests.unit.core.batching.test_batcher:dropped_or_doubled") as batcher:
        with batcher.source(held) as source:
            await source.deliver("a", several(*records), b"")
    first, second = (len(json.dumps(json.loads(one), separators=(",", ":"))) + len(b'"ip":0,') for one in records[::2])
    assert held.takes == [first + len(records[0]) + 250, second + len(records[2]) + 250, second + 250]


def dropped_or_doubled(record: dict[str, Any]) -> Any:
    """A transform that makes two of what is called so, and drops what is called so."""
    name = record["properties"]["$insert_id"]
    return {"dropped": None, "twice": [record, record]}.get(name, record)


async def test_a_source_beyond_the_memory_is_handed_back_and_what_was_read_is_on_its_way(standin: Standin) -> None:
    async with importing(standin) as batcher:
        with pytest.raises(BudgetExceeded), batcher.source(Held(2 * len(event("a")) + 300)) as source:
            await source.deliver("a", several(event("a"), event("b"), event("c")), b"")
        report = batcher.new_report()
        batcher.flush()
        await wait_for_requests(standin, 1)
    assert standin.ids() == {"a": 1}
    assert (report.read, report.imported, report.handed_back) == (2, 0, 2)


@given(
    sources=st.lists(st.lists(st.sampled_from(["good", "bad", "refused", "blank"]), max_size=6), max_size=12),
    batch_events=st.integers(1, 5),
    concurrency=st.integers(1, 3),
    expected=st.integers(0, 40),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_everything_is_accounted_for_whatever_the_bounds(
    standin: Standin, sources: Sequence[Sequence[str]], batch_events: int, concurrency: int, expected: int
) -> None:
    standin.reset()
    makes = {"bad": BAD, "refused": REFUSED, "blank": BLANK}
    texts = [[makes.get(kind) or event(f"{s}-{n}") for n, kind in enumerate(kinds)] for s, kinds in enumerate(sources)]

    async def all_of_them() -> None:
        bounds: dict[str, Any] = {"batch_events": batch_events, "concurrency": concurrency, "max_wait": 0.01}
        async with importing(standin, **bounds) as batcher:
            with opened(batcher, len(sources) + expected) as waiting:
                takes = [take(waiting, str(s), several(*records)) for s, records in enumerate(texts)]
                for kinds, rejects in zip(sources, await taken(*takes), strict=True):
                    wrong = [line for line, kind in enumerate(kinds, 1) if kind in {"bad", "refused"}]
                    assert sorted(reject.line for reject in rejects) == wrong
            report = batcher.new_report()
        kinds_read = Counter(kind for kinds in sources for kind in kinds)
        assert report.handed_back == 0
        assert report.read == kinds_read.total() - kinds_read["blank"]
        assert (report.imported, report.rejected) == (kinds_read["good"], kinds_read["bad"] + kinds_read["refused"])

    asyncio.run(all_of_them())
    good = {f"{s}-{n}" for s, kinds in enumerate(sources) for n, kind in enumerate(kinds) if kind == "good"}
    assert standin.ids() == dict.fromkeys(good, 1)
    assert standin.summary()["largest_request"]["events"] <= batch_events


async def test_a_batch_is_of_one_message_or_of_the_subscription_of_several(standin: Standin) -> None:
    async with importing(standin, source_header="X-Import-Source") as batcher:
        with opened(batcher, 1) as sources:
            await taken(take(sources, "subs/s#1", one("a")))
        with opened(batcher, 2) as sources:
            await taken(take(sources, "subs/s#2", one("b")), take(sources, "subs/s#3", one("c")))
    answer = await asyncio.to_thread(http.get, f"{standin.url}/sandbox/requests", timeout=10)
    assert [request["source"] for request in answer.json()] == ["subs/s", "subs/s#1"]
