"""Where another value begins within one that is broken, or after it.

Where values are spread over lines, how these are indented tells. On a line with many, the key does that the values
begin with, mostly the same. So the next object that can be read whole and begins with the key that the broken one
begins with is taken for the next value. If there is none, it is the first one that can be read after the place where
the broken one stops being JSON. Only the text from the broken value on counts, and not what came before: reading that
goes on there finds the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from importer.limits import MAX_EVENT_BYTES

MORE = -1
"""More text has to tell."""

_MAX_TRIES = 16
_MAX_KEY = 1_000
_MAX_INDENT = 64
_check = msgspec.json.Decoder(msgspec.Raw).decode
_last_line_closes = re.compile(rb"\n[ \t\r]*+\][ \t\r\n]*+\Z").search
_indent = re.compile(rb"[\r\n]*+([ \t]*+)").match
_byte = re.compile(r"\(byte (\d+)\)").search
_starts = re.compile(rb'\{[ \t\r\n]*+("[^"\\\n]*+")[ \t\r\n]*+:')
_object_follows = re.compile(rb"[ \t\r\n]*+\{").match
_follows_a_value = re.compile(rb"[ \t\r]*+(?:,[ \t\r\n]*+\{|\]|\{|\n|\Z)").match


def next_value(text: bytes, first: int, end: int, *, at_end: bool, any_key: bool) -> int:
    """Where the next value begins.

    Args:
        text: what is held.
        first: where the broken value begins.
        end: where the next value has to begin before.
        at_end: whether no more text comes.
        any_key: whether the value may begin with another key than the broken one.

    Returns:
        The place in the text, 0 if there is none, or `MORE`.
    """
    key = key_of(text, first)
    if not any(any_key or one == key for _, _, one in _objects(text, first + 1, end)):
        return 0
    broken_at = _broken_at(text, first)
    if broken_at is None and not at_end:
        return 0
    alike = (at for at, _, one in _objects(text, first + 1, end) if one == key)
    if at := _first_whole(text, alike, at_end=at_end):
        return at
    if not any_key or broken_at is None:
        return 0
    others = (at for at, key_at, _ in _objects(text, first + 1, end) if key_at + 1 >= broken_at)
    return _first_whole(text, others, at_end=at_end)


def next_alike(text: bytes, line_end: int, *, at_end: bool, in_array: bool) -> int | None:
    """Where the next value begins after a broken one that is spread over lines, of which the first ends at `line_end`:
    on a line that is indented less than what it holds. Or else, at the end, where the array ends. None if more text has
    to tell.
    """
    inner = _indent(text, line_end)
    most = max((len(inner[1]) if inner else 0) - 1, 0)
    alike = re.compile(rb"\n[ \t]{0,%d}+(?:\}[ \t]*+,?[ \t]*+)?\{" % min(most, _MAX_INDENT))
    if found := alike.search(text, line_end):
        return found.end() - 1
    if not at_end:
        return None
    closing = _last_line_closes(text, line_end) if in_array else None
    return closing.start() if closing else len(text)


def next_object(text: bytes, start: int, end: int, *, at_end: bool) -> int:
    """Where the next object that can be read begins. See `next_value`."""
    return _first_whole(text, (at for at, _, _ in _objects(text, start, end)), at_end=at_end)


def key_of(text: bytes, at: int) -> bytes | None:
    """The first key of the object that begins there, if one does."""
    found = _starts.match(text, at)
    return found[1] if found else None


def _objects(text: bytes, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """What may be objects that begin between: each one's place, its first key's, and the key."""
    for found in _starts.finditer(text, start, end + _MAX_KEY):
        if found.start() >= end:
            return
        yield found.start(), found.start(1), found[1]


def are_two(text: bytes, at: int) -> bool:
    """Whether a whole value begins there, and another object follows it without a comma."""
    end = _end_of(text, at)
    return end > 0 and _object_follows(text, end) is not None


def _first_whole(text: bytes, places: Iterator[int], *, at_end: bool) -> int:
    for at, _ in zip(places, range(_MAX_TRIES), strict=False):
        end = _end_of(text, at)
        if end == MORE and not at_end and len(text) - at < MAX_EVENT_BYTES:
            return MORE
        if end > 0 and _follows_a_value(text, end):
            return at
    return 0


def _end_of(text: bytes, at: int) -> int:
    """Where the value ends that begins there; 0 if it is no JSON, `MORE` if it has no end in the text."""
    part = memoryview(text)[at : at + MAX_EVENT_BYTES]
    try:
        _check(part)
    except msgspec.DecodeError as error:
        reason = str(error)
        if "trailing" in reason and (found := _byte(reason)):  # after the first of these
            return at + len(text[at : at + int(found[1]) - 1].rstrip(b" \t\r\n"))
        return MORE if "truncated" in reason else 0
    except (UnicodeDecodeError, RecursionError):
        return 0
    return at + len(part)


def _broken_at(text: bytes, first: int) -> int | None:
    """Where a value stops being JSON; None if it does not, as far as it goes."""
    try:
        _check(memoryview(text)[first : first + MAX_EVENT_BYTES])
    except msgspec.DecodeError as error:
        reason = str(error)
        found = _byte(reason)
        return first + int(found[1]) - ("trailing" in reason) if found else None
    except (UnicodeDecodeError, RecursionError):
        return first
    return None
