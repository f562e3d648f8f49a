"""Checkpoints and receipts in a store: small objects, named after the object and generation they speak of."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec
from msgspec import Struct

from importer import log
from importer.core.checkpoint import Checkpoint, Counts
from importer.errors import StorageError
from importer.records import Position
from importer.settings import Settings
from importer.storage.paths import state_folder
from importer.storage.store import Patience, Store, store

_PATIENCE = 30.0
"""Seconds for which a store is waited for: what is kept here only saves time."""


class ReadTo(Struct, frozen=True):
    """How far an object was read as it is stored: so many bytes, with this checksum of that kind ("" is none)."""

    offset: int = 0
    checksum: int = 0
    kind: str = ""


@runtime_checkable
class Resumable(Protocol):
    """An object that can be read from where an earlier reading came to.

    Attributes:
        source: the address of the object and of its generation, which no other has.
    """

    @property
    def source(self) -> str: ...

    def read_before(self, offset: int) -> ReadTo:
        """Where to read on from, to have all the bytes from `offset` on."""

    def known(self, read: ReadTo) -> None:
        """Takes over how far an earlier reading came."""


class _Kept(Struct, frozen=True):
    """A checkpoint as it is stored: the core's, and how to go on with the reading."""

    mark: Position
    counts: Counts
    read: ReadTo


class _Receipt(Struct, frozen=True):
    source: str
    counts: dict[str, float]


class StoredCheckpoints:
    """The checkpoint and the receipt of one object.

    Args:
        store: where they are stored.
        place: `IMPORT_CHECKPOINTS`, such as `gs://bucket/prefix`.
        reading: the object.

    Attributes:
        has_moved: whether a checkpoint was saved beyond the one that there was.
    """

    def __init__(self, store: Store, place: str, reading: Resumable) -> None:
        folder = state_folder(place, reading.source)
        self._store = store
        self._reading = reading
        self._checkpoint = f"{folder}/checkpoint.json"
        self._receipt = f"{folder}/receipt.json"
        self._log = log.get()
        self._found: Position | None = None
        self.has_moved = False

    def is_done(self) -> bool:
        """Whether the object was imported to its end already.

        Raises:
            StorageError: that cannot be found out.
        """
        return self._store.read(self._receipt) is not None

    def load(self) -> Checkpoint | None:
        """The checkpoint of an earlier delivery, if there is one that can be read. The reading goes on from there.

        Raises:
            StorageError: whether there is one cannot be found out.
        """
        content = self._store.read(self._checkpoint)
        if content is None:
            return None
        try:
            kept = msgspec.json.decode(content, type=_Kept)
        except msgspec.MsgspecError as error:
            self.warn(f"cannot be read, so the import starts at the beginning: {error}")
            return None
        self._reading.known(kept.read)
        self._found = kept.mark
        return Checkpoint(kept.mark, kept.counts)

    def save(self, checkpoint: Checkpoint) -> None:
        """See `checkpoint.Checkpoints`."""
        kept = _Kept(checkpoint.mark, checkpoint.counts, self._reading.read_before(checkpoint.mark.stored))
        try:
            self._store.write(self._checkpoint, msgspec.json.encode(kept))
        except StorageError as error:  # the import itself need not stop for it
            self.warn(f"was not saved: {error}")
        else:
            self.has_moved = self.has_moved or checkpoint.mark != self._found

    def finish(self, counts: dict[str, float]) -> None:
        """Leaves a receipt, and takes the checkpoint away. Where that fails, a late second delivery does it all again,
        which is safe."""
        try:
            self._store.write(self._receipt, msgspec.json.encode(_Receipt(self._reading.source, counts)))
        except StorageError as error:
            self.warn(f"was not saved, so a second delivery imports the object again: {error}", of="receipt")
        self.abandon()

    def abandon(self) -> None:
        """Takes the checkpoint away, and leaves no receipt: the next delivery starts at the beginning."""
        try:
            self.forget()
        except StorageError as error:
            self.warn(f"was not deleted: {error}")

    def forget(self) -> None:
        """See `checkpoint.Checkpoints`."""
        self._store.delete(self._checkpoint)

    def start_again(self) -> None:
        """Takes the receipt away, and a checkpoint that was left beside it.

        Raises:
            StorageError: they are still there.
        """
        self._store.delete(self._checkpoint)
        self._store.delete(self._receipt)

    def warn(self, what: str, of: str = "checkpoint") -> None:
        """Says in the log what is the matter with the checkpoint or the receipt."""
        self._log.warning(f"The {of} of {self._reading.source} {what}", kind=of, source=self._reading.source)


def checkpoints_of(reading: Resumable, settings: Settings) -> StoredCheckpoints | None:
    """Where the checkpoint and the receipt of an object are, if the settings name a place for them."""
    place = settings.checkpoints
    if place is None:
        return None
    return StoredCheckpoints(store(place, Patience(_PATIENCE, settings.timeout, settings.backoff)), place, reading)
