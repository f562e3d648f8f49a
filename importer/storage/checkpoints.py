"""Checkpoints and receipts in a bucket: small objects, named after the object and generation they speak of."""

from __future__ import annotations

import contextlib

import msgspec
from google.api_core.exceptions import NotFound
from google.cloud import storage
from msgspec import Struct

from importer import log
from importer.core.checkpoint import Checkpoint, Counts
from importer.records import Position
from importer.storage.gcs import Access, Download, ReadTo
from importer.storage.paths import folder_of

_SECONDS = 30.0


class _Kept(Struct, frozen=True):
    """A checkpoint as it is stored: the core's, and how to go on with the download."""

    mark: Position
    counts: Counts
    read: ReadTo


class _Receipt(Struct, frozen=True):
    source: str
    counts: dict[str, float]


class BucketCheckpoints:
    """The checkpoint and the receipt of one object.

    Args:
        access: the way to the bucket.
        place: `IMPORT_CHECKPOINTS`, as `gs://bucket/prefix`.
        download: the object.
    """

    def __init__(self, access: Access, place: str, download: Download) -> None:
        name, _, prefix = place.removeprefix("gs://").partition("/")
        bucket = access.client.bucket(name)
        folder = f"{prefix.rstrip('/')}/{folder_of(download.source)}"
        self._download = download
        self._checkpoint = bucket.blob(f"{folder}/checkpoint.json")
        self._receipt = bucket.blob(f"{folder}/receipt.json")
        self._log = log.get()
        self._retry = access.retry.with_timeout(_SECONDS)
        self._timeout = access.timeout

    def is_done(self) -> bool:
        """Whether the object was imported to its end already."""
        return bool(self._receipt.exists(timeout=self._timeout, retry=self._retry))

    def load(self) -> Checkpoint | None:
        """The checkpoint of an earlier delivery, if there is one that can be read. The download goes on from there."""
        try:
            content = self._checkpoint.download_as_bytes(timeout=self._timeout, retry=self._retry)
            kept = msgspec.json.decode(content, type=_Kept)
        except NotFound:
            return None
        except msgspec.MsgspecError as error:
            self._tell(f"cannot be read, so the import starts at the beginning: {error}")
            return None
        self._download.known(kept.read)
        return Checkpoint(kept.mark, kept.counts)

    def save(self, checkpoint: Checkpoint) -> None:
        """See `checkpoint.Checkpoints`."""
        read = self._download.read_before(checkpoint.mark.stored)
        self._write(self._checkpoint, msgspec.json.encode(_Kept(checkpoint.mark, checkpoint.counts, read)))

    def finish(self, counts: dict[str, float]) -> None:
        """Leaves a receipt, and takes the checkpoint away. Where that fails, a late second delivery does it all again,
        which is safe."""
        self._write(self._receipt, msgspec.json.encode(_Receipt(self._download.source, counts)))
        try:
            self.forget()
        except Exception as error:
            self._tell(f"was not deleted: {type(error).__name__}: {error}")

    def forget(self) -> None:
        """See `checkpoint.Checkpoints`."""
        with contextlib.suppress(NotFound):
            self._checkpoint.delete(timeout=self._timeout, retry=self._retry)

    def _write(self, blob: storage.Blob, content: bytes) -> None:
        try:
            blob.upload_from_string(content, content_type="application/json", timeout=self._timeout, retry=self._retry)
        except Exception as error:  # whatever it is, the import itself need not stop for it
            self._tell(f"was not saved: {type(error).__name__}: {error}")

    def _tell(self, what: str) -> None:
        self._log.warning(
            f"The checkpoint of {self._download.source} {what}", kind="checkpoint", source=self._download.source
        )
