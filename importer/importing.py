"""One source with an order, such as a file: records in, report out.

Each record is checked and completed (`event`), put in a batch (`batch`), and the batch is delivered (`pipeline`) on one
of a bounded number of threads (`sending`). Whatever becomes of a record is counted, once, and every reject is kept.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NoReturn

from importer.batch import Batch
from importer.checkpoint import Checkpoint, Checkpoints, Counts
from importer.event import Invalid, are_complete, is_blank, prepare
from importer.formats import Block, Mark, Unreadable
from importer.mixpanel import NotTaken, Outcome
from importer.pipeline import Pipeline
from importer.rejects import Reject, RejectSink, refused_event, refused_record, refused_rest
from importer.report import Report

_MOST_UNBOOKED = 64
_MOST_SETTLED_HERE = 2000
"""Rejects and drops in a span, at most: what a file of nothing else makes us hold."""

_Place = tuple[int, int, bytes | None]
"""The line and offset of a record, and the record where a transform made something else of it."""


_End = tuple[int, int] | None
"""The line and offset of the record after a span; None for the last span of a source."""


class HandedBack(Exception):
    """The work could not be finished; whoever triggered it is to deliver it again. Sending twice is safe.

    Attributes:
        report: what was settled all the same.
    """

    def __init__(self, reason: str, report: Report) -> None:
        super().__init__(reason)
        self.report = report


@dataclass(slots=True)
class _Span:
    """A stretch of the source: the events in it on their way, and what of it is settled already."""

    batch: Batch[_Place]
    rejects: list[Reject] = field(default_factory=list)
    dropped: int = 0


@dataclass(slots=True)
class _Settled:
    """What became of a span: every record in it is accounted for here."""

    outcome: Outcome
    rejects: list[Reject]
    dropped: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a run may take.

    Attributes:
        patience: seconds for which one batch is tried again before the work is handed back.
        stop_at: the clock's time at which reading stops; what is on its way then comes to its end.
        deadline: the clock's time after which nothing is tried again.
    """

    patience: float
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
    mark: Callable[[int, int], Mark]
    every: float = 5.0


class _TimeUp(Exception):
    """The time to stop reading came while there was more to read."""


def run(
    pipeline: Pipeline,
    source: str,
    blocks: Iterable[Block],
    rejects: RejectSink,
    limits: Limits,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Report:
    """Imports all the records of one source.

    Args:
        pipeline: the process's; several runs may share it.
        source: what rejects say they came from.
        blocks: the records, in order; see `formats.Content.blocks`.
        rejects: where refused records go.
        limits: how long it may take.
        report: counts to go on from, when the records before a checkpoint are left out.
        progress: where checkpoints go; none are saved without it.

    Returns:
        The report. Every record read was imported, dropped, or is a confirmed reject.

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
        rejects: RejectSink,
        limits: Limits,
        report: Report,
        progress: Progress | None,
    ) -> None:
        self._pipeline = pipeline
        self._source = source
        self._rejects = rejects
        self._limits = limits
        self._report = report
        self._progress = progress
        self._clock = pipeline.clock
        self._started = self._saved_at = self._clock()
        self._seconds_before = report.seconds
        self._span = _Span(pipeline.new_batch())
        self._last = 0, 0  # the line and offset of the record read last
        self._unbooked: deque[tuple[Future[_Settled], _End]] = deque()
        self._settled: tuple[int, int, Counts] | None = None  # where all before is booked, and its counts

    def all(self, blocks: Iterable[Block]) -> Report:
        try:
            self._read(blocks)
            while self._unbooked:
                self._book()
            self._rejects.confirm()
        except Exception as error:
            self._give_up(error)
        finally:
            self._tell_time()
        return self._report

    def _read(self, blocks: Iterable[Block]) -> None:
        """Reads to the end, sending as batches fill. Most blocks need no change; a block that does goes by records."""
        may_be_complete = self._pipeline.transform is None
        try:
            for block in blocks:
                if may_be_complete and are_complete(block.records):
                    self._add_all(block)
                else:
                    for line, offset, record in block:
                        self._add(line, offset, record)
        except Unreadable as error:
            self._report.unreadable = str(error)
            self._report.read += 1
            line, offset = self._last
            self._span.rejects.append(refused_rest(self._source, line, offset, b"", str(error)))
        self._send(None)

    def _add_all(self, block: Block) -> None:
        """Puts records that are complete events in batches."""
        line, offset, records = block.line, block.offset, block.records
        size = sum(map(len, records))
        self._report.read += len(records)
        self._report.bytes += size
        self._last = line + len(records) - 1, offset + size + len(records) - 1 - len(records[-1])
        while (taken := self._span.batch.extend(records, (line, offset, None))) < len(records):
            line += taken
            offset += sum(map(len, records[:taken])) + taken
            records = records[taken:]
            self._send((line, offset))

    def _add(self, line: int, offset: int, record: bytes) -> None:
        """Puts what becomes of one record in batches, or among the rejects."""
        self._last = line, offset
        if len(self._span.rejects) + self._span.dropped >= _MOST_SETTLED_HERE:
            self._send((line, offset))
        transform = self._pipeline.transform
        try:
            events = prepare(record, transform)
        except Invalid as invalid:
            if is_blank(record):
                self._check_time()
                return
            self._span.rejects.append(refused_record(self._source, line, offset, record, invalid))
            events = ()
        else:
            self._span.dropped += not events
        self._report.read += len(events) or 1
        self._report.bytes += len(record)
        place = (line, offset, record if transform else None)
        for event in events:
            if not self._span.batch.add(event, place):
                self._send((line, offset))
                self._span.batch.add(event, place)

    def _send(self, end: _End) -> None:
        """Sends the span, begins another, and books those that are settled, in the order of the source."""
        span, self._span = self._span, _Span(self._pipeline.new_batch())
        future = self._pipeline.sender.submit(span.batch.size, lambda: self._deliver(span))
        self._unbooked.append((future, end))
        while self._unbooked and (self._unbooked[0][0].done() or len(self._unbooked) > _MOST_UNBOOKED):
            self._book()
        if self._progress and self._clock() - self._saved_at > self._progress.every:
            self._save()
        self._check_time()

    def _check_time(self) -> None:
        if self._clock() > self._limits.stop_at:
            raise _TimeUp("the time limit came before the end")

    def _deliver(self, span: _Span) -> _Settled:
        deadline = min(self._clock() + self._limits.patience, self._limits.deadline)
        delivery = self._pipeline.deliver(span.batch, deadline)
        refused = []
        for one in delivery.refused:
            line, offset, record = one.place
            line += len(one.before)
            offset += sum(map(len, one.before)) + len(one.before)
            refused.append(refused_event(self._source, line, offset, record, one.event, one.refusal))
        rejects = sorted(span.rejects + refused, key=lambda r: r.offset) if refused else span.rejects
        return _Settled(delivery.outcome, rejects, span.dropped)

    def _book(self) -> None:
        """Waits for the span that comes first in the source, and counts it."""
        future, end = self._unbooked.popleft()
        settled = future.result()
        self._report.add_outcome(settled.outcome)
        self._report.dropped += settled.dropped
        for one in settled.rejects:
            self._rejects.add(one)
            self._report.add_reject(one)
        if end is not None:
            self._tell_time()
            self._settled = (*end, Counts.of(self._report, end[1]))

    def _save(self) -> None:
        """Saves how far the source got, once the rejects up to there are safe."""
        if self._progress is None or self._settled is None:
            return
        self._rejects.confirm()
        line, offset, counts = self._settled
        self._progress.checkpoints.save(Checkpoint(self._progress.mark(line, offset), counts))
        self._saved_at = self._clock()

    def _give_up(self, error: Exception) -> NoReturn:
        """Lets what is on its way come to its end, saves how far that is, and hands the rest back."""
        told = isinstance(error, NotTaken | _TimeUp)
        reason = str(error) if told else f"{type(error).__name__}: {error}"
        try:
            if not isinstance(error, NotTaken):
                while self._unbooked:
                    self._book()
            self._save()
        except Exception as another:
            reason = f"{reason}; and then {type(another).__name__}: {another}"
        self._count_the_rest()
        raise HandedBack(reason, self._report) from error

    def _count_the_rest(self) -> None:
        """What was imported beyond the place that the next delivery goes on from counts as imported all the same."""
        for future, _ in self._unbooked:
            with contextlib.suppress(NotTaken):
                self._report.add_outcome(future.result().outcome)

    def _tell_time(self) -> None:
        self._report.seconds = self._seconds_before + self._clock() - self._started
