"""Files on a disk, and standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from importer.errors import SourceGone, Unreadable
from importer.limits import CHUNK_BYTES


class LocalFile:
    """A file by its path. See `records.Readable`.

    Raises:
        SourceGone: there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)
        try:
            self.size = path.stat().st_size
        except FileNotFoundError:
            raise SourceGone(f"there is no file {path}") from None

    def range(self, start: int, count: int) -> bytes:
        """See `records.Readable`."""
        with self._opened() as file:
            file.seek(start)
            return file.read(count)

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """See `records.Readable`."""
        with self._opened() as file:
            file.seek(start)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def _opened(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            raise SourceGone(f"{self._path} has been deleted since it was found") from None


class StandardInput:
    """What comes on standard input, once and in order. See `records.Readable`."""

    name = "-"
    size = None

    def __init__(self, file: BinaryIO | None = None) -> None:
        self._file = file or sys.stdin.buffer

    def range(self, start: int, count: int) -> bytes:
        """There are no ranges of what passes by.

        Raises:
            Unreadable: always.
        """
        raise Unreadable("its end has to be read before its beginning, which standard input cannot do: use a file")

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """See `records.Readable`."""
        while chunk := self._file.read(CHUNK_BYTES):
            if start < len(chunk):
                yield chunk[start:] if start else chunk
            start = max(start - len(chunk), 0)
