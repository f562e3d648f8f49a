"""Objects by address: `gs://bucket/name`, `s3://bucket/key`, or the path of a file.

Each cloud is a file that answers the same verbs. To add one: a module with `open_store`, and a line in `_MODULES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from importer.errors import StorageError
from importer.records import Readable

_MODULES = {"gs": "importer.storage.gcs", "s3": "importer.storage.s3.store"}
_FILES = "importer.storage.local"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store is waited for, in seconds.

    Attributes:
        total: for which one operation is tried again.
        timeout: that one try may go without an answer.
        backoff: before the second try.
    """

    total: float = 60.0
    timeout: float = 60.0
    backoff: float = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a list has it.

    Attributes:
        address: where it lies.
        source: the address and the generation, which no other has.
        size: bytes, as they are stored.
        written: when it was written, in seconds since 1970.
    """

    address: str
    source: str
    size: int
    written: float


class Store(Protocol):
    """Objects of one kind of place. Safe to use from several threads.

    Each verb raises `StorageError` where the place does not do it, however often it is tried.
    """

    def list(self, address: str) -> Iterator[str]:
        """The addresses of all objects that lie at `address` or begin with it, in the order of their names."""

    def entries(self, address: str) -> Iterator[Entry]:
        """The same, with what the list says of each; what goes away meanwhile is left out."""

    def open(self, address: str) -> Readable:
        """The object, to be read bit by bit.

        Raises:
            SourceGone: there is none.
        """

    def read(self, address: str) -> bytes | None:
        """All of a small object; None where there is none."""

    def write(self, address: str, content: bytes) -> None:
        """Stores an object, whole or not at all, in the place of one that is there. Doing it twice is harmless."""

    def read_version(self, address: str) -> tuple[bytes, str] | None:
        """All of a small object, and its version; None where there is none."""

    def write_version(self, address: str, content: bytes, before: str | None) -> str | None:
        """Stores an object in the place of one version of it, and of no other.

        Args:
            before: that version, as `read_version` or this gave it; None where there is to be none.

        Returns:
            The new version; None where `before` is not what is there, since somebody else was faster, or since a try
            of this call succeeded whose answer was lost.
        """

    def delete(self, address: str) -> None:
        """Takes an object away, if it is there."""


_NEEDED = {"gs": "gcp", "s3": "aws"}
"""What is installed with the package, as `mixpanel-importer[gcp]`, for each cloud."""


class _Module(Protocol):
    def open_store(self, patience: Patience) -> Store: ...


def store(address: str, patience: Patience = Patience()) -> Store:
    """The store of the place that an address names. What its cloud needs is imported here.

    Raises:
        StorageError: the cloud is not known here, it is not installed, or nobody is logged in there.
    """
    scheme, separator, _ = address.partition("://")
    module = _MODULES.get(scheme) if separator else _FILES
    if module is None:
        known = " or ".join(f"{one}://" for one in _MODULES)
        raise StorageError(f"{address} is nothing that is known here: an address begins with {known}, or is a path")
    try:
        return cast(_Module, import_module(module)).open_store(patience)
    except ModuleNotFoundError as error:
        if scheme not in _NEEDED:
            raise
        needed = f"pip install 'mixpanel-importer[{_NEEDED[scheme]}]'"
        raise StorageError(f"{scheme}:// needs {error.name}, which is not installed: {needed}") from error


def split(address: str) -> tuple[str, str]:
    """The bucket and the name in the address of an object: `gs://bucket/name`."""
    bucket, _, name = address.partition("://")[2].partition("/")
    return bucket, name


def lies_in(address: str, place: str) -> bool:
    """Whether an object lies in the folder `place`, or in one of that folder's."""
    return address.startswith(place.rstrip("/") + "/")
