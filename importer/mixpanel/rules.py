"""Mixpanel's published rules for an event, as a judge: what is wrong with it, if anything.

The rules are those of https://developer.mixpanel.com/reference/import-events; a problem is told as its examples do.
`examine` judges a whole batch at the speed a benchmark needs: what is cheap to prove harmless is not looked at closely,
and only an event that fails such a proof is decoded in full and given to `check`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from importer.limits import DISALLOWED_IDS, MAX_DEPTH, MAX_EVENT_BYTES, MAX_PROPERTIES

MAX_INSERT_ID_BYTES = 36
EARLIEST = 31_536_000
"""1971-01-01, in seconds since the epoch."""
MAX_AHEAD = 3600
"""Seconds an event's time may be ahead of the server's clock."""

_INSERT_ID_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
_HUGE = 2**1024
_SHORTEST = len('{"event":""}')
_FEW_COMMAS = MAX_PROPERTIES - 2
"""With no more commas than this an event has fewer than MAX_PROPERTIES of anything."""
_FEW_BRACES = 2 + MAX_DEPTH
"""With no more opening braces than this (the event's, its properties', those within) nothing nests too deep."""
_SHAPE_OF_NUMBERS = bytes.maketrans(b"123456789+E}] \t\r\n", b"0000000000e,,,,,,")
"""Makes every digit and plus sign a 0, and whatever may follow a number a comma."""
_LONG_EXPONENT = b"0e000"
_MANY_DIGITS = b"0" * 200
"""With fewer digits than this, and an exponent of two, a number is far from the end of doubles at 308."""
_long_exponent = re.compile(b"0e0{3,}(,|$)").match


class NotJsonError(Exception):
    """The body is not wholly valid JSON in UTF-8, so that no event of it can be told from the others."""


class Problem(Struct, frozen=True):
    """One rule broken: the field that breaks it, and how, in the API's words."""

    field: str
    message: str


class _Properties(Struct, gc=False, rename={"insert_id": "$insert_id"}):
    """The properties that every event must have; the others are checked to be JSON, and skipped."""

    time: int | float
    distinct_id: str
    insert_id: Annotated[str, Meta(min_length=1, max_length=MAX_INSERT_ID_BYTES)]


class Event(Struct, gc=False):
    """What of an event tells it from another: https://developer.mixpanel.com/reference/import-events#propertiesinsert_id"""

    event: Annotated[str, Meta(min_length=1)]
    properties: _Properties


class Refused(Struct, frozen=True):
    """One event of a batch that breaks a rule: its place in the batch and its $insert_id, empty where it has none."""

    index: int
    insert_id: str
    problem: Problem


class Verdict(Struct, frozen=True):
    """A batch, judged: the events that keep the rules, each with its line, and those that do not."""

    good: list[Event]
    good_lines: list[bytes]
    refused: list[Refused]


_decode_event = msgspec.json.Decoder(Event).decode
_decode_any = msgspec.json.Decoder().decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def split_lines(body: bytes) -> list[bytes]:
    """The events of a newline-delimited body; blank lines are none."""
    lines = body.split(b"\n")
    return [line for line in lines if line.strip()] if min(map(len, lines)) < _SHORTEST else lines


def split_array(body: bytes) -> list[bytes]:
    """The events of a body that is one JSON array.

    Raises:
        NotJsonError: it is none.
    """
    try:
        return [bytes(raw) for raw in _decode_array(body)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotJsonError(str(error)) from None


def examine(body: bytes, lines: list[bytes], now: float) -> Verdict:
    """Judges the events of one request; `now` is the server's clock, in seconds since the epoch.

    Args:
        body: what the events are cut from, with nothing outside of them but JSON's punctuation and space.
        lines: the events.

    Raises:
        NotJsonError: one of them is not JSON.
    """
    try:
        for line in lines:
            if not line.isascii():
                line.decode()
    except UnicodeDecodeError as error:
        raise NotJsonError(str(error)) from None
    suspicious = _may_hold_huge_number(body)
    verdict = None if suspicious or any(_to_be_measured(lines)) else _examine_at_once(lines, now)
    return verdict or _examine_one_by_one(lines, now, suspicious=suspicious)


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
    elif not _time_is_allowed(time, now):
        message = "must be 1971-01-01 or later and at most one hour in the future"
    else:
        return []
    return [Problem("properties.time", f"'properties.time' is invalid: {message}")]


def _time_is_allowed(time: float, now: float) -> bool:
    """Takes a time for seconds if it can be, and for milliseconds otherwise."""
    latest = now + MAX_AHEAD
    return EARLIEST <= time <= latest or EARLIEST * 1000 <= time <= latest * 1000


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
    elif _has_odd_bytes(value):
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


def _may_hold_huge_number(body: bytes) -> bool:
    """Whether a number of it may be beyond a double, which a decoder that skips a value does not notice.

    Such a number has an exponent of three digits or more, or hundreds of digits. May be wrong in
    saying yes (a text may look so), not in saying no.
    """
    shape = body.translate(_SHAPE_OF_NUMBERS)
    at = shape.find(_LONG_EXPONENT)
    while at >= 0:
        if _long_exponent(shape, at):
            return True
        at = shape.find(_LONG_EXPONENT, at + len(_LONG_EXPONENT))
    return _MANY_DIGITS in shape


def _to_be_measured(lines: list[bytes]) -> list[bool]:
    """For each event, whether it may be too large, have too many of something, or nest too deep.

    Commas and braces within texts count as well, so it may be wrong in saying yes, not in saying no.
    """
    return [
        line.count(b",") > _FEW_COMMAS or line.count(b"{") > _FEW_BRACES or len(line) >= MAX_EVENT_BYTES
        for line in lines
    ]


def _examine_at_once(lines: list[bytes], now: float) -> Verdict | None:
    """Judges a batch as one; None if any event of it needs a closer look."""
    try:
        events = [_decode_event(line) for line in lines]
    except (msgspec.DecodeError, RecursionError):
        return None
    properties = [event.properties for event in events]
    insert_ids = [each.insert_id for each in properties]
    sound = (
        DISALLOWED_IDS.isdisjoint(insert_ids)
        and DISALLOWED_IDS.isdisjoint([each.distinct_id for each in properties])
        and not _has_odd_bytes("".join(insert_ids))
        and not any(map(str.isspace, {event.event for event in events}))
        and _all_allowed([each.time for each in properties], now)
    )
    return Verdict(events, lines, []) if sound else None


def _all_allowed(times: list[int | float], now: float) -> bool:
    if not times or (min(times) >= EARLIEST and max(times) <= now + MAX_AHEAD):
        return True
    if min(times) >= EARLIEST * 1000 and max(times) <= (now + MAX_AHEAD) * 1000:
        return True
    return all(_time_is_allowed(time, now) for time in times)


def _has_odd_bytes(insert_ids: str) -> bool:
    return bool(insert_ids.encode(errors="replace").translate(None, _INSERT_ID_BYTES))


def _examine_one_by_one(lines: list[bytes], now: float, *, suspicious: bool) -> Verdict:
    """Judges a batch that has something wrong in it, or may have."""
    verdict = Verdict([], [], [])
    for index, (line, measure) in enumerate(zip(lines, _to_be_measured(lines), strict=True)):
        event = None if suspicious or measure else _examine_quickly(line, now)
        if event is None:
            decoded = _decode_fully(line)
            problems = check(decoded, now)
            if len(line) >= MAX_EVENT_BYTES:
                problems.insert(0, Problem("", f"event is invalid: must be smaller than {MAX_EVENT_BYTES} bytes"))
            if problems:
                verdict.refused.append(Refused(index, _insert_id(decoded), problems[0]))
                continue
            event = _decode_event(line)
        verdict.good.append(event)
        verdict.good_lines.append(line)
    return verdict


def _examine_quickly(line: bytes, now: float) -> Event | None:
    """The event, if what makes it one breaks no rule."""
    try:
        event = _decode_event(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    properties = event.properties
    sound = (
        _time_is_allowed(properties.time, now)
        and properties.distinct_id not in DISALLOWED_IDS
        and properties.insert_id not in DISALLOWED_IDS
        and not _has_odd_bytes(properties.insert_id)
        and not event.event.isspace()
    )
    return event if sound else None


def _decode_fully(line: bytes) -> Any:
    try:
        return _decode_any(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJsonError(str(error)) from None


def _insert_id(event: object) -> str:
    properties = event.get("properties") if isinstance(event, dict) else None
    insert_id = properties.get("$insert_id") if isinstance(properties, dict) else None
    return insert_id if isinstance(insert_id, str) else ""
