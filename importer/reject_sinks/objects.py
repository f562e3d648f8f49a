"""Rejects as objects, in a bucket or on a disk: gzipped lines of JSON."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec
from isal import igzip_lib

from importer.core.rejects.reject import Reject
from importer.errors import RejectSinkError, StorageError
from importer.storage.store import Store

_PART_BYTES = 8_000_000
"""Rejects in one object, in bytes before compression; more of them make another."""


class ObjectSink:
    """Stores rejects as gzipped lines of JSON: each `store` writes one object, or more if there is much.

    Args:
        objects: where.
        place: the address that the objects' own begin with. Then comes the day, so that nobody has to look through a
            year for the rejects of this morning.
        folder: the source's. In it they sort by the time they were written.
    """

    def __init__(self, objects: Store, place: str, folder: str) -> None:
        self._objects = objects
        self._place = place
        self._folder = folder

    def store(self, rejects: Sequence[Reject]) -> None:
        """See `core.rejects.reject.RejectSink`."""
        for part in parts(map(msgspec.json.encode, rejects), _PART_BYTES):
            now = datetime.now(UTC)
            # The name is used once, so that writing it again is safe.
            name = (
                f"{self._place}/{now:%Y-%m-%d}/{self._folder}/{now:%Y%m%dT%H%M%S.%f}Z-{secrets.token_hex(4)}.jsonl.gz"
            )
            try:
                self._objects.write(name, gzipped(b"\n".join(part) + b"\n"))
            except StorageError as error:
                raise RejectSinkError(str(error)) from error


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
