"""Mixpanel's published rules for an event: what is wrong with it, if anything.

The rules are those of https://developer.mixpanel.com/reference/import-events; a problem is told as its examples do.
"""

from __future__ import annotations

from msgspec import Struct

from importer.limits import DISALLOWED_IDS, MAX_DEPTH, MAX_PROPERTIES

MAX_INSERT_ID_BYTES = 36
MIN_SECONDS = 31_536_000
"""1971-01-01, in seconds since the epoch."""
MAX_AHEAD = 3600
"""Seconds an event's time may be ahead of the server's clock."""

_INSERT_ID_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
_HUGE = 2**1024


class NotJsonError(Exception):
    """The body is not wholly valid JSON in UTF-8, so that no event of it can be told from the others."""


class Problem(Struct, frozen=True):
    """One rule broken: the field that breaks it, and how, in the API's words."""

    field: str
    message: str


def check(event: object, now: float) -> list[Problem]:
    """Every rule that a decoded event breaks; `now` is the server's clock, in seconds since the epoch.

    Raises:
        NotJsonError: it holds a number that no double can hold.
    """
    if not isinstance(event, dict):
        return [Problem("", "event is invalid: must be a JSON object")]
    problems = []
    name = event.get("event")
    if not isinstance(name, str) or not name.strip():
        problems.append(Problem("event", "'event' must not be missing or blank"))
    properties = event.get("properties")
    if not isinstance(properties, dict):
        return [*problems, Problem("properties", "'properties' must not be missing and must be a JSON object")]
    problems += _check_time(properties.get("time"), now)
    problems += _check_distinct_id(properties.get("distinct_id"))
    problems += _check_insert_id(properties.get("$insert_id"))
    if len(properties) >= MAX_PROPERTIES:
        problems.append(Problem("properties", f"'properties' is invalid: must have fewer than {MAX_PROPERTIES} keys"))
    for key, value in properties.items():
        problems += _check_value(f"properties.{key}", value, 0)
    return problems


def _check_time(time: object, now: float) -> list[Problem]:
    if isinstance(time, bool) or not isinstance(time, int | float):
        message = "must be specified as seconds since epoch"
    elif not time_is_allowed(time, now):
        message = "must be 1971-01-01 or later and at most one hour in the future"
    else:
        return []
    return [Problem("properties.time", f"'properties.time' is invalid: {message}")]


def time_is_allowed(time: float, now: float) -> bool:
    """Takes a time for seconds if it can be, and for milliseconds otherwise."""
    latest = now + MAX_AHEAD
    return MIN_SECONDS <= time <= latest or MIN_SECONDS * 1000 <= time <= latest * 1000


def _check_distinct_id(value: object) -> list[Problem]:
    if not isinstance(value, str):
        message = "must be a string, empty if the event has no user"
    elif value in DISALLOWED_IDS:
        message = f"{value!r} is not allowed"
    else:
        return []
    return [Problem("properties.distinct_id", f"'properties.distinct_id' is invalid: {message}")]


def _check_insert_id(value: object) -> list[Problem]:
    if not isinstance(value, str) or not value:
        message = "must not be missing or blank"
    elif len(value.encode(errors="replace")) > MAX_INSERT_ID_BYTES:
        message = f"must be at most {MAX_INSERT_ID_BYTES} bytes"
    elif has_odd_bytes(value):
        message = "must contain only alphanumeric characters or '-'"
    elif value in DISALLOWED_IDS:
        message = f"{value!r} is not allowed"
    else:
        return []
    return [Problem("properties.$insert_id", f"'properties.$insert_id' is invalid: {message}")]


def _check_value(field: str, value: object, depth: int) -> list[Problem]:
    """Checks the size and depth of one property's value; `depth` counts the objects around it."""
    if isinstance(value, int) and abs(value) >= _HUGE:
        raise NotJsonError(f"{field}: number out of range")
    if isinstance(value, dict):
        depth += 1
        if depth > MAX_DEPTH:
            return [Problem(field, f"{field} is invalid: objects must nest at most {MAX_DEPTH} deep")]
        if len(value) >= MAX_PROPERTIES:
            return [Problem(field, f"{field} is invalid: object must have fewer than {MAX_PROPERTIES} keys")]
        inner = [(f"{field}.{key}", item) for key, item in value.items()]
    elif isinstance(value, list):
        if len(value) >= MAX_PROPERTIES:
            return [Problem(field, f"{field} is invalid: array must have fewer than {MAX_PROPERTIES} elements")]
        inner = [(field, item) for item in value]
    else:
        return []
    return [problem for name, item in inner for problem in _check_value(name, item, depth)]


def has_odd_bytes(insert_ids: str) -> bool:
    """Whether a character of these is none that an `$insert_id` may have."""
    return bool(insert_ids.encode(errors="replace").translate(None, _INSERT_ID_BYTES))
