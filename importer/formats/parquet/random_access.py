"""Random access to something stored, for libraries that want a file: it is read by ranges, which are held for a while.

A table's columns lie one after the other and are read side by side, so each needs a piece of its own that is held.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from itertools import groupby
from threading import Lock

from importer.records import Readable

_MAX_HELD_BYTES = 16 << 20
"""All pieces that are held. As many columns as there are share them."""

_MIN_PIECE_BYTES = 1 << 14
_MAX_PIECE_BYTES = 1 << 20
"""Where a range takes 50 ms, a megabyte at a time is 20 MB a second, of data that is compressed several times."""


class Pieces:
    """The pieces of something stored that were read last.

    Args:
        stored: what is read; its size has to be known.

    Attributes:
        size: bytes of it.
        failure: what went wrong when it was read, for the caller of a library that makes another error of it.
    """

    def __init__(self, stored: Readable) -> None:
        self._stored = stored
        self.size = stored.size or 0
        self.failure: Exception | None = None
        self._piece_bytes = _MAX_PIECE_BYTES
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()

    def share(self, readers: int) -> None:
        """Makes pieces small enough for so many places to be read side by side, each with two of its own."""
        wanted = _MAX_HELD_BYTES // (2 * readers + 2)
        self._piece_bytes = min(max(wanted, _MIN_PIECE_BYTES), _MAX_PIECE_BYTES)
        self._held.clear()

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on; fewer at the end.

        Raises:
            Exception: what is stored could not be read; it is kept as `failure`, too.
        """
        count = max(min(count, self.size - start), 0)
        if not count:
            return b""
        size = self._piece_bytes
        numbers = range(start // size, (start + count - 1) // size + 1)
        with self._lock:
            pieces = {number: self._held[number] for number in numbers if number in self._held}
            for _, run in groupby(
                enumerate(number for number in numbers if number not in pieces), lambda pair: pair[1] - pair[0]
            ):
                missing = [number for _, number in run]
                fetched = self._fetch(missing[0] * size, len(missing) * size)
                for nth, number in enumerate(missing):
                    pieces[number] = fetched[nth * size : (nth + 1) * size]
            self._hold(pieces)
        whole = b"".join(pieces[number] for number in numbers)
        first = start - numbers[0] * size
        return whole[first : first + count]

    def _fetch(self, start: int, count: int) -> bytes:
        wanted = min(count, self.size - start)
        try:
            data = self._stored.range(start, wanted)
            if len(data) != wanted:
                raise ConnectionError(f"{wanted} bytes were asked for from byte {start} on, and {len(data)} came")
        except Exception as error:
            self.failure = error
            raise
        return data

    def _hold(self, pieces: dict[int, bytes]) -> None:
        for number, piece in pieces.items():
            self._held[number] = piece
            self._held.move_to_end(number)
        while len(self._held) * self._piece_bytes > _MAX_HELD_BYTES:
            self._held.popitem(last=False)


class File(io.RawIOBase):
    """Pieces as a file that is read."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._pieces.size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        count = self._pieces.size - self._at if size is None or size < 0 else size
        data = self._pieces.read(self._at, count)
        self._at += len(data)
        return data
