"""Where rejects are kept, beyond the log: a bucket or a topic, as `IMPORT_REJECTS` names it.

To add a kind of place: a class with `add` and `confirm` (see `rejects.RejectSink`), and a line in `_KINDS`.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from isal import igzip_lib

from importer.rejects import Both, Reject, RejectLog, RejectSink

if TYPE_CHECKING:
    from google.cloud import storage
    from google.cloud.pubsub_v1 import PublisherClient

_PART_BYTES = 8_000_000
"""Rejects held before they are written, in bytes; more of them make another object."""

_MOST_UNCONFIRMED = 1_000
_ATTRIBUTE_BYTES = 1_024
"""The longest value of an attribute: https://cloud.google.com/pubsub/quotas#resource_limits"""

_NAME_BYTES = 1_024
"""The longest name of an object: https://cloud.google.com/storage/docs/objects#naming"""

_SECONDS = 60.0

MakeSink = Callable[[str], RejectSink]
"""Makes the sink for one attempt at one source, such as `gs://bucket/name#generation`."""


def sinks(place: str | None) -> MakeSink | None:
    """What makes the sinks that keep rejects in `place` (`IMPORT_REJECTS`) and log the first of them; None for none.

    The clients of Google's that it takes are imported here, when the setting asks for them.
    """
    if place is None:
        return None
    make = next(make for start, make in _KINDS.items() if place.startswith(start))(place)
    return lambda source: Both(RejectLog(), make(source))


class BucketSink:
    """Keeps rejects in a bucket, as gzipped lines of JSON: one object for each `confirm`, and for each 8 MB between.

    The objects of one source lie in one folder, named after it, and sort by the time they were written.
    """

    def __init__(self, bucket: storage.Bucket, folder: str) -> None:
        self._bucket = bucket
        self._folder = folder
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._held = 0

    def add(self, reject: Reject) -> None:
        line = msgspec.json.encode(reject)
        with self._lock:
            self._lines.append(line)
            self._held += len(line)
            is_full = self._held >= _PART_BYTES
        if is_full:
            self.confirm()

    def confirm(self) -> None:
        with self._lock:
            lines, self._lines, self._held = self._lines, [], 0
        if not lines:
            return
        from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415

        blob = self._bucket.blob(f"{self._folder}/{_stamp()}.jsonl.gz")
        content = igzip_lib.compress(b"\n".join(lines) + b"\n", 1, igzip_lib.COMP_GZIP)
        # The name is used once, so writing it again is safe.
        retry = DEFAULT_RETRY.with_timeout(_SECONDS)
        blob.upload_from_string(content, content_type="application/gzip", retry=retry)


class TopicSink:
    """Publishes each reject as a message: the JSON line as its data, and the reason, field and place as attributes."""

    def __init__(self, publisher: PublisherClient, topic: str) -> None:
        self._publisher = publisher
        self._topic = topic
        self._lock = threading.Lock()
        self._unconfirmed: list[Future[str]] = []

    def add(self, reject: Reject) -> None:
        attributes = {
            "source": reject.source,
            "line": str(reject.line),
            "offset": str(reject.offset),
            "reason": reject.reason,
            "field": reject.field or "",
            "insert_id": reject.insert_id or "",
        }
        cut = {name: value.encode()[:_ATTRIBUTE_BYTES].decode(errors="ignore") for name, value in attributes.items()}
        future = self._publisher.publish(self._topic, msgspec.json.encode(reject), **cut)
        with self._lock:
            self._unconfirmed.append(future)
            is_full = len(self._unconfirmed) >= _MOST_UNCONFIRMED
        if is_full:
            self.confirm()

    def confirm(self) -> None:
        with self._lock:
            futures, self._unconfirmed = self._unconfirmed, []
        for future in futures:
            future.result(timeout=_SECONDS)


def _in_bucket(place: str) -> MakeSink:
    from google.cloud import storage  # noqa: PLC0415

    name, _, prefix = place.removeprefix("gs://").partition("/")
    bucket = storage.Client().bucket(name)
    return lambda source: BucketSink(bucket, f"{prefix.rstrip('/')}/{folder_of(source)}")


def _on_topic(place: str) -> MakeSink:
    from google.cloud.pubsub_v1 import PublisherClient  # noqa: PLC0415

    publisher = PublisherClient()
    return lambda _: TopicSink(publisher, place)


_KINDS: dict[str, Callable[[str], MakeSink]] = {"gs://": _in_bucket, "projects/": _on_topic}


def folder_of(source: str) -> str:
    """The name of a source as part of an object's name: itself, where it has no letters that an object may not have."""
    named = source.removeprefix("gs://").replace("#", "/")
    folder = quote(named, safe="/!$&'()*+,;=:@ ~").replace("../", "%2E%2E/")
    if len(folder) > _NAME_BYTES // 2:
        return f"{folder[:200]}~{hashlib.sha256(folder.encode()).hexdigest()[:32]}"
    return folder


def _stamp() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z-{secrets.token_hex(4)}"
