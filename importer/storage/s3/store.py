"""Objects in buckets of S3."""

from __future__ import annotations

from collections.abc import Iterator

from botocore import exceptions as of_boto

from importer.storage.s3.access import Access, code, sentence, status
from importer.storage.s3.download import Download, Object, bare
from importer.storage.store import Entry, Patience, split


class S3Store:
    """Objects in buckets. See `store.Store`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def list(self, address: str) -> Iterator[str]:
        """See `store.Store`."""
        return (entry.address for entry in self.entries(address))

    def entries(self, address: str) -> Iterator[Entry]:
        """See `store.Store`."""
        bucket, prefix = split(address)
        what = {"Bucket": bucket, "Prefix": prefix}
        with sentence(f"{address} cannot be listed"):
            while True:
                page = self._access.call("list_objects_v2", **what)
                for one in page.get("Contents", ()):
                    found = f"s3://{bucket}/{one['Key']}"
                    source = f"{found}#{bare(one['ETag'])}"
                    yield Entry(found, source, one["Size"], one["LastModified"].timestamp())
                if not page.get("IsTruncated"):
                    return
                what["ContinuationToken"] = page["NextContinuationToken"]

    def open(self, address: str) -> Download:
        """See `store.Store`."""
        with sentence(f"{address} cannot be read"):
            return Download(self._access, Object(*split(address)))

    def read(self, address: str) -> bytes | None:
        """See `store.Store`."""
        found = self.read_version(address)
        return found[0] if found else None

    def write(self, address: str, content: bytes) -> None:
        """See `store.Store`."""
        kind = "application/gzip" if address.endswith(".gz") else "application/json"
        with sentence(f"{address} cannot be written"):
            self._access.call("put_object", **_at(address), Body=content, ContentType=kind)

    def read_version(self, address: str) -> tuple[bytes, str] | None:
        """See `store.Store`. The version is the ETag."""
        with sentence(f"{address} cannot be read"):
            try:
                content, answer = self._access.content(**_at(address), ChecksumMode="ENABLED")
            except of_boto.ClientError as error:
                if code(error) == "NoSuchKey":
                    return None
                raise
            return content, str(answer["ETag"])

    def write_version(self, address: str, content: bytes, before: str | None) -> str | None:
        """See `store.Store`."""
        condition = {"IfMatch": before} if before else {"IfNoneMatch": "*"}
        with sentence(f"{address} cannot be written"):
            try:
                answer = self._access.call(
                    "put_object", **_at(address), **condition, Body=content, ContentType="application/json"
                )
            except of_boto.ClientError as error:
                if status(error) == 412 or code(error) == "NoSuchKey":
                    return None
                raise
            return str(answer["ETag"])

    def delete(self, address: str) -> None:
        """See `store.Store`."""
        with sentence(f"{address} cannot be deleted"):
            self._access.call("delete_object", **_at(address))


def open_store(patience: Patience) -> S3Store:
    """See `store.store`."""
    with sentence("s3:// cannot be had"):
        return S3Store(Access(patience))


def _at(address: str) -> dict[str, str]:
    bucket, key = split(address)
    return {"Bucket": bucket, "Key": key}
