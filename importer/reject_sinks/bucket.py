"""Rejects in a bucket: gzipped lines of JSON."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from isal import igzip_lib

from importer.core.rejects import MakeSink, Reject
from importer.errors import RejectSinkError
from importer.storage.paths import folder_of

_PART_BYTES = 8_000_000
"""Rejects in one object, in bytes before compression; more of them make another."""


if TYPE_CHECKING:
    from google.cloud import storage

SECONDS = 60.0


class BucketSink:
    """Keeps rejects in a bucket, as gzipped lines of JSON: each `keep` writes one object, or more if there is much.

    The objects of one source lie in one folder, named after it, and sort by the time they were written.
    """

    def __init__(self, bucket: storage.Bucket, folder: str) -> None:
        self._bucket = bucket
        self._folder = folder

    def store(self, rejects: Sequence[Reject]) -> None:
        """See `rejects.RejectSink`."""
        for part in parts(map(msgspec.json.encode, rejects), _PART_BYTES):
            self._write(part)

    def _write(self, lines: list[bytes]) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415

        blob = self._bucket.blob(f"{self._folder}/{_stamp()}.jsonl.gz")
        content = gzipped(b"\n".join(lines) + b"\n")
        # The name is used once, so writing it again is safe.
        retry = DEFAULT_RETRY.with_timeout(SECONDS)
        try:
            blob.upload_from_string(content, content_type="application/gzip", retry=retry)
        except Exception as error:
            raise RejectSinkError(f"{type(error).__name__}: {error}") from error


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


def gzipped(content: bytes) -> bytes:
    packed: bytes = igzip_lib.compress(content, 1, igzip_lib.COMP_GZIP)
    return packed


def in_bucket(place: str) -> MakeSink:
    from google.cloud import storage  # noqa: PLC0415

    name, _, prefix = place.removeprefix("gs://").partition("/")
    bucket = storage.Client().bucket(name)
    return lambda source: BucketSink(bucket, f"{prefix.rstrip('/')}/{folder_of(source)}")


def _stamp() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z-{secrets.token_hex(4)}"
