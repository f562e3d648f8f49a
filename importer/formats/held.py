"""Something to read that is stored nowhere: bytes that are held, such as a message, and a stream that comes once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from importer.errors import Unreadable
from importer.limits import CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that are held. See `records.Readable`."""

    data: bytes
    name: str = ""

    @property
    def size(self) -> int:
        return len(self.data)

    def range(self, start: int, count: int) -> bytes:
        """See `records.Readable`."""
        return self.data[start : start + count]

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """See `records.Readable`."""
        return (self.data[n : n + CHUNK_BYTES] for n in range(start, len(self.data), CHUNK_BYTES))


@dataclass(frozen=True, slots=True)
class Stream:
    """Bytes that come once, in order, cut anywhere. See `records.Readable`."""

    pieces: Iterable[bytes]
    name: str = ""
    size: None = None

    def range(self, start: int, count: int) -> bytes:
        """There are no ranges of what passes by.

        Raises:
            Unreadable: always.
        """
        raise Unreadable("its end has to be read before its beginning, which a stream cannot do: store it as a file")

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """See `records.Readable`."""
        return skipped(self.pieces, start)


def skipped(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """The chunks without their first `count` bytes."""
    for chunk in chunks:
        if count < len(chunk):
            yield chunk[count:] if count else chunk
        count = max(count - len(chunk), 0)
