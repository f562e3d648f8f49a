"""The live view's feed: server-sent events that say what is new, a few times a second.

The counts are exact. Of the events that came in, a message shows a sample, so that a fast import costs the feed no more
than a slow one, and a filter looks at the newest of them only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from itertools import islice, takewhile
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request as HttpRequest
from starlette.responses import StreamingResponse

from importer.mixpanel.judge import Event
from sandbox.mixpanel.import_log import Source, SourceReject
from sandbox.mixpanel.state import Sandbox
from sandbox.mixpanel.store import Batch, Reject, Request

TICK = 0.4
"""Seconds between two messages."""
SILENCE = 10.0
"""Seconds after which a message is sent even if there is nothing to say, so that a connection that died is noticed."""
MAX_ROWS = 20
"""Rows of each kind in one message."""
MAX_EXAMINED = 2_000
"""Events that are looked at for one message."""
FIRST_ROWS = 100
"""Rows of each kind in the first message."""
MAX_TEXT = 32_000
"""Characters of one event that are shown."""

T = TypeVar("T")

_decode = msgspec.json.Decoder(Event).decode


class Wanted(Struct, frozen=True):
    """Which events to show: those whose name, user and source contain these texts, whatever their case."""

    event: str = ""
    user: str = ""
    source: str = ""

    @classmethod
    def by(cls, request: HttpRequest) -> Wanted:
        """What a request's query asks for."""
        query = request.query_params
        return cls(*(query.get(name, "").strip().casefold() for name in ("event", "user", "source")))

    def includes(self, batch: Batch, line: bytes) -> bool:
        """Whether an event is one of them."""
        if self.source not in batch.source.casefold():
            return False
        if not self.event and not self.user:
            return True
        event = _decode(line)
        return self.event in event.event.casefold() and self.user in event.properties.distinct_id.casefold()


class Shown(Struct, frozen=True):
    """One event as the page shows it; `text` is its JSON, indented, the numbers as they were written."""

    at: float
    request: int
    source: str
    event: str
    user: str
    time: float
    insert_id: str
    text: str
    bytes: int


class Refused(Struct, frozen=True):
    """One reject as the page shows it, whoever made it: the importer, or the stand-in."""

    at: float
    source: str
    line: int | None
    field: str | None
    reason: str
    insert_id: str | None
    event: str


def stream(sandbox: Sandbox, request: HttpRequest) -> StreamingResponse:
    """Answers with the feed, for as long as the client listens."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_messages(sandbox, request), media_type="text/event-stream", headers=headers)


async def _messages(sandbox: Sandbox, request: HttpRequest) -> AsyncIterator[bytes]:
    feed = Feed(sandbox, Wanted.by(request))
    spoken = 0.0
    while not await request.is_disconnected():
        news = feed.news()
        if news or time.monotonic() - spoken > SILENCE:
            yield b"data: " + msgspec.json.encode(news) + b"\n\n"
            spoken = time.monotonic()
        await asyncio.sleep(TICK)


class Feed:
    """What one client has been told, and so what is news to it."""

    def __init__(self, sandbox: Sandbox, wanted: Wanted) -> None:
        self._sandbox = sandbox
        self._wanted = wanted
        self._began = False
        self._forget()

    def news(self) -> dict[str, Any]:
        """What is new since the last call, empty if nothing is.

        At first, after a reset, when the importer is heard for the first time, and when what the page says of the
        sandbox itself changes, it is all there is, with "start".
        """
        sandbox = self._sandbox
        known = (
            self._store is sandbox.store,
            self._heard == sandbox.reports.heard,
            self._setting == sandbox.setting(),
        )
        begins = not self._began or not all(known)
        if begins:
            self._forget()
        most = FIRST_ROWS if begins else MAX_ROWS
        rows: dict[str, Any] = {
            "events": self._newest(most) if begins else self._sample(),
            "requests": self._new_requests(most),
            "rejects": self._new_rejects(most),
            "sources": self._changed_sources(),
            "history": self._new_seconds(),
            "counts": self._if_changed("counts", self._counts()),
            "faults": self._if_changed("faults", sandbox.faults.shown()),
        }
        self._began = True
        self._batches = self._store.batches_taken
        if begins:
            return {"start": self._setting, "now": time.time(), **rows}
        news = {name: value for name, value in rows.items() if value}
        return {"now": time.time(), **news} if news else {}

    def _forget(self) -> None:
        """Back to where nothing was told."""
        self._store = self._sandbox.store
        self._heard = self._sandbox.reports.heard
        self._setting = self._sandbox.setting()
        self._requests = self._batches = self._rejects = self._changes = 0
        self._seconds: list[list[int]] = []
        self._told: dict[str, Any] = {}

    def _newest(self, most: int) -> list[Shown]:
        found = (pair for pair in self._store.newest() if self._wanted.includes(*pair))
        return [_shown(*pair) for pair in islice(found, most)]

    def _sample(self) -> list[Shown]:
        """Some of the events that are new, evenly spread over the newest of them."""
        batches = _last(self._store.batches, self._store.batches_taken - self._batches, MAX_EXAMINED)
        new = ((batch, line) for batch in batches for line in reversed(batch.lines))
        found = [pair for pair in islice(new, MAX_EXAMINED) if self._wanted.includes(*pair)]
        step = -(-len(found) // MAX_ROWS) or 1
        return [_shown(*pair) for pair in found[::step]]

    def _new_requests(self, most: int) -> list[Request]:
        new, self._requests = self._store.finished - self._requests, self._store.finished
        return _last(self._store.requests, new, most)

    def _new_rejects(self, most: int) -> list[Refused]:
        """Once the importer is heard, its own rejects: they include what Mixpanel refused."""
        reports, store = self._sandbox.reports, self._store
        count = reports.rejects_taken if self._heard else store.rejected
        new, self._rejects = count - self._rejects, count
        if self._heard:
            return [_by_importer(each) for each in _last(reports.rejects, new, most)]
        return [_by_standin(each) for each in _last(store.rejects, new, most)]

    def _changed_sources(self) -> list[Source]:
        reports = self._sandbox.reports
        changed = list(islice(reports.newest_sources(self._changes), FIRST_ROWS))
        self._changes = reports.changes
        return changed

    def _new_seconds(self) -> list[list[int]]:
        """The seconds not told yet, as [when, imported, duplicates, rejected], from the last one told if it went on."""
        last = self._seconds[0][0] if self._seconds else 0
        new = takewhile(lambda second: second.at >= last, reversed(self._store.history))
        told = [
            [each.at, each.imported, each.duplicates, each.reported if self._heard else each.refused] for each in new
        ][::-1]
        if told == self._seconds:
            return []
        self._seconds = told[-1:]
        return told

    def _counts(self) -> dict[str, Any]:
        store = self._store
        told = {"refused": store.rejected, "rejected": self._sandbox.rejected, "tells_sources": store.tells_sources}
        return {**store.summary(), **told}

    def _if_changed(self, name: str, value: dict[str, Any]) -> dict[str, Any] | None:
        if self._told.get(name) == value:
            return None
        self._told[name] = value
        return value


def _last(rows: Sequence[T], new: int, most: int) -> list[T]:
    """The last `new` of the rows, `most` at most, the newest first."""
    return list(islice(reversed(rows), min(new, most)))


def _shown(batch: Batch, line: bytes) -> Shown:
    event = _decode(line)
    whole = len(line) <= MAX_TEXT
    return Shown(
        at=batch.at,
        request=batch.request,
        source=batch.source,
        event=event.event,
        user=event.properties.distinct_id,
        time=event.properties.time,
        insert_id=event.properties.insert_id,
        text=(msgspec.json.format(line, indent=2) if whole else line[:MAX_TEXT]).decode(errors="replace"),
        bytes=len(line),
    )


def _by_importer(reject: SourceReject) -> Refused:
    return Refused(
        at=reject.at,
        source=reject.source,
        line=reject.line,
        field=reject.field,
        reason=reject.reason,
        insert_id=reject.insert_id,
        event=reject.event,
    )


def _by_standin(reject: Reject) -> Refused:
    return Refused(
        at=reject.at,
        source=reject.source or f"request {reject.request}",
        line=None,
        field=reject.field,
        reason=reject.message,
        insert_id=reject.insert_id,
        event=reject.event,
    )
