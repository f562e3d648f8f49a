"""A batch: events that travel in one request, bounded in number and in bytes."""

from __future__ import annotations

from typing import Generic, TypeVar

Place = TypeVar("Place")


class Batch(Generic[Place]):
    """Events on their way to Mixpanel, and the place in its source that each came from.

    Attributes:
        events: each one line of JSON, as `event.prepare` returns it.
        places: for the event of the same index, whatever its source needs to find it again.
        size: bytes of the request's body before compression: the events and a line break after each.
    """

    __slots__ = ("_max_bytes", "_max_events", "events", "places", "size")

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self.events: list[bytes] = []
        self.places: list[Place] = []
        self.size = 0

    def __len__(self) -> int:
        return len(self.events)

    def add(self, event: bytes, place: Place) -> bool:
        """Takes the event in, if there is room.

        Returns:
            False when the batch is full: the event was not taken; send the batch and put the event in the next one.
            An empty batch takes any event.
        """
        size = self.size + len(event) + 1
        if self.events and (size > self._max_bytes or len(self.events) >= self._max_events):
            return False
        self.events.append(event)
        self.places.append(place)
        self.size = size
        return True
