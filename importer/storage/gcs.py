"""Google Cloud Storage: objects by address, and one generation of one object, read in order and checked."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated

import google_crc32c
from google.api_core.exceptions import Forbidden, NotFound, PreconditionFailed, Unauthorized
from google.api_core.retry import Retry
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from msgspec import Meta, Struct

from importer.errors import SourceGone, StorageError
from importer.storage.ranges import Checksum, RangedObject
from importer.storage.store import Entry, Patience, split

_begins_with_request = re.compile(r"^[A-Z]+ https?://\S+ ").sub
_LISTED = "items(name,generation,size,updated),nextPageToken"
"""What a list is asked for of each object: a tenth of what there is."""


@dataclass(frozen=True, slots=True)
class Access:
    """The way to the storage service.

    Attributes:
        client: Google's.
        retry: what is tried again, and for how long.
        timeout: seconds that one request may go without an answer, or an answer without going on.
    """

    client: storage.Client
    retry: Retry
    timeout: float


def access(patience: Patience) -> Access:
    """The way there, with a client that the whole process shares."""
    retry = DEFAULT_RETRY.with_delay(initial=patience.backoff).with_timeout(patience.total)
    return Access(_client(os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST")), retry, patience.timeout)


@cache
def _client(_process: int, _emulator: str | None) -> storage.Client:
    """A client's connections are not to be shared with a forked process, nor with one for another address."""
    return storage.Client()


class Object(Struct, frozen=True):
    """What the CloudEvent says of the object: `StorageObjectData` of Google's event types, as far as it is needed."""

    bucket: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?$")]
    name: Annotated[str, Meta(min_length=1)]
    generation: Annotated[str, Meta(pattern="^[1-9][0-9]*$")] | Annotated[int, Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        self.name.encode()  # half of a surrogate pair is in no name; msgspec makes it one of its errors


class Download(RangedObject):
    """One generation of an object: its `source` names it as Google's tools do (`gs://bucket/name#generation`).

    Raises:
        SourceGone: it has been overwritten or deleted.
    """

    def __init__(self, access: Access, wanted: Object) -> None:
        generation = int(wanted.generation) if wanted.generation else None
        self._access = access
        self._blob = access.client.bucket(wanted.bucket).blob(wanted.name, generation=generation)
        try:
            self._blob.reload(timeout=access.timeout, retry=access.retry)
        except NotFound:
            raise SourceGone("it has been deleted or overwritten since it was announced") from None
        if generation and self._blob.generation != generation:
            raise SourceGone("it has been overwritten since it was announced")
        name = f"gs://{wanted.bucket}/{wanted.name}"
        super().__init__(name, f"{name}#{self._blob.generation}", self._blob.size or 0, _checksum(self._blob.crc32c))

    def age(self) -> float:
        """See `ranges.RangedObject`."""
        written = self._blob.time_created
        return (datetime.now(UTC) - written).total_seconds() if written else 0.0

    def _fetch(self, start: int, count: int) -> bytes:
        data: bytes = self._access.retry(self._fetch_once)(start, count)
        return data

    def _fetch_once(self, start: int, count: int) -> bytes:
        try:
            data: bytes = self._blob.download_as_bytes(
                start=start,
                end=start + count - 1,
                raw_download=True,
                checksum=None,  # Google keeps none of a range; the whole is checked at the end
                single_shot_download=True,
                timeout=self._access.timeout,
                retry=None,
            )
        except NotFound:
            raise SourceGone("it has been deleted or overwritten while it was read") from None
        expected = min(count, self.size - start)
        if len(data) != expected:
            raise ConnectionError(f"{expected} bytes were asked for from byte {start} on, and {len(data)} came")
        return data


def _checksum(crc32c: str | None) -> Checksum | None:
    """The checksum that Google keeps of an object."""
    if not crc32c:
        return None
    value = int.from_bytes(base64.b64decode(crc32c), "big")
    return Checksum("crc32c", value, crc32c, google_crc32c.extend)


class GcsStore:
    """Objects in buckets. See `store.Store`."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._how = {"timeout": access.timeout, "retry": access.retry}

    def list(self, address: str) -> Iterator[str]:
        """See `store.Store`."""
        return (entry.address for entry in self.entries(address))

    def entries(self, address: str) -> Iterator[Entry]:
        """See `store.Store`."""
        bucket, prefix = split(address)
        with _sentence(address, "listed"):
            for blob in self._access.client.list_blobs(bucket, prefix=prefix, fields=_LISTED, **self._how):
                found = f"gs://{bucket}/{blob.name}"
                yield Entry(found, f"{found}#{blob.generation}", blob.size or 0, blob.updated.timestamp())

    def open(self, address: str) -> Download:
        """See `store.Store`."""
        with _sentence(address, "read"):
            return Download(self._access, Object(*split(address)))

    def read(self, address: str) -> bytes | None:
        """See `store.Store`."""
        with _sentence(address, "read"):
            try:
                content: bytes = self._blob(address).download_as_bytes(raw_download=True, **self._how)
            except NotFound:
                return None
            return content

    def write(self, address: str, content: bytes) -> None:
        """See `store.Store`."""
        kind = "application/gzip" if address.endswith(".gz") else "application/json"
        with _sentence(address, "written"):
            self._blob(address).upload_from_string(content, content_type=kind, **self._how)

    def read_version(self, address: str) -> tuple[bytes, str] | None:
        """See `store.Store`."""
        with _sentence(address, "read"):
            blob = self._blob(address)
            try:  # of the generation that is there now, so that the content and the version are one object's
                blob.reload(**self._how)
                return blob.download_as_bytes(raw_download=True, if_generation_match=blob.generation, **self._how), str(
                    blob.generation
                )
            except (NotFound, PreconditionFailed):
                return None

    def write_version(self, address: str, content: bytes, before: str | None) -> str | None:
        """See `store.Store`."""
        with _sentence(address, "written"):
            blob = self._blob(address)
            try:
                blob.upload_from_string(
                    content, content_type="application/json", if_generation_match=int(before or 0), **self._how
                )
            except PreconditionFailed:
                return None
            return str(blob.generation)

    def delete(self, address: str) -> None:
        """See `store.Store`."""
        with _sentence(address, "deleted"), suppress(NotFound):
            self._blob(address).delete(**self._how)

    def _blob(self, address: str) -> storage.Blob:
        bucket, name = split(address)
        return self._access.client.bucket(bucket).blob(name)


def open_store(patience: Patience) -> GcsStore:
    """See `store.store`."""
    try:
        return GcsStore(access(patience))
    except DefaultCredentialsError as error:
        raise StorageError(
            "Nobody is logged in at Google Cloud here: run 'gcloud auth application-default login', or set "
            "GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key"
        ) from error


@contextmanager
def _sentence(address: str, done: str) -> Iterator[None]:
    """Whatever goes wrong with the service becomes a sentence."""
    try:
        yield
    except SourceGone:
        raise
    except Exception as error:
        raise StorageError(f"{address} cannot be {done}: {_why(error, split(address)[0])}") from error


def _why(error: Exception, bucket: str) -> str:
    """What went wrong, in words; what the service says of it without the request that it was about."""
    if isinstance(error, NotFound):
        return f"there is no bucket {bucket}"
    if isinstance(error, Forbidden | Unauthorized):
        said = _begins_with_request("", error.message).strip().rstrip(".")
        return f"access is denied ({error.code}){f': {said}' if said and said != 'unknown error' else ''}"
    if isinstance(error, RefreshError):
        return f"Google does not accept the credentials that are set here: {error.args[0] if error.args else error}"
    return f"{type(error).__name__}: {error}"
