"""Rejects of many messages, kept together: each source waits for its own, and hears when they are not kept."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from importer import log
from importer.core.rejects.buffered import BufferedRejectSink
from importer.core.rejects.reject import Reject, rejected_record
from importer.errors import DeliveryError, InvalidRecord, RejectSinkError

SOON, FOR_EVER = 0.01, 3_600.0


class Slow:
    """A sink that takes rejects when it is `opened`, and then keeps them, or does not while `broken`."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()
        self.broken = False
        self.asked: list[list[int]] = []
        self.kept: list[int] = []

    def store(self, rejects: Sequence[Reject]) -> None:
        lines = [one.line for one in rejects]
        self.asked.append(lines)
        assert self.opened.wait(30)
        if self.broken:
            raise RejectSinkError("no room")
        self.kept += lines


@pytest.fixture
def slow() -> Slow:
    log.configure("ERROR")
    return Slow()


def reject(line: int, record: bytes = b"no") -> Reject:
    return rejected_record("projects/p/subscriptions/s#1", line, 0, record, InvalidRecord("no"))


async def asked_for(slow: Slow, count: int) -> list[int]:
    """How many rejects the sink was asked to store each time, once it was asked so often."""
    async with asyncio.timeout(20):
        while len(slow.asked) < count:
            await asyncio.sleep(SOON)
    return [len(lines) for lines in slow.asked]


async def test_rejects_that_come_meanwhile_are_kept_together(slow: Slow) -> None:
    shared = BufferedRejectSink(slow, every=SOON)
    await asyncio.gather(*(shared.store([reject(n), reject(-n)]) for n in range(1, 50)))
    assert slow.asked == [[line for n in range(1, 50) for line in (n, -n)]]


async def test_nobody_goes_on_before_its_own_are_kept(slow: Slow) -> None:
    shared = BufferedRejectSink(slow, every=SOON)
    slow.opened.clear()
    first = asyncio.create_task(shared.store([reject(1)]))
    while not slow.asked:
        await asyncio.sleep(SOON)
    second = asyncio.create_task(shared.store([reject(2)]))
    while len(slow.asked) < 2:  # the sink is asked again, though it has not answered yet
        await asyncio.sleep(SOON)
    assert not first.done()
    assert not second.done()
    slow.opened.set()
    await asyncio.gather(first, second)
    assert sorted(slow.kept) == [1, 2]


async def test_what_is_not_kept_is_handed_back_and_the_next_round_starts_afresh(slow: Slow) -> None:
    shared = BufferedRejectSink(slow, every=SOON)
    slow.broken = True
    failed = await asyncio.gather(*(shared.store([reject(n)]) for n in (1, 2)), return_exceptions=True)
    assert [(type(one), str(one)) for one in failed] == [(DeliveryError, "the rejects could not be kept: no room")] * 2
    slow.broken = False
    await shared.store([reject(3)])
    assert (slow.asked, slow.kept) == ([[1, 2], [3]], [3])


async def test_whoever_stops_waiting_takes_nobody_along(slow: Slow) -> None:
    shared = BufferedRejectSink(slow, every=SOON)
    tasks = [asyncio.create_task(shared.store([reject(n)])) for n in (1, 2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await tasks[1]
    assert tasks[0].cancelled()
    assert slow.kept == [1, 2]


async def test_of_two_slices_that_fail_one_is_told_and_the_other_is_no_error_that_nobody_looked_at(slow: Slow) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    shared = BufferedRejectSink(slow, every=SOON)
    slow.broken = True
    with pytest.raises(DeliveryError):
        await shared.store([reject(n) for n in range(2_001)])
    await asked_for(slow, 2)
    await asyncio.sleep(5 * SOON)
    gc.collect()
    assert told == []


async def test_a_sink_that_breaks_is_an_error_for_those_in_the_round_alone() -> None:
    class Broken:
        def store(self, rejects: Sequence[Reject]) -> None:
            raise LookupError

    log.configure("ERROR")
    with pytest.raises(LookupError):
        await BufferedRejectSink(Broken(), every=SOON).store([reject(1)])


# Slices


async def test_a_full_slice_leaves_at_once_and_the_rest_waits(slow: Slow) -> None:
    shared = BufferedRejectSink(slow, every=FOR_EVER)
    storing = asyncio.create_task(shared.store([reject(n) for n in range(4_001)]))
    assert await asked_for(slow, 2) == [2_000, 2_000]
    assert sorted(slow.kept) == list(range(4_000))
    await asyncio.sleep(SOON)
    assert not storing.done()
    storing.cancel()


async def test_a_slice_is_full_by_its_bytes_too_and_one_long_reject_makes_a_slice(slow: Slow) -> None:
    shared = BufferedRejectSink(slow, every=SOON)
    sizes = [2_000_000, 2_000_000, 1, 5_000_000, 1]
    await shared.store([reject(n, b"x" * size) for n, size in enumerate(sizes)])
    assert sorted(slow.asked) == [[0, 1], [2], [3], [4]]


async def test_no_more_than_four_slices_are_stored_at_the_same_time(slow: Slow) -> None:
    shared = BufferedRejectSink(slow, every=SOON)
    slow.opened.clear()
    storing = asyncio.create_task(shared.store([reject(n) for n in range(10_001)]))
    await asked_for(slow, 4)
    await asyncio.sleep(5 * SOON)
    assert len(slow.asked) == 4
    slow.opened.set()
    await storing
    assert sorted(map(len, slow.asked)) == [1, 2_000, 2_000, 2_000, 2_000, 2_000]
    assert sorted(slow.kept) == list(range(10_001))


async def test_a_slice_that_is_not_stored_is_the_trouble_of_those_in_it_alone(slow: Slow) -> None:
    class Full:
        """Takes the first slice, and no other."""

        def store(self, rejects: Sequence[Reject]) -> None:
            if rejects[0].line:
                raise RejectSinkError("no room")

    shared = BufferedRejectSink(Full(), every=SOON)
    in_first, in_both, in_second = await asyncio.gather(
        shared.store([reject(n) for n in range(1_999)]),
        shared.store([reject(1_999), reject(2_000)]),
        shared.store([reject(2_001)]),
        return_exceptions=True,
    )
    assert in_first is None
    assert [str(one) for one in (in_both, in_second)] == ["the rejects could not be kept: no room"] * 2


async def test_nothing_to_store_is_safe_at_once(slow: Slow) -> None:
    await BufferedRejectSink(slow, every=FOR_EVER).store([])
    assert slow.asked == []


# The log


async def lines_logged(capsys: pytest.CaptureFixture[str], slow: Slow, **options: int) -> list[tuple[str, int | None]]:
    """The kind and the line of each entry for fifty rejects, in two intervals of the log."""
    log.configure("WARNING")
    shared = BufferedRejectSink(slow, every=SOON, **options)
    for start in (0, 25):
        await shared.store([reject(n) for n in range(start, start + 25)])
        await asyncio.sleep(2 * SOON)
    entries = map(json.loads, capsys.readouterr().out.splitlines())
    return [(entry["kind"], entry.get("line")) for entry in entries]


async def test_the_first_rejects_of_an_interval_are_logged(slow: Slow, capsys: pytest.CaptureFixture[str]) -> None:
    capped = ("rejects capped", None)
    assert await lines_logged(capsys, slow, logged=2) == [
        ("reject", 0), ("reject", 1), capped, ("reject", 25), ("reject", 26), capped,
    ]  # fmt: skip


async def test_however_many_may_be_logged_twenty_are_enough(slow: Slow, capsys: pytest.CaptureFixture[str]) -> None:
    logged = await lines_logged(capsys, slow, logged=100)
    assert [line for kind, line in logged if kind == "reject"] == [*range(20), *range(25, 45)]


async def test_none_is_logged_where_none_is_to_be(slow: Slow, capsys: pytest.CaptureFixture[str]) -> None:
    assert await lines_logged(capsys, slow, logged=0) == []
    assert len(slow.kept) == 50
