"""One source with an order, such as a file: records in, report out.

Each record is checked and completed (`event`), put in a batch (`batch`), and the batch is delivered (`pipeline`) on one
of a bounded number of threads (`sending`). Whatever becomes of a record is counted, once, and every reject is kept.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NoReturn

from importer.core.checkpoint import Checkpoint, Checkpoints, Counts
from importer.core.pipeline import Pipeline
from importer.core.preparation import Prepared
from importer.core.rejects import Reject, RejectLog, RejectSink, rejected_event, rejected_record, rejected_rest
from importer.core.report import Report, Tally
from importer.errors import (
    DeliveryError,
    HandedBack,
    RejectSinkError,
    SourceCorrupted,
    SourceGone,
    Unreadable,
)
from importer.mixpanel.batch import Batch
from importer.mixpanel.outcome import Outcome
from importer.records import Block, Position, is_blank

_MAX_IN_FLIGHT = 64
_MAX_IN_FLIGHT_BYTES = 64_000_000
"""Spans, and bytes of their events and rejects, that wait for the span before them; what is on its way counts."""

_MAX_SETTLED_HERE = 2000
_MAX_REJECTED_BYTES = 4_000_000
"""Rejects and drops in a span, and bytes of the rejects: what a file of nothing else makes us hold."""

_MAX_PENDING_REJECT_BYTES = 8_000_000
"""Rejects held, in bytes, before they are kept even if no checkpoint is due."""

_Place = tuple[int, int, bytes | None]
"""The line and offset of a record, and the record where a transform made something else of it."""


_End = tuple[int, int] | None
"""The line and offset of the record after a span; None where nothing can go on: after the last span of a source, and
within what a transform made of one record."""


@dataclass(slots=True)
class _Span:
    """A stretch of the source: the events in it on their way, and what of it is settled already."""

    batch: Batch[_Place]
    rejects: list[Reject] = field(default_factory=list)
    rejected_bytes: int = 0
    tally: Tally = field(default_factory=Tally)
    settled: int = 0  # records that are settled here
    is_full: bool = False  # with what is settled here

    @property
    def size(self) -> int:
        """Bytes held, before compression."""
        return self.batch.size + self.rejected_bytes

    def refuse(self, reject: Reject) -> None:
        self.rejects.append(reject)
        self.rejected_bytes += len(reject.event)
        self._settle(1)

    def drop(self, prepared: Prepared) -> None:
        """Counts what was dropped and changed of a record."""
        if prepared.dropped or prepared.changed:
            self.tally.add(prepared.dropped, prepared.changed)
            self._settle(len(prepared.dropped))

    def _settle(self, count: int) -> None:
        self.settled += count
        self.is_full = self.settled >= _MAX_SETTLED_HERE or self.rejected_bytes >= _MAX_REJECTED_BYTES


@dataclass(slots=True)
class _Settled:
    """What became of a span: every record in it is accounted for here."""

    outcome: Outcome
    rejects: list[Reject]
    tally: Tally


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a run may take.

    Attributes:
        retry_seconds: seconds for which one batch is tried again before the work is handed back.
        stop_at: the clock's time at which reading stops; what is on its way then comes to its end.
        deadline: the clock's time after which nothing is tried again.
    """

    retry_seconds: float
    stop_at: float = math.inf
    deadline: float = math.inf


@dataclass(frozen=True, slots=True)
class Progress:
    """What is told while a run is on.

    Attributes:
        checkpoints: where the checkpoint goes.
        mark: makes a mark of a line and an offset.
        every: seconds between two checkpoints, at the least.
    """

    checkpoints: Checkpoints
    mark: Callable[[int, int], Position]
    every: float = 5.0


class _TimeUp(Exception):
    """The time to stop reading came while there was more to read."""


def run(
    pipeline: Pipeline,
    source: str,
    blocks: Iterable[Block],
    rejects: RejectSink | None,
    limits: Limits,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Report:
    """Imports all the records of one source.

    Args:
        pipeline: the process's; several runs may share it.
        source: what rejects say they came from.
        blocks: the records, in order; see `formats.Content.blocks`.
        rejects: where refused records go; the first of them are logged as well. None is the log alone.
        limits: how long it may take.
        report: counts to go on from, when the records before a checkpoint are left out.
        progress: where checkpoints go; none are saved without it.

    Returns:
        The report. Every record read was imported, dropped, or is a reject that is kept.

    Raises:
        HandedBack: Mixpanel did not take all of them, the source failed, the rejects could not be kept, or the time
            was up. All before the last checkpoint is settled.
    """
    return _Run(pipeline, source, rejects, limits, report or Report(), progress).all(blocks)


class _Run:
    """One source on its way."""

    def __init__(
        self,
        pipeline: Pipeline,
        source: str,
        rejects: RejectSink | None,
        limits: Limits,
        report: Report,
        progress: Progress | None,
    ) -> None:
        self._pipeline = pipeline
        self._source = source
        self._sink = rejects
        self._log = RejectLog()
        self._limits = limits
        self._report = report
        self._progress = progress
        self._clock = pipeline.clock
        self._started = self._saved_at = self._clock()
        self._seconds_before = report.seconds
        self._span = _Span(pipeline.new_batch())
        self._last = 0, 0  # the line and offset of the record read last
        self._in_flight: deque[tuple[Future[_Settled], int, _End]] = deque()
        self._in_flight_bytes = 0
        self._pending_rejects: list[Reject] = []
        self._pending_reject_bytes = 0
        self._settled: tuple[int, int, Counts] | None = None  # where all before is booked, and its counts

    def all(self, blocks: Iterable[Block]) -> Report:
        try:
            self._read(blocks)
            while self._in_flight:
                self._commit_next()
            self._keep()
        except Exception as error:
            self._give_up(error)
        finally:
            self._note_time()
        return self._report

    def _read(self, blocks: Iterable[Block]) -> None:
        """Reads to the end, sending as batches fill. Most blocks need no change; a block that does goes by records."""
        try:
            for block in blocks:
                if self._pipeline.are_complete(block):
                    self._add_all(block)
                else:
                    self._add_each(block)
        except Unreadable as error:
            self._report.unreadable = str(error)
            self._report.read += 1
            line, offset = self._last
            self._span.refuse(rejected_rest(self._source, line, offset, b"", str(error)))
        self._send(None)

    def _add_all(self, block: Block) -> None:
        """Puts records that are complete events in batches."""
        line, offset, size, records = block.line, block.offset, block.size, block.records
        self._report.read += len(records)
        self._report.bytes += size - len(records)
        self._last = line + len(records) - 1, offset + size - 1 - len(records[-1])
        while (taken := self._span.batch.extend(records, size, (line, offset, None))) < len(records):
            passed = sum(map(len, records[:taken])) + taken
            line, offset, size = line + taken, offset + passed, size - passed
            records = records[taken:]
            self._send((line, offset))

    def _add_each(self, block: Block) -> None:
        """Puts what becomes of each record in batches, or among the rejects."""
        pipeline, report = self._pipeline, self._report
        for line, offset, record in block:
            if is_blank(record):
                self._check_time()
                continue
            self._last = line, offset
            if self._span.is_full:
                self._send((line, offset))
            report.bytes += len(record)
            prepared = pipeline.prepare(record)
            report.read += prepared.read
            events, place = prepared.events, (line, offset, record if pipeline.makes_events else None)
            if events and (len(events) != 1 or not self._span.batch.add(events[0], place)):
                self._add_together(events, place)
            for invalid in prepared.rejected:
                self._span.refuse(rejected_record(self._source, line, offset, record, invalid))
            self._span.drop(prepared)

    def _add_together(self, events: Sequence[bytes], place: _Place) -> None:
        """Puts what became of one record in the next batch: between two events of it, no checkpoint is true."""
        line, offset, _ = place
        size = sum(map(len, events)) + len(events)
        if self._span.batch.events and not self._span.batch.has_room(len(events), size):
            self._send((line, offset))
        for nth, event in enumerate(events):
            if not self._span.batch.add(event, place):
                self._send(None if nth else (line, offset))
                self._span.batch.add(event, place)

    def _send(self, end: _End) -> None:
        """Sends the span, begins another, and books those that are settled, in the order of the source."""
        span, self._span = self._span, _Span(self._pipeline.new_batch())
        size = span.size
        future = self._pipeline.executor.submit(size, lambda: self._deliver(span))
        self._in_flight.append((future, size, end))
        self._in_flight_bytes += size
        while self._in_flight and (self._in_flight[0][0].done() or self._is_too_much_in_flight()):
            self._commit_next()
        if self._progress and self._clock() - self._saved_at > self._progress.every:
            self._save()
        self._check_time()

    def _is_too_much_in_flight(self) -> bool:
        return len(self._in_flight) > _MAX_IN_FLIGHT or (
            len(self._in_flight) > 1 and self._in_flight_bytes > _MAX_IN_FLIGHT_BYTES
        )

    def _check_time(self) -> None:
        if self._clock() > self._limits.stop_at:
            raise _TimeUp("the time limit came before the end")

    def _deliver(self, span: _Span) -> _Settled:
        deadline = min(self._clock() + self._limits.retry_seconds, self._limits.deadline)
        delivery = self._pipeline.deliver(span.batch, deadline)
        refused = []
        for one in delivery.rejected:
            line, offset, record = one.place
            line += len(one.before)
            offset += sum(map(len, one.before)) + len(one.before)
            refused.append(rejected_event(self._source, line, offset, record, one.event, one.rejection))
        rejects = sorted(span.rejects + refused, key=lambda r: r.offset) if refused else span.rejects
        return _Settled(delivery.outcome, rejects, span.tally)

    def _commit_next(self) -> None:
        """Waits for the span that comes first in the source, and counts it."""
        future, size, end = self._in_flight.popleft()
        self._in_flight_bytes -= size
        settled = future.result()
        self._report.add_outcome(settled.outcome)
        self._report.add_tally(settled.tally)
        for one in settled.rejects:
            self._report.add_reject(one)
            self._log.add(one)
            if self._sink:
                self._pending_rejects.append(one)
                self._pending_reject_bytes += len(one.event)
        if end is not None:
            self._note_time()
            self._settled = (*end, Counts.of(self._report, end[1]))
        if self._pending_reject_bytes > _MAX_PENDING_REJECT_BYTES:
            self._keep()

    def _keep(self) -> None:
        """Makes the rejects booked so far safe."""
        if self._sink and self._pending_rejects:
            self._sink.store(self._pending_rejects)
            self._pending_rejects, self._pending_reject_bytes = [], 0

    def _save(self) -> None:
        """Saves how far the source got, once the rejects up to there are safe."""
        if self._progress is None or self._settled is None:
            return
        self._keep()
        line, offset, counts = self._settled
        self._progress.checkpoints.save(Checkpoint(self._progress.mark(line, offset), counts))
        self._saved_at = self._clock()

    def _give_up(self, error: Exception) -> NoReturn:
        """Lets what is on its way come to its end, saves how far that is, and hands the rest back."""
        failures = [error]
        for step in (self._drain_in_flight, self._save_resume_point):
            try:
                step(failures)
            except Exception as another:
                failures.append(another)
        self._count_the_rest()
        raise HandedBack("; and then ".join(map(_told, failures)), self._report) from error

    def _drain_in_flight(self, failures: list[Exception]) -> None:
        if not any(isinstance(one, DeliveryError | RejectSinkError) for one in failures):
            while self._in_flight:
                self._commit_next()

    def _save_resume_point(self, failures: list[Exception]) -> None:
        """Leaves the place that the next delivery goes on from, as far as the failures allow."""
        if any(isinstance(one, SourceCorrupted) for one in failures):
            if self._progress:
                self._progress.checkpoints.forget()
        elif any(isinstance(one, SourceGone) for one in failures):
            self._keep()
        elif not any(isinstance(one, RejectSinkError) for one in failures):
            self._save()

    def _count_the_rest(self) -> None:
        """What was imported beyond the place that the next delivery goes on from counts as imported all the same."""
        for future, *_ in self._in_flight:
            with contextlib.suppress(Exception):
                self._report.add_outcome(future.result().outcome)

    def _note_time(self) -> None:
        self._report.seconds = self._seconds_before + self._clock() - self._started


def _told(error: Exception) -> str:
    if isinstance(error, RejectSinkError):
        return f"the rejects could not be kept: {error}"
    is_plain = isinstance(error, DeliveryError | _TimeUp | SourceCorrupted | SourceGone)
    return str(error) if is_plain else f"{type(error).__name__}: {error}"
