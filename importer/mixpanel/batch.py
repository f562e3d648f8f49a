"""A batch: events that travel in one request, bounded in number and in bytes, and packed once it is on its way."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

from isal import igzip_lib

_GZIP_LEVEL = 1
"""With isal, 1.9 µs an event and a quarter of the size; the next better ratio costs twice the time."""

Place = TypeVar("Place")


class Batch(Generic[Place]):
    """Events on their way to Mixpanel, and the place in its source that each came from.

    Attributes:
        events: each one line of JSON, as the `Completer` returns it.
        places: whatever the source needs to find an event again; one for each `add`, and for each `extend`.
        size: bytes of the request's body before compression: the events and a line break after each.
    """

    __slots__ = ("_firsts", "_max_bytes", "_max_events", "events", "places", "size")

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._firsts: list[int] = []  # for each place, the index of the first event that came from there
        self.events: list[bytes] = []
        self.places: list[Place] = []
        self.size = 0

    def has_room(self, count: int, size: int) -> bool:
        """Whether so many events more, of so many bytes with a line break after each, are within the bounds."""
        return len(self.events) + count <= self._max_events and self.size + size <= self._max_bytes

    def add(self, event: bytes, place: Place) -> bool:
        """Takes the event in, if there is room.

        Returns:
            False when the batch is full: the event was not taken; send the batch and put the event in the next one.
            An empty batch takes any event.
        """
        size = len(event) + 1
        if self.events and not self.has_room(1, size):
            return False
        self._firsts.append(len(self.events))
        self.places.append(place)
        self.events.append(event)
        self.size += size
        return True

    def extend(self, events: list[bytes], size: int, place: Place) -> int:
        """Takes events in that follow each other at one place, as far as there is room.

        Args:
            events: as `add` takes them.
            size: the bytes of all of them, and of a line break after each.
            place: of the first.

        Returns:
            How many were taken. If not all were, the batch is full: send it and put the rest in the next one.
            An empty batch takes one event at least.
        """
        if not self.has_room(len(events), size):
            events = events[: self._max_events - len(self.events)]
            size = sum(map(len, events)) + len(events)
        if not self.has_room(len(events), size):
            ends = list(accumulate(len(event) + 1 for event in events))
            taken = bisect_right(ends, self._max_bytes - self.size) or int(not self.events)
            events, size = events[:taken], ends[taken - 1] if taken else 0
        if events:
            self._firsts.append(len(self.events))
            self.places.append(place)
            self.events += events
            self.size += size
        return len(events)

    def place(self, index: int) -> tuple[Place, int]:
        """The place that an event came from, and how many events of the same place go before it."""
        nth = bisect_right(self._firsts, index) - 1
        return self.places[nth], index - self._firsts[nth]

    def pack(self) -> Packed:
        """Packs the events, which the batch lets go of; the places stay."""
        packed = pack(self.events)
        self.events = []
        return packed


@dataclass(frozen=True, slots=True)
class Packed:
    """Events as they travel, a quarter of their size: what is on its way holds no more than this.

    Attributes:
        body: newline-delimited JSON, gzipped.
        count: events in it.
        size: bytes of it before compression.
    """

    body: bytes
    count: int
    size: int

    def events(self) -> list[bytes]:
        """The events again, for the rare case that one of them has to be looked at."""
        return igzip_lib.decompress(self.body, igzip_lib.DECOMP_GZIP).split(b"\n") if self.count else []

    def halves(self) -> tuple[Packed, Packed]:
        """The first half of the events, and the second."""
        events = self.events()
        middle = self.count // 2
        return pack(events[:middle]), pack(events[middle:])


def pack(events: Sequence[bytes]) -> Packed:
    """Packs events, each one line of JSON, for their journey. Other threads can run meanwhile."""
    text = b"\n".join(events)
    return Packed(igzip_lib.compress(text, _GZIP_LEVEL, igzip_lib.COMP_GZIP), len(events), len(text))
