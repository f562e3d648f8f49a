"""Where rejects are kept, beyond the log: a bucket or a topic, as `IMPORT_REJECTS` names it.

To add a kind of place: a class with `keep` (see `rejects.RejectSink`), and a line in `_KINDS`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from isal import igzip_lib

from importer.rejects import NotKept, Reject, RejectSink

if TYPE_CHECKING:
    from google.cloud import storage
    from google.cloud.pubsub_v1 import PublisherClient

_PART_BYTES = 8_000_000
"""Rejects in one object, in bytes before compression; more of them make another."""

_MESSAGE_BYTES = 9_900_000
"""The longest line that is published as it is. A message may have 10 MB, its attributes included:
https://cloud.google.com/pubsub/quotas#resource_limits"""

_ATTRIBUTE_BYTES = 1_024
"""The longest value of an attribute: https://cloud.google.com/pubsub/quotas#resource_limits"""

_NAME_BYTES = 1_024
"""The longest name of an object: https://cloud.google.com/storage/docs/objects#naming"""

_SECONDS = 60.0

MakeSink = Callable[[str], RejectSink]
"""Makes the sink for one attempt at one source, such as `gs://bucket/name#generation`."""


def sinks(place: str | None) -> MakeSink | None:
    """What makes the sinks that keep rejects in `place` (`IMPORT_REJECTS`); None where there is no place.

    The clients of Google's that it takes are imported here, when the setting asks for them.
    """
    if place is None:
        return None
    return next(make for start, make in _KINDS.items() if place.startswith(start))(place)


class BucketSink:
    """Keeps rejects in a bucket, as gzipped lines of JSON: each `keep` writes one object, or more if there is much.

    The objects of one source lie in one folder, named after it, and sort by the time they were written.
    """

    def __init__(self, bucket: storage.Bucket, folder: str) -> None:
        self._bucket = bucket
        self._folder = folder

    def keep(self, rejects: Sequence[Reject]) -> None:
        """See `rejects.RejectSink`."""
        for part in parts(map(msgspec.json.encode, rejects), _PART_BYTES):
            self._write(part)

    def _write(self, lines: list[bytes]) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415

        blob = self._bucket.blob(f"{self._folder}/{_stamp()}.jsonl.gz")
        content = _gzipped(b"\n".join(lines) + b"\n")
        # The name is used once, so writing it again is safe.
        retry = DEFAULT_RETRY.with_timeout(_SECONDS)
        try:
            blob.upload_from_string(content, content_type="application/gzip", retry=retry)
        except Exception as error:
            raise NotKept(f"{type(error).__name__}: {error}") from error


class TopicSink:
    """Publishes each reject as a message: the JSON line as its data, and the reason, field and place as attributes.

    A line too long for a message is gzipped: a message's own data was no longer than that, so it nearly always fits.
    """

    def __init__(self, publisher: PublisherClient, topic: str) -> None:
        self._publisher = publisher
        self._topic = topic

    def keep(self, rejects: Sequence[Reject]) -> None:
        """See `rejects.RejectSink`."""
        try:
            futures = [self._publisher.publish(self._topic, _data(reject), **_attributes(reject)) for reject in rejects]
            if wait(futures, timeout=_SECONDS).not_done:
                raise NotKept(f"{self._topic} did not take them within {_SECONDS:g} s")
            for future in futures:
                future.result()
        except NotKept:
            raise
        except Exception as error:
            raise NotKept(f"{type(error).__name__}: {error} ({self._topic})") from error


def parts(lines: Iterator[bytes], most: int) -> Iterator[list[bytes]]:
    """Cuts lines into parts of `most` bytes at most, in order. A line that is longer makes a part of its own."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) > most:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        yield part


def folder_of(source: str) -> str:
    """The name of a source as part of an object's name: itself, where it has no letters that an object may not have.

    No two sources have the same.
    """
    name, at, generation = source.removeprefix("gs://").rpartition("#")
    folder = quote(f"{name}/{generation}" if at else generation, safe="/!$&'()*+,;=:@ ~").replace("../", "%2E%2E/")
    if len(folder) > _NAME_BYTES // 2:
        return f"{folder[:200]}~{hashlib.sha256(folder.encode()).hexdigest()[:32]}"
    return folder


def _data(reject: Reject) -> bytes:
    line = msgspec.json.encode(reject)
    return line if len(line) <= _MESSAGE_BYTES else _gzipped(line)


def _gzipped(content: bytes) -> bytes:
    packed: bytes = igzip_lib.compress(content, 1, igzip_lib.COMP_GZIP)
    return packed


def _attributes(reject: Reject) -> dict[str, str]:
    attributes = {
        "source": reject.source,
        "line": str(reject.line),
        "offset": str(reject.offset),
        "reason": reject.reason,
        "field": reject.field or "",
        "insert_id": reject.insert_id or "",
    }
    return {name: value.encode()[:_ATTRIBUTE_BYTES].decode(errors="ignore") for name, value in attributes.items()}


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


def _stamp() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z-{secrets.token_hex(4)}"
