"""When batches leave, what is in them, and that whoever brought something hears what became of just that."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate, count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importer.core.batcher import Batcher
from importer.core.pipeline import Pipeline
from importer.core.rejects import Reject
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
async def gathering(
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


def take(gatherer: Batcher, source: str, records: Iterable[Record], whole: bytes = b"") -> asyncio.Task[list[Reject]]:
    return asyncio.create_task(gatherer.deliver(source, records, whole))


# When a batch leaves


async def test_a_source_alone_waits_for_nobody(standin: Standin) -> None:
    async with gathering(standin) as gatherer:
        gatherer.open = 1
        assert await taken(take(gatherer, "a", one("a"))) == [[]]
    assert standin.ids() == {"a": 1}


async def test_a_batch_leaves_with_a_quarter_of_what_is_open_and_not_before(standin: Standin) -> None:
    async with gathering(standin) as gatherer:
        gatherer.open = 12
        waiting = [take(gatherer, name, one(name)) for name in "ab"]
        await nothing_leaves(standin)
        assert await taken(*waiting, take(gatherer, "c", one("c"))) == [[], [], []]
    assert standin.summary()["answers"] == {"200": 1}


async def test_a_batch_of_many_leaves_on_the_spot_with_no_more_than_its_quarter(standin: Standin) -> None:
    async with gathering(standin) as gatherer:
        gatherer.open = 800
        waiting = [take(gatherer, f"a{n}", one(f"a{n}")) for n in range(399)]
        await taken(*waiting[:200])
        await nothing_leaves(standin)
        gatherer.flush()
        await taken(*waiting)
    assert standin.summary()["largest_request"]["events"] == 200
    assert standin.summary()["requests"] == 2


async def test_while_four_are_on_their_way_the_batch_grows(standin: Standin) -> None:
    standin.faults(latency=1)
    async with gathering(standin) as gatherer:
        gatherer.open = 8
        waiting = []
        for n in range(16):
            waiting.append(take(gatherer, f"a{n}", one(f"a{n}")))
            await asyncio.sleep(0.01)
        await taken(*waiting)
    assert standin.summary()["requests"] == 5


async def test_a_source_counts_once_however_many_events_it_brings(standin: Standin) -> None:
    async with gathering(standin) as gatherer:
        gatherer.open = 8
        waiting = take(gatherer, "a", several(*(event(f"a{n}") for n in range(10))))
        await nothing_leaves(standin)
        await taken(waiting, take(gatherer, "b", one("b")))
    assert standin.summary()["largest_request"]["events"] == 11


async def test_nobody_waits_longer_than_the_longest_wait(standin: Standin) -> None:
    async with gathering(standin, max_wait=0.05) as gatherer:
        gatherer.open = 1_000
        await taken(take(gatherer, "a", one("a")))
        await taken(take(gatherer, "b", one("b")))
    assert standin.summary()["requests"] == 2


async def test_a_full_batch_leaves_at_once_and_the_rest_waits(standin: Standin) -> None:
    async with gathering(standin, batch_events=10) as gatherer:
        gatherer.open = 1_000
        waiting = take(gatherer, "a", several(*(event(f"a{n}") for n in range(25))))
        await wait_for_requests(standin, 2)
        await nothing_leaves(standin)
        gatherer.flush()
        await taken(waiting)
    assert standin.summary()["largest_request"]["events"] == 10
    assert len(standin.ids()) == 25


async def test_a_batch_is_full_by_its_bytes_too(standin: Standin) -> None:
    async with gathering(standin, batch_bytes=5_000) as gatherer:
        gatherer.open = 1
        await taken(take(gatherer, "a", several(*(event(f"a{n}", 900) for n in range(20)))))
    assert standin.summary()["largest_request"]["bytes"] <= 5_000
    assert len(standin.ids()) == 20


async def test_while_all_senders_are_busy_the_batch_grows(standin: Standin) -> None:
    standin.faults(latency=0.3)
    async with gathering(standin, concurrency=1) as gatherer:
        gatherer.open = 30
        first = [take(gatherer, f"a{n}", one(f"a{n}")) for n in range(8)]
        await wait_for_requests(standin, 1)
        await taken(*first, *(take(gatherer, f"b{n}", one(f"b{n}")) for n in range(22)))
    assert standin.summary()["requests"] == 2


async def test_in_a_hurry_what_waits_leaves_and_nothing_waits_from_then_on(standin: Standin) -> None:
    async with gathering(standin) as gatherer:
        gatherer.open = 1_000
        waiting = take(gatherer, "a", one("a"))
        await nothing_leaves(standin)
        gatherer.flush()
        await taken(waiting)
        await taken(take(gatherer, "b", one("b")))
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
    async with gathering(standin, clock=lambda: next(ticks)) as gatherer:
        gatherer.open = 1
        task = asyncio.create_task(other())
        await asyncio.sleep(0)
        await gatherer.deliver("a", records, b"")
        task.cancel()
    assert turns >= 5


async def test_a_large_source_alone_fills_its_batches(standin: Standin) -> None:
    async with gathering(standin) as gatherer:
        gatherer.open = 1
        await taken(take(gatherer, "a", several(*(event(f"a{n}") for n in range(6_000)))))
    assert standin.summary()["requests"] == 3


# Who hears what


async def test_rejects_go_to_the_source_they_are_from_with_their_place(standin: Standin) -> None:
    async with gathering(standin) as gatherer:
        gatherer.open = 8
        good = take(gatherer, "good", one("g"))
        bad = take(gatherer, "bad", several(event("b1"), BLANK, BAD, event("b2"), REFUSED))
        none, rejects = await taken(good, bad)
    assert none == []
    offset = len(event("b1")) + len(BLANK) + 2
    places = sorted((reject.source, reject.line, reject.offset, reject.event.encode()) for reject in rejects)
    assert places[0] == ("bad", 3, offset, BAD)
    assert places[1][:2] == ("bad", 5)
    assert json.loads(places[1][3])["properties"]["time"] == 1
    assert standin.ids() == {"g": 1, "b1": 1, "b2": 1}


async def test_the_events_of_a_source_share_their_fate_and_neighbours_do_not(standin: Standin) -> None:
    """The first batch fails, with all of a and a part of b; the second, with the rest of b and all of c, does not."""
    standin.faults(fail_first={"status": 503, "requests": 1})
    async with gathering(standin, retry_seconds=0.2, backoff=2.0, batch_events=3, concurrency=1) as gatherer:
        gatherer.open = 1_000
        takes = [
            take(gatherer, "a", several(event("a1"), event("a2"))),
            take(gatherer, "b", several(event("b1"), BAD, event("b2"))),
            take(gatherer, "c", one("c")),
        ]
        await asyncio.sleep(0)
        gatherer.flush()
        a, b, c = await asyncio.gather(*takes, return_exceptions=True)
        report = gatherer.new_report()
    assert isinstance(a, DeliveryError)
    assert isinstance(b, DeliveryError)
    assert c == []
    assert standin.ids() == {"b2": 1, "c": 1}
    assert (report.read, report.imported, report.rejected, report.handed_back) == (6, 2, 0, 4)


async def test_a_source_that_breaks_off_is_refused_whole_from_there(standin: Standin) -> None:
    data = b"[" + event("a") + b"," + event("b")[:-9]
    async with gathering(standin) as gatherer:
        gatherer.open = 1
        [rejects] = await taken(take(gatherer, "a", records_of_message(data, 10_000), data))
    assert [reject.event.encode() for reject in rejects][-1] == data
    assert standin.ids() == {"a": 1}


async def test_of_very_many_bad_records_the_rest_is_kept_as_one(standin: Standin) -> None:
    data = b"\n".join([event("first"), *[b"7"] * 50_000, event("last")])
    async with gathering(standin) as gatherer:
        gatherer.open = 1
        [rejects] = await taken(take(gatherer, "a", records_of_message(data, 10**6), data))
        report = gatherer.new_report()
    assert len(rejects) == 1_001
    assert rejects[-1].event.encode() == data
    assert (report.read, report.imported, report.rejected) == (1_002, 1, 1_001)


async def test_a_source_that_raises_is_its_own_trouble(standin: Standin) -> None:
    def broken() -> Iterable[Record]:
        yield 1, 0, event("a")
        raise ZeroDivisionError

    async with gathering(standin) as gatherer:
        gatherer.open = 8
        other = take(gatherer, "b", one("b"))
        with pytest.raises(ZeroDivisionError):
            await gatherer.deliver("a", broken(), b"")
        assert await taken(other) == [[]]
    assert standin.ids() == {"a": 1, "b": 1}


async def test_whoever_stops_waiting_does_not_disturb_the_others(standin: Standin) -> None:
    async with gathering(standin) as gatherer:
        gatherer.open = 12
        gone, waiting = take(gatherer, "a", one("a")), take(gatherer, "b", one("b"))
        await asyncio.sleep(0)
        gone.cancel()
        assert await taken(waiting, take(gatherer, "c", one("c"))) == [[], []]
    assert standin.ids() == {"a": 1, "b": 1, "c": 1}


async def test_nothing_to_import_is_settled_without_a_request(standin: Standin) -> None:
    async with gathering(standin) as gatherer:
        gatherer.open = 1
        assert await taken(take(gatherer, "a", several(BLANK, BLANK))) == [[]]
    assert standin.summary()["requests"] == 0


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
        async with gathering(standin, **bounds) as gatherer:
            gatherer.open = len(sources) + expected
            takes = [take(gatherer, str(s), several(*records)) for s, records in enumerate(texts)]
            for kinds, rejects in zip(sources, await taken(*takes), strict=True):
                wrong = [line for line, kind in enumerate(kinds, 1) if kind in {"bad", "refused"}]
                assert sorted(reject.line for reject in rejects) == wrong
            report = gatherer.new_report()
        assert report.handed_back == 0
        assert report.read == sum(kind != "blank" for kinds in sources for kind in kinds)

    asyncio.run(all_of_them())
    good = {f"{s}-{n}" for s, kinds in enumerate(sources) for n, kind in enumerate(kinds) if kind == "good"}
    assert standin.ids() == dict.fromkeys(good, 1)
    assert standin.summary()["largest_request"]["events"] <= batch_events
