"""Where in its source a record is, told again only for the few that are rejected, or that a checkpoint is before."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import repeat
from operator import contains

from msgspec import Struct

from importer.mixpanel.event.stretches import restored
from importer.records import Block


class Place(Struct, frozen=True, gc=False):
    """Where the events of a batch come from: a record, or records that follow each other and gave one event each.

    Attributes:
        line: the line of the record, or of the first.
        offset: bytes of uncompressed content before it.
        records: the records from the one with index `first` on, where their events do not tell how they came: where a
            mapping, a transform or a repair made something else of them.
        lengths: bytes of each, where something was put in that its event does not have without.
        places: line and offset of each, where these do not follow from the lengths.
        first: see there.
    """

    line: int
    offset: int
    records: Sequence[bytes] | None = None
    lengths: array[int] | None = None
    places: Sequence[tuple[int, int]] | None = None
    first: int = 0

    def after(self, count: int, size: int) -> Place:
        """The place of the record after those that gave the next `count` events.

        Args:
            size: bytes of these events, and one more for each.
        """
        nth = self.first + count
        if self.places is not None:
            line, offset = self.places[nth]
        else:
            line, offset = self.line + count, self.offset + self._size(count, size)
        return Place(line, offset, self.records, self.lengths, self.places, nth)

    def record(self, event: bytes) -> bytes:
        """The record, as it came, that gave this event, which is the first from here."""
        if self.records is not None:
            return self.records[self.first]
        return event if self.lengths is None else restored(event, self.lengths[self.first])

    def _size(self, count: int, size: int) -> int:
        """Bytes of the records that gave them, and one more for each."""
        if self.records is not None:
            return sum(map(len, self.records[self.first : self.first + count])) + count
        return size if self.lengths is None else sum(self.lengths[self.first : self.first + count]) + count


class Cursor:
    """Goes through the records of a block, forwards: which line and offset each has.

    Args:
        block: the records.
        makes_events: whether events are made of them, so that an event does not tell how its record came.
    """

    def __init__(self, block: Block, *, makes_events: bool = False) -> None:
        self._block = block
        self._makes_events = makes_events
        self._index = 0
        self._offset = block.offset

    def place(self, nth: int) -> tuple[int, int]:
        """The line and offset of a record, the same as before or a later one."""
        block = self._block
        if block.places is not None:
            return block.places[nth]
        index = self._index
        if nth > index:
            passed = len(block.records[index]) if nth == index + 1 else sum(map(len, block.records[index:nth]))
            self._offset += passed + nth - index
            self._index = nth
        return block.line + nth, self._offset

    def stretch(self, nth: int, events: list[bytes]) -> tuple[Place, int]:
        """The place of records that gave one event each, and their bytes, with one more for each."""
        block = self._block
        line, offset = self.place(nth)
        is_all = len(events) == len(block.records)
        records = block.records if is_all else block.records[nth : nth + len(events)]
        size = block.size if is_all else sum(map(len, records)) + len(records)
        places = block.places and block.places[nth : nth + len(events)]
        if self._makes_events:
            return Place(line, offset, records, places=places), size
        if events is records or events == records:
            return Place(line, offset, places=places), size
        if block.are_lines or not (_any_holds(records, b"\n") or _any_holds(records, b"\r")):
            return Place(line, offset, lengths=array("I", map(len, records)), places=places), size
        return Place(line, offset, records, places=places), size


def _any_holds(records: list[bytes], line_break: bytes) -> bool:
    return any(map(contains, records, repeat(line_break)))
