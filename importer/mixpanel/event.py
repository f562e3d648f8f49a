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

from importer.errors import InvalidRecord, text_of
from importer.limits import MAX_EVENT_BYTES


class _Properties(Struct, gc=False):
    time: int | float
    distinct_id: str | int | float
    insert_id: str | None = field(name="$insert_id", default=None)
    ip: Any = None


class _Event(Struct, gc=False):
    """As much of an event as has to be known here. The decoder checks that the rest is JSON, and builds none of it."""

    event: Annotated[str, Meta(min_length=1)]
    properties: _Properties


class _CompleteProperties(_Properties, gc=False):
    insert_id: Annotated[str, Meta(min_length=1)] = field(name="$insert_id")


class _CompleteEvent(_Event, gc=False):
    properties: _CompleteProperties


class _LocatedProperties(_CompleteProperties, gc=False, kw_only=True):
    ip: Annotated[str, Meta(min_length=1)] | int


class _LocatedEvent(_CompleteEvent, gc=False):
    properties: _LocatedProperties


_decode = msgspec.json.Decoder(_Event).decode
_decode_complete = msgspec.json.Decoder(_CompleteEvent).decode
_decode_located = msgspec.json.Decoder(_LocatedEvent).decode
_decode_whole = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder().encode
_decode_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_PROPERTIES_OPEN = re.compile(rb'"properties"\s*:\s*\{')
_EMPTY_OBJECT = re.compile(rb"\s*\}")
_BLANK = b" \t\r\n"


_exhaust = deque[object](maxlen=0).extend
"""Runs an iterator to its end and keeps nothing of it."""


class Completer:
    """Makes records into events that can be sent, each one line of JSON, and adds what they lack.

    The `$insert_id` that it computes is made from the record as it came, so that it does not depend on what is added.

    Args:
        default_ip: what an event without `ip` gets ("0": Mixpanel guesses no location); None leaves it to Mixpanel,
            which then takes the caller's address for the user's:
            https://docs.mixpanel.com/docs/tracking-best-practices/geolocation
    """

    def __init__(self, default_ip: str | None) -> None:
        self._ip = None if default_ip is None else _encode_json(0 if default_ip == "0" else default_ip)
        self._decode = _decode_complete if default_ip is None else _decode_located

    def are_complete(self, records: Sequence[bytes], *, are_lines: bool = False) -> bool:
        """Whether all of these can be sent as they are: `complete` would return each of them unchanged.

        This is what most records of most files are. The loops run within the interpreter's own functions, a third
        faster than in Python; where it says no, `complete` finds out which record is at fault, and mends or rejects it.

        Args:
            records: as `complete` gets them.
            are_lines: whether it is known that there are no line breaks in them, and that none is too long to be an
                event. Of many at once that is known soon: looking for it in each takes half as long as decoding it.
        """
        try:
            _exhaust(map(self._decode, records))
            _exhaust(map(bytes.decode, filterfalse(bytes.isascii, records)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        return are_lines or not (
            any(map(contains, records, repeat(b"\n")))
            or any(map(contains, records, repeat(b"\r")))
            or max(map(len, records), default=0) >= MAX_EVENT_BYTES
        )

    def complete(self, record: bytes) -> bytes:
        """The record as an event, checked and completed; white space around it does not count.

        Raises:
            InvalidRecord: it cannot be imported.
        """
        if len(record) >= MAX_EVENT_BYTES:
            raise InvalidRecord("is too long: Mixpanel takes events under 1 MB")
        try:
            try:
                known, event = _decode(record), record
                if not record.isascii():
                    record.decode()  # the decoder does not look into strings it skips
            except (msgspec.MsgspecError, UnicodeDecodeError):
                event, known = _repair_or_reject(record)
            return _one_line(self._completed(event, known, record))
        except RecursionError:
            raise InvalidRecord("is nested too deeply") from None

    def complete_all(self, records: Sequence[bytes], *, are_lines: bool = False) -> list[bytes] | None:
        """All of these, completed at once; None when one of them has to go through `complete`.

        Args:
            records: as `complete` gets them.
            are_lines: see `are_complete`.
        """
        if self.are_complete(records, are_lines=are_lines):
            return list(records)
        try:
            return [self.complete(record) for record in records]
        except InvalidRecord:
            return None

    def complete_made(self, made: dict[str, Any], origin: bytes, nth: int) -> bytes:
        """What a mapping or transform made of a record, as an event: checked and completed.

        Args:
            made: what it made.
            origin: the record it was made from.
            nth: how many events it made of that record before this one.

        Raises:
            InvalidRecord: it cannot be imported.
        """
        try:
            event = _encode(made)
            try:
                known = _decode(event)
            except msgspec.MsgspecError:
                event, known = _repair_or_reject(event)
            return self._completed(event, known, origin, nth)
        except RecursionError:
            raise InvalidRecord("is nested too deeply") from None

    def _completed(self, event: bytes, known: _Event, origin: bytes, nth: int = 0) -> bytes:
        if not known.properties.insert_id:
            event = _with_insert_id(event, _fingerprint(origin, nth))
        if self._ip is not None and known.properties.ip in (None, ""):
            event = _with_ip(event, self._ip)
        if len(event) >= MAX_EVENT_BYTES:
            raise InvalidRecord("is too long once it is complete: Mixpanel takes events under 1 MB")
        return event


def insert_id(event: bytes) -> str | None:
    """The `$insert_id` of an event that was completed, or of a record if it has one that can be read."""
    try:
        return _decode(event).properties.insert_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def read_object(record: bytes) -> dict[str, Any]:
    """The record as an object with all that is in it, as a transform gets it.

    Raises:
        InvalidRecord: it is none.
        RecursionError: it is nested too deeply.
    """
    try:
        value = _decode_whole(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = _decode_whole(_canonical_json(_value(record)))
    if not isinstance(value, dict):
        raise InvalidRecord(f"is not a JSON object but {_kind(value)}")
    return value


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
    spliced = _spliced(event, b'"$insert_id":' + quoted)
    return spliced if insert_id(spliced) == identifier else _rebuilt(event, "$insert_id", quoted)


def _with_ip(event: bytes, ip: bytes) -> bytes:
    """Puts the address into the bytes, and looks whether it took; where it did not, builds the event anew."""
    spliced = _spliced(event, b'"ip":' + ip)
    try:
        if _decode(spliced).properties.ip == _decode_whole(ip):
            return spliced
    except msgspec.MsgspecError:
        pass
    return _rebuilt(event, "ip", ip)


def _spliced(event: bytes, member: bytes) -> bytes:
    """The event with a member put where its properties seem to begin."""
    if opening := _PROPERTIES_OPEN.search(event):
        head, tail = event[: opening.end()], event[opening.end() :]
        return b"%b%b%b%b" % (head, member, b"" if _EMPTY_OBJECT.match(tail) else b",", tail)
    return event


def _rebuilt(event: bytes, name: str, value: bytes) -> bytes:
    whole = _decode_parts(event)
    properties = _decode_parts(whole["properties"])
    properties[name] = msgspec.Raw(value)
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


def _encode(made: dict[str, Any]) -> bytes:
    try:
        event = _encode_json(made)
    except Exception as error:
        raise InvalidRecord(f"the transform returned what is no JSON: {text_of(error)}") from None
    if len(event) >= MAX_EVENT_BYTES:
        raise InvalidRecord("is too long after the transform: Mixpanel takes events under 1 MB")
    return event
