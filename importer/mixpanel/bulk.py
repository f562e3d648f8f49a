"""Many records at once: what most records of most files are, checked and completed in few steps of Python.

What is not as most are has to go through `Completer.complete`, one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import repeat
from operator import itemgetter
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from importer.errors import InvalidRecord
from importer.limits import IDENTITY_CALLS, MAX_EVENT_BYTES
from importer.mixpanel.fields import distinct_id_of, fingerprint
from importer.mixpanel.whole import NOT_DECODED, are_sound, leading

_MAX_HEADS = 10_000
_OPEN, _CLOSE = {b"{"[0]}, {b"}"[0]}
_first, _last = itemgetter(0), itemgetter(-1)
_all_but_last = itemgetter(slice(None, -1))
_encode = msgspec.json.Encoder().encode

_shape = re.compile(rb'(\{[ \t]*"event"[ \t]*:[ \t]*"([^"\\]+)"[ \t]*,[ \t]*)("properties"[ \t]*:[ \t]*)\{').match
"""How an event begins whose properties can be told apart without decoding what is around them."""

_head = re.compile(rb'\{[ \t]*"event"[ \t]*:[ \t]*"([^"\\\0-\x1f]+)"[ \t]*,[ \t]*').fullmatch


class _Properties(Struct, gc=False):
    time: int | float
    distinct_id: str | int | float | UnsetType = UNSET
    insert_id: Annotated[str, Meta(min_length=1)] | UnsetType = field(name="$insert_id", default=UNSET)
    ip: Annotated[str, Meta(min_length=1)] | int | UnsetType = UNSET
    user_id: Any = field(name="$user_id", default=None)
    device_id: Any = field(name="$device_id", default=None)


_decode = msgspec.json.Decoder(_Properties).decode


class Bulk:
    """Completes many records at once.

    Args:
        ip: what an event without `ip` gets, as JSON; None where it gets nothing.
    """

    def __init__(self, ip: bytes | None) -> None:
        self._ip = ip
        self._heads: set[bytes] = set()
        """What goes before an event's properties: as many as there are names of events."""

    def complete(self, records: Sequence[bytes], *, are_lines: bool) -> list[bytes]:
        """The events of these, up to the first that has to be completed alone.

        All are of the form `{"event":"…","properties":{…}}`, with white space where the first has it. So the properties
        are decoded alone, once, which tells at once that they are the record's only ones, and what they lack.

        Args:
            records: as `Completer.complete` gets them.
            are_lines: see `are_sound`.
        """
        shape = _shape(records[0])
        if not shape:
            return []
        heads, _, tails = zip(*map(bytes.partition, records, repeat(shape[3])), strict=True)
        count = len(records)
        if not (self._heads.issuperset(heads) and _open_and_close(tails)):
            self._learn(set(heads))
            count = leading(map(self._is_cut, heads, tails))
        known: list[_Properties] = []
        with suppress(*NOT_DECODED):
            known.extend(map(_decode, map(_all_but_last, tails[:count])))
        some = records[: len(known)]
        if not are_sound(some, are_lines=are_lines):
            some = some[: leading(are_sound((one,), are_lines=are_lines) for one in some)]
        return self._completed(some, known, shape[3] + b"{")

    def _learn(self, heads: set[bytes]) -> None:
        if len(self._heads) > _MAX_HEADS:
            self._heads = set()
        for head in heads:
            found = _head(head)
            with suppress(UnicodeDecodeError):
                if found and found[1].decode() not in IDENTITY_CALLS:
                    self._heads.add(head)

    def _is_cut(self, head: bytes, tail: bytes) -> bool:
        return head in self._heads and tail.startswith(b"{") and tail.endswith(b"}")

    def _completed(self, records: Sequence[bytes], known: list[_Properties], opening: bytes) -> list[bytes]:
        """The events: what they lack goes behind the brace that opens their properties."""
        located = opening if self._ip is None else b'%b"ip":%b,' % (opening, self._ip)
        events = []
        for record, properties in zip(records, known, strict=False):
            start = located if properties.ip is UNSET else opening
            if properties.insert_id is UNSET:
                start = b'%b"$insert_id":"%b",' % (start, fingerprint(record))
            if properties.distinct_id is UNSET:
                try:
                    found = distinct_id_of(properties.user_id, properties.device_id)
                except InvalidRecord:
                    break
                if found is None:
                    break
                start = b'%b"distinct_id":%b,' % (start, _encode(found))
            if start is not opening:
                record = record.replace(opening, start, 1)
                if len(record) >= MAX_EVENT_BYTES:
                    break
            events.append(record)
        return events


def _open_and_close(texts: Sequence[bytes]) -> bool:
    """Whether each begins with a brace and ends with one."""
    return all(texts) and set(map(_first, texts)) == _OPEN and set(map(_last, texts)) == _CLOSE
