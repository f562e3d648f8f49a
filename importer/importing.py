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

from importer.batch import Batch
from importer.event import Invalid, is_blank, prepare
from importer.formats import Record, Unreadable
from importer.mixpanel import NotTaken, Outcome
from importer.pipeline import Pipeline
from importer.rejects import Reject, RejectSink, refused_event, refused_record, refused_rest
from importer.report import Report

_MOST_UNBOOKED = 64

_Place = tuple[int, int, bytes | None]
"""The line and offset of a record, and the record where a transform made something else of it."""


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
class _Limits:
    """How long a run may take, and a batch of it."""

    clock: Callable[[], float]
    patience: float
    deadline: float

    def of_a_batch(self) -> float:
        """The clock's time after which a batch that starts now is not tried again."""
        return min(self.clock() + self.patience, self.deadline)


class _TimeUp(Exception):
    """The deadline came while there was more to read."""


def run(
    pipeline: Pipeline,
    source: str,
    records: Iterable[Record],
    rejects: RejectSink,
    patience: float,
    deadline: float = math.inf,
) -> Report:
    """Imports all the records of one source.

    Args:
        pipeline: the process's; several runs may share it.
        source: what rejects say they came from.
        records: in order; see `formats.records`.
        rejects: where refused records go.
        patience: seconds for which one batch is tried again before the work is handed back.
        deadline: the clock's time at which reading stops, and after which nothing is tried again.

    Returns:
        The report. Every record read was imported, dropped, or is a confirmed reject.

    Raises:
        HandedBack: Mixpanel did not take all of them, the source failed, the rejects could not be kept, or the
            deadline came.
    """
    return _Run(pipeline, source, rejects, _Limits(pipeline.clock, patience, deadline)).all(records)


class _Run:
    """One source on its way."""

    def __init__(self, pipeline: Pipeline, source: str, rejects: RejectSink, limits: _Limits) -> None:
        self._pipeline = pipeline
        self._source = source
        self._rejects = rejects
        self._limits = limits
        self._report = Report()
        self._unbooked: deque[Future[_Settled]] = deque()

    def all(self, records: Iterable[Record]) -> Report:
        started = self._limits.clock()
        try:
            self._read(records)
            while self._unbooked:
                self._book(self._unbooked.popleft())
            self._rejects.confirm()
        except Exception as error:
            self._book_the_rest()
            told = isinstance(error, NotTaken | _TimeUp)
            raise HandedBack(str(error) if told else f"{type(error).__name__}: {error}", self._report) from error
        finally:
            self._report.seconds = self._limits.clock() - started
        return self._report

    def _read(self, records: Iterable[Record]) -> None:
        """Reads to the end, sending as batches fill. This loop is the hot path: one turn a record."""
        report, transform = self._report, self._pipeline.transform
        span = self._new_span()
        line = offset = 0
        try:
            for line, offset, record in records:
                try:
                    events = prepare(record, transform)
                except Invalid as invalid:
                    if is_blank(record):
                        continue
                    span.rejects.append(refused_record(self._source, line, offset, record, invalid))
                    events = ()
                else:
                    span.dropped += not events
                report.read += len(events) or 1
                report.bytes += len(record)
                place = (line, offset, record if transform else None)
                for event in events:
                    if not span.batch.add(event, place):
                        self._send(span)
                        span = self._new_span()
                        span.batch.add(event, place)
                if len(span.rejects) >= self._pipeline.settings.batch_events:
                    self._send(span)
                    span = self._new_span()
        except Unreadable as error:
            report.unreadable = str(error)
            report.read += 1
            span.rejects.append(refused_rest(self._source, line, offset, b"", str(error)))
        self._send(span)

    def _new_span(self) -> _Span:
        return _Span(self._pipeline.new_batch())

    def _send(self, span: _Span) -> None:
        """Sends a span on its way, and books those that have come to their end, in the order of the source."""
        self._unbooked.append(self._pipeline.sender.submit(span.batch.size, lambda: self._deliver(span)))
        while self._unbooked and (self._unbooked[0].done() or len(self._unbooked) > _MOST_UNBOOKED):
            self._book(self._unbooked.popleft())
        if self._limits.clock() > self._limits.deadline:
            raise _TimeUp("the time limit came before the end")

    def _deliver(self, span: _Span) -> _Settled:
        delivery = self._pipeline.deliver(span.batch, self._limits.of_a_batch())
        refused = [
            refused_event(self._source, line, offset, record, event, refusal)
            for (line, offset, record), refusal, event in delivery.refused
        ]
        rejects = sorted(span.rejects + refused, key=lambda r: r.offset) if refused else span.rejects
        return _Settled(delivery.outcome, rejects, span.dropped)

    def _book(self, future: Future[_Settled]) -> None:
        settled = future.result()
        self._report.add_outcome(settled.outcome)
        self._report.dropped += settled.dropped
        for one in settled.rejects:
            self._rejects.add(one)
            self._report.add_reject(one)

    def _book_the_rest(self) -> None:
        """After a failure: what else is on its way comes to its end, and counts."""
        while self._unbooked:
            with contextlib.suppress(NotTaken):
                self._book(self._unbooked.popleft())
