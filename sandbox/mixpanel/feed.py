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
from starlette.requests import Request as HttpRequest
from starlette.responses import StreamingResponse

from sandbox.mixpanel.feed_rows import Refused, Shown, of_standin, refused, shown
from sandbox.mixpanel.import_log import Source, SourceReject, grouped
from sandbox.mixpanel.state import Sandbox
from sandbox.mixpanel.store import Request
from sandbox.mixpanel.wanted import Wanted

TICK = 0.4
"""Seconds between two messages."""
SILENCE = 10.0
"""Seconds after which a message is sent even if there is nothing to say, so that a connection that died is noticed."""
MAX_ROWS = 20
"""Rows of each kind in one message."""
MAX_ALL = 200
"""Events that came since the last message of which no sample is made: so many are shown, each."""
MAX_EXAMINED = 2_000
"""Events that are looked at for one message."""
FIRST_ROWS = 200
"""Rows of each kind in the first message."""
_FIRST_REJECTS = 1_000
"""Rejects of the stand-in's own that are looked at."""

T = TypeVar("T")


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
            self._generation == (sandbox.reports.generation if sandbox.reports.heard else 0),
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
            "groups": self._groups(),
            "sources": self._changed_sources(),
            "history": self._new_seconds(),
            "counts": self._if_changed("counts", self._counts()),
            "faults": self._if_changed("faults", sandbox.faults.shown()),
            "around": self._if_changed("around", sandbox.around.shown()),
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
        self._generation = self._sandbox.reports.generation if self._heard else 0
        self._grouped = -1
        self._setting = self._sandbox.setting()
        self._requests = self._batches = self._rejects = self._changes = 0
        self._seconds: list[list[int]] = []
        self._told: dict[str, Any] = {}

    def _newest(self, most: int) -> list[Shown]:
        found = (pair for pair in self._store.newest() if self._wanted.includes(*pair))
        return [shown(*pair) for pair in islice(found, most)]

    def _sample(self) -> list[Shown]:
        """Some of the events that are new, evenly spread over the newest of them."""
        batches = _last(self._store.batches, self._store.batches_taken - self._batches, MAX_EXAMINED)
        new = ((batch, line) for batch in batches for line in reversed(batch.lines))
        found = [pair for pair in islice(new, MAX_EXAMINED) if self._wanted.includes(*pair)]
        step = 1 if len(found) <= MAX_ALL else -(-len(found) // MAX_ROWS)
        return [shown(*pair) for pair in found[::step]]

    def _new_requests(self, most: int) -> list[Request]:
        new, self._requests = self._store.finished - self._requests, self._store.finished
        found = islice(reversed(self._store.requests), min(new, len(self._store.requests)))
        return list(islice(filter(self._wanted.includes_request, found), most))

    def _all_rejects(self) -> Sequence[SourceReject]:
        """Once the importer is heard, its own rejects: they include what Mixpanel refused."""
        return self._sandbox.reports.rejects if self._heard else self._store_rejects()

    def _store_rejects(self) -> Sequence[SourceReject]:
        return [of_standin(each) for each in list(self._store.rejects)[-_FIRST_REJECTS:]]

    def _rejects_taken(self) -> int:
        return self._sandbox.reports.rejects_taken if self._heard else self._store.rejected

    def _new_rejects(self, most: int) -> list[Refused]:
        count = self._rejects_taken()
        new, self._rejects = count - self._rejects, count
        if not new:
            return []
        found = islice(reversed(self._all_rejects()), new)
        return [refused(each) for each in islice(filter(self._wanted.includes_reject, found), most)]

    def _groups(self) -> dict[str, Any] | None:
        """The rejects that are wanted, whatever their reason, by what their reasons have in common."""
        count = self._rejects_taken()
        if count == self._grouped:
            return None
        self._grouped = count
        wanted = self._wanted
        found = [each for each in self._all_rejects() if wanted.includes_reject(each, of_any_kind=True)]
        return {"groups": grouped(found), "kept": len(found), "taken": count}

    def _changed_sources(self) -> list[Source]:
        reports = self._sandbox.reports
        found = filter(self._wanted.includes_source, reports.newest_sources(self._changes))
        changed = list(islice(found, FIRST_ROWS))
        self._changes = reports.changes
        return changed

    def _new_seconds(self) -> list[list[int]]:
        """The seconds not told yet, as [when, imported, duplicates, rejected, throttled, failed], from the last one
        that was told of, if it went on."""
        last = self._seconds[0][0] if self._seconds else 0
        new = takewhile(lambda second: second.at >= last, reversed(self._store.history))
        told = [
            [
                *(each.at, each.imported, each.duplicates, each.reported if self._heard else each.refused),
                *(each.throttled, each.failed),
            ]
            for each in new
        ][::-1]
        if told == self._seconds:
            return []
        self._seconds = told[-1:]
        return told

    def _counts(self) -> dict[str, Any]:
        store = self._store
        reports = self._sandbox.reports
        told = {
            "refused": store.rejected,
            "rejected": self._sandbox.rejected,
            "tells_sources": store.tells_sources,
            "sources": reports.sources,
            "at_work": reports.at_work,
        }
        return {**store.summary(), **told}

    def _if_changed(self, name: str, value: dict[str, Any]) -> dict[str, Any] | None:
        if self._told.get(name) == value:
            return None
        self._told[name] = value
        return value


def _last(rows: Sequence[T], new: int, most: int) -> list[T]:
    """The last `new` of the rows, `most` at most, the newest first."""
    return list(islice(reversed(rows), min(new, most)))
