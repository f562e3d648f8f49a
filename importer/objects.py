"""One stored object, or file: from its beginning, or from where an earlier delivery left off, to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from importer import log
from importer.core.checkpoint import Checkpoint
from importer.core.ordered.run import Limits, Progress, run
from importer.core.pipeline import Pipeline
from importer.core.rejects.reject import RejectSink
from importer.core.report import HandedBack, Report
from importer.errors import ImporterError, SourceCorrupted, SourceGone, StalePosition
from importer.formats.content import Content
from importer.records import Block, Readable, first_records
from importer.settings import Settings
from importer.storage.checkpoints import StoredCheckpoints, checkpoints_of
from importer.storage.ranges import RangedObject

RETRY_SECONDS = 300.0
"""For which a batch of an object is tried again, where the settings say nothing else."""

DOWNLOAD_SECONDS = 120.0
"""For which one range of an object is tried again."""

_MARGIN_SHARE = 0.05
_MIN_MARGIN_SECONDS = 10.0
_MAX_MARGIN_SHARE = 0.3
"""Of the time limit, what is kept for the end: a twentieth, but ten seconds where that is less than a third."""

_SETTLING = 0.7
"""The part of that in which what is on its way may still be tried again; the rest is for the last answers."""

_PROGRESS_SECONDS = 0.5

Outcome = Literal["done", "unreadable", "skipped", "gone", "handed back"]
OnProgress = Callable[[Report], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an object.

    Attributes:
        outcome: "done"; "unreadable", from some place on; "skipped", since a receipt says that it was imported before;
            "gone", since it was overwritten or deleted; "handed back", for whoever asked to ask again.
        report: the counts.
        reason: why, where the outcome is not "done".
    """

    outcome: Outcome
    report: Report
    reason: str | None = None

    def log(self, source: str) -> None:
        """Writes the one line that says what became of the object."""
        report, logger = self.report, log.get()
        message = (
            f"{source} is {self.outcome}: read {report.read}, imported {report.imported}, "
            f"rejected {report.rejected}, dropped {report.dropped} in {report.seconds:.1f} s"
        )
        tell = logger.error if self.outcome in {"handed back", "unreadable"} else logger.info
        if report.rejected if self.outcome == "done" else self.outcome == "gone" and report.handed_back:
            tell = logger.warning
        tell(
            f"{message}: {self.reason}" if self.reason else message,
            kind="import",
            source=source,
            outcome=self.outcome,
            reason=self.reason,
            **report.counts(),
        )


def limits(settings: Settings, started: float, time_limit: float | None = None) -> Limits:
    """How long a run may take that started then. Reading stops a margin before the time limit; most of that is for what
    is on its way."""
    retry_seconds = RETRY_SECONDS if settings.retry_seconds is None else settings.retry_seconds
    limit = settings.time_limit if time_limit is None else time_limit
    if limit is None:
        return Limits(retry_seconds)
    margin = max(limit * _MARGIN_SHARE, min(limit * _MAX_MARGIN_SHARE, _MIN_MARGIN_SECONDS))
    stop_at = started + limit - margin
    return Limits(retry_seconds, stop_at, stop_at + margin * _SETTLING)


def reason_of(error: Exception) -> str:
    """Why something did not go on, in words: our own errors are sentences, others need their names."""
    return str(error) if isinstance(error, ImporterError) else f"{type(error).__name__}: {error}"


def told(blocks: Iterable[Block], report: Report, on_progress: OnProgress | None) -> Iterator[Block]:
    """The same blocks; while they are read, `on_progress` is told now and then how the report stands."""
    due = time.monotonic() + _PROGRESS_SECONDS
    for block in blocks:
        yield block
        if on_progress and time.monotonic() > due:
            on_progress(report + Report())
            due = time.monotonic() + _PROGRESS_SECONDS


def import_announced(
    pipeline: Pipeline,
    open_object: Callable[[], RangedObject],
    address: str,
    sink_of: Callable[[str], RejectSink | None],
    limits: Limits,
    *,
    again: bool = False,
) -> None:
    """Imports an object that a trigger announced, and writes the one line that says what became of it.

    Args:
        open_object: gives the object, or raises `SourceGone`.
        address: of the object.
        sink_of: gives the sink for the rejects of one attempt at a source.
        pipeline, limits, again: see `import_object`.

    Raises:
        HandedBack: all of it, or a part, is not in Mixpanel yet; the trigger is to deliver again.
    """
    source = address
    try:
        reading = open_object()
        source = reading.source
        checkpoints = checkpoints_of(reading, pipeline.settings)
        imported = import_object(pipeline, reading, source, sink_of(source), limits, checkpoints, again=again)
    except SourceGone as gone:
        imported = Imported("gone", Report(), str(gone))
    except HandedBack as handed_back:
        Imported("handed back", handed_back.report, str(handed_back)).log(source)
        raise
    except Exception as error:
        Imported("handed back", Report(), reason_of(error)).log(source)
        raise HandedBack(reason_of(error), Report()) from error
    if imported.outcome in {"done", "unreadable"}:
        imported.report.oldest_event_age_seconds = reading.age()
    imported.log(source)


def import_object(
    pipeline: Pipeline,
    reading: Readable,
    source: str,
    sink: RejectSink | None,
    limits: Limits,
    checkpoints: StoredCheckpoints | None = None,
    *,
    again: bool = False,
    on_progress: OnProgress | None = None,
    most: int | None = None,
) -> Imported:
    """Imports one object.

    Args:
        pipeline: the process's.
        reading: the object.
        source: its name, which its rejects and its log lines have.
        sink: where its rejects are stored; None is the log alone.
        limits: how long it may take.
        checkpoints: where its checkpoint and its receipt are kept.
        again: whether it is wanted whatever a receipt says.
        on_progress: is told the counts so far, twice a second at most, on this thread. What it raises ends the import.
        most: records that are read, at most; by default all.

    Raises:
        HandedBack: all of it, or a part, is not in Mixpanel yet; ask again. It goes on from its checkpoint.
    """
    try:
        found = _found(checkpoints, again=again)
    except Exception as error:
        raise HandedBack(reason_of(error), Report()) from error
    if found == "done":
        return Imported("skipped", Report(), "it was imported before, as its receipt says")
    try:
        report = _read(pipeline, reading, source, sink, limits, checkpoints, found, on_progress, most)
    except HandedBack as handed_back:
        if isinstance(handed_back.__cause__, SourceGone):
            return Imported("gone", handed_back.report, str(handed_back))
        handed_back.has_moved = checkpoints is not None and checkpoints.has_moved
        raise
    if checkpoints and (report.imported or not report.rejected):
        checkpoints.finish(report.counts())
    elif checkpoints:
        checkpoints.abandon()  # nothing of it was of use: once the cause is mended, the same event tries again
    return Imported("unreadable" if report.unreadable else "done", report, report.unreadable)


def _found(checkpoints: StoredCheckpoints | None, *, again: bool) -> Checkpoint | Literal["done"] | None:
    """How far an earlier delivery came."""
    if checkpoints is None:
        return None
    if not checkpoints.is_done():
        return checkpoints.load()
    if not again:
        return "done"
    checkpoints.start_again()
    return None


def _read(
    pipeline: Pipeline,
    reading: Readable,
    source: str,
    sink: RejectSink | None,
    limits: Limits,
    checkpoints: StoredCheckpoints | None,
    found: Checkpoint | None,
    on_progress: OnProgress | None,
    most: int | None,
) -> Report:
    try:
        content = _content(pipeline.settings, reading, found)
    except StalePosition as stale:
        if checkpoints:
            checkpoints.warn(f"cannot be read, so the import starts at the beginning: {stale}")
        content, found = _content(pipeline.settings, reading, None), None
    report = found.counts.report() if found else Report()
    progress = Progress(checkpoints, content.mark) if checkpoints else None
    blocks = content.blocks() if most is None else first_records(content.blocks(), most)
    run(pipeline, source, told(blocks, report, on_progress), sink, limits, report, progress)
    if report.unreadable:
        try:
            content.drain()
        except Exception as error:
            if checkpoints and isinstance(error, SourceCorrupted):
                checkpoints.forget()
            raise HandedBack(reason_of(error), report) from error
    return report


def _content(settings: Settings, reading: Readable, found: Checkpoint | None) -> Content:
    rows: Literal["records", "events"] = "records" if settings.mapping else "events"
    return Content(reading, found.mark if found else None, rows=rows)
