"""An object that is read by ranges, in order and checked: what the clouds' downloads have in common."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from importer.errors import SourceCorrupted
from importer.limits import CHUNK_BYTES
from importer.storage.checkpoints import ReadTo

_MAX_RANGE_BYTES = 2 << 20
"""Of all that is held, ranges are the most: two, and copies of one while it comes. Where one takes 50 ms, this is 40 MB
a second; Mixpanel takes 25 of dense events. Twice the size made the peak 18 MB higher, and nothing faster here."""

_MIN_RANGE_BYTES = CHUNK_BYTES
_RANGE_SECONDS = 0.125
"""How long a range is to keep the reader busy. What was fetched and not worked on is fetched again after a stop."""

_MAX_CHECKSUMS = 1_024
"""Checksums kept of the last so many chunks (256 MiB of them): more than can be on its way to Mixpanel."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """The checksum that a cloud keeps of a whole object.

    Attributes:
        kind: such as `crc32c`.
        value: as a number.
        shown: as the cloud writes it.
        extend: makes the checksum of what was read and some bytes more of that of what was read.
    """

    kind: str
    value: int
    shown: str
    extend: Callable[[int, bytes], int]


class RangedObject(ABC):
    """Reads an object by ranges: each is a request of its own, tried again by itself, and none is left open while the
    reader waits for Mixpanel. The next range is fetched while the last is worked on.

    It is a `records.Readable`.

    Attributes:
        name: the object's address, such as `gs://bucket/name`.
        source: the same with what tells this writing of the object from others.
        size: bytes, as they are stored.

    Args:
        checksum: the cloud's, of the whole object; None where it keeps none that can be told piece by piece.
    """

    def __init__(self, name: str, source: str, size: int, checksum: Checksum | None) -> None:
        self.name = name
        self.source = source
        self.size = size
        self._checksum = checksum
        self._read: deque[ReadTo] = deque([self._read_to(0, 0)], maxlen=_MAX_CHECKSUMS)

    @abstractmethod
    def _fetch(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on, fewer only at the end, tried again as often as it takes."""

    @abstractmethod
    def age(self) -> float:
        """Seconds since the object was written."""

    def range(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on, fewer at the end, tried again as often as it takes. See `records.Readable`."""
        return self._fetch(start, count) if count > 0 and start < self.size else b""

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """The object's bytes as they are stored, whatever its `Content-Encoding`, from `start` on.

        What comes before `start` is part of the checksum, as far as it is known from an earlier reading (`known`); what
        is not known is read again, and left out.

        Raises:
            SourceCorrupted: at the end, when together they do not have the checksum that the cloud keeps of the object.
            SourceGone: it was overwritten or deleted meanwhile.
        """
        kept = self._checksum
        first = self.read_before(start)
        offset, checksum = first.offset, first.checksum
        for data in self._ranges(offset):
            for begin in range(0, len(data), CHUNK_BYTES):
                chunk = data[begin : begin + CHUNK_BYTES]
                left_out = max(start - offset, 0)
                offset += len(chunk)
                if kept:
                    checksum = kept.extend(checksum, chunk)
                    self._read.append(self._read_to(offset, checksum))
                if left_out < len(chunk):
                    yield chunk[left_out:] if left_out else chunk
        if kept and checksum != kept.value:
            raise SourceCorrupted(f"what was downloaded does not have the object's checksum ({kept.kind} {kept.shown})")

    def known(self, read: ReadTo) -> None:
        """Takes over how far an earlier reading came: `chunks` goes on from there."""
        if read.kind == self._kind:
            self._read.append(read)

    def read_before(self, offset: int) -> ReadTo:
        """Where to read on from, to have all the bytes from `offset` on, and the checksum of all the object."""
        if self._checksum is None:
            return self._read_to(offset, 0)
        return next((read for read in reversed(self._read) if read.offset <= offset), self._read_to(0, 0))

    @property
    def _kind(self) -> str:
        return self._checksum.kind if self._checksum else ""

    def _read_to(self, offset: int, checksum: int) -> ReadTo:
        return ReadTo(offset, checksum, self._kind)

    def _ranges(self, offset: int) -> Iterator[bytes]:
        end, size = self.size, _MAX_RANGE_BYTES
        with ThreadPoolExecutor(1, thread_name_prefix="download") as thread:
            ahead = thread.submit(self._fetch, offset, size) if offset < end else None
            while ahead is not None:
                data = ahead.result()
                offset += len(data)
                ahead = thread.submit(self._fetch, offset, size) if offset < end else None
                began = time.monotonic()
                yield data
                size = _fitting(len(data), time.monotonic() - began)


def _fitting(worked_on: int, seconds: float) -> int:
    """The size of the next range, for a reader that has worked so long on so many bytes."""
    wanted = worked_on * _RANGE_SECONDS / max(seconds, 1e-3)
    return min(max(int(wanted), _MIN_RANGE_BYTES), _MAX_RANGE_BYTES)
