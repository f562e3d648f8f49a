"""Events that all lack the same: it is put where their properties open, in a pass of the interpreter's own functions.

What a record lacks is not looked for but tried: marks are put where its properties seem to open. Where the decoder then
finds just these marks, they do open there, and the record has no such property of its own, however it is written. So
one pass over the bytes is enough, and each costs as much as all else.
"""

from __future__ import annotations

import secrets
from itertools import repeat, takewhile
from operator import attrgetter, length_hint
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, defstruct, field

from importer.limits import IDENTITY_CALLS, MAX_EVENT_BYTES
from importer.mixpanel.fields import fingerprint
from importer.mixpanel.whole import NOT_DECODED, are_sound, leading

_MARK_IP, _MARK_ID = secrets.randbits(62), secrets.token_hex(16)
"""Nobody's `ip` and `$insert_id`."""

_name_of = attrgetter("event")
_Text = Annotated[str, Meta(min_length=1)]


class Filling:
    """Completes events that lack `ip`, `$insert_id`, or both.

    Args:
        opening: the bytes that the records' properties open with.
        ip: what an event without `ip` gets, as JSON; None where it gets nothing.
        lacks_ip: whether the events lack it, and are to get it.
        lacks_id: whether they lack an `$insert_id`.
    """

    def __init__(self, opening: bytes, ip: bytes | None, *, lacks_ip: bool, lacks_id: bool) -> None:
        self._opening = opening
        self._opened = opening + b'"ip":%b,' % ip if lacks_ip and ip is not None else opening
        self._marked = (
            opening + b'"ip":%d,' % _MARK_IP * lacks_ip + b'"$insert_id":"%b",' % _MARK_ID.encode() * lacks_id
        )
        self._lacks_id = lacks_id
        wanted: list[tuple[str, Any] | tuple[str, Any, Any]] = [
            ("time", int | float),
            ("distinct_id", str | int | float),
            ("insert_id", Literal[_MARK_ID] if lacks_id else _Text, field(name="$insert_id")),
        ]
        if ip is not None:
            wanted.append(("ip", Literal[_MARK_IP] if lacks_ip else _Text | int))
        properties = defstruct("_Properties", wanted, gc=False)
        event = defstruct("_Event", [("event", _Text), ("properties", properties)], gc=False)
        self._decode = msgspec.json.Decoder(event).decode

    def one(self, record: bytes) -> bytes:
        """See `stretches.Way`."""
        try:
            self._decode(record.replace(self._opening, self._marked, 1))
        except NOT_DECODED:
            return b""
        return b"".join(self._filled([record])) if are_sound((record,), are_lines=True) else b""

    def run(self, records: list[bytes]) -> list[bytes]:
        """See `stretches.Way`."""
        rest = iter(records)
        marked = map(bytes.replace, rest, repeat(self._opening), repeat(self._marked), repeat(1))
        try:
            fit = IDENTITY_CALLS.isdisjoint(map(_name_of, map(self._decode, marked)))
        except NOT_DECODED:
            fit = False
        if not fit:
            records = records[: len(records) - length_hint(rest) - 1]
        if not are_sound(records, are_lines=True):
            records = records[: leading(are_sound((one,), are_lines=True) for one in records)]
        return self._filled(records)

    def _filled(self, records: list[bytes]) -> list[bytes]:
        opening, opened = self._opening, self._opened
        if not self._lacks_id:
            return short(list(map(bytes.replace, records, repeat(opening), repeat(opened), repeat(1))))
        return short(
            [record.replace(opening, b'%b"$insert_id":"%b",' % (opened, fingerprint(record)), 1) for record in records]
        )


def short(events: list[bytes]) -> list[bytes]:
    """The events before the first that is too long to be sent."""
    if max(map(len, events), default=0) < MAX_EVENT_BYTES:
        return events
    return list(takewhile(lambda event: len(event) < MAX_EVENT_BYTES, events))
