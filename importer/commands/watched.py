"""An object, and how much of it has been read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from importer.records import Readable
from importer.storage.checkpoints import ReadTo, Resumable


class File(Protocol):
    """Whoever wants to know how far it came.

    Attributes:
        bytes: read of it as it is stored, from its beginning.
    """

    bytes: int


class Watched:
    """Reads an object, and tells its file how far that came. It is a `records.Readable` and, where the object is one, a
    `checkpoints.Resumable`.

    Attributes:
        inner: the object.
        began_at: the byte from which on it was read.
    """

    def __init__(self, inner: Readable, file: File) -> None:
        self.inner = inner
        self.name = inner.name
        self.size = inner.size
        self.source = inner.source if isinstance(inner, Resumable) else inner.name
        self.began_at = 0
        self._file = file

    def range(self, start: int, count: int) -> bytes:
        """See `records.Readable`. Ranges come in any order, and some twice: they tell how much, not how far."""
        data = self.inner.range(start, count)
        self._file.bytes = min(self._file.bytes + len(data), self.size or 0)
        return data

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """See `records.Readable`."""
        self.began_at = self._file.bytes = start
        for chunk in self.inner.chunks(start):
            self._file.bytes += len(chunk)
            yield chunk

    def read_before(self, offset: int) -> ReadTo:
        """See `checkpoints.Resumable`."""
        return self.inner.read_before(offset) if isinstance(self.inner, Resumable) else ReadTo()

    def known(self, read: ReadTo) -> None:
        """See `checkpoints.Resumable`."""
        if isinstance(self.inner, Resumable):
            self.inner.known(read)
