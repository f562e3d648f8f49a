"""What `time`, `distinct_id` and `$insert_id` are meant to be where they are not written as Mixpanel takes them.

Warehouses write integers as texts (BigQuery all of 64 bits), times in ISO 8601, and ids as numbers. What can mean one
thing only is taken, exactly; what could mean two is not. The rules they end at:
https://developer.mixpanel.com/reference/import-events
"""

from __future__ import annotations

import hashlib
import re

from importer.errors import InvalidRecord
from importer.limits import DISALLOWED_IDS
from importer.times import MIN_TIME, from_iso

_MIN_SECONDS = MIN_TIME // 1000
_MAX_SECONDS = 4_102_444_800
"""The year 2100: with it, `20240102030405` is no number of milliseconds."""

_UNITS = ((1, 1), (1000, 1), (1_000_000, 1000), (1_000_000_000, 1_000_000))
"""Of seconds, milliseconds, microseconds and nanoseconds: how many a second has, and how many of them become one."""

_DEVICE = "$device:"
_BLANK = b" \t\r\n"
_MAX_EXACT = 2**53
"""Below this, a double is the very integer that was written."""
_MAX_INSERT_ID = 36

_is_number = re.compile(r"[1-9][0-9]{7,18}(\.[0-9]{1,9})?").fullmatch
_sha256 = hashlib.sha256


def time_of(text: str) -> bytes | None:
    """The JSON number that a text means as an event's time; None where it means none.

    A number is taken for seconds since the epoch, milliseconds, microseconds or nanoseconds, by its size: in no two of
    them do the years from 1971 to 2099 overlap. Seconds and milliseconds, which Mixpanel tells apart in the same way,
    stay as they are written; what is finer is cut to milliseconds, and so is ISO 8601. That is in UTC where it names no
    zone; a date alone is its midnight.
    """
    text = text.strip()
    if _is_number(text):
        whole = int(text.partition(".")[0])
        for per_second, divisor in _UNITS:
            if _MIN_SECONDS * per_second <= whole < _MAX_SECONDS * per_second:
                return b"%d" % (whole // divisor) if divisor > 1 else text.encode()
        return None
    milliseconds = from_iso(text)
    return None if milliseconds is None else b"%d" % milliseconds


def insert_id_of(number: float) -> str | None:
    """The `$insert_id` that a number means: its digits; None where they would not be exact, or are not allowed."""
    digits = _digits(number)
    return digits if digits and len(digits) <= _MAX_INSERT_ID and digits not in DISALLOWED_IDS else None


def distinct_id_of(user_id: object, device_id: object) -> str | None:
    """The `distinct_id` that Mixpanel would derive from an event's `$user_id` and `$device_id`; None where it has none.

    https://docs.mixpanel.com/docs/tracking-methods/id-management/migrating-to-simplified-id-merge-system

    Raises:
        InvalidRecord: what decides is there, and is no id. To pass over it would be to guess whose the event is.
    """
    if user := _id("$user_id", user_id):
        return user
    device = _id("$device_id", device_id)
    if device.startswith(_DEVICE):
        device = _id("$device_id", device[len(_DEVICE) :])
    return _DEVICE + device if device else None


def fingerprint(origin: bytes, nth: int = 0) -> bytes:
    """An `$insert_id` for what has none: 32 characters of 0-9a-f, the same for the same content.

    Args:
        origin: the record as it came; white space around it does not count.
        nth: the event's number among those made of that record.
    """
    digest = _sha256(origin.strip(_BLANK), usedforsecurity=False)  # the one that processors have built in
    if nth:
        digest.update(b"#%d" % nth)
    return digest.hexdigest()[:32].encode()


def _id(name: str, value: object) -> str:
    """The id that a property holds; empty where it holds nothing."""
    if value is None or (isinstance(value, str) and (not value or value.isspace())):
        return ""
    found = value if isinstance(value, str) else _digits(value)
    if not found:
        raise InvalidRecord(f"has no distinct_id, and a {name} that is no text", f"properties.{name}")
    if found in DISALLOWED_IDS:
        raise InvalidRecord(f"has no distinct_id, and a {name} that Mixpanel does not allow", f"properties.{name}")
    return found


def _digits(value: object) -> str | None:
    """A whole number in digits: 12 and 12.0 are "12"."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not (abs(value) < _MAX_EXACT and value.is_integer()):
        return None
    return str(int(value))
