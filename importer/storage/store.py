"""Objects by address: `gs://bucket/name`, or the path of a file. Each cloud is a file that answers the same five verbs.

To add one: a module with `open_store`, and a line in `_MODULES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from importer.records import Readable

_MODULES = {"gs": "importer.storage.gcs"}
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


class Store(Protocol):
    """Objects of one kind of place. Safe to use from several threads.

    Each verb raises `StorageError` where the place does not do it, however often it is tried.
    """

    def list(self, address: str) -> Iterator[str]:
        """The addresses of all objects that lie at `address` or begin with it, in the order of their names."""

    def open(self, address: str) -> Readable:
        """The object, to be read bit by bit.

        Raises:
            SourceGone: there is none.
        """

    def read(self, address: str) -> bytes | None:
        """All of a small object; None where there is none."""

    def write(self, address: str, content: bytes) -> None:
        """Stores an object, whole or not at all, in the place of one that is there. Doing it twice is harmless."""

    def delete(self, address: str) -> None:
        """Takes an object away, if it is there."""


class _Module(Protocol):
    def open_store(self, patience: Patience) -> Store: ...


def store(address: str, patience: Patience = Patience()) -> Store:
    """The store of the place that an address names. What its cloud needs is imported here."""
    scheme, separator, _ = address.partition("://")
    module = _MODULES.get(scheme, _FILES) if separator else _FILES
    return cast(_Module, import_module(module)).open_store(patience)


def split(address: str) -> tuple[str, str]:
    """The bucket and the name in the address of an object: `gs://bucket/name`."""
    bucket, _, name = address.partition("://")[2].partition("/")
    return bucket, name


def lies_in(address: str, place: str) -> bool:
    """Whether an object lies in the folder `place`, or in one of that folder's."""
    return address.startswith(place.rstrip("/") + "/")
