"""The rejects as the functions store them in the sandbox's bucket: whole, to be looked at, downloaded, sent again."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec
import requests
from msgspec import Struct

from importer.core.rejects.reject import Reject
from sandbox.clients import Bucket
from sandbox.mixpanel import child
from sandbox.mixpanel.surroundings import Surroundings

_PATIENCE = 120.0
"""Seconds after which sending again is given up."""


class ResendError(Exception):
    """The rejects could not be sent again; the text is a sentence that says why."""


class Resent(Struct, frozen=True):
    """What became of rejects that were sent again."""

    imported: int
    dropped: int
    rejected: int
    unreadable: int


class StoredRejects:
    """The rejects under an address.

    Args:
        bucket_url: the local bucket server's.
        address: `gs://bucket/prefix`.
    """

    def __init__(self, bucket_url: str, address: str) -> None:
        self._url = bucket_url
        self._address = address
        self._bucket, _, self._prefix = address.removeprefix("gs://").partition("/")

    def lines(self, source: str = "") -> Iterator[bytes]:
        """The rejects whose source contains this text, each a line of JSON, as they were stored."""
        for name in self._names():
            for line in self._content(name).splitlines(keepends=True):
                if not source or source in str(_decoded(line).get("source")):
                    yield line

    def newest(self, most: int) -> list[dict[str, Any]]:
        """The last of them, as the log tells of them."""
        found = [line for name in self._names() for line in self._content(name).splitlines()]
        return [_as_logged(line) for line in found[-most:]]

    def clear(self) -> None:
        """Deletes all of them, as far as the bucket answers."""
        with contextlib.suppress(requests.RequestException):
            for name in self._names():
                requests.delete(self._object(name), timeout=30)

    async def send_again(self, around: Surroundings) -> Resent:
        """Sends all of them again, with the settings that the functions have now: `python -m importer replay` does it.

        Raises:
            ResendError: there are none, or not all were sent.
        """
        words = ("importer", "replay", "--remove", "--json", self._address)
        try:
            ended = await child.run(*words, environment=around.environment, patience=_PATIENCE)
        except child.GivenUp:
            raise ResendError(f"Sending them again was given up after {_PATIENCE:g} seconds.") from None
        try:
            return msgspec.json.decode(ended.said, type=Resent)
        except msgspec.MsgspecError:
            raise ResendError(f"They were not sent again: {ended.last or 'it ended without a word'}") from None

    def _names(self) -> list[str]:
        query: dict[str, str] = {"prefix": self._prefix}
        found: list[str] = []
        while True:
            answer = requests.get(f"{self._url}/storage/v1/b/{self._bucket}/o", params=query, timeout=30)
            if answer.status_code == requests.codes.not_found:
                return []
            answer.raise_for_status()
            page = answer.json()
            found += [item["name"] for item in page.get("items", ())]
            if not page.get("nextPageToken"):
                return sorted(found)
            query["pageToken"] = page["nextPageToken"]

    def _object(self, name: str) -> str:
        return f"{self._url}/storage/v1/b/{self._bucket}/o/{quote(name, safe='')}"

    def _content(self, name: str) -> bytes:
        answer = requests.get(self._object(name), params={"alt": "media"}, timeout=60)
        if answer.status_code == requests.codes.not_found:
            return b""  # it was sent again meanwhile
        answer.raise_for_status()
        content = answer.content
        return bytes(gzip.decompress(content)) if content.startswith(b"\x1f\x8b") else content


def stored_rejects(around: Surroundings, bucket: Bucket | None) -> StoredRejects | None:
    """The rejects that the functions store; None where they store none in the local bucket."""
    return StoredRejects(bucket.url, around.rejects) if around.rejects and bucket else None


def _as_logged(line: bytes) -> dict[str, Any]:
    reject = msgspec.json.decode(line, type=Reject)
    at = datetime.fromisoformat(reject.at).timestamp()
    event = reject.record().decode(errors="replace")
    return {**msgspec.structs.asdict(reject), "event": event, "at": at}


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(line)
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}
