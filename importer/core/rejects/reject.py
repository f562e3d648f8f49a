"""Rejects: the records that are rejected, each with its place and the reason."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from importer import log
from importer.errors import InvalidRecord
from importer.mixpanel.event.completer import insert_id
from importer.mixpanel.outcome import RejectedEvent

_LOGGED_PER_SOURCE = 100
_LOGGED_CHARACTERS = 2_000

_REJECT_BYTES = 500
"""What a reject takes of memory beyond its event, about: the object, its numbers, and its other texts."""

_LONG_BYTES = 100_000
"""A record of which no more than one reject is held, however many of its events are rejected."""

_Encoding = Literal["base64"] | None
_TEXT: _Encoding = None
_BASE64: _Encoding = "base64"


class Reject(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One rejected record.

    Attributes:
        source: where it came from, such as `gs://bucket/name#generation`.
        line: the line it starts on, the first being 1.
        offset: bytes of uncompressed content before it.
        reason: a sentence.
        field: the JSON path at fault, where one is known.
        insert_id: the `$insert_id` it was sent with, where it was sent.
        event: the record as it came, before any transform; text, or base64 where it is not UTF-8.
        at: when it was rejected (RFC 3339, UTC).
        encoding: "base64" where `event` is; left out where it is text.
        whole: whether `event` is the whole of a source (a message) that could not be cut into records; left out where
            it is one record.
        records: how many rejected records it counts for; left out where it is one. More where a message had very many:
            `event` then has a line for each of them, and place and reason are the first one's. More, too, where several
            events of a long record were rejected: the reason is the first one's.
    """

    source: str
    line: int
    offset: int
    reason: str
    field: str | None
    insert_id: str | None
    event: str
    at: str
    encoding: _Encoding = None
    whole: bool = False
    records: int = 1

    def record(self) -> bytes:
        """The record as it came."""
        return base64.b64decode(self.event) if self.encoding else self.event.encode()


def held_bytes(reject: Reject) -> int:
    """Bytes of memory that a reject takes, about."""
    return sys.getsizeof(reject.event) + len(reject.reason) + _REJECT_BYTES


def is_counted_again(rejects: list[Reject], line: int, offset: int, record: bytes) -> bool:
    """Counts another rejected event of a record in the last of the rejects, where that is the same record's and this is
    long: a record of 8 MB may have ten thousand events."""
    last = rejects[-1] if rejects and len(record) >= _LONG_BYTES else None
    if last is None or last.whole or (last.line, last.offset) != (line, offset):
        return False
    rejects[-1] = msgspec.structs.replace(last, records=last.records + 1)
    return True


def rejected_record(source: str, line: int, offset: int, record: bytes, invalid: InvalidRecord) -> Reject:
    """The reject, as of now, of a record that is rejected here."""
    known = insert_id(record) if invalid.field else None  # without a field it is hardly an object
    return _reject(source, line, offset, record, invalid.reason, invalid.field, known)


def rejected_event(
    source: str, line: int, offset: int, record: bytes | None, event: bytes, rejection: RejectedEvent
) -> Reject:
    """The reject, as of now, of a record whose `event` Mixpanel rejected; `record` is None where they are the same."""
    came = event if record is None else record
    return _reject(source, line, offset, came, rejection.message, rejection.field, insert_id(event))


def rejected_rest(source: str, line: int, offset: int, rest: bytes, reason: str) -> Reject:
    """The reject, as of now, of all that follows the record at `line` (0 for none), since it cannot be read.

    `rest` is the whole source where that is held (a message); of an object it is empty.
    """
    invalid = InvalidRecord(f"from here on: {reason}" if line else reason)
    reject = rejected_record(source, line + 1, offset, rest, invalid)
    return msgspec.structs.replace(reject, whole=bool(rest))


class RejectSink(Protocol):
    """Where rejects go. It holds nothing: what it did not confirm is still the caller's."""

    def store(self, rejects: Sequence[Reject]) -> None:
        """Returns once all of them are safe. Only then may their records leave our care.

        Raises:
            RejectSinkError: not all of them are. Keeping them again is harmless, `replay` sends each once.
        """


class RejectLog:
    """Rejects in the log, beside the place that keeps them, or for a first look: a line for each, its event cut.

    Args:
        most: lines for one source; what comes beyond is not written, and one line says so.
    """

    def __init__(self, most: int = _LOGGED_PER_SOURCE) -> None:
        self._log = log.get()
        self._most = most
        self._count = 0

    def add_all(self, rejects: Sequence[Reject]) -> None:
        """Writes those of them for which there are lines left."""
        for one in rejects[: self._most - self._count]:
            self.add(one)

    def add(self, reject: Reject) -> None:
        """Writes a reject if there is a line left for it."""
        if self._count == self._most:
            return
        self._count += 1
        reason, field = reject.reason[:_LOGGED_CHARACTERS], (reject.field or "")[:_LOGGED_CHARACTERS]
        self._log.warning(
            f"{reject.source}, line {reject.line}: {field + ': ' if field else ''}{reason}",
            kind="reject",
            source=reject.source,
            line=reject.line,
            offset=reject.offset,
            reason=reason,
            field=field or None,
            insert_id=reject.insert_id and reject.insert_id[:_LOGGED_CHARACTERS],
            _event=reject.event[:_LOGGED_CHARACTERS],
        )
        if self._count == self._most:
            self._log.warning(
                f"{reject.source}: {self._most} rejects are logged; the count goes on, the lines do not.",
                kind="rejects capped",
                source=reject.source,
            )


def _reject(
    source: str, line: int, offset: int, record: bytes, reason: str, field: str | None, identifier: str | None
) -> Reject:
    try:
        event, encoding = record.decode(), _TEXT
    except UnicodeDecodeError:
        event, encoding = base64.b64encode(record).decode(), _BASE64
    return Reject(
        source=source,
        line=line,
        offset=offset,
        reason=reason,
        field=field,
        insert_id=identifier,
        event=event,
        at=_now(),
        encoding=encoding,
    )


def _now() -> str:
    return _text_of(int(time.time() * 1_000))


@lru_cache(maxsize=8)
def _text_of(milliseconds: int) -> str:
    """The time as text, to the millisecond: many rejects share one."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds")
