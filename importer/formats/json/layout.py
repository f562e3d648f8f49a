"""How JSON lies in content, as its first bytes tell: as lines, in arrays, one value after the other, wrapped.

A wrapper is one object around an array of objects, as an interface's answer has it: `{"events": […]}`, `{"data": […]}`
or `{"batch": […]}`. What else it holds is passed over. So it is none, but a record, if it says itself whose or what it
is (`_OF_A_RECORD`), if it is an mParticle batch, whose events mean nothing without it, or if another object stands on
the next line.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from importer.formats.detect import holds_controls, is_json, is_object
from importer.formats.json.elements import first_elements
from importer.formats.json.frames import KEYS, Arrays, Frame, Wrapped
from importer.formats.json.window import Element
from importer.formats.reader import Head

Layout = Literal["lines", "array", "objects", "wrapped"]

_OF_A_RECORD = frozenset(
    {
        *("event", "type", "event_type", "eventType", "properties"),
        *("distinct_id", "user_id", "userId", "anonymous_id", "anonymousId", "device_id", "deviceId"),
        *("client_id", "app_instance_id", "mpid", "user_identities"),
    }
)
"""Keys of an object that is one thing, or about one user."""

_WRAPPING = {key.decode().strip('"') for key in KEYS}

_MAX_LINES_BEFORE = 20
"""Lines that are no JSON and may stand before what is not lines."""

_MAX_GAP = 200
_SPACE = b" \t\r\n"
_starts = re.compile(rb"^[ \t]*+[{\[]", re.MULTILINE).search
may_wrap = re.compile(rb"(?:" + b"|".join(KEYS) + rb")[ \t\r\n]*+:[ \t\r\n]*+\[").search
_goes_on = re.compile(rb"[{\[,:][ \t\r]*+\Z").search
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def layout(head: Head) -> Layout:
    """How the JSON lies that starts so; "lines" also where it is none."""
    content = head.content.lstrip(_SPACE)
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")  # lines ended so once
    found = _starts(content)
    if not found or (found.start() and not _may_stand_before(content[: found.start()])):
        return "lines"
    text = content[found.end() - 1 :]
    return (_of_arrays if text.startswith(b"[") else _of_objects)(text, head.is_all)


def _may_stand_before(text: bytes) -> bool:
    return not (text.startswith(b"<") or holds_controls(text)) and text.count(b"\n") <= _MAX_LINES_BEFORE


def _of_arrays(text: bytes, is_all: bool) -> Layout:
    """Lines, if most objects follow another without a comma between: then the first line is a bad one."""
    objects = [one for one in first_elements(text, Arrays(opened=False), is_all=is_all) if is_object(one[2])]
    before = [text[max(offset - _MAX_GAP, 0) : offset].rstrip(_SPACE)[-1:] for _, offset, _ in objects]
    with_comma, without = before.count(b","), len(before) - before.count(b",") - before.count(b"[")
    first, _, others = text.partition(b"\n")
    is_spread = any(b"\n" in record for _, _, record in objects)
    is_array = b"\n" not in text or (is_all and text.rstrip(_SPACE).endswith(b"]"))
    if not (is_spread or is_array) and (without > with_comma or (without and not with_comma)):
        return "lines"
    if not objects and others.strip(_SPACE) and first.strip(_SPACE) != b"[]" and is_json(first):
        return "lines"
    return "array"


def _of_objects(text: bytes, is_all: bool) -> Layout:
    first, line_end, others = text.partition(b"\n")
    second = others.lstrip(_SPACE).partition(b"\n")[0]
    if second and is_object(first) and (second.startswith(b"{") or is_json(second)):
        return "lines"
    found = first_elements(text, Frame(opened=False), is_all=is_all)
    if may_wrap(text) and _wraps(text, found[0][2] if found else b""):
        return "wrapped"
    objects = [one for one in found if is_object(one[2])]
    if not objects:
        return "objects" if line_end and _goes_on(first) else "lines"
    alone = sum(_stands_alone(text, one) for one in objects)
    is_spread = any(b"\n" in record for _, _, record in objects)
    return "objects" if is_spread or len(objects) - alone > alone else "lines"


def _stands_alone(text: bytes, element: Element) -> bool:
    """Whether a value is all that is on its line."""
    _, offset, record = element
    before = text[text.rfind(b"\n", 0, offset) + 1 : offset]
    after = text[offset + len(record) :].partition(b"\n")[0]
    return not before.strip(_SPACE) and not after.strip(_SPACE)


def _wraps(text: bytes, whole: bytes) -> bool:
    """Whether the object that the text starts with wraps an array of objects; `whole` is that object, if it has an end
    in the text."""
    frame = Wrapped(opened=False)
    items = first_elements(text, frame, is_all=False)
    start = frame.opened_at
    if not start:
        return False
    keys = _keys(whole) or _keys(text[:start] + b"]}")
    item = text[start:].lstrip(_SPACE + b",")
    has_objects = item.startswith((b"{", b"]")) or _is_broken_array_of_objects(items)
    if not keys & _WRAPPING or keys & _OF_A_RECORD or not has_objects:
        return False
    return not (items and {"event_type", "data"} <= _keys(items[0][2]))


def _is_broken_array_of_objects(items: list[Element]) -> bool:
    return bool(items) and not is_json(items[0][2]) and any(is_object(record) for _, _, record in items)


def _keys(text: bytes) -> set[str]:
    """The keys of an object; none if it is no JSON."""
    try:
        return set(_parts(text))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return set()
