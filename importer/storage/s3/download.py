"""One writing of one object of S3, read in order, and checked as far as S3 keeps a checksum that can be told piece by
piece."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore import exceptions as of_boto
from isal import isal_zlib
from msgspec import Struct

from importer.errors import SourceGone, StorageError
from importer.storage.ranges import Checksum, RangedObject
from importer.storage.s3.access import Access, status


class Object(Struct, frozen=True):
    """An object, as a notification names it or an address does.

    Attributes:
        etag: of the writing that is meant; None is whichever is there.
        version: of a bucket that keeps versions.
    """

    bucket: str
    key: str
    etag: str | None = None
    version: str | None = None

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class Download(RangedObject):
    """One writing of an object, known by its ETag: its `source` is `s3://bucket/key#etag`. Two writings of the same
    bytes may have the same, and are the same events.

    Raises:
        SourceGone: it has been overwritten or deleted.
    """

    def __init__(self, access: Access, wanted: Object) -> None:
        self._access = access
        what = {"Bucket": wanted.bucket, "Key": wanted.key}
        if wanted.version:
            what["VersionId"] = wanted.version
        try:
            head = access.call("head_object", ChecksumMode="ENABLED", **what)
        except of_boto.ClientError as error:
            if status(error) in {404, 405}:  # 405: the version is a mark that it was deleted
                raise SourceGone("it has been deleted or overwritten since it was announced") from None
            raise
        etag = bare(head["ETag"])
        if wanted.etag and bare(wanted.etag) != etag:
            raise SourceGone("it has been overwritten since it was announced")
        self._what = {**what, "IfMatch": head["ETag"]}
        self._written: datetime = head["LastModified"]
        super().__init__(wanted.address, f"{wanted.address}#{etag}", head["ContentLength"], _checksum(head))

    def age(self) -> float:
        """See `ranges.RangedObject`."""
        return (datetime.now(UTC) - self._written).total_seconds()

    def _fetch(self, start: int, count: int) -> bytes:
        end = min(start + count, self.size)
        try:
            data, answer = self._access.content(**self._what, Range=f"bytes={start}-{end - 1}")
        except of_boto.ClientError as error:
            if status(error) in {404, 405, 412}:
                raise SourceGone("it has been deleted or overwritten while it was read") from None
            raise
        if answer["ETag"] != self._what["IfMatch"]:
            raise SourceGone("it has been overwritten while it was read")
        if len(data) != end - start:  # a service that has no ranges
            raise StorageError(f"{end - start} bytes were asked for from byte {start} on, and {len(data)} came")
        return data


def _checksum(head: dict[str, Any]) -> Checksum | None:
    """The checksum that S3 keeps of the object, if it is one of all its bytes, in their order. That of an upload in
    parts may be one of the parts' checksums:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
    """
    if head.get("ChecksumType", "" if "-" in head["ETag"] else "FULL_OBJECT") != "FULL_OBJECT":
        return None  # an ETag with a dash is of an upload in parts
    for kind in ("CRC64NVME", "CRC32C", "CRC32"):
        shown = head.get(f"Checksum{kind}")
        if shown and "-" not in shown and (extend := _extending(kind)):
            return Checksum(kind.lower(), int.from_bytes(base64.b64decode(shown), "big"), shown, extend)
    return None


def _extending(kind: str) -> Callable[[int, bytes], int] | None:
    """What goes on with a checksum; None where what computes it is not installed."""
    if kind == "CRC32":
        return lambda before, more: int(isal_zlib.crc32(more, before))
    try:
        from awscrt import checksums  # noqa: PLC0415 (hardly any object needs it)
    except ImportError:
        return None
    of_bytes = checksums.crc64nvme if kind == "CRC64NVME" else checksums.crc32c
    return lambda before, more: int(of_bytes(more, before))


def bare(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip('"')
