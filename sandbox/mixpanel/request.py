"""One request to /import as it comes off the wire: who signed it, and which events it carries."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from urllib.parse import parse_qs

from isal import isal_zlib
from msgspec import Struct
from starlette.datastructures import Headers

from importer.mixpanel import judge

MEMBER_OF_GZIP = 31
"""zlib's word for: expect a gzip header, the largest window."""


class Signature(Struct, frozen=True):
    """What a request is signed with (Basic auth). Its repr shows no secret."""

    username: str
    password: str

    @property
    def kind(self) -> str:
        """The kind of credentials, in words. A project token and an API secret look alike."""
        return "service account" if self.password else "token or API secret"

    def matches(self, credentials: str) -> bool:
        """Whether these are `credentials`: `username:secret`, or a lone token or API secret."""
        username, _, password = credentials.partition(":")
        return (self.username, self.password) == (username, password)

    def __repr__(self) -> str:
        return f"Signature({self.kind})"


class TooLargeError(Exception):
    """The uncompressed body is larger than allowed."""


class UnreadableError(Exception):
    """The body is not what its headers say."""


class Legacy(Struct, frozen=True):
    """A request in the form that /import took first and the official SDKs still send: `data=<JSON>&verbose=1`.

    Attributes:
        events: the JSON, one event or an array.
        verbose: whether the answer is to be JSON.
        api_key: the project's old key, empty where none is given.
    """

    events: bytes
    verbose: bool
    api_key: str


def signature(headers: Headers) -> Signature | None:
    """Who signed the request; None if nobody did, or not so that it can be read."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    username, colon, password = decoded.partition(":")
    return Signature(username, password) if colon and username else None


def unpack(headers: Mapping[str, str], wire: bytes, limit: int) -> bytes:
    """The body without its compression.

    Raises:
        TooLargeError: it is larger than `limit` bytes.
        UnreadableError: it is not compressed as its Content-Encoding says.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        body = _gunzip(wire, limit)
    elif encoding in {"identity", ""}:
        body = wire
    else:
        raise UnreadableError(f"unsupported Content-Encoding: {encoding}")
    if len(body) > limit:
        raise TooLargeError
    return body


def _gunzip(wire: bytes, limit: int) -> bytes:
    """Decompresses all gzip members, and stops as soon as there is more than `limit` bytes."""
    members = []
    room = limit + 1
    while wire and room > 0:
        member = isal_zlib.decompressobj(MEMBER_OF_GZIP)
        try:
            members.append(member.decompress(wire, room))
        except isal_zlib.IsalError as error:  # type: ignore[misc]
            raise UnreadableError(f"invalid gzip body: {error}") from None
        room -= len(members[-1])
        if not member.eof and room > 0:
            raise UnreadableError("invalid gzip body: it is cut short")
        wire = member.unused_data
    return members[0] if len(members) == 1 else b"".join(members)


def is_legacy(headers: Mapping[str, str]) -> bool:
    """Whether the request is in the old form."""
    return _content_type(headers) == "application/x-www-form-urlencoded"


def read_legacy(body: bytes) -> Legacy:
    """Reads a request in the old form.

    Raises:
        UnreadableError: it is none.
    """
    try:
        form = parse_qs(body.decode("ascii"), strict_parsing=True, keep_blank_values=True)
        data = form["data"][0]
    except (ValueError, KeyError):
        raise UnreadableError("no data") from None
    events = data.encode()
    if not events.lstrip().startswith((b"{", b"[")):
        try:
            events = base64.b64decode(events.replace(b" ", b"+"), validate=True)  # the SDK for Node escapes no plus
        except binascii.Error:
            raise UnreadableError("data is neither JSON nor base64") from None
    return Legacy(events, form.get("verbose", ["0"])[0] == "1", form.get("api_key", [""])[0])


def split(headers: Mapping[str, str], body: bytes) -> list[bytes]:
    """The events in a body, each as JSON, by its Content-Type.

    Raises:
        UnreadableError: the Content-Type is neither of the two that /import takes.
        importer.mixpanel.rules.NotJsonError: the body is not what it says.
    """
    content_type = _content_type(headers)
    if content_type == "application/x-ndjson":
        return judge.split_lines(body)
    if content_type in {"application/json", ""}:
        return judge.split_array(body)
    raise UnreadableError(f"unsupported Content-Type: {content_type}")


def split_legacy(events: bytes) -> list[bytes]:
    """The events in an old form's data: one, or an array of them."""
    return judge.split_array(events if events.lstrip().startswith(b"[") else b"[" + events + b"]")


def count(headers: Mapping[str, str], body: bytes) -> int:
    """How many events a newline-delimited body has, without looking at them; for an array, a good guess."""
    if _content_type(headers) == "application/x-ndjson":
        return body.count(b"\n") + (not body.endswith(b"\n") and bool(body))
    return math.ceil(body.count(b'"event"'))


def _content_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
