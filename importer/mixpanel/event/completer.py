"""One event: checked, completed, encoded.

What would spoil a whole batch, or break deduplication, is found here; what only Mixpanel can judge is left to it
(`strict=1`) and read back from its answer. An event that needs no change goes out as the very bytes it came in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from importer.errors import InvalidRecord, text_of
from importer.limits import IDENTITY_CALLS, MAX_EVENT_BYTES
from importer.mixpanel.event.fields import distinct_id_of, fingerprint
from importer.mixpanel.event.repair import no_distinct_id, repaired, with_properties
from importer.mixpanel.event.stretches import Stretches
from importer.mixpanel.event.whole import NOT_DECODED, WholeEvents
from importer.mixpanel.nesting import nests_too_deep

_NULL = Raw(b"null")


class _Properties(Struct, gc=False):
    time: int | float
    distinct_id: str | int | float | UnsetType | None = UNSET
    insert_id: str | None = field(name="$insert_id", default=None)
    ip: Raw = _NULL
    user_id: Raw = field(name="$user_id", default=_NULL)
    device_id: Raw = field(name="$device_id", default=_NULL)


class _Event(Struct, gc=False):
    """As much of an event as has to be known here. The decoder checks that the rest is JSON, and builds none of it."""

    event: Annotated[str, Meta(min_length=1)]
    properties: _Properties


class _IdentifiedProperties(Struct, gc=False):
    insert_id: str | None = field(name="$insert_id", default=None)


class _IdentifiedEvent(Struct, gc=False):
    properties: _IdentifiedProperties


_decode = msgspec.json.Decoder(_Event).decode
_decode_identified = msgspec.json.Decoder(_IdentifiedEvent).decode
_encode = msgspec.json.Encoder().encode
_find_opening = re.compile(rb'"properties"\s*:\s*\{').search


class Completer:
    """Makes records into events that can be sent, each one line of JSON, and adds what they lack.

    An `$insert_id` is computed from the record as it came, so that it does not depend on what else is added.

    Args:
        default_ip: what an event without `ip` gets ("0": Mixpanel guesses no location); None leaves it to Mixpanel,
            which then takes the caller's address for the user's:
            https://docs.mixpanel.com/docs/tracking-best-practices/geolocation

    Attributes:
        quickly: the event of a record that is as most are; empty where it has to go through `complete_odd`.
    """

    def __init__(self, default_ip: str | None) -> None:
        self._default_ip = 0 if default_ip == "0" else default_ip
        self._ip = None if default_ip is None else _encode(self._default_ip)
        self._whole = WholeEvents(with_ip=default_ip is not None)
        self._stretches = Stretches(self._ip, self._whole)
        self.quickly = self._stretches.one

    def stretches(
        self, records: list[bytes], *, are_lines: bool = False, are_ascii: bool = False
    ) -> Iterator[tuple[int, list[bytes]]]:
        """Completes records at once, as far as that goes, so that a bad one costs its neighbours nothing.

        Args:
            records: as `complete` gets them.
            are_lines: whether it is known that there are no line breaks in them, and that none is too long to be an
                event. Of many at once that is known soon: looking for it in each takes half as long as decoding it.
            are_ascii: whether it is known that all of them are ASCII; of many at once that is known sooner still.

        Yields:
            The index of a record, and the events of it and of those that follow, one of each; none where that record
            has to go through `complete_odd`. Records that need no change are the events themselves.
        """
        return self._stretches.of(records, are_lines=are_lines, are_ascii=are_ascii)

    def complete(self, record: bytes) -> bytes:
        """The record as an event, checked and completed; white space around it does not count.

        Raises:
            InvalidRecord: it cannot be imported.
        """
        return self.quickly(record) or self.complete_odd(record)

    def complete_odd(self, record: bytes) -> bytes:
        """The same, for a record that is not as most are: bad ones, and those that `stretches` left out.

        Raises:
            InvalidRecord: it cannot be imported.
        """
        if len(record) >= MAX_EVENT_BYTES:
            raise InvalidRecord("is too long: Mixpanel takes events under 1 MB")
        return _one_line(self._completed(record, record))

    def complete_made(self, made: dict[str, Any], origin: bytes, nth: int) -> bytes:
        """What a mapping or transform made of a record, as an event: checked and completed.

        Args:
            made: what it made.
            origin: the record it was made from.
            nth: how many events it made of that record before this one.

        Raises:
            InvalidRecord: it cannot be imported.
        """
        is_whole = _is_whole(made)
        if is_whole and self._default_ip is not None and made["properties"].get("ip") in (None, ""):
            made = {**made, "properties": {**made["properties"], "ip": self._default_ip}}
        try:
            event = _encode(made)
        except Exception as error:
            raise InvalidRecord(f"the transform returned what is no JSON: {text_of(error)}") from None
        if len(event) >= MAX_EVENT_BYTES:
            raise InvalidRecord("is too long after the transform: Mixpanel takes events under 1 MB")
        return event if is_whole and not nests_too_deep(event) else self._completed(event, origin, nth)

    def _completed(self, event: bytes, origin: bytes, nth: int = 0) -> bytes:
        try:
            if nests_too_deep(event):
                raise InvalidRecord("is nested too deeply")
            event, known = _known(event)
            added = self._lacking(known.properties, origin, nth)
            event = self._with(event, added) if added else event
        except RecursionError:  # within our own bound, by a program that has called deep before it came here
            raise InvalidRecord("is nested too deeply") from None
        if known.event in IDENTITY_CALLS:
            raise InvalidRecord(
                f"is a call of {known.event}, and Mixpanel rejects the whole batch for it in a project with the"
                " simplified identity merge: if yours has the original one, send it to Mixpanel by other means",
                "event",
            )
        if len(event) >= MAX_EVENT_BYTES:
            raise InvalidRecord("is too long once it is complete: Mixpanel takes events under 1 MB")
        return event

    def _lacking(self, properties: _Properties, origin: bytes, nth: int) -> dict[str, bytes]:
        """The properties that are missing, each as JSON."""
        added = {}
        if self._ip is not None and bytes(properties.ip) in (b"null", b'""'):
            added["ip"] = self._ip
        if not properties.insert_id:
            added["$insert_id"] = b'"%b"' % fingerprint(origin, nth)
        if properties.distinct_id is None or properties.distinct_id is UNSET:
            found = distinct_id_of(_value(properties.user_id), _value(properties.device_id))
            if found is None:
                raise no_distinct_id("null" if properties.distinct_id is None else "missing")
            added["distinct_id"] = _encode(found)
        return added

    def _with(self, event: bytes, added: dict[str, bytes]) -> bytes:
        """Puts properties into the bytes, and looks whether they took; where not, builds the event anew."""
        if opening := _find_opening(event):
            head, tail = event[: opening.end()], event[opening.end() :]
            for name, value in added.items():
                head += b'"%b":%b,' % (name.encode(), value)
            spliced = head + tail
            if self._whole.has(spliced):
                return spliced
        return with_properties(event, added)


def _is_whole(made: dict[str, Any]) -> bool:
    """Whether it lacks nothing but perhaps an `ip`, so that it need not be looked at again once it is encoded."""
    name, properties = made.get("event"), made.get("properties")
    if name.__class__ is not str or not name or name in IDENTITY_CALLS or properties.__class__ is not dict:
        return False
    identifier = properties.get("$insert_id")
    return (
        identifier.__class__ is str
        and identifier != ""
        and properties.get("distinct_id").__class__ is str
        and properties.get("time").__class__ is int
    )


def insert_id(event: bytes) -> str | None:
    """The `$insert_id` of an event that was completed, or of a record if it has one that can be read."""
    try:
        return _decode_identified(event).properties.insert_id
    except NOT_DECODED:
        return None


def _known(event: bytes) -> tuple[bytes, _Event]:
    """The event, repaired where it has to be, and what of it has to be known."""
    try:
        known = _decode(event)
        if not event.isascii():
            event.decode()  # the decoder does not look into strings it skips
    except (msgspec.MsgspecError, UnicodeDecodeError):
        event = repaired(event)
        known = _decode(event)
    return event, known


def _value(written: Raw) -> object:
    """The value; an object where it is a number that none can hold."""
    try:
        return msgspec.json.decode(written)
    except msgspec.MsgspecError:
        return {}


def _one_line(event: bytes) -> bytes:
    """JSON allows line breaks only between tokens, where a space means the same."""
    if b"\n" in event or b"\r" in event:
        return event.replace(b"\r", b" ").replace(b"\n", b" ").strip()
    return event
