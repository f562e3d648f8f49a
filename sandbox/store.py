"""What the stand-in holds: every event once, in little memory; the last of them in full; and the counts."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct

from sandbox.rules import Event

RECENT_EVENTS = 10_000
"""Events kept in full, for looking at."""
RECENT_EVENT_BYTES = 64_000_000
"""What the events kept in full may take together, in bytes."""
RECENT_REQUESTS = 1_000
RECENT_REJECTS = 1_000
REJECT_TEXT = 4_000
"""Characters of a rejected event that are kept."""

_ID_LINES = 20_000


class Request(Struct, frozen=True):
    """One request to /import: sizes in bytes, `at` in seconds since the epoch, `status` None where it got no answer."""

    n: int
    at: float
    events: int
    bytes: int
    wire_bytes: int
    seconds: float
    status: int | None
    imported: int
    duplicates: int
    rejected: int
    user_agent: str
    auth: str
    fault: str | None


class Reject(Struct, frozen=True):
    """One event that broke a rule, in request `request` at place `index`."""

    at: float
    request: int
    index: int
    insert_id: str
    field: str
    message: str
    event: str


class Batch(Struct, frozen=True):
    """The events that one request brought, as they were sent."""

    request: int
    at: float
    lines: Sequence[bytes]


class Store:
    """Takes events, knows a duplicate, and remembers what was asked.

    An event costs about 115 bytes: 8 of them a hash of what makes it one event, 37 its $insert_id, the rest Python's.
    """

    def __init__(self) -> None:
        self._times_seen: dict[int, int] = {}
        self._ids = bytearray()
        self._recent: deque[Batch] = deque()
        self._recent_events = 0
        self._recent_bytes = 0
        self.requests: deque[Request] = deque(maxlen=RECENT_REQUESTS)
        self.rejects: deque[Reject] = deque(maxlen=RECENT_REJECTS)
        self.begun = 0
        self._received = self._duplicates = self._rejected = self._bytes = self._wire_bytes = 0
        self._answers: Counter[str] = Counter()
        self._largest = {"events": 0, "bytes": 0}

    def begin(self) -> int:
        """A request has come in; its number, from 1."""
        self.begun += 1
        return self.begun

    def take(self, batch: Batch, events: Sequence[Event]) -> int:
        """Ingests the events of `batch`; `events` is what they decode to.

        Returns:
            How many of them were known already, from before or from the same batch.
        """
        names = [event.event for event in events]
        properties = [event.properties for event in events]
        insert_ids = [each.insert_id for each in properties]
        whens = [each.time for each in properties]
        users = [each.distinct_id for each in properties]
        keys = list(map(hash, zip(names, whens, users, insert_ids, strict=True)))
        fresh = dict.fromkeys(keys, 1)
        if len(fresh) == len(keys) and self._times_seen.keys().isdisjoint(keys):
            self._times_seen.update(fresh)
            new_ids = insert_ids
        else:
            new_ids = self._count_each(keys, insert_ids)
        if new_ids:
            self._ids += "\n".join(new_ids).encode() + b"\n"
        duplicates = len(keys) - len(new_ids)
        self._duplicates += duplicates
        self._received += len(keys)
        self._remember(batch)
        return duplicates

    def count(self, events: int) -> None:
        """Counts events that came in without looking at them."""
        self._received += events

    def finish(self, request: Request, rejects: Sequence[Reject] = ()) -> None:
        """The request has been dealt with."""
        self.requests.append(request)
        self.rejects.extend(rejects)
        self._received += request.rejected
        self._rejected += request.rejected
        self._bytes += request.bytes
        self._wire_bytes += request.wire_bytes
        self._answers[str(request.status) if request.status else "none"] += 1
        self._largest["events"] = max(self._largest["events"], request.events)
        self._largest["bytes"] = max(self._largest["bytes"], request.bytes)

    def summary(self) -> dict[str, Any]:
        """The counts: exact, whatever else is forgotten."""
        return {
            "requests": self.begun,
            "received": self._received,
            "imported": self._received - self._rejected - self._duplicates,
            "duplicates": self._duplicates,
            "rejected": self._rejected,
            "bytes": self._bytes,
            "wire_bytes": self._wire_bytes,
            "answers": dict(sorted(self._answers.items())),
            "largest_request": dict(self._largest),
        }

    def ids(self) -> Iterator[str]:
        """The $insert_id of each event held and how many times it came in, as `id<TAB>times` lines, many at a time.

        Events that come in meanwhile are left out.
        """
        times = array("q", self._times_seen.values())
        end, start, n = len(self._ids), 0, 0
        while start < end:
            stop = min(end, self._ids.index(b"\n", min(end - 1, start + _ID_LINES * 37)) + 1)
            names = self._ids[start:stop].decode().split("\n")[:-1]
            yield "".join([f"{name}\t{seen}\n" for name, seen in zip(names, times[n : n + len(names)], strict=True)])
            start, n = stop, n + len(names)

    def events(self, limit: int) -> list[dict[str, Any]]:
        """The newest events first, as they came."""
        newest = (
            {"event": msgspec.Raw(line), "at": batch.at, "request": batch.request}
            for batch in reversed(self._recent)
            for line in reversed(batch.lines)
        )
        return list(islice(newest, limit))

    def _count_each(self, keys: list[int], insert_ids: list[str]) -> list[str]:
        """Counts events of which some are known; the ids of those that were not."""
        seen = self._times_seen
        new = []
        for key, insert_id in zip(keys, insert_ids, strict=True):
            if key in seen:
                seen[key] += 1
            else:
                seen[key] = 1
                new.append(insert_id)
        return new

    def _remember(self, batch: Batch) -> None:
        self._recent.append(batch)
        self._recent_events += len(batch.lines)
        self._recent_bytes += sum(map(len, batch.lines))
        while self._recent and (
            self._recent_events - len(self._recent[0].lines) >= RECENT_EVENTS
            or (self._recent_bytes > RECENT_EVENT_BYTES and len(self._recent) > 1)
        ):
            oldest = self._recent.popleft()
            self._recent_events -= len(oldest.lines)
            self._recent_bytes -= sum(map(len, oldest.lines))
