"""Google Cloud Storage as a source: an object that was written becomes events in Mixpanel."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from cloudevents.http.event import CloudEvent

from importer import log
from importer.core.checkpoint import Checkpoint
from importer.core.ordered import Limits, Progress, run
from importer.core.pipeline import Pipeline
from importer.core.report import Report
from importer.errors import HandedBack, ImporterError, SourceCorrupted, SourceGone, StalePosition
from importer.formats.content import Content
from importer.reject_sinks.place import sinks
from importer.settings import Settings
from importer.storage.checkpoints import PATIENCE, StoredCheckpoints
from importer.storage.gcs import Download, Object, access
from importer.storage.globs import matches
from importer.storage.store import Patience, lies_in, split, store

FINALIZED = "google.cloud.storage.object.v1.finalized"
"""The type of the CloudEvent that a newly written object sends."""

_RETRY_SECONDS = 300.0
_DOWNLOAD_SECONDS = 120.0
"""For which one range of an object is tried again."""

_MARGIN_SHARE = 0.05
_MIN_MARGIN_SECONDS = 10.0
_MAX_MARGIN_SHARE = 0.3
"""Of the time limit, what is kept for the end: a twentieth, but ten seconds where that is less than a third."""

_SETTLING = 0.7
"""The part of that in which what is on its way may still be tried again; the rest is for the last answers."""


class BucketSource:
    """Imports objects, one `handle` each. One serves a whole process.

    Raises:
        SettingsError: the settings name a transform that cannot be loaded.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log.get()
        self._pipeline = Pipeline(settings, clock)
        self._access = access(Patience(_DOWNLOAD_SECONDS, settings.timeout, settings.backoff))
        self._store = (
            store(settings.checkpoints, Patience(PATIENCE, settings.timeout, settings.backoff))
            if settings.checkpoints
            else None
        )
        self._sinks = sinks(settings.rejects)

    def handle(self, event: CloudEvent) -> None:
        """Imports the object that a CloudEvent announces. When this returns, the event is settled.

        Raises:
            HandedBack: the object, or a part of it, is not in Mixpanel yet; the trigger is to deliver again.
        """
        started = self._clock()
        try:
            wanted = msgspec.convert(event.get_data(), Object)
        except msgspec.ValidationError as error:
            self._log.error(f"This CloudEvent names no object: {error}", kind="bad trigger", type=event["type"])
            return
        name = f"gs://{wanted.bucket}/{wanted.name}"
        if reason := self._skip_reason(event["type"], name):
            self._log.info(f"{name} is skipped: {reason}.", kind="import", source=name, outcome="skipped")
            return
        try:
            download = Download(self._access, wanted)
            checkpoints = self._checkpoints(download)
            is_done = checkpoints is not None and checkpoints.is_done()
            if is_done and checkpoints and _is_wanted_again(event):
                checkpoints.start_again()
                is_done = False
            found = checkpoints.load() if checkpoints and not is_done else None
        except SourceGone as gone:
            self._summarize(name, "gone", Report(), str(gone))
            return
        except Exception as error:
            self._summarize(name, "handed back", Report(), _reason(error))
            raise
        if is_done:
            self._summarize(download.source, "skipped", Report(), "it was imported before, as its receipt says")
        else:
            self._import(download, checkpoints, found, started)

    def _skip_reason(self, event_type: str, address: str) -> str | None:
        """Why an object is not for us, if it is not."""
        if event_type != FINALIZED:
            return f"the event is of type {event_type}, and only {FINALIZED} is imported"
        if address.endswith("/"):
            return "it is the placeholder of a folder"
        for place in (self._settings.rejects, self._settings.checkpoints):
            if place and lies_in(address, place):
                return "it is one of the importer's own"
        _, name = split(address)
        if self._settings.include and not matches(name, self._settings.include):
            return "IMPORT_INCLUDE does not name it"
        if matches(name, self._settings.exclude):
            return "IMPORT_EXCLUDE names it"
        return None

    def _checkpoints(self, download: Download) -> StoredCheckpoints | None:
        place = self._settings.checkpoints
        return StoredCheckpoints(self._store, place, download) if self._store and place else None

    def _import(
        self, download: Download, checkpoints: StoredCheckpoints | None, found: Checkpoint | None, started: float
    ) -> None:
        try:
            report = self._read(download, checkpoints, found, started)
        except HandedBack as handed_back:
            gone = isinstance(handed_back.__cause__, SourceGone)
            self._summarize(download.source, "gone" if gone else "handed back", handed_back.report, str(handed_back))
            if not gone:
                raise
            return
        if checkpoints and (report.imported or not report.rejected):
            checkpoints.finish(report.counts())
        elif checkpoints:
            checkpoints.abandon()  # nothing of it was of use: once its cause is mended, the same event tries again
        self._summarize(download.source, "unreadable" if report.unreadable else "done", report, report.unreadable)

    def _read(
        self, download: Download, checkpoints: StoredCheckpoints | None, found: Checkpoint | None, started: float
    ) -> Report:
        try:
            content = Content(download, found.mark if found else None)
        except StalePosition as stale:
            if checkpoints:
                checkpoints.warn(f"cannot be read, so the import starts at the beginning: {stale}")
            content, found = Content(download), None
        report = run(
            self._pipeline,
            download.source,
            content.blocks(),
            self._sinks(download.source) if self._sinks else None,
            self._limits(started),
            found.counts.report() if found else None,
            Progress(checkpoints, content.mark) if checkpoints else None,
        )
        report.oldest_event_age_seconds = download.age()
        if report.unreadable:
            try:
                content.drain()
            except Exception as error:
                if checkpoints and isinstance(error, SourceCorrupted):
                    checkpoints.forget()
                raise HandedBack(_reason(error), report) from error
        return report

    def _limits(self, started: float) -> Limits:
        """Reading stops a margin before the platform ends us; most of it is for what is on its way then."""
        retry_seconds = _RETRY_SECONDS if self._settings.retry_seconds is None else self._settings.retry_seconds
        limit = self._settings.time_limit
        if limit is None:
            return Limits(retry_seconds)
        margin = max(limit * _MARGIN_SHARE, min(limit * _MAX_MARGIN_SHARE, _MIN_MARGIN_SECONDS))
        stop_at = started + limit - margin
        return Limits(retry_seconds, stop_at, stop_at + margin * _SETTLING)

    def _summarize(self, source: str, outcome: str, report: Report, reason: str | None) -> None:
        """The one line that says what became of an object."""
        message = (
            f"{source} is {outcome}: read {report.read}, imported {report.imported}, "
            f"rejected {report.rejected}, dropped {report.dropped} in {report.seconds:.1f} s"
        )
        tell = self._log.error if outcome in {"handed back", "unreadable"} else self._log.info
        if report.rejected if outcome == "done" else outcome == "gone" and report.handed_back:
            tell = self._log.warning
        tell(
            f"{message}: {reason}" if reason else message,
            kind="import",
            source=source,
            outcome=outcome,
            reason=reason,
            **report.counts(),
        )


def _is_wanted_again(event: CloudEvent) -> bool:
    """Whether an event says `again`, as an attribute or in its data: its object is wanted whatever a receipt says."""
    data = event.get_data()
    said = (event.get("again"), data.get("again") if isinstance(data, dict) else None)
    return any(str(one).lower() == "true" for one in said)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ImporterError) else f"{type(error).__name__}: {error}"
