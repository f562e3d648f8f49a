"""Random access to something stored, for libraries that want a file: it is read by ranges, which are held for a while.

A table's columns lie one after the other and are read side by side, so each needs a piece of its own that is held.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from itertools import groupby, takewhile
from threading import Lock

from importer.records import Readable

_CELL_BYTES = 1 << 14
"""What is held is held by so many bytes."""

_MAX_HELD_BYTES = 16 << 20
"""All that is held. As many columns as there are share it."""

_MIN_RUN_BYTES, _MAX_RUN_BYTES = 1 << 15, 1 << 20
"""What is read at a time: little where reading jumps, since pages that are not wanted are passed over by their headers,
and twice as much each time that it goes on. A range takes 50 ms, so a megabyte at a time is 20 MB a second."""


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
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._readers = 1
        self._runs: OrderedDict[int, int] = OrderedDict()  # where reading may go on, and how much was read before that
        self._seen = bytearray(self.size // _CELL_BYTES + 1)  # the cells that were read at any time
        self._lock = Lock()

    def share(self, readers: int) -> None:
        """Lets so many places be read side by side."""
        self._readers = readers
        self._held.clear()
        self._runs.clear()

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on; fewer at the end.

        Raises:
            Exception: what is stored could not be read; it is kept as `failure`, too.
        """
        count = max(min(count, self.size - start), 0)
        if not count:
            return b""
        numbers = range(start // _CELL_BYTES, (start + count - 1) // _CELL_BYTES + 1)
        with self._lock:
            cells = {number: self._held[number] for number in numbers if number in self._held}
            missing = [number for number in numbers if number not in cells]
            for _, run in groupby(enumerate(missing), lambda pair: pair[1] - pair[0]):
                wanted = [number for _, number in run]
                cells |= self._fetched(wanted[0], len(wanted))
            self._hold(cells, read_through=numbers[:-1])
        whole = b"".join(cells[number] for number in numbers)
        first = start - numbers[0] * _CELL_BYTES
        return whole[first : first + count]

    def _fetched(self, first: int, count: int) -> dict[int, bytes]:
        """The cells from `first` on, at least so many, and some of those that are likely to be asked for next."""
        ahead = range(first + count, min(first + self._run(first), len(self._seen)))
        count += sum(1 for _ in takewhile(lambda number: not self._seen[number], ahead))  # not what another has read
        self._seen[first : first + count] = b"\1" * count
        data = self._range(first * _CELL_BYTES, count * _CELL_BYTES)
        self._runs[first + count] = count
        while len(self._runs) > self._readers:
            self._runs.popitem(last=False)
        return {first + nth: data[nth * _CELL_BYTES : (nth + 1) * _CELL_BYTES] for nth in range(count)}

    def _run(self, first: int) -> int:
        """How many cells to read from there on: all places that are read together may hold half of what is held."""
        share = _MAX_HELD_BYTES // (2 * self._readers + 2) // _CELL_BYTES
        least = max(min(_MIN_RUN_BYTES // _CELL_BYTES, share), 1)
        before = self._runs.pop(first, 0)
        room = _MAX_HELD_BYTES // _CELL_BYTES // 2 - sum(self._runs.values())
        return max(min(2 * before, _MAX_RUN_BYTES // _CELL_BYTES, max(room, before)), least)

    def _range(self, start: int, count: int) -> bytes:
        wanted = min(count, self.size - start)
        try:
            data = self._stored.range(start, wanted)
            if len(data) != wanted:
                raise ConnectionError(f"{wanted} bytes were asked for from byte {start} on, and {len(data)} came")
        except Exception as error:
            self.failure = error
            raise
        return data

    def _hold(self, cells: dict[int, bytes], read_through: range) -> None:
        """Holds cells; those that were read through are the first to be let go."""
        for number, cell in cells.items():
            self._held[number] = cell
            self._held.move_to_end(number, last=number not in read_through)
        while len(self._held) * _CELL_BYTES > _MAX_HELD_BYTES:
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
