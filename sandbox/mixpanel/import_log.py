"""What the functions say of their own work: their log lines, as reports by source and as rejects.

The lines are the importer's JSON log (see `importer.log`), handed over by whoever runs the functions.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from importer.core.report import Counts
from sandbox.mixpanel.store import RECENT_REJECTS, REJECT_TEXT

MAX_SOURCES = 500
MAX_RUNS = 20
"""Reports that are kept of one source."""

_Count = Annotated[int, Meta(ge=0)]


class Run(Counts, kw_only=True):
    """The report of one run over a source: what became of it, and how many records went which way."""

    outcome: str
    at: float = 0.0
    reason: str | None = None
    read: _Count = 0


class Source(Struct):
    """An object or a subscription: its last runs, the newest first, how many there were, and what they rejected.

    `pending` counts rejects of a run that has not reported yet, `changed` orders sources by their last news.
    """

    name: str
    changed: int = 0
    runs: list[Run] = []
    count: int = 0
    pending: int = 0


class SourceReject(Struct, frozen=True):
    """One refused record, as the importer logs it."""

    source: str
    reason: str
    line: int | None = None
    offset: int | None = None
    field: str | None = None
    insert_id: str | None = None
    event: str = ""
    at: float = 0.0


class Reports:
    """Takes log lines. The count of rejects is exact; of sources, runs and rejects the oldest are forgotten."""

    def __init__(self) -> None:
        self.lines = 0
        self.changes = 0
        self.rejects: deque[SourceReject] = deque(maxlen=RECENT_REJECTS)
        self.rejects_taken = 0
        self._reported = 0
        self._sources: OrderedDict[str, Source] = OrderedDict()

    @property
    def heard(self) -> bool:
        """Whether anything was said at all."""
        return self.lines > 0

    @property
    def rejected(self) -> int:
        """Records refused so far: by the reports, and by the single lines where there is no report yet."""
        return self._reported + sum(source.pending for source in self._sources.values())

    def take(self, log: bytes) -> int:
        """Takes log lines, one JSON object each; what is none of ours, or not JSON, is passed over.

        Returns:
            How many told of a run or a reject.
        """
        taken = 0
        for text in log.splitlines():
            try:
                line = msgspec.json.decode(text)
                taken += self._take_one(line) if isinstance(line, dict) else 0
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
        self.lines += taken
        return taken

    def newest_sources(self, since: int = 0) -> Sequence[Source]:
        """The sources with news after change number `since`, the latest first."""
        found = []
        for source in reversed(self._sources.values()):
            if source.changed <= since:
                break
            found.append(source)
        return found

    def names(self) -> list[str]:
        """The sources' names, the one with the latest news first."""
        return list(reversed(self._sources))

    def _take_one(self, line: dict[str, Any]) -> bool:
        kind, name = line.get("kind"), line.get("source")
        if kind not in {"import", "reject"} or not isinstance(name, str):
            return False
        now = time.time()
        if kind == "reject":
            event = str(line.get("event") or "")[:REJECT_TEXT]
            self.rejects.append(msgspec.convert({**line, "event": event, "at": now}, SourceReject))
            self.rejects_taken += 1
            self._source(name).pending += 1
        else:
            run = msgspec.convert({**line, "at": now}, Run)
            source = self._source(name)
            source.runs = [run, *source.runs[: MAX_RUNS - 1]]
            source.count += 1
            source.pending = 0
            self._reported += run.rejected
        return True

    def _source(self, name: str) -> Source:
        source = self._sources.setdefault(name, Source(name))
        self._sources.move_to_end(name)
        self.changes += 1
        source.changed = self.changes
        if len(self._sources) > MAX_SOURCES:
            _, forgotten = self._sources.popitem(last=False)
            self._reported += forgotten.pending
        return source
