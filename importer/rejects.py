"""Rejects: the records that were refused, each with its place and the reason."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Protocol

from msgspec import Struct

from importer import log

_LOGGED_PER_SOURCE = 100
_LOGGED_CHARACTERS = 2_000


class Reject(Struct, frozen=True, kw_only=True):
    """One refused record.

    Attributes:
        source: where it came from, such as `gs://bucket/name#generation`.
        line: the line it starts on, the first being 1.
        offset: bytes of uncompressed content before it.
        reason: a sentence.
        field: the JSON path at fault, where one is known.
        insert_id: the `$insert_id` it was sent with, where it was sent.
        event: the record as it came, before any transform; text, or base64 where it is not UTF-8.
        at: when it was refused (RFC 3339, UTC).
    """

    source: str
    line: int
    offset: int
    reason: str
    field: str | None
    insert_id: str | None
    event: str
    at: str


def reject(
    source: str,
    line: int,
    offset: int,
    record: bytes,
    reason: str,
    field: str | None = None,
    insert_id: str | None = None,
) -> Reject:
    """Makes the reject of one record, as of now."""
    return Reject(
        source=source,
        line=line,
        offset=offset,
        reason=reason,
        field=field,
        insert_id=insert_id,
        event=_text(record),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


class RejectSink(Protocol):
    """Where the rejects of one source go."""

    def add(self, reject: Reject) -> None:
        """Takes one reject. It may not be safe yet; see `confirm`."""

    def confirm(self) -> None:
        """Returns once every reject added so far is safe. Only then may its record leave our care.

        Raises:
            Exception: they could not be made safe; the work is to be handed back to the trigger.
        """


class RejectLog:
    """The log as the place for rejects: one line for each, capped in length, and in number for each source."""

    def __init__(self, most: int = _LOGGED_PER_SOURCE) -> None:
        self._log = log.get()
        self._most = most
        self._count = 0

    def add(self, reject: Reject) -> None:
        self._count += 1
        if self._count > self._most:
            return
        self._log.warning(
            f"{reject.source}, line {reject.line}: {reject.field + ': ' if reject.field else ''}{reject.reason}",
            kind="reject",
            source=reject.source,
            line=reject.line,
            offset=reject.offset,
            reason=reject.reason[:_LOGGED_CHARACTERS],
            field=reject.field,
            insert_id=reject.insert_id,
            _event=reject.event[:_LOGGED_CHARACTERS],
        )
        if self._count == self._most:
            self._log.warning(
                f"{reject.source}: {self._most} rejects are logged; the count goes on, the lines do not.",
                kind="rejects capped",
                source=reject.source,
            )

    def confirm(self) -> None:
        """What was logged is safe already."""


def _text(record: bytes) -> str:
    try:
        return record.decode()
    except UnicodeDecodeError:
        return base64.b64encode(record).decode()
