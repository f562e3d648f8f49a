"""What an answer of /import says: read generously, for a field that cannot be read must not cost the whole answer.

Source of the facts: https://docs.mixpanel.com/reference/import-events and https://docs.mixpanel.com/troubleshooting/errors
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from msgspec import Struct
from urllib3 import BaseHTTPResponse

from importer.errors import FatalDeliveryError
from importer.mixpanel.batch import Packed
from importer.mixpanel.event.completer import insert_id

_MAX_RETRY_AFTER = 300.0
"""Seconds of a `Retry-After` that are waited for, at most: one far too long would hold the process back for good."""

_MAX_SHORT_COUNTS = 3
_MAX_SHORT_COUNTS_ALONE = 10
"""For one event alone it is hardly the event's fault: rejecting it comes late."""

_REDIRECT = (
    "a redirect, which is not followed, for it would take the credentials elsewhere: "
    "check that MIXPANEL_API_URL is unset, or the address that answers itself"
)
_ADVICE = {
    402: "payment required: check the plan, the usage and the billing of the organization in Mixpanel",
    404: "not found, so imports are not taken there: check MIXPANEL_API_URL, which is best unset, and MIXPANEL_REGION",
    409: "a conflict, which its reference does not explain: check in Mixpanel whether the project is being deleted, "
    "reset or moved, and ask Mixpanel's support if it lasts",
}
"""What to look at, by status."""

_IDENTITY_CALLS = frozenset({"$identify", "$create_alias", "$merge"})
"""Events that a project with the simplified identity merge does not take, nor any event in a request with them. It
names none of them: `failed_records` is one text, "identity events are not allowed when project is using …"."""

_QUOTED = re.compile(r"'([^']+)' ")
"""The field that a message begins with: "'properties.time' is invalid: …"."""


class FailedRecord(Struct, frozen=True):
    """What `failed_records` says of one event; each part is None where it is missing or cannot be read."""

    index: int | None = None
    insert_id: str | None = None
    field: str | None = None
    message: str | None = None


class Answer(Struct, frozen=True):
    """What a 200 or a 400 says: how many events were imported (None: it does not say), and which were not."""

    imported: int | None
    failed: list[FailedRecord]
    error: str | None


class TransientError(Exception):
    """A request that may go better: why, and after how long at the least.

    Attributes:
        status: of the answer, None where there was none.
        is_brief: whether the first try again comes soon, after a tenth of `IMPORT_BACKOFF`.
        retry_after: seconds that the answer asks for, if it does.
    """

    def __init__(
        self, reason: str, status: int | None, *, is_brief: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.is_brief = is_brief
        self.retry_after = retry_after


class TooLarge(Exception):
    """The request was larger than Mixpanel takes (413)."""


class UnattributedFailure(Exception):
    """The request was rejected, and no event in it named (or fewer taken than sent, which names none either)."""


def settled(response: BaseHTTPResponse, count: int, tries: int) -> Answer:
    """Reads the answer to a request with `count` events that was made `tries` times.

    Returns:
        What was imported, and what was not: see `failures`.

    Raises:
        TransientError: try again.
        TooLarge: try again with fewer events.
        UnattributedFailure: the same, to find the event that it is about.
        FatalDeliveryError: no retry heals it. 401 and 403 are for the caller, who knows what was signed with.
    """
    status = response.status
    if status in {200, 400}:
        answer = decoded(response.data)
        if answer is None or (status == 200 and answer.imported is None):
            raise TransientError(f"Mixpanel's answer ({status}) could not be read", status)
        if status == 400 and not answer.failed:
            raise UnattributedFailure(f"400: {answer.error or 'the body was not understood'}")
        if not answer.failed:
            _check_count(answer.imported, count, tries)
        return answer
    if status == 413:
        raise TooLarge
    if status in {408, 425, 429} or status >= 500:
        raise TransientError(
            f"Mixpanel answered {status}", status, is_brief=status == 429, retry_after=retry_after(response)
        )
    raise FatalDeliveryError(f"Mixpanel answered {status}, {_advice(status)}. The data stays where it is.")


def _check_count(imported: int | None, count: int, tries: int) -> None:
    """Holds the count against what was sent: an event that was not counted was not taken."""
    if imported is None or imported >= count:
        return
    reason = f"Mixpanel says it imported {imported} of {count} events"
    if tries < (_MAX_SHORT_COUNTS if count > 1 else _MAX_SHORT_COUNTS_ALONE):
        raise TransientError(reason, 200)
    raise UnattributedFailure(reason)


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return _REDIRECT
    return _ADVICE.get(status, "which no retry heals: check MIXPANEL_API_URL and MIXPANEL_REGION")


def decoded(body: bytes) -> Answer | None:
    """The body of a 200 or a 400; None where it is no JSON object."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        try:  # a text in it may be cut within a character, or quote what is no JSON
            content = json.loads(body.decode("utf-8-sig", "replace"), strict=False)
        except (ValueError, RecursionError):
            return None
    if not isinstance(content, dict):
        return None
    failed = content.get("failed_records")
    records = failed if isinstance(failed, list) else [failed] if isinstance(failed, dict | str) else []
    return Answer(
        _whole(content.get("num_records_imported")), [_record(one) for one in records], _text(content.get("error"))
    )


def _record(content: Any) -> FailedRecord:
    if not isinstance(content, dict):
        message = _text(content)
        quoted = _QUOTED.match(message) if message else None
        return FailedRecord(field=quoted[1] if quoted else None, message=message)
    identifier = _text(content.get("$insert_id")) or _text(content.get("insert_id"))
    return FailedRecord(
        _whole(content.get("index")), identifier, _text(content.get("field")), _text(content.get("message"))
    )


def _whole(value: Any) -> int | None:
    """3, 3.0 and "3" are 3: the published schema says `number`."""
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if isinstance(number, float):
        return int(number) if number.is_integer() else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def failures(part: Packed, failed: list[FailedRecord]) -> dict[int, FailedRecord]:
    """Finds the events that `failed_records` speaks of: by index, by insert id, or all of the kind that it speaks of.

    Raises:
        UnattributedFailure: it speaks of one that cannot be found.
    """
    if part.count == 1:
        return {0: failed[-1]}
    found: dict[int, FailedRecord] = {}
    lost = []
    for record in failed:
        if record.index is not None and 0 <= record.index < part.count:
            found[record.index] = record
        else:
            lost.append(record)
    if lost:
        by_id = {insert_id(event): index for index, event in enumerate(part.events())}
        for record in lost:
            if record.insert_id is not None and record.insert_id in by_id:
                found[by_id[record.insert_id]] = record
                continue
            indices = identity_calls(part) if "identity events are not allowed" in (record.message or "") else []
            if not indices:
                raise UnattributedFailure(record.message or "400: it names an event that was not sent")
            found.update(dict.fromkeys(indices, record))
    return found


def identity_calls(part: Packed) -> list[int]:
    """The events that are identity calls (`$identify`, `$create_alias`, `$merge`), by index."""
    return [index for index, event in enumerate(part.events()) if _name(event) in _IDENTITY_CALLS]


class _Named(Struct):
    event: str | None = None


_decode_name = msgspec.json.Decoder(_Named).decode


def _name(event: bytes) -> str | None:
    try:
        return _decode_name(event).event
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


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
