"""How far a source got: what is settled is counted in its order, its rejects are stored, and checkpoints are saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from importer.core.checkpoint import Checkpoint, Checkpoints, Counts
from importer.core.ordered.span import Settled
from importer.core.rejects.reject import Reject, RejectLog, RejectSink
from importer.core.report import Report
from importer.records import Position

_MAX_PENDING_REJECT_BYTES = 8_000_000
"""Rejects held, in bytes, before they are stored even if no checkpoint is due."""

End = tuple[int, int] | None
"""The line and offset of the record after a span; None where nothing can go on: after the last span of a source, and
within what a transform made of one record."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is saved while a run is on.

    Attributes:
        checkpoints: where the checkpoint goes.
        mark: makes a mark of a line and an offset.
        every: seconds between two checkpoints, at the least.
    """

    checkpoints: Checkpoints
    mark: Callable[[int, int], Position]
    every: float = 5.0


class Committer:
    """Commits spans, in the order of the source: from then on all before their end is settled.

    Args:
        report: counts what is committed.
        sink: where rejects go beyond the log; None where the log is all.
        logged: rejects that are logged with their content, at most.
        progress: where checkpoints go; none are saved without it.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        report: Report,
        sink: RejectSink | None,
        logged: int,
        progress: Progress | None,
        clock: Callable[[], float],
    ) -> None:
        self._report = report
        self._sink = sink
        self._log = RejectLog(logged)
        self._progress = progress
        self._clock = clock
        self._started = self._saved_at = clock()
        self._seconds_before = report.seconds
        self._pending: list[Reject] = []
        self._pending_bytes = 0
        self._settled: tuple[int, int, Counts] | None = None  # where all before is committed, and its counts

    def commit(self, settled: Settled, end: End) -> None:
        """Counts a span, whose rejects are stored before its end is saved.

        Raises:
            RejectSinkError: there were too many rejects to hold, and they were not stored.
        """
        report = self._report
        report.add_outcome(settled.outcome)
        report.add_tally(settled.tally)
        report.add_rejects(settled.rejects)
        self._log.add_all(settled.rejects)
        if self._sink:
            self._pending += settled.rejects
            self._pending_bytes += settled.rejected_bytes
        if end is not None:
            self.note_time()
            self._settled = (*end, Counts.of(report, end[1]))
        if self._pending_bytes > _MAX_PENDING_REJECT_BYTES:
            self.store_rejects()

    def store_rejects(self) -> None:
        """Stores the rejects committed so far.

        Raises:
            RejectSinkError: they were not.
        """
        if self._sink and self._pending:
            self._sink.store(self._pending)
            self._pending, self._pending_bytes = [], 0

    def save_if_due(self) -> None:
        """Saves a checkpoint if the last one is old enough, and something was committed since. See `save`."""
        if self._progress and self._settled and self._clock() - self._saved_at > self._progress.every:
            self.save()

    def save(self) -> None:
        """Saves how far the source got, once the rejects up to there are stored.

        Raises:
            RejectSinkError: they were not.
        """
        if self._progress is None or self._settled is None:
            return
        self.store_rejects()
        line, offset, counts = self._settled
        self._settled = None
        self._progress.checkpoints.save(Checkpoint(self._progress.mark(line, offset), counts))
        self._saved_at = self._clock()

    def forget(self) -> None:
        """Takes the checkpoint away: the next delivery starts at the beginning."""
        if self._progress:
            self._progress.checkpoints.forget()

    def note_time(self) -> None:
        """Writes the time that has passed in the report."""
        self._report.seconds = self._seconds_before + self._clock() - self._started
