"""Google Cloud Storage as a source: an object that was written becomes events in Mixpanel."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import google_crc32c
import msgspec
from cloudevents.http.event import CloudEvent
from google.api_core.exceptions import NotFound
from google.cloud import storage
from msgspec import Struct

from importer import log
from importer.formats import CHUNK_BYTES, records
from importer.importing import HandedBack, run
from importer.pipeline import Pipeline
from importer.rejects import RejectLog
from importer.report import Report
from importer.settings import Settings

FINALIZED = "google.cloud.storage.object.v1.finalized"
"""The type of the CloudEvent that a newly written object sends."""

_RANGE_BYTES = 4 << 20
_PATIENCE = 300.0
_MARGIN = 0.05


class Object(Struct, frozen=True):
    """What the CloudEvent says of the object: `StorageObjectData` of Google's event types, as far as it is needed."""

    bucket: str
    name: str
    generation: str | int | None = None


class Gone(Exception):
    """The generation that the event speaks of has been overwritten or deleted since."""


class Corrupted(Exception):
    """What was downloaded is not what is stored."""


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
        self._storage = storage.Client()

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
        if reason := self._pass_over(event["type"], wanted):
            self._log.info(f"{name} is passed over: {reason}.", kind="import", source=name, outcome="passed over")
            return
        try:
            download = Download(self._storage, wanted)
        except Gone as gone:
            self._summarize(name, "gone", Report(), str(gone))
            return
        except Exception as error:
            self._summarize(name, "handed back", Report(), f"{type(error).__name__}: {error}")
            raise
        self._import(download, started)

    def _pass_over(self, event_type: str, wanted: Object) -> str | None:
        """Why an object is not for us, if it is not."""
        if event_type != FINALIZED:
            return f"the event is of type {event_type}, and only {FINALIZED} is imported"
        if wanted.name.endswith("/"):
            return "it is the placeholder of a folder"
        for place in (self._settings.rejects, self._settings.checkpoints):
            if place and place.startswith("gs://") and _lies_in(wanted, place):
                return "it is one of the importer's own"
        if self._settings.include and not _matches(wanted.name, self._settings.include):
            return "IMPORT_INCLUDE does not name it"
        if _matches(wanted.name, self._settings.exclude):
            return "IMPORT_EXCLUDE names it"
        return None

    def _import(self, download: Download, started: float) -> None:
        patience = self._settings.patience
        chunks = download.chunks()
        try:
            report = run(
                self._pipeline,
                download.source,
                records(chunks),
                RejectLog(),
                _PATIENCE if patience is None else patience,
                self._deadline(started),
            )
            report.oldest_event_age_seconds = download.age()
            if report.unreadable:
                _drain(chunks, report)
        except HandedBack as handed_back:
            gone = isinstance(handed_back.__cause__, Gone)
            self._summarize(download.source, "gone" if gone else "handed back", handed_back.report, str(handed_back))
            if not gone:
                raise
        else:
            self._summarize(download.source, "unreadable" if report.unreadable else "done", report, report.unreadable)

    def _deadline(self, started: float) -> float:
        limit = self._settings.time_limit
        return started + limit - max(2.0, limit * _MARGIN) if limit else float("inf")

    def _summarize(self, source: str, outcome: str, report: Report, reason: str | None) -> None:
        """The one line that says what became of an object."""
        message = (
            f"{source} is {outcome}: read {report.read}, imported {report.imported}, "
            f"rejected {report.rejected}, dropped {report.dropped} in {report.seconds:.1f} s"
        )
        tell = self._log.error if outcome in {"handed back", "unreadable"} else self._log.info
        if outcome == "done" and report.rejected:
            tell = self._log.warning
        tell(
            f"{message}: {reason}" if reason else message,
            kind="import",
            source=source,
            outcome=outcome,
            reason=reason,
            **report.counts(),
        )


class Download:
    """One generation of one object, read in order by ranges: each is a request of its own, tried again by itself, and
    none is left open while the reader waits for Mixpanel. The next range is fetched while the last is worked on.

    Attributes:
        source: the object's address, with the generation as Google's tools write it (`gs://bucket/name#generation`).

    Raises:
        Gone: it has been overwritten or deleted.
    """

    def __init__(self, client: storage.Client, wanted: Object) -> None:
        generation = int(wanted.generation) if wanted.generation else None
        self._client = client
        self._blob = client.bucket(wanted.bucket).blob(wanted.name, generation=generation)
        self._crc32c = 0
        try:
            self._blob.reload()
        except NotFound:
            raise Gone("it has been deleted or overwritten since it was announced") from None
        if generation and self._blob.generation != generation:
            raise Gone("it has been overwritten since it was announced")
        self.source = f"gs://{wanted.bucket}/{wanted.name}#{self._blob.generation}"

    def chunks(self) -> Iterator[bytes]:
        """The object's bytes as they are stored, whatever its `Content-Encoding`.

        Raises:
            Corrupted: at the end, when they do not have the checksum that Google keeps of the object.
            Gone: it was overwritten or deleted meanwhile.
        """
        size = self._blob.size or 0
        with ThreadPoolExecutor(1, thread_name_prefix="download") as thread:
            ahead = thread.submit(self._fetch, 0) if size else None
            for start in range(0, size, _RANGE_BYTES):
                chunk = ahead.result() if ahead else b""
                after = start + _RANGE_BYTES
                ahead = thread.submit(self._fetch, after) if after < size else None
                self._crc32c = google_crc32c.extend(self._crc32c, chunk)
                for first in range(0, len(chunk), CHUNK_BYTES):
                    yield chunk[first : first + CHUNK_BYTES]
        self._check()

    def age(self) -> float:
        """Seconds since the object was written."""
        written = self._blob.time_created
        return (datetime.now(UTC) - written).total_seconds() if written else 0.0

    def _check(self) -> None:
        kept = self._blob.crc32c
        if kept and base64.b64decode(kept) != self._crc32c.to_bytes(4, "big"):
            raise Corrupted(f"what was downloaded does not have the object's checksum (crc32c {kept})")

    def _fetch(self, start: int) -> bytes:
        try:
            data: bytes = self._blob.download_as_bytes(
                client=self._client,
                start=start,
                end=start + _RANGE_BYTES - 1,
                raw_download=True,
                checksum=None,
                single_shot_download=True,
            )
        except NotFound:
            raise Gone("it has been deleted or overwritten while it was read") from None
        return data


def _drain(chunks: Iterator[bytes], report: Report) -> None:
    """Reads what is left of an object that made no sense, to know whether the download is at fault.

    Raises:
        HandedBack: it is; the next delivery will read it again.
    """
    try:
        for _ in chunks:
            pass
    except Exception as error:
        raise HandedBack(str(error), report) from error


def _matches(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _lies_in(wanted: Object, place: str) -> bool:
    bucket, _, prefix = place.removeprefix("gs://").partition("/")
    return wanted.bucket == bucket and wanted.name.startswith(prefix.rstrip("/") + "/" if prefix else "")
