"""Files on their way into Mixpanel, several at a time: what the commands that import have in common."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from importer.commands.options import is_a_job
from importer.commands.places import STANDARD_INPUT, opened
from importer.commands.watched import Watched
from importer.core.pipeline import Pipeline
from importer.core.rejects.reject import Reject, RejectSink
from importer.core.report import HandedBack, Report
from importer.errors import DeliveryError, ImporterError, RejectSinkError, SourceGone, StorageError
from importer.objects import DOWNLOAD_SECONDS, Imported, import_object, limits, reason_of
from importer.storage.checkpoints import Resumable, checkpoints_of
from importer.storage.leases import Leases
from importer.storage.store import Entry

AT_ONCE = 4
"""Files at a time, by default: where one waits for a bucket, the others go on."""

_MAX_REASONS = 1_000
"""Different reasons that are counted; what comes after those is "other reasons"."""

State = Literal["waiting", "importing", "done", "unreadable", "skipped", "gone", "handed back", "stopped", "leased"]
"""What became of a file, as in the log; and `stopped`, where somebody wanted no more of it; `leased`, where another
process has it."""


class Stopped(ImporterError):
    """Somebody wants the work to stop: what is on its way is settled, and how far it came is saved."""


@dataclass(slots=True)
class File:
    """A file on its way.

    Attributes:
        entry: where it lies.
        state: what became of it.
        report: the counts so far; those of an earlier run that it goes on from are among them.
        reason: why it is not done, if it is not.
        bytes: read of it as it is stored, from its beginning.
        began: when it began here, by the monotonic clock; 0 before that.
        before: what of `report.imported` an earlier run had imported.
    """

    entry: Entry
    state: State = "waiting"
    report: Report = field(default_factory=Report)
    reason: str | None = None
    bytes: int = 0
    began: float = 0.0
    before: int | None = None

    @property
    def share(self) -> float | None:
        """How much of it is read, from 0 to 1; None where its size is not known."""
        return min(self.bytes / self.entry.size, 1.0) if self.entry.size else None

    @property
    def seconds(self) -> float:
        """Since it began here."""
        return time.monotonic() - self.began if self.began else 0.0

    @property
    def imported_here(self) -> int:
        """Events that were imported in this run."""
        return self.report.imported - (self.before or 0)


class Watcher(Protocol):
    """Sees how the work goes. Its methods are called from several threads."""

    def began(self, file: File) -> None: ...

    def ended(self, file: File) -> None: ...


@dataclass(slots=True)
class Reasons:
    """Why records are rejected, and how often: the sinks that it hands out count, and pass on."""

    make: Callable[[str], RejectSink | None] | None
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sink(self, source: str) -> RejectSink:
        return _CountedSink(self, self.make(source) if self.make else None)

    def add(self, rejects: Sequence[Reject]) -> None:
        with self.lock:
            for one in rejects:
                reason = f"{one.field}: {one.reason}" if one.field else one.reason
                if reason not in self.counts and len(self.counts) >= _MAX_REASONS:
                    reason = "other reasons"
                self.counts[reason] += one.records
                self.first.setdefault(reason, f"{one.source.rpartition('#')[0] or one.source}, line {one.line}")


@dataclass(frozen=True, slots=True)
class _CountedSink:
    reasons: Reasons
    sink: RejectSink | None

    def store(self, rejects: Sequence[Reject]) -> None:
        if self.sink:
            self.sink.store(rejects)
        self.reasons.add(rejects)


@dataclass(frozen=True, slots=True)
class How:
    """How files are imported.

    Attributes:
        at_once: files at a time.
        again: also those that a receipt says were imported before.
        most: records of each, at most; then nothing is saved of how far it came.
        keeps: whether checkpoints and receipts are kept.
    """

    at_once: int = AT_ONCE
    again: bool = False
    most: int | None = None
    keeps: bool = True


class Work:
    """Imports files through one pipeline.

    Args:
        pipeline: where they go.
        reasons: makes their sinks.
        watcher: sees how it goes; another may take its place between two calls.
        how: see `How`.
        leases: where several processes share the work: of those that another has, none is begun.
    """

    def __init__(
        self, pipeline: Pipeline, reasons: Reasons, watcher: Watcher, how: How, leases: Leases | None = None
    ) -> None:
        self._pipeline = pipeline
        self._settings = pipeline.settings
        self._reasons = reasons
        self.watcher = watcher
        self._how = how
        self._leases = leases
        self._stopping = threading.Event()
        self.failure: ImporterError | None = None
        """What ends all of it: Mixpanel takes nothing, or rejects cannot be stored."""

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """Has what is being imported settled and saved, and nothing begun any more."""
        self._stopping.set()

    def all(self, files: Sequence[File]) -> None:
        """Imports the files, in this order. What became of each, it says itself afterwards."""
        waiting = _Shared(iter(files))
        threads = [
            threading.Thread(target=self._some, args=(waiting,), name=f"file {number}", daemon=True)
            for number in range(min(self._how.at_once, len(files)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # a signal is dealt with in between

    def _some(self, waiting: Iterable[File]) -> None:
        for file in waiting:
            if self.is_stopping:
                return
            file.began = time.monotonic()
            file.state = "importing"
            self.watcher.began(file)
            self._import(file)
            if is_a_job() and file.state not in {"leased", "stopped"}:
                outcome = "handed back" if file.state in {"waiting", "importing"} else file.state
                Imported(outcome, file.report, file.reason).log(file.entry.source)  # type: ignore[arg-type]
            self.watcher.ended(file)

    def _import(self, file: File) -> None:
        source = file.entry.source
        try:
            if self._leases and not self._leases.take(source):
                file.state = "leased"
                return
            try:
                imported = self._imported(file)
            finally:
                if self._leases:
                    self._leases.give_back(source)
        except Stopped:
            file.state = "stopped"
        except HandedBack as handed_back:
            file.report = handed_back.report
            self._note_failure(file, handed_back)
        except SourceGone as gone:
            file.state, file.reason = "gone", str(gone)
        except Exception as error:
            file.state, file.reason = "handed back", reason_of(error)
        else:
            file.state, file.reason, file.report = imported.outcome, imported.reason, imported.report

    def _imported(self, file: File) -> Imported:
        reading = Watched(opened(file.entry, self._settings, DOWNLOAD_SECONDS), file)
        is_saved = self._how.keeps and isinstance(reading.inner, Resumable)
        source = reading.source if file.entry.address != STANDARD_INPUT else file.entry.source

        def told(report: Report) -> None:
            file.report = report
            if file.before is None:
                file.before = report.imported if reading.began_at else 0
            if self.is_stopping:
                raise Stopped("it was stopped")

        return import_object(
            self._pipeline,
            reading,
            source,
            self._reasons.sink(source),
            limits(self._settings, self._pipeline.clock()),
            checkpoints_of(reading, self._settings) if is_saved else None,
            again=self._how.again,
            on_progress=told,
            most=self._how.most,
        )

    def _note_failure(self, file: File, handed_back: HandedBack) -> None:
        cause = handed_back.__cause__
        file.state, file.reason = "handed back", str(handed_back)
        if isinstance(cause, Stopped):
            file.state, file.reason = "stopped", None
        elif isinstance(cause, DeliveryError | RejectSinkError):
            self.failure = self.failure or cause
            self.stop()
        elif isinstance(cause, StorageError):
            file.reason = str(cause)


class _Shared:
    """An iterator that several threads take from."""

    def __init__(self, items: Iterator[File]) -> None:
        self._items = items
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[File]:
        return self

    def __next__(self) -> File:
        with self._lock:
            return next(self._items)
