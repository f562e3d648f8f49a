"""Which events have come in before, in little memory for each, and bounded."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from importer.mixpanel.judge import Event

REMEMBERED = 4_000_000
"""Events that are known again, at least half as many when it has just forgotten some."""

_LINES_AT_A_TIME = 20_000


class Known:
    """Tells a new event from a duplicate: events with the same name, time, distinct_id and $insert_id are one.

    An event costs about 115 bytes: 8 of them a hash of what makes it one event, 37 its $insert_id, the rest Python's.
    Events are held in two halves; when the newer is full, the older is forgotten.

    Args:
        most: how many events are held.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self._half = most // 2
        self._older, self._newer = _Half(), _Half()

    def add(self, events: Sequence[Event]) -> int:
        """Adds what is new of `events`, and counts the others.

        Returns:
            How many of them were known already, from before or from the same batch.
        """
        properties = [event.properties for event in events]
        insert_ids = [each.insert_id for each in properties]
        keys = [
            hash((event.event, each.time, each.distinct_id, each.insert_id))
            for event, each in zip(events, properties, strict=True)
        ]
        if len(self._newer.times) >= self._half:
            self._older, self._newer = self._newer, _Half()
        fresh = dict.fromkeys(keys, 1)
        if (
            len(fresh) == len(keys)
            and self._newer.times.keys().isdisjoint(keys)
            and self._older.times.keys().isdisjoint(keys)
        ):
            self._newer.times.update(fresh)
        else:
            insert_ids = self._count_each(keys, insert_ids)
        if insert_ids:
            self._newer.insert_ids += "\n".join(insert_ids).encode() + b"\n"
        return len(keys) - len(insert_ids)

    def lines(self) -> Iterator[str]:
        """Each event's $insert_id and how many times it came in, as `id<TAB>times` lines, many at a time.

        Events that come in meanwhile are left out.
        """
        for half in (self._older, self._newer):
            yield from half.lines()

    def _count_each(self, keys: list[int], insert_ids: list[str]) -> list[str]:
        """Counts events of which some are known; the ids of those that were not."""
        new = []
        for key, insert_id in zip(keys, insert_ids, strict=True):
            for half in (self._newer, self._older):
                if key in half.times:
                    half.times[key] += 1
                    break
            else:
                self._newer.times[key] = 1
                new.append(insert_id)
        return new


class _Half:
    """Events in the order they first came: how many times each was seen, by its hash, and their ids, one a line."""

    def __init__(self) -> None:
        self.times: dict[int, int] = {}
        self.insert_ids = bytearray()

    def lines(self) -> Iterator[str]:
        times = array("q", self.times.values())
        end, start, n = len(self.insert_ids), 0, 0
        while start < end:
            stop = min(end, self.insert_ids.index(b"\n", min(end - 1, start + _LINES_AT_A_TIME * 37)) + 1)
            names = self.insert_ids[start:stop].decode().split("\n")[:-1]
            yield "".join([f"{name}\t{seen}\n" for name, seen in zip(names, times[n : n + len(names)], strict=True)])
            start, n = stop, n + len(names)
