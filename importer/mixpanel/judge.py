"""Judges a request's events by Mixpanel's published rules, at the speed a benchmark needs.

What is cheap to prove harmless is not looked at closely, and only an event that fails such a proof is decoded in full
and given to `rules.check`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from importer.limits import DISALLOWED_IDS, MAX_DEPTH, MAX_EVENT_BYTES, MAX_PROPERTIES
from importer.mixpanel.nesting import nests_too_deep
from importer.mixpanel.rules import (
    MAX_AHEAD,
    MAX_INSERT_ID_BYTES,
    MIN_SECONDS,
    NotJsonError,
    Problem,
    check,
    has_odd_bytes,
    time_is_allowed,
)

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


class _Properties(Struct, gc=False, rename={"insert_id": "$insert_id"}):
    """The properties that every event must have; the others are checked to be JSON, and skipped."""

    time: int | float
    distinct_id: str
    insert_id: Annotated[str, Meta(min_length=1, max_length=MAX_INSERT_ID_BYTES)]


class Event(Struct, gc=False):
    """What of an event tells it from another: https://developer.mixpanel.com/reference/import-events#propertiesinsert_id"""

    event: Annotated[str, Meta(min_length=1)]
    properties: _Properties


class Rejected(Struct, frozen=True):
    """One event of a batch that breaks a rule: its place in the batch and its $insert_id, empty where it has none."""

    index: int
    insert_id: str
    problem: Problem


class Verdict(Struct, frozen=True):
    """A batch, judged: the events that keep the rules, each with its line, and those that do not."""

    good: list[Event]
    good_lines: list[bytes]
    rejected: list[Rejected]


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
        NotJsonError: one of them is not JSON that can be decoded.
    """
    try:
        for line in lines:
            if not line.isascii():
                line.decode()
    except UnicodeDecodeError as error:
        raise NotJsonError(str(error)) from None
    if any(map(nests_too_deep, lines)):
        raise NotJsonError("nested too deeply")
    suspicious = _may_hold_huge_number(body)
    verdict = None if suspicious or any(_to_be_measured(lines)) else _examine_at_once(lines, now)
    return verdict or _examine_one_by_one(lines, now, suspicious=suspicious)


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
        and not has_odd_bytes("".join(insert_ids))
        and not any(map(str.isspace, {event.event for event in events}))
        and _all_allowed([each.time for each in properties], now)
    )
    return Verdict(events, lines, []) if sound else None


def _all_allowed(times: list[int | float], now: float) -> bool:
    if not times or (min(times) >= MIN_SECONDS and max(times) <= now + MAX_AHEAD):
        return True
    if min(times) >= MIN_SECONDS * 1000 and max(times) <= (now + MAX_AHEAD) * 1000:
        return True
    return all(time_is_allowed(time, now) for time in times)


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
                verdict.rejected.append(Rejected(index, _insert_id(decoded), problems[0]))
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
        time_is_allowed(properties.time, now)
        and properties.distinct_id not in DISALLOWED_IDS
        and properties.insert_id not in DISALLOWED_IDS
        and not has_odd_bytes(properties.insert_id)
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
