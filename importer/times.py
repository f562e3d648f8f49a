"""Times as others write them, made exact milliseconds since the epoch; what is finer than that is cut off.

Each function gives None for what is no time, or one before 1971, which Mixpanel does not take.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

MIN_TIME = 31_536_000_000
"""1971-01-01, in milliseconds: https://developer.mixpanel.com/reference/import-events#propertiestime"""
MAX_TIME = 253_402_300_799_999
"""The end of the year 9999. What is too far ahead of the clock is for Mixpanel to say."""

MILLISECONDS = {"s": Decimal(1000), "ms": Decimal(1), "us": Decimal("1e-3"), "ns": Decimal("1e-6")}
"""The units of numbers, and how many milliseconds each is."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)
_DIVISORS = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_parse = datetime.fromisoformat
_leap_second = re.compile(r"(:\d\d):60").sub
_spaced_zone = re.compile(r" ([+-]\d\d:?\d\d)$").sub
_is_number = re.compile(r"\s*-?\d{1,30}(\.\d*)?([eE]\+?\d{1,2})?\s*").fullmatch


def from_iso(value: object, zone: tzinfo = UTC) -> int | None:
    """Milliseconds of an ISO 8601 text, such as `2020-01-24T11:59:02.402+05:30` or `2025-06-30 03:37:52.846000`.

    Args:
        value: the text. ` UTC` at its end counts as `Z`.
        zone: what holds where the text names none.
    """
    if value.__class__ is not str:
        return None
    try:
        time = _parse(value)
        if time.tzinfo is not None:
            since = time - _EPOCH
        elif value[4] != "-" or value[5] == "W":  # `20200101` may as well be a number
            return None
        else:
            since = time - _NAIVE_EPOCH if zone is UTC else time.replace(tzinfo=zone) - _EPOCH
    except (ValueError, OverflowError):
        return _from_odd_iso(value, zone)
    found = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    return found if found >= MIN_TIME else None


def from_epoch(value: Any, unit: str) -> int | None:
    """Milliseconds of a number (or a number in a text) of seconds (`s`), `ms`, microseconds (`us`) or `ns`."""
    kind = value.__class__
    if kind is str and value.isdecimal() and value.isascii() and len(value) < 20:
        number: int = int(value)
    elif kind is int:
        number = value
    elif kind is float or kind is str:
        return _from_fraction(value, unit)
    else:
        return None
    found = number * 1000 if unit == "s" else number // _DIVISORS[unit]
    return found if MIN_TIME <= found <= MAX_TIME else None


def from_format(value: object, pattern: str, zone: tzinfo) -> int | None:
    """Milliseconds of a text in a format of `datetime.strptime`; `zone` holds where the text names none."""
    if value.__class__ is not str:
        return None
    try:
        time = datetime.strptime(value, pattern)  # noqa: DTZ007 (its zone comes next)
        since = (time if time.tzinfo else time.replace(tzinfo=zone)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    found = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    return found if found >= MIN_TIME else None


def _from_odd_iso(text: str, zone: tzinfo) -> int | None:
    """What others write as ISO 8601 and Python does not read: ` UTC`, ` -0800`, a small z or t, a leap second."""
    odd = _leap_second(r"\1:59", _spaced_zone(r"\1", text.strip().upper().replace(" UTC", "Z")))
    if odd == text or len(odd) > 40:
        return None
    return from_iso(odd, zone)


def _from_fraction(value: object, unit: str) -> int | None:
    """A float's shortest decimal is what was written: through it, 1588089600.123 s is exactly …123 ms."""
    text = str(value)
    if not _is_number(text):
        return None
    try:
        found = int(Decimal(text.strip()) * MILLISECONDS[unit])
    except (InvalidOperation, OverflowError):
        return None
    return found if MIN_TIME <= found <= MAX_TIME else None
