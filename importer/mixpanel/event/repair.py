"""A record that is no event yet: repaired where it can mean one thing only, else the sentence that says why not."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from msgspec import Raw

from importer.errors import InvalidRecord
from importer.lenient_json import canonical, value_of
from importer.mixpanel.event.fields import insert_id_of, time_of
from importer.mixpanel.nesting import nests_too_deep

Members = dict[str, Raw]
"""An object's members, each as it is written: a number that no double can hold stays what it is."""

_decode_members = msgspec.json.Decoder(Members).decode
_decode_whole = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_is_integer = re.compile(rb"-?[0-9]{1,36}").fullmatch
_NULL = Raw(b"null")
_INFINITE = (float("inf"), float("-inf"))


def repaired(record: bytes) -> bytes:
    """The record as an event whose name, `time`, `distinct_id` and `$insert_id` are of the right types, or missing.

    Raises:
        InvalidRecord: it is none, and can mean none.
    """
    whole = _members(record)
    name, inner = bytes(whole.get("event", _NULL)), bytes(whole.get("properties", _NULL))
    if _kind(name) != "a text":
        raise InvalidRecord(f"has no event name: it must be a text and is {_kind(name)}", "event")
    if _kind(inner) != "an object":
        raise InvalidRecord(f"has no properties: they must be an object and are {_kind(inner)}", "properties")
    properties = _decode_members(inner)
    changed = _repaired_time(properties) | _repaired_insert_id(properties)
    written = bytes(properties.get("distinct_id", _NULL))
    if _kind(written) not in ("a text", "empty", "a number", "null"):
        raise no_distinct_id(_kind(written))
    return rebuilt(whole, properties, changed)


def with_properties(event: bytes, changed: dict[str, bytes]) -> bytes:
    """The event with some properties changed or added; each value is JSON."""
    whole = _decode_members(event)
    return rebuilt(whole, _decode_members(whole["properties"]), changed)


def rebuilt(whole: Members, properties: Members, changed: dict[str, bytes]) -> bytes:
    """An event of these members, with some properties changed or added."""
    return _encode({**whole, "properties": {**properties, **{name: Raw(value) for name, value in changed.items()}}})


def no_distinct_id(state: str) -> InvalidRecord:
    """The reason for an event whose `distinct_id` is in this state, and cannot be completed."""
    return InvalidRecord(
        f'has no usable distinct_id: it must be a text ("" for no user) and is {state}', "properties.distinct_id"
    )


def read_object(record: bytes) -> dict[str, Any]:
    """The record as an object with all that is in it, as a transform gets it.

    Raises:
        InvalidRecord: it is none.
    """
    if nests_too_deep(record):
        raise InvalidRecord("is nested too deeply")
    try:
        value = _decode_whole(record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        value = _decode_whole(_canonical_json(_value(record)))
    return _object(value)


def _members(record: bytes) -> Members:
    try:
        record.decode()  # the decoder does not look into strings it skips
        return _decode_members(record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        value = _value(record)
    canonical = _canonical_json(_object(value))
    try:
        return _decode_members(canonical)
    except msgspec.MsgspecError as error:
        raise InvalidRecord(f"is not JSON that can be read: {error}") from None


def _repaired_time(properties: Members) -> dict[str, bytes]:
    written = bytes(properties.get("time", _NULL))
    kind = _kind(written) if "time" in properties else "missing"
    if kind == "a number":
        return {}
    number = time_of(json.loads(written)) if kind == "a text" else None
    if number is None:
        must_be = "a number (epoch seconds or milliseconds), or a text of one or of ISO 8601, 1971 or later,"
        raise InvalidRecord(f"has no usable time: it must be {must_be} and is {kind}", "properties.time")
    return {"time": number}


def _repaired_insert_id(properties: Members) -> dict[str, bytes]:
    written = bytes(properties.get("$insert_id", _NULL))
    kind = _kind(written)
    if kind in ("a text", "empty", "null"):
        return {}
    found = insert_id_of(int(written) if _is_integer(written) else float(written)) if kind == "a number" else None
    if found is None:
        raise InvalidRecord(
            f"has no usable $insert_id: it must be a text of 1 to 36 characters, or an exact number, and is {kind}",
            "properties.$insert_id",
        )
    return {"$insert_id": b'"%b"' % found.encode()}


def _canonical_json(value: Any) -> bytes:
    try:
        return canonical(value)
    except ValueError:
        raise InvalidRecord("holds a number that is too large") from None


def _value(record: bytes) -> Any:
    try:
        return value_of(record)
    except ValueError:
        raise InvalidRecord("holds a number with too many digits") from None


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    some = value[:0] if isinstance(value, list) else value  # of an array, its being one is all that is told
    raise InvalidRecord(f"is not a JSON object but {_kind(json.dumps(some).encode())}")


_KINDS = {
    b"n": "null",
    b"t": "true or false",
    b"f": "true or false",
    b"{": "an object",
    b"[": "an array",
    b'"': "a text",
}


def _kind(written: bytes) -> str:
    """What a JSON value is, by its first byte."""
    if written == b'""':
        return "empty"
    kind = _KINDS.get(written[:1], "a number")
    return "too large a number" if kind == "a number" and float(written) in _INFINITE else kind
