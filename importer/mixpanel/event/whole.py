"""Events that lack nothing: most of what is imported, so that to recognise them has to cost least."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import filterfalse, takewhile
from operator import attrgetter, length_hint
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, defstruct, field

from importer.limits import IDENTITY_CALLS
from importer.mixpanel.nesting import MIN_LENGTH, nests_too_deep

NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_MAX_NAMES = 250
_COMMON_NAME = "$mp_web_page_view"
_name_of = attrgetter("event")
_Text = Annotated[str, Meta(min_length=1)]


class _Properties(Struct, gc=False):
    time: int | float
    distinct_id: str | int | float
    insert_id: _Text = field(name="$insert_id")


class _LocatedProperties(_Properties, gc=False):
    ip: _Text | int


class WholeEvents:
    """Recognises events that can be sent as they are.

    It keeps some hundred of their names, since a decoder compares a name with those it knows for nothing, as it reads
    it. To look at every name afterwards, for one that no event may have, costs a tenth of the decoding.

    Args:
        with_ip: whether an event without `ip` lacks something.
    """

    def __init__(self, *, with_ip: bool) -> None:
        self._properties = _LocatedProperties if with_ip else _Properties
        self._decode = self._decoder(_Text)
        self._names = frozenset((_COMMON_NAME,))
        self._decode_known: Callable[[bytes], Any] | None = self._decoder(Literal[_COMMON_NAME])

    def has(self, event: bytes) -> bool:
        """Whether an event, which is sound otherwise, lacks nothing."""
        try:
            return self._decode(event).event not in IDENTITY_CALLS
        except NOT_DECODED:
            return False

    def one(self, record: bytes) -> bytes:
        """See `stretches.Way`."""
        try:
            is_whole = self._decode(record).event not in IDENTITY_CALLS
        except NOT_DECODED:
            return b""
        return record if is_whole and is_sound(record) else b""

    def run(self, records: list[bytes], *, are_ascii: bool) -> list[bytes]:
        """See `stretches.Way`."""
        rest, count = iter(records), len(records)
        while not self._run(rest):
            count = len(records) - length_hint(rest) - 1
            if not self._learn(records[count:]):
                break
            rest, count = iter(records[count:]), len(records)
        some = records if count == len(records) else records[:count]
        return sound(some, are_ascii=are_ascii)

    def _run(self, records: Iterator[bytes]) -> bool:
        """Runs through whole events with names that are known; gives whether it came to the end."""
        try:
            if self._decode_known:
                deque(map(self._decode_known, records), maxlen=0)
                return True
            return IDENTITY_CALLS.isdisjoint(map(_name_of, map(self._decode, records)))
        except NOT_DECODED:
            return False

    def _learn(self, records: Sequence[bytes]) -> bool:
        """Takes up the names of whole events; gives whether the name of the first was all that was missing."""
        if not self._decode_known or not self.has(records[0]):
            return False
        names: set[str] = set()
        with suppress(*NOT_DECODED):
            names.update(map(_name_of, map(self._decode, records)))
        known = self._names | names - IDENTITY_CALLS
        if known == self._names:
            return False
        self._names = known
        self._decode_known = None if len(known) > _MAX_NAMES else self._decoder(Literal[tuple(known)])
        return True

    def _decoder(self, name: Any) -> Callable[[bytes], Any]:
        event = defstruct("_Event", [("event", name), ("properties", self._properties)], gc=False)
        return msgspec.json.Decoder(event).decode


def sound(records: list[bytes], *, are_ascii: bool) -> list[bytes]:
    """The records, which a decoder took that skips most of them, before the first that cannot be sent all the same.

    Args:
        records: each short enough, and without line breaks.
        are_ascii: whether it is known that all of them are ASCII.
    """
    if _are_text(records, are_ascii=are_ascii) and (
        max(map(len, records), default=0) < MIN_LENGTH or not any(map(nests_too_deep, records))
    ):
        return records
    return list(takewhile(is_sound, records))


def is_sound(record: bytes) -> bool:
    """Whether one of them can be sent: it is UTF-8, and not nested too deep."""
    if not record.isascii() and not _are_text((record,), are_ascii=False):
        return False
    return len(record) < MIN_LENGTH or not nests_too_deep(record)


def _are_text(records: Sequence[bytes], *, are_ascii: bool) -> bool:
    try:
        if not are_ascii:
            deque(map(bytes.decode, filterfalse(bytes.isascii, records)), maxlen=0)
    except UnicodeDecodeError:
        return False
    return True
