"""One of many small sources, such as a message: its records are read, and it waits until each is settled.

What becomes of it is counted when it is left, all at once, whichever batches its events travelled in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Protocol, Self

from importer.core.pipeline import Pipeline
from importer.core.rejects.folded import FoldedRejects
from importer.core.rejects.reject import Reject
from importer.core.report import Report, Tally
from importer.errors import DeliveryError, InvalidRecord, Unreadable
from importer.mappings.outcome import Dropped
from importer.mixpanel.outcome import RejectedEvent
from importer.records import Record, is_blank

_AT_A_TIME = 2_000
"""Records of one source that are read before others get their turn: a batch full, so that no part of one leaves."""

_TURN = 0.2
"""Seconds after which they get it in any case: a transform may be slow, a gzip may hold white space by the gigabyte."""

_MAX_BAD = 500_000
"""Records of one source that cannot be imported. With one more, it is rejected as a whole from there on: they take 4 to
7 µs each, and somebody waits. A message that is not compressed has no room for as many, if they resemble events."""

_MAX_BLANK = 100_000
"""Blank lines of one source that are skipped: a small message can decompress to millions of them."""

_EVENT_BYTES, _REJECT_BYTES = 250, 600
"""What an event and a reject take of memory beyond their text."""


class Memory(Protocol):
    """A source's part of the memory, such as a `memory_budget.Reservation`."""

    def take(self, size: int) -> None:
        """Takes `size` bytes more.

        Raises:
            BudgetExceeded: there are not so many left; the source is to be handed back.
        """


class Batches(Protocol):
    """The batches that sources have in common (see `batcher.Batcher`).

    Attributes:
        open: sources that are open now; they count themselves.
        report: the counts, in which what became of a source is booked when it is left.
    """

    pipeline: Pipeline
    open: int
    report: Report

    def make_way(self) -> None:
        """Lets a batch of many leave before the next source is read, if it may."""

    def add(self, event: bytes, place: Place) -> None:
        """Takes an event in. Its source will hear of it: `imported` or `failed`, and before, if so, `rejected`."""


class Source:
    """A source that is open, from the moment something of it has come until it is answered.

    Leave its `with` block without an exception once all of it is settled: its records are imported, dropped, or stored
    as rejects. An exception says that it is handed back: of its records, only those that Mixpanel took count as more
    than read.

    Args:
        batches: those that its events travel in, with the events of others.
        memory: its part of the memory; None where that is not bounded here.
        is_bounded: whether it is rejected as a whole where bad or blank records are too many to be gone through while
            somebody waits for the answer.

    Attributes:
        name: what rejects say they came from, once it is delivered.
        counted_in: the number of the batch that it was last counted in.
    """

    __slots__ = (
        "_batches", "_bytes", "_done", "_failure", "_imported", "_is_bounded", "_memory", "_read", "_rejects", "_tally",
        "_unsettled", "counted_in", "name",
    )  # fmt: skip

    def __init__(self, batches: Batches, memory: Memory | None, *, is_bounded: bool) -> None:
        self._batches = batches
        self._memory = memory
        self._is_bounded = is_bounded
        self.name = ""
        self._done: asyncio.Future[None] | None = None  # there is one while `deliver` waits for it
        self._unsettled = 0  # events on their way
        self._failure: DeliveryError | None = None
        self._rejects: FoldedRejects | None = None
        self._tally: Tally | None = None
        self._read = 0
        self._bytes = 0
        self._imported = 0
        self.counted_in = 0

    def __enter__(self) -> Self:
        self._batches.open += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._batches.open -= 1
        report = self._batches.report
        report.read += self._read
        report.bytes += self._bytes
        report.imported += self._imported
        if kind is None:
            if self._tally:
                report.add_tally(self._tally)
            for one in self._rejects.all() if self._rejects else ():
                report.add_reject(one)

    async def deliver(self, name: str, records: Iterable[Record], whole: bytes) -> list[Reject]:
        """Brings the records to their end. To be called once.

        Args:
            name: what rejects say they came from.
            records: see `formats.content`.
            whole: the source's bytes, which a reject carries if they cannot be read to their end.

        Returns:
            The rejects, to be stored before the source is left. All other records were imported or dropped.

        Raises:
            DeliveryError: Mixpanel did not take all of them; the source is to be handed back.
            BudgetExceeded: there is no memory for them; the same. What was read before is on its way all the same.
            Exception: whatever `records` raises; the same.
        """
        self.name = name
        self._batches.make_way()
        await self._read_all(records, whole)
        if self._unsettled:
            self._done = asyncio.get_running_loop().create_future()
            await self._done
        if self._failure:
            raise type(self._failure)(str(self._failure)) from self._failure
        return self._rejects.all() if self._rejects else []

    def drop(self, kind: str) -> None:
        """Counts something of the source as dropped that is no record."""
        self._read += 1
        self._tally = self._tally or Tally()
        self._tally.add([Dropped(kind)], [])

    def imported(self) -> None:
        """Mixpanel took a batch with an event of this source in it."""
        self._imported += 1
        self._settle()

    def rejected(self, line: int, offset: int, record: bytes | None, event: bytes, rejection: RejectedEvent) -> None:
        """Mixpanel took the batch without this event. `imported` is called for it all the same, after this."""
        self._imported -= 1
        self._folded().add_event(line, offset, record, event, rejection)

    def failed(self, failure: DeliveryError) -> None:
        """Mixpanel did not take a batch with an event of this source in it."""
        self._failure = failure
        self._settle()

    def _settle(self) -> None:
        self._unsettled -= 1
        if not self._unsettled and self._done and not self._done.done():
            self._done.set_result(None)

    async def _read_all(self, records: Iterable[Record], whole: bytes) -> None:
        clock = self._batches.pipeline.clock
        last, blank = (0, 0), 0
        pause_at = clock() + _TURN
        try:
            for number, (line, offset, record) in enumerate(records):
                if number and (number % _AT_A_TIME == 0 or clock() > pause_at):
                    await asyncio.sleep(0)
                    pause_at = clock() + _TURN
                if is_blank(record):
                    blank += 1
                    if blank > _MAX_BLANK and self._is_bounded:
                        raise Unreadable(f"more than {_MAX_BLANK} lines of it are blank")
                    continue
                self._take(line, offset, record)
                last = line, offset
        except Unreadable as error:
            self._read += 1
            self._folded().add_rest(*last, whole, str(error))

    def _take(self, line: int, offset: int, record: bytes) -> None:
        """Takes in one record: puts its events on their way, and its rejects aside."""
        prepared = self._batches.pipeline.prepare(record)
        if prepared.rejected and self._is_bounded and len(prepared.rejected) + self._folded().count > _MAX_BAD:
            raise Unreadable(f"more than {_MAX_BAD} records of it cannot be imported")
        self._bytes += len(record)
        if prepared.rejected:
            self._reject(line, offset, record, prepared.rejected)
        if prepared.dropped or prepared.changed:
            self._read += len(prepared.dropped)
            self._tally = self._tally or Tally()
            self._tally.add(prepared.dropped, prepared.changed)
        self._read += len(prepared.events)
        is_unchanged = len(prepared.events) == 1 and prepared.events[0] is record
        place = (self, line, offset, None if is_unchanged else record)
        held = 0 if is_unchanged else len(record)
        for event in prepared.events:
            if self._memory is not None:
                self._memory.take(len(event) + held + _EVENT_BYTES)
                held = 0
            self._unsettled += 1
            self._batches.add(event, place)

    def _reject(self, line: int, offset: int, record: bytes, reasons: Sequence[InvalidRecord]) -> None:
        rejects = self._folded()
        if self._memory is not None:
            self._memory.take(len(record) + (0 if rejects.is_folding else _REJECT_BYTES * len(reasons)))
        self._read += len(reasons)
        rejects.add(line, offset, record, reasons)

    def _folded(self) -> FoldedRejects:
        if self._rejects is None:
            self._rejects = FoldedRejects(self.name)
        return self._rejects


Place = tuple[Source, int, int, bytes | None]
"""The source, line and offset of a record, and the record where something else was made of it."""
