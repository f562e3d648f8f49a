"""One source with an order, such as a file: records in, report out.

Each record is prepared (`preparation`) and becomes part of a span (`span`), whose batch is delivered on one of a
bounded number of threads; several spans are on their way at once (`window`). In the order of the source they are
committed (`progress`): counted, their rejects stored, their end saved. Whatever becomes of a record is counted, once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from importer.core.ordered.places import Cursor, Place
from importer.core.ordered.progress import Committer, End, Progress
from importer.core.ordered.span import Settled, Span
from importer.core.ordered.window import Window
from importer.core.pipeline import Pipeline
from importer.core.preparation import Prepared
from importer.core.rejects.reject import RejectSink, rejected_record, rejected_rest
from importer.core.report import HandedBack, Report
from importer.errors import (
    DeliveryError,
    ImporterError,
    RejectSinkError,
    SourceCorrupted,
    SourceGone,
    Unreadable,
)
from importer.records import Block

__all__ = ["Limits", "Progress", "run"]

_MAX_FILL_SECONDS = 5.0
"""Seconds that a span fills: where records come slowly, or a transform takes its time, it leaves before it is full, so
that no more than that is lost when the time is up."""


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


_LOOK_SECONDS = 0.1
"""Seconds between two looks at what has come to its end."""


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
        rejects: where rejects are stored; the first of them are logged as well. None is the log alone.
        limits: how long it may take.
        report: counts to go on from, when the records before a checkpoint are left out.
        progress: where checkpoints go; none are saved without it.

    Returns:
        The report. Every record read was imported, dropped, or is a reject that is stored.

    Raises:
        HandedBack: Mixpanel did not take all of them, the source failed, the rejects could not be stored, or the time
            was up. All before the last checkpoint is settled.
    """
    report = report or Report()
    committer = Committer(report, rejects, pipeline.settings.log_rejects, progress, pipeline.clock)
    return _Run(pipeline, source, limits, report, committer).all(blocks)


class _Run:
    """One source on its way: reads it, and sees to it that what was read is committed."""

    def __init__(self, pipeline: Pipeline, source: str, limits: Limits, report: Report, committer: Committer) -> None:
        self._pipeline = pipeline
        self._source = source
        self._limits = limits
        self._report = report
        self._committer = committer
        self._clock = pipeline.clock
        self._window: Window[End, Settled] = Window(pipeline.executor)
        self._span = Span(pipeline.new_batch(), self._clock())
        self._look_at = -math.inf
        self._last: tuple[Cursor, int] | None = None  # the record read last

    def all(self, blocks: Iterable[Block]) -> Report:
        try:
            self._read(blocks)
            self._drain()
            self._committer.store_rejects()
        except Exception as error:
            self._give_up(error)
        finally:
            self._committer.note_time()
        return self._report

    def _read(self, blocks: Iterable[Block]) -> None:
        """Reads to the end, sending spans as they fill."""
        try:
            for block in blocks:
                self._check_time()
                self._take(block)
        except Unreadable as error:
            self._report.unreadable = str(error)
            self._report.read += 1
            self._span.reject(rejected_rest(self._source, *self._last_place(), b"", str(error)))
        self._send(None)

    def _take(self, block: Block) -> None:
        """Puts what becomes of a block's records in spans."""
        cursor = Cursor(block, makes_events=self._pipeline.makes_events)
        clock = self._clock
        for nth, made in self._pipeline.prepare_block(block):
            place = cursor.place(nth)
            if (now := clock()) >= self._look_at:
                self._look(place, now)
            if isinstance(made, Prepared):
                self._last = cursor, nth
                self._take_one(place, block.records[nth], made)
            else:
                self._take_stretch(*cursor.stretch(nth, made), made)
                self._last = cursor, nth + len(made) - 1

    def _take_stretch(self, place: Place, size: int, events: list[bytes]) -> None:
        """Puts events in batches, of records that gave one each and have `size` bytes, one more for each."""
        self._report.read += len(events)
        self._report.bytes += size - len(events)
        if place.records is not None:
            self._span.hold(size)
        if place.lengths is not None or place.records is not None:
            size = sum(map(len, events)) + len(events)
        while True:
            batch, before = self._span.batch, self._span.batch.size
            if (taken := batch.extend(events, size, place)) == len(events):
                return
            place = place.after(taken, batch.size - before)
            size -= batch.size - before
            events = events[taken:]
            self._send((place.line, place.offset))

    def _last_place(self) -> tuple[int, int]:
        """The line and offset of the record read last."""
        if self._last is None:
            return 0, 0
        cursor, nth = self._last
        return cursor.place(nth)

    def _take_one(self, place: tuple[int, int], record: bytes, prepared: Prepared) -> None:
        """Puts what became of a record in batches, or among the rejects."""
        if self._span.is_full:
            self._send(place)
        self._report.read += prepared.read
        self._report.bytes += len(record)
        if prepared.events:
            self._take_events(place, record, prepared.events)
        for invalid in prepared.rejected:
            if not self._span.rejects_again(*place, record):
                self._span.reject(rejected_record(self._source, *place, record, invalid))
        if prepared.dropped or prepared.changed:
            self._span.tally(prepared.dropped, prepared.changed)

    def _take_events(self, place: tuple[int, int], record: bytes, events: Sequence[bytes]) -> None:
        """Puts the events of one record in the next batch: between two events of it, no checkpoint is true."""
        batch = self._span.batch
        if batch.events and not batch.has_room(len(events), sum(map(len, events)) + len(events)):
            self._send(place)
        is_unchanged = len(events) == 1 and events[0] == record
        came = Place(*place, None if is_unchanged else (record,))
        if not is_unchanged:
            self._span.hold(len(record))
        for event in events:
            if not self._span.batch.add(event, came):
                self._send(None)
                self._span.batch.add(event, came)

    def _send(self, end: End) -> None:
        """Sends the span, begins another, and commits those that have come to their end."""
        span, self._span = self._span, Span(self._pipeline.new_batch(), self._clock())
        self._window.add(end, span.size, lambda: self._deliver(span))
        self._commit()
        self._check_time()

    def _deliver(self, span: Span) -> Settled:
        deadline = min(self._clock() + self._limits.retry_seconds, self._limits.deadline)
        return span.deliver(self._pipeline, self._source, deadline)

    def _look(self, place: tuple[int, int], now: float) -> None:
        """Sends a span that has filled for long enough, and what there is when the time is up; saves what is due."""
        self._look_at = min(now + _LOOK_SECONDS, self._limits.stop_at)
        if now > self._limits.stop_at or (now - self._span.started > _MAX_FILL_SECONDS and not self._span.is_empty):
            self._send(place)
        else:
            self._commit()

    def _check_time(self) -> None:
        if self._clock() > self._limits.stop_at:
            raise _TimeUp("the time limit came before the end")

    def _commit(self) -> None:
        """Commits the spans that have come to their end, in the order of the source, and saves that when it is due."""
        for end, settled in self._window.settled():
            self._committer.commit(settled, end)
            self._committer.save_if_due()
        self._committer.save_if_due()

    def _drain(self) -> None:
        for end, settled in self._window.rest():
            self._committer.commit(settled, end)

    def _give_up(self, error: Exception) -> NoReturn:
        """Lets what is on its way come to its end, saves how far that is, and hands the rest back."""
        failures = [error]
        for step in (self._drain_after, self._save_after):
            try:
                step(failures)
            except Exception as another:
                failures.append(another)
        for settled in self._window.successes():
            self._report.add_outcome(settled.outcome)  # it is imported, though beyond where the next delivery goes on
        raise HandedBack("; and then ".join(map(_described, failures)), self._report) from error

    def _drain_after(self, failures: list[Exception]) -> None:
        if not any(isinstance(one, DeliveryError | RejectSinkError) for one in failures):
            self._drain()

    def _save_after(self, failures: list[Exception]) -> None:
        """Leaves the place that the next delivery goes on from, as far as the failures allow."""
        if any(isinstance(one, SourceCorrupted) for one in failures):
            self._committer.forget()
        elif any(isinstance(one, SourceGone) for one in failures):
            self._committer.store_rejects()
        elif not any(isinstance(one, RejectSinkError) for one in failures):
            self._committer.save()


def _described(error: Exception) -> str:
    if isinstance(error, RejectSinkError):
        return f"the rejects could not be kept: {error}"
    is_plain = isinstance(error, ImporterError | _TimeUp)
    return str(error) if is_plain else f"{type(error).__name__}: {error}"
