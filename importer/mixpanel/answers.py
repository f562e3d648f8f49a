"""What an answer of /import says."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from msgspec import Struct
from urllib3 import BaseHTTPResponse

from importer.mixpanel.batch import Packed
from importer.mixpanel.event import insert_id

_MAX_RETRY_AFTER = 300.0
"""Seconds of a `Retry-After` that are waited for, at most: one far too long would hold the process back for good."""


class FailedRecord(Struct):
    index: int | None = None
    dollar_insert_id: str | None = msgspec.field(name="$insert_id", default=None)
    insert_id: str | None = None
    field: str | None = None
    message: str | None = None


class Answer(Struct):
    num_records_imported: int | None = None
    failed_records: list[FailedRecord] | None = None
    error: Any = None


class UnattributedFailure(Exception):
    """The body was refused, and no record in it named (or fewer taken than sent, which names none either)."""


def decoded(response: BaseHTTPResponse) -> Answer | None:
    try:
        return msgspec.json.decode(response.data, type=Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def failures(part: Packed, failed: list[FailedRecord]) -> dict[int, FailedRecord]:
    """Finds the events that `failed_records` speaks of: by index, else by insert id (spelled either way)."""
    found = {r.index: r for r in failed if r.index is not None and 0 <= r.index < part.count}
    lost = [r for r in failed if r.index is None or not 0 <= r.index < part.count]
    if lost:
        by_id = {insert_id(event): index for index, event in enumerate(part.events())}
        for record in lost:
            index = by_id.get(record.dollar_insert_id or record.insert_id)
            if index is None:
                raise UnattributedFailure(f"400: {record.message or 'a record was refused that is not in the batch'}")
            found[index] = record
    return found


def retry_after(response: BaseHTTPResponse) -> float | None:
    """Seconds that a `Retry-After` header asks for, in either of its forms (RFC 9110, 10.2.3), within bounds."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _MAX_RETRY_AFTER)
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return min(max((then - datetime.now(UTC)).total_seconds(), 0.0), _MAX_RETRY_AFTER) if then.tzinfo else None
