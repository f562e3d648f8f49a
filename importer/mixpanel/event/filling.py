"""Events that all lack the same: it is put where their properties open, in a pass of the interpreter's own functions.

What a record lacks is not looked for but tried: marks are put where its properties seem to open. Where the decoder then
finds just these marks, they do open there, and the record has no such property of its own, however it is written. So
one pass over the bytes is enough, and each costs as much as all else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import repeat, takewhile
from operator import attrgetter, length_hint
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, defstruct, field

from importer.errors import InvalidRecord
from importer.limits import IDENTITY_CALLS, MAX_EVENT_BYTES
from importer.mixpanel.event.fields import distinct_id_of, fingerprint
from importer.mixpanel.event.whole import NOT_DECODED, is_sound, sound

_MARK_IP, _MARK_ID = secrets.randbits(62), secrets.token_hex(16)
"""Nobody's `ip`, and nobody's `$insert_id` or `distinct_id`."""

_name_of = attrgetter("event")
_encode = msgspec.json.Encoder().encode
_Text = Annotated[str, Meta(min_length=1)]


class Lacks(NamedTuple):
    """What events lack, and are to get."""

    ip: bool
    insert_id: bool
    distinct_id: bool


class Filling:
    """Completes events that all lack the same.

    Args:
        opening: the bytes that the records' properties open with.
        ip: what an event without `ip` gets, as JSON; None where it gets nothing.
        lacks: what they lack.
    """

    def __init__(self, opening: bytes, ip: bytes | None, lacks: Lacks) -> None:
        self._lacks = lacks
        self._opening = opening
        self._opened = opening + b'"ip":%b,' % ip if lacks.ip and ip is not None else opening
        mark = _MARK_ID.encode()
        self._marked = opening + b'"ip":%d,' % _MARK_IP * lacks.ip
        self._marked += b'"$insert_id":"%b",' % mark * lacks.insert_id
        self._marked += b'"distinct_id":"%b",' % mark * lacks.distinct_id
        wanted: list[tuple[str, Any] | tuple[str, Any, Any]] = [
            ("time", int | float),
            ("distinct_id", Literal[_MARK_ID] if lacks.distinct_id else str | int | float),
            ("insert_id", Literal[_MARK_ID] if lacks.insert_id else _Text, field(name="$insert_id")),
        ]
        if ip is not None:
            wanted.append(("ip", Literal[_MARK_IP] if lacks.ip else _Text | int))
        if lacks.distinct_id:
            wanted.append(("user_id", Any, field(name="$user_id", default=None)))
            wanted.append(("device_id", Any, field(name="$device_id", default=None)))
        properties = defstruct("_Properties", wanted, gc=False)
        event = defstruct("_Event", [("event", _Text), ("properties", properties)], gc=False)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(event).decode

    def one(self, record: bytes) -> bytes:
        """See `stretches.Way`."""
        if self._lacks.distinct_id:
            return b"".join(self.run([record], are_ascii=False))
        try:
            event = self._decode(record.replace(self._opening, self._marked, 1))
        except NOT_DECODED:
            return b""
        if event.event in IDENTITY_CALLS or not is_sound(record):
            return b""
        start = self._opened
        if self._lacks.insert_id:
            start = b'%b"$insert_id":"%b",' % (start, fingerprint(record))
        filled = record.replace(self._opening, start, 1)
        return filled if len(filled) < MAX_EVENT_BYTES else b""

    def run(self, records: list[bytes], *, are_ascii: bool) -> list[bytes]:
        """See `stretches.Way`."""
        rest = iter(records)
        marked = map(bytes.replace, rest, repeat(self._opening), repeat(self._marked), repeat(1))
        users: list[str] = []
        if self._lacks.distinct_id:
            users = self._users(marked)
            records = records[: len(users)]
        elif not self._fit(marked):
            records = records[: len(records) - length_hint(rest) - 1]
        records = sound(records, are_ascii=are_ascii)
        return short(list(map(bytes.replace, records, repeat(self._opening), self._starts(records, users), repeat(1))))

    def _fit(self, marked: Iterator[bytes]) -> bool:
        """Runs through the records; gives whether it came to the end, and not only to one that is not as these are."""
        try:
            return IDENTITY_CALLS.isdisjoint(map(_name_of, map(self._decode, marked)))
        except NOT_DECODED:
            return False

    def _users(self, marked: Iterator[bytes]) -> list[str]:
        """Whose each event is, up to the first of which that cannot be told."""
        known: list[Any] = []
        with suppress(*NOT_DECODED):
            known.extend(map(self._decode, marked))
        users = []
        with suppress(InvalidRecord):
            for event in known:
                user = distinct_id_of(event.properties.user_id, event.properties.device_id)
                if user is None or event.event in IDENTITY_CALLS:
                    break
                users.append(user)
        return users

    def _starts(self, records: list[bytes], users: list[str]) -> Iterable[bytes]:
        """What each event's properties open with."""
        starts: Iterable[bytes] = repeat(self._opened)
        if self._lacks.insert_id:
            starts = [b'%b"$insert_id":"%b",' % (self._opened, fingerprint(record)) for record in records]
        if self._lacks.distinct_id:
            starts = [
                b'%b"distinct_id":%b,' % (start, _encode(user)) for start, user in zip(starts, users, strict=False)
            ]
        return starts


def short(events: list[bytes]) -> list[bytes]:
    """The events before the first that is too long to be sent."""
    if max(map(len, events), default=0) < MAX_EVENT_BYTES:
        return events
    return list(takewhile(lambda event: len(event) < MAX_EVENT_BYTES, events))
