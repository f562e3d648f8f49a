"""What the stand-in holds: which events came in, the last of them in full; requests, rejects, and the counts."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from importer.mixpanel.judge import Event
from sandbox.mixpanel.dedupe import REMEMBERED, Known

RECENT_EVENTS = 10_000
"""Events kept in full, for looking at; of the newest request all are, however many."""
RECENT_EVENT_BYTES = 64_000_000
"""What the events kept in full may take together, in bytes; of the newest request all are kept, however large."""
RECENT_REQUESTS = 1_000
RECENT_REJECTS = 10_000
REJECT_TEXT = 4_000
"""Characters of a rejected event that are kept."""
HISTORY = 3_600
"""Seconds for which there are counts by the second."""


class Request(Struct, frozen=True):
    """One request: sizes in bytes, `at` in seconds since the epoch, `status` None where it got no answer.

    Attributes:
        path: `/import`, or what else was asked.
        encoding: what the body was compressed with; "" where it was not.
        reason: what the answer says was wrong, or what befell it; "" where nothing did.
    """

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
    source: str
    fault: str | None
    path: str = "/import"
    encoding: str = ""
    reason: str = ""


class Reject(Struct, frozen=True):
    """One event that broke a rule, in request `request` at place `index`."""

    at: float
    request: int
    source: str
    index: int
    insert_id: str
    field: str
    message: str
    event: str


class Batch(Struct, frozen=True):
    """The events that one request brought, as they were sent; `source` is where they are from, if the request says."""

    request: int
    at: float
    source: str
    lines: Sequence[bytes]


class Second(Struct):
    """What came in within one second: events taken for the first time, known ones, those refused here.

    `reported` counts records that the importer reported as rejected, which it may have refused itself; `throttled` the
    requests that were answered with a 429, `failed` those with a 5xx, or with nothing.
    """

    at: int
    imported: int = 0
    duplicates: int = 0
    refused: int = 0
    reported: int = 0
    throttled: int = 0
    failed: int = 0


class Store:
    """Takes events and remembers requests. The counts are exact; all else is bounded, and the oldest is forgotten.

    `tells_sources` says whether any request named the source of its events.
    """

    def __init__(self) -> None:
        self.known = Known()
        self.requests: deque[Request] = deque(maxlen=RECENT_REQUESTS)
        self.rejects: deque[Reject] = deque(maxlen=RECENT_REJECTS)
        self.batches: deque[Batch] = deque()
        self.history: deque[Second] = deque(maxlen=HISTORY)
        self.begun = self.finished = self.batches_taken = self.rejected = 0
        self.tells_sources = False
        self._kept_events = self._kept_bytes = 0
        self._received = self._duplicates = self._bytes = self._wire_bytes = 0
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
        duplicates = self.known.add(events)
        self._duplicates += duplicates
        self._received += len(events)
        if batch.lines:
            self._keep(batch)
        return duplicates

    def count(self, events: int) -> None:
        """Counts events that came in without looking at them."""
        self._received += events

    def finish(self, request: Request, rejects: Sequence[Reject] = ()) -> None:
        """The request has been dealt with."""
        self.requests.append(request)
        self.rejects.extend(rejects)
        self.finished += 1
        self.tells_sources = self.tells_sources or bool(request.source)
        self.rejected += request.rejected
        self._received += request.rejected
        self._bytes += request.bytes
        self._wire_bytes += request.wire_bytes
        self._answers[str(request.status) if request.status else "none"] += 1
        self._largest["events"] = max(self._largest["events"], request.events)
        self._largest["bytes"] = max(self._largest["bytes"], request.bytes)
        second = self.second(request.at)
        second.imported += request.imported - request.duplicates
        second.duplicates += request.duplicates
        second.refused += request.rejected
        second.throttled += request.status == 429
        second.failed += request.status is None or request.status >= 500

    def summary(self) -> dict[str, Any]:
        """The counts."""
        return {
            "requests": self.begun,
            "received": self._received,
            "imported": self._received - self.rejected - self._duplicates,
            "duplicates": self._duplicates,
            "rejected": self.rejected,
            "bytes": self._bytes,
            "wire_bytes": self._wire_bytes,
            "answers": dict(sorted(self._answers.items())),
            "largest_request": dict(self._largest),
        }

    def newest(self) -> Iterator[tuple[Batch, bytes]]:
        """The events kept in full, the newest first."""
        return ((batch, line) for batch in reversed(self.batches) for line in reversed(batch.lines))

    def second(self, at: float) -> Second:
        """The counts of the second that `at` (seconds since the epoch) lies in."""
        if not self.history or self.history[-1].at < int(at):
            self.history.append(Second(int(at)))
        return self.history[-1]

    def _keep(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.batches_taken += 1
        self._kept_events += len(batch.lines)
        self._kept_bytes += sum(map(len, batch.lines))
        while len(self.batches) > 1 and (
            self._kept_events - len(self.batches[0].lines) >= RECENT_EVENTS or self._kept_bytes > RECENT_EVENT_BYTES
        ):
            oldest = self.batches.popleft()
            self._kept_events -= len(oldest.lines)
            self._kept_bytes -= sum(map(len, oldest.lines))


LIMITS = {
    "events": RECENT_EVENTS,
    "event_bytes": RECENT_EVENT_BYTES,
    "requests": RECENT_REQUESTS,
    "rejects": RECENT_REJECTS,
    "remembered": REMEMBERED,
}
"""How much is kept at most."""
