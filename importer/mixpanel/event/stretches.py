"""Many records at once: completed in stretches, so that what is as most records are costs little of Python.

Some records lack nothing, others all lack the same: each kind has a way that completes a run of it. A record that goes
none of these ways, bad ones among them, is left to `Completer.complete_odd`, and costs its neighbours nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import repeat
from operator import contains
from typing import Annotated, Protocol

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from importer.limits import IDENTITY_CALLS, MAX_EVENT_BYTES
from importer.mixpanel.event.filling import Filling, Lacks, short
from importer.mixpanel.event.whole import NOT_DECODED, WholeEvents

_MIN_WITH_CARE, _MAX_WITH_CARE = 4, 256
"""Records that are looked at one by one, once one had to be left out or lacked something else than its neighbours,
before more are tried at once again: the more, the shorter the stretches are."""

_MIN_AT_ONCE = 32
"""Records that are tried at once then, at the least, and twice as many each time that all of them went."""

_Text = Annotated[str, Meta(min_length=1)]
_find_opening = re.compile(rb'"properties"[ \t]*:[ \t]*\{').search


_OPENINGS = (b'"properties":{', b'"properties": {', b'"properties" : {')
"""How encoders write it. Whoever writes it otherwise has each event completed alone."""


class _Properties(Struct, gc=False):
    time: int | float
    distinct_id: str | int | float | UnsetType = UNSET
    insert_id: _Text | UnsetType = field(name="$insert_id", default=UNSET)
    ip: _Text | int | UnsetType = UNSET


class _Event(Struct, gc=False):
    event: _Text
    properties: _Properties


_decode = msgspec.json.Decoder(_Event).decode


class _Way(Protocol):
    """A way to complete records of one kind, which have no line breaks in them, and are short enough."""

    def one(self, record: bytes) -> bytes:
        """The event of a record; empty if it is of another kind."""

    def run(self, records: list[bytes], *, are_ascii: bool) -> list[bytes]:
        """The events of records from the first on, up to one that is of another kind."""


class Stretches:
    """Completes the records of blocks, as far as that goes at once. Safe to use from several threads.

    Args:
        ip: what an event without `ip` gets, as JSON; None where it gets nothing.
        whole: recognises the events that lack nothing.
    """

    def __init__(self, ip: bytes | None, whole: WholeEvents) -> None:
        self._ip = ip
        self._whole = whole
        self._usual: _Way = whole  # what went all through last, which is what the next begins with
        self._filling: dict[tuple[bytes, Lacks], Filling] = {}

    def of(
        self, records: list[bytes], *, are_lines: bool, are_ascii: bool = False
    ) -> Iterator[tuple[int, list[bytes]]]:
        """Completes the records of a block.

        Args:
            records: as `Completer.complete` gets them.
            are_lines, are_ascii: see `Completer.stretches`.

        Yields:
            The index of a record, and the events of it and of those that follow, one of each; none where that record
            has to go through `Completer.complete_odd`. Records that need no change are the events themselves.
        """
        start, with_care, at_once = 0, 0, len(records)
        way: _Way | None = self._usual
        while start < len(records):
            events: list[bytes] = []
            if with_care:
                events, way = self._with_care(records[start : start + with_care])
            if way is None:
                with_care = _MIN_WITH_CARE
            else:
                first = start + len(events)
                some = records[first : first + at_once] if first or at_once < len(records) else records
                run = way.run(some, are_ascii=are_ascii)
                if len(run) == len(some):
                    self._usual = way
                    at_once *= 2
                elif run or with_care:
                    at_once = max(2 * len(run), _MIN_AT_ONCE)
                with_care = min(2 * with_care, _MAX_WITH_CARE) if len(run) < with_care else _MIN_WITH_CARE
                events = events + run if events else run
            sendable = events if are_lines else short(_on_lines(events))
            if sendable:
                yield start, sendable
                start += len(sendable)
            if way is None or len(sendable) < len(events):
                yield start, []
                start += 1

    def one(self, record: bytes) -> bytes:
        """The event of one record; empty where that has to go through `Completer.complete_odd`."""
        if len(record) >= MAX_EVENT_BYTES or b"\n" in record or b"\r" in record:
            return b""
        usual = self._usual
        if event := usual.one(record):
            return event
        way = self._way(record)
        if way is None or way is usual or not (event := way.one(record)):
            return b""
        self._usual = way
        return event

    def _with_care(self, records: list[bytes]) -> tuple[list[bytes], _Way | None]:
        """The events of records that may all be of different kinds, and the way of the last; no way, where it has to be
        completed alone."""
        events: list[bytes] = []
        way: _Way | None = None
        for record in records:
            way = self._way(record)
            if way is None or not (event := way.one(record)):
                return events, None
            events.append(event)
        return events, way

    def _way(self, record: bytes) -> _Way | None:
        """The way that may complete a record, as far as can be told from what it lacks."""
        try:
            known = _decode(record)
        except NOT_DECODED:
            return None
        if known.event in IDENTITY_CALLS:
            return None
        properties = known.properties
        lacks = Lacks(
            properties.ip is UNSET and self._ip is not None,
            properties.insert_id is UNSET,
            properties.distinct_id is UNSET,
        )
        if not any(lacks):
            return self._whole
        opening = _find_opening(record)
        return self._filling_of(opening[0], lacks) if opening and opening[0] in _OPENINGS else None

    def _filling_of(self, opening: bytes, lacks: Lacks) -> Filling:
        if (opening, lacks) not in self._filling:
            self._filling[opening, lacks] = Filling(opening, self._ip, lacks)
        return self._filling[opening, lacks]


def restored(event: bytes, length: int) -> bytes:
    """The record of so many bytes, without line breaks, that `Stretches` made this event of."""
    added = len(event) - length
    opening = _find_opening(event) if added else None
    return event[: opening.end()] + event[opening.end() + added :] if opening else event


def _on_lines(events: list[bytes]) -> list[bytes]:
    """Each event on one line: JSON allows line breaks only between tokens, where a space means the same."""
    if any(map(contains, events, repeat(b"\n"))) or any(map(contains, events, repeat(b"\r"))):
        return [
            event.replace(b"\r", b" ").replace(b"\n", b" ").strip() if b"\n" in event or b"\r" in event else event
            for event in events
        ]
    return events
