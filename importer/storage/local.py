"""Files on a disk, and standard input."""

from __future__ import annotations

import fcntl
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from importer.errors import SourceGone, StorageError, Unreadable
from importer.limits import CHUNK_BYTES
from importer.storage.checkpoints import ReadTo
from importer.storage.store import Entry, Patience


class LocalFile:
    """A file by its path, as it is when it is opened. See `records.Readable`.

    Attributes:
        source: the path, the time at which the file was changed last and its size, which its next version has not.

    Raises:
        SourceGone: there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = _text(str(path))
        try:
            found = path.stat()
        except FileNotFoundError:
            raise SourceGone(f"there is no file {path}") from None
        self.size = found.st_size
        self.source = f"{_text(str(path.resolve()))}#{found.st_mtime_ns}.{found.st_size}"
        self.written = found.st_mtime

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

    def read_before(self, offset: int) -> ReadTo:
        """See `checkpoints.Resumable`."""
        return ReadTo(offset)

    def known(self, read: ReadTo) -> None:
        """See `checkpoints.Resumable`: a disk's file is read from anywhere."""

    def _opened(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            raise SourceGone(f"{self._path} has been deleted since it was found") from None
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read: {error.strerror or error}") from error


def _text(path: str) -> str:
    """A path as text, also where its bytes are none: what is written down about it is text."""
    return os.fsencode(path).decode(errors="backslashreplace")


class StandardInput:
    """What comes on standard input, or through another pipe, once and in order. See `records.Readable`.

    Args:
        file: the pipe; by default it is standard input.
        name: the pipe's address.

    Raises:
        SourceGone: standard input is closed.
    """

    size = None

    def __init__(self, file: BinaryIO | None = None, name: str = "-") -> None:
        if file is None and sys.stdin is None:
            raise SourceGone("standard input is closed")
        self._file = file or sys.stdin.buffer
        self.name = _text(name)

    def range(self, start: int, count: int) -> bytes:
        """There are no ranges of what passes by.

        Raises:
            Unreadable: always.
        """
        raise Unreadable("its end has to be read before its beginning, which no pipe can do: use a file")

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """See `records.Readable`."""
        while chunk := self._file.read(CHUNK_BYTES):
            if start < len(chunk):
                yield chunk[start:] if start else chunk
            start = max(start - len(chunk), 0)


class LocalStore:
    """Files by their paths. See `store.Store`. What begins with a dot is not listed: it is nobody's data, or half of a
    file that is being written."""

    def list(self, address: str) -> Iterator[str]:
        """See `store.Store`: the file, or all files in the folder and in those in it."""
        path = Path(address)
        with _sentence(f"{address} cannot be listed"):
            if path.is_file():
                yield address
                return
            files = []
            for folder, folders, names in os.walk(path, onerror=_raise):
                folders[:] = [one for one in folders if not one.startswith(".")]
                files += [os.path.join(folder, one) for one in names if not one.startswith(".")]
        yield from sorted(files)

    def entries(self, address: str) -> Iterator[Entry]:
        """See `store.Store`."""
        for path in self.list(address):
            with suppress(SourceGone):
                file = self.open(path)
                yield Entry(path, file.source, file.size, file.written)

    def open(self, address: str) -> LocalFile:
        """See `store.Store`."""
        with _sentence(f"{address} cannot be read"):
            return LocalFile(Path(address))

    def read(self, address: str) -> bytes | None:
        """See `store.Store`."""
        with _sentence(f"{address} cannot be read"):
            try:
                return Path(address).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, address: str, content: bytes) -> None:
        """See `store.Store`."""
        path = Path(address)
        half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with _sentence(f"{address} cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with half.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                half.replace(path)
            finally:
                half.unlink(missing_ok=True)

    def read_version(self, address: str) -> tuple[bytes, str] | None:
        """See `store.Store`."""
        with _sentence(f"{address} cannot be read"):
            try:
                with Path(address).open("rb") as file:
                    return file.read(), _version(os.fstat(file.fileno()))
            except FileNotFoundError:
                return None

    def write_version(self, address: str, content: bytes, before: str | None) -> str | None:
        """See `store.Store`. The folder is locked meanwhile, among those who write this way."""
        path = Path(address)
        with _sentence(f"{address} cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.parent):
                if before != (_version(path.stat()) if path.exists() else None):
                    return None
                self.write(address, content)
                return _version(path.stat())

    def delete(self, address: str) -> None:
        """See `store.Store`."""
        with _sentence(f"{address} cannot be deleted"):
            Path(address).unlink(missing_ok=True)


def open_store(_: Patience) -> LocalStore:
    """See `store.store`."""
    return LocalStore()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _version(found: os.stat_result) -> str:
    return f"{found.st_ino}.{found.st_mtime_ns}"


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _sentence(start: str) -> Iterator[None]:
    """Whatever goes wrong with the disk becomes a sentence."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{start}: {error.strerror or error}") from error
