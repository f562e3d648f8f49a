"""Rejects of many messages, kept together: each source waits for its own, and hears when they are not kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from importer import log
from importer.core.buffered_rejects import BufferedRejectSink
from importer.core.rejects import Reject, rejected_record
from importer.errors import DeliveryError, InvalidRecord, RejectSinkError

SOON = 0.01


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


def reject(line: int) -> Reject:
    return rejected_record("projects/p/subscriptions/s#1", line, 0, b"no", InvalidRecord("no"))


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


async def test_a_sink_that_breaks_is_an_error_for_those_in_the_round_alone() -> None:
    class Broken:
        def store(self, rejects: Sequence[Reject]) -> None:
            raise LookupError

    log.configure("ERROR")
    with pytest.raises(LookupError):
        await BufferedRejectSink(Broken(), every=SOON).store([reject(1)])
