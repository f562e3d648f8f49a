"""One event: checked, completed, encoded.

What would spoil a whole batch, or break deduplication, is found here; what only Mixpanel can judge is left to it
(`strict=1`) and read back from its answer. An event that needs no change goes out as the very bytes it came in.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections import deque
from collections.abc import Sequence
from itertools import filterfalse, repeat
from operator import contains
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from importer.errors import InvalidRecord
from importer.limits import MAX_EVENT_BYTES
from importer.records import Transform


class _Properties(Struct, gc=False):
    time: int | float
    distinct_id: str | int | float
    insert_id: str | None = field(name="$insert_id", default=None)


class _Event(Struct, gc=False):
    """As much of an event as has to be known here. The decoder checks that the rest is JSON, and builds none of it."""

    event: Annotated[str, Meta(min_length=1)]
    properties: _Properties


class _CompleteProperties(_Properties, gc=False):
    insert_id: Annotated[str, Meta(min_length=1)] = field(name="$insert_id")


class _CompleteEvent(_Event, gc=False):
    properties: _CompleteProperties


_decode = msgspec.json.Decoder(_Event).decode
_decode_complete = msgspec.json.Decoder(_CompleteEvent).decode
_decode_whole = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder().encode
_decode_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_PROPERTIES_OPEN = re.compile(rb'"properties"\s*:\s*\{')
_EMPTY_OBJECT = re.compile(rb"\s*\}")
_BLANK = b" \t\r\n"
_MAX_TOLD = 500


_exhaust = deque[object](maxlen=0).extend
"""Runs an iterator to its end and keeps nothing of it."""


def prepare(record: bytes, transform: Transform | None = None) -> Sequence[bytes]:
    """Makes of one record the events to send, each as one line of JSON.

    Args:
        record: the record's bytes; white space around it does not count.
        transform: the user's mapping, applied to the record before it is checked.

    Returns:
        The events: one, or as many as `transform` made of it (none when it dropped the record).

    Raises:
        InvalidRecord: the record, or what `transform` made of it, cannot be imported.
    """
    if len(record) >= MAX_EVENT_BYTES:
        raise InvalidRecord("is too long: Mixpanel takes events under 1 MB")
    try:
        return (_complete(record, record),) if transform is None else _transformed(record, transform)
    except RecursionError:
        raise InvalidRecord("is nested too deeply") from None


def are_complete(records: Sequence[bytes], *, are_lines: bool = False) -> bool:
    """Whether all of these can be sent as they are: `prepare` would return each of them unchanged.

    This is what most records of most files are. The loops run within the interpreter's own functions, a third faster
    than in Python; where it says no, `prepare` finds out which record is at fault, and mends or refuses it.

    Args:
        records: as `prepare` gets them.
        are_lines: whether it is known that there are no line breaks in them, and that none is too long to be an event.
            Of many at once that is known soon: looking for it in each takes half as long as decoding it.
    """
    try:
        _exhaust(map(_decode_complete, records))
        _exhaust(map(bytes.decode, filterfalse(bytes.isascii, records)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return are_lines or not (
        any(map(contains, records, repeat(b"\n")))
        or any(map(contains, records, repeat(b"\r")))
        or max(map(len, records), default=0) >= MAX_EVENT_BYTES
    )


def insert_id(event: bytes) -> str | None:
    """The `$insert_id` of an event that `prepare` returned, or of a record if it has one that can be read."""
    try:
        return _decode(event).properties.insert_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _complete(event: bytes, origin: bytes) -> bytes:
    """Checks an event, and gives it an `$insert_id` made from `origin` if it has none."""
    try:
        known = _decode(event)
        if not event.isascii():
            event.decode()  # the decoder does not look into strings it skips
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        event, known = _repair_or_reject(event)
    return _one_line(_identified(event, known, origin))


def _identified(event: bytes, known: _Event, origin: bytes, nth: int = 0) -> bytes:
    """The event with an `$insert_id`: its own, or one made from `origin` (and `nth`)."""
    if not known.properties.insert_id:
        event = _with_insert_id(event, _fingerprint(origin, nth))
    if len(event) >= MAX_EVENT_BYTES:
        raise InvalidRecord("is too long once it is complete: Mixpanel takes events under 1 MB")
    return event


def _one_line(event: bytes) -> bytes:
    """JSON allows line breaks only between tokens, where a space means the same."""
    if b"\n" in event or b"\r" in event:
        return event.replace(b"\r", b" ").replace(b"\n", b" ").strip()
    return event


def _fingerprint(origin: bytes, nth: int) -> str:
    """32 characters of 0-9a-f, the same for the same content (SHA-256 is the digest that processors have built in)."""
    digest = hashlib.sha256(origin.strip(_BLANK), usedforsecurity=False)
    if nth:
        digest.update(b"#%d" % nth)
    return digest.hexdigest()[:32]


def _with_insert_id(event: bytes, identifier: str) -> bytes:
    """Puts the id into the bytes, and looks whether it took; where it did not, builds the event anew."""
    quoted = b'"%b"' % identifier.encode()
    if opening := _PROPERTIES_OPEN.search(event):
        head, tail = event[: opening.end()], event[opening.end() :]
        comma = b"" if _EMPTY_OBJECT.match(tail) else b","
        spliced = b'%b"$insert_id":%b%b%b' % (head, quoted, comma, tail)
        if insert_id(spliced) == identifier:
            return spliced
    whole = _decode_parts(event)
    properties = _decode_parts(whole["properties"])
    properties["$insert_id"] = msgspec.Raw(quoted)
    whole["properties"] = msgspec.Raw(_encode_json(properties))
    return _encode_json(whole)


def _repair_or_reject(event: bytes) -> tuple[bytes, _Event]:
    """Repairs what the decoder rejected where it can be (see `_canonical_json`), or says what is wrong."""
    value = _value(event)
    if not isinstance(value, dict):
        raise InvalidRecord(f"is not a JSON object but {_kind(value)}")
    _check(value)
    mended = _canonical_json(value)
    try:
        return mended, _decode(mended)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRecord(f"is not JSON that can be read: {error}") from None


def _canonical_json(value: Any) -> bytes:
    """The value as JSON that every decoder reads.

    An escaped half of a surrogate pair (`\\ud83d` alone, where a program cut a text in the middle of an emoji) becomes
    U+FFFD, as browsers show it: JSON's grammar allows it, but it is no character. Of a key that an object has twice,
    the last stays.

    Raises:
        InvalidRecord: it holds a number that is too large.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise InvalidRecord("holds a number that is too large") from None
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _value(record: bytes) -> Any:
    """The record as a Python value.

    Raises:
        InvalidRecord: it is not JSON; the reason says where it stops to be.
    """
    record = record.removeprefix(codecs.BOM_UTF8)  # where files with a byte order mark were joined
    try:
        return json.loads(record.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"is not UTF-8: byte 0x{record[error.start]:02x} at position {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidRecord(f"is not JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        raise InvalidRecord("holds a number with too many digits") from None


def _no_constant(name: str) -> Any:
    raise InvalidRecord(f"is not JSON: {name} is no JSON number")


def _check(event: dict[str, Any]) -> None:
    """Says in a sentence what the decoder says in a type."""
    name, properties = event.get("event"), event.get("properties")
    if not isinstance(name, str) or not name:
        raise InvalidRecord(f"has no event name: it must be a text and is {_kind(name)}", "event")
    if not isinstance(properties, dict):
        raise InvalidRecord(f"has no properties: they must be an object and are {_kind(properties)}", "properties")
    _check_property(properties, "time", (int, float), "a number (epoch seconds or milliseconds)")
    _check_property(properties, "distinct_id", (str, int, float), 'a text ("" for no user)')
    _check_property(properties, "$insert_id", (str, type(None)), "a text of 1 to 36 characters")


def _check_property(properties: dict[str, Any], name: str, types: tuple[type, ...], must_be: str) -> None:
    value = properties.get(name)
    if isinstance(value, bool) or not isinstance(value, types) or value in (float("inf"), float("-inf")):
        state = "missing" if name not in properties else _kind(value)
        raise InvalidRecord(f"has no usable {name}: it must be {must_be} and is {state}", f"properties.{name}")


_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "true or false",
    dict: "an object",
    list: "an array",
    str: "a text",
    int: "a number",
    float: "a number",
}


def _kind(value: object) -> str:
    if value == "":
        return "empty"
    if value in (float("inf"), float("-inf")):
        return "too large a number"
    return _KINDS[type(value)]


def _transformed(record: bytes, transform: Transform) -> Sequence[bytes]:
    value = _whole(record)
    if not isinstance(value, dict):
        raise InvalidRecord(f"is not a JSON object but {_kind(value)}")
    try:
        made = transform(value)
    except Exception as error:
        raise InvalidRecord(f"the transform raised {type(error).__name__}: {_told(error)}") from None
    if isinstance(made, list):
        return [_made(each, record, nth) for nth, each in enumerate(made)]
    return () if made is None else (_made(made, record),)


def _made(made: Any, origin: bytes, nth: int = 0) -> bytes:
    """What a transform returned, as an event: checked and completed. The encoder makes one line of it, in UTF-8."""
    event = _encode(made)
    try:
        known = _decode(event)
    except (msgspec.MsgspecError, RecursionError):
        event, known = _repair_or_reject(event)
    return _identified(event, known, origin, nth)


def _told(error: Exception) -> str:
    """The exception's text, which may be anything, so that it can be logged and kept."""
    try:
        return str(error)[:_MAX_TOLD].encode(errors="replace").decode()
    except Exception:
        return "(its text cannot be had)"


def _whole(record: bytes) -> Any:
    """The record with all that is in it, as a transform gets it."""
    try:
        return _decode_whole(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_whole(_canonical_json(_value(record)))


def _encode(made: Any) -> bytes:
    if not isinstance(made, dict):
        raise InvalidRecord(
            f"the transform returned {type(made).__name__}: it may return a dict, a list of dicts, or None"
        )
    try:
        event = _encode_json(made)
    except Exception as error:
        raise InvalidRecord(f"the transform returned what is no JSON: {_told(error)}") from None
    if len(event) >= MAX_EVENT_BYTES:
        raise InvalidRecord("is too long after the transform: Mixpanel takes events under 1 MB")
    return event
