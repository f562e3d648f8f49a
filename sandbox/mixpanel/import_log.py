"""What the functions say of their own work: their log lines, as reports by source and as rejects; and what their
requests tell of work that is not reported yet.

The lines are the importer's JSON log (see `importer.log`), handed over by whoever runs the functions.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from importer.core.report import Counts
from sandbox.mixpanel.reject_groups import event_and_user, kind_of
from sandbox.mixpanel.store import RECENT_REJECTS, REJECT_TEXT, Request

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


class Work(Struct):
    """A run that goes on: what its requests tell.

    Attributes:
        since, at: its first and its last sign of life, in seconds since the epoch.
        requests: so many so far.
        imported, rejected: what became of their events.
        answers: how often each answer came.
        waits_until: when the next try is due, as the importer says; 0 where it does not wait.
        waits_for: why it waits.
    """

    since: float
    at: float
    requests: int = 0
    imported: int = 0
    rejected: int = 0
    answers: dict[str, int] = {}
    waits_until: float = 0.0
    waits_for: str = ""


class Source(Struct):
    """An object or a subscription: its last runs, the newest first, how many there were, and what they rejected.

    `pending` counts rejects of a run that has not reported yet, `work` is that run; `changed` orders sources by their
    last news.
    """

    name: str
    changed: int = 0
    runs: list[Run] = []
    count: int = 0
    pending: int = 0
    work: Work | None = None


class SourceReject(Struct, frozen=True):
    """One refused record, as the importer logs it; `kind` is what it has in common with others of its reason."""

    source: str
    reason: str
    line: int | None = None
    offset: int | None = None
    field: str | None = None
    insert_id: str | None = None
    event: str = ""
    at: float = 0.0
    kind: str = ""
    name: str = ""
    user: str = ""


def row_of(source: str) -> str:
    """The source that a log line or a request belongs to: of a message, its subscription."""
    return source if "://" in source else source.partition("#")[0]


class Reports:
    """Takes log lines. The count of rejects is exact; of sources, runs and rejects the oldest are forgotten."""

    def __init__(self) -> None:
        self.lines = 0
        self.changes = 0
        self.rejects: deque[SourceReject] = deque(maxlen=RECENT_REJECTS)
        self.rejects_taken = 0
        self.generation = 0
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

    @property
    def sources(self) -> int:
        """How many sources there are, at work or not."""
        return len(self._sources)

    @property
    def at_work(self) -> int:
        """How many of them have a run that goes on."""
        return sum(source.work is not None for source in self._sources.values())

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

    def note(self, request: Request) -> None:
        """Takes note of a request that says where its events are from."""
        if not request.source or request.path != "/import":
            return
        source = self._source(row_of(request.source))
        work = source.work = source.work or Work(request.at, request.at)
        work.at = request.at
        work.requests += 1
        work.imported += request.imported
        work.rejected += request.rejected
        answer = str(request.status) if request.status else "none"
        work.answers = {**work.answers, answer: work.answers.get(answer, 0) + 1}
        if request.status == 200:
            work.waits_until, work.waits_for = 0.0, ""

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

    def sent_again(self, rejected: Iterable[dict[str, Any]], still: int, since: float) -> None:
        """All rejects were sent again, and `still` are rejected.

        Args:
            rejected: those, as far as they are to be shown; as lines of the log, but with the `event` whole.
            still: how many they are.
            since: when that began, in seconds since the epoch.
        """
        before = {row_of(reject.source) for reject in self.rejects}
        self.rejects.clear()
        self.rejects_taken = 0
        for reject in rejected:
            self._keep(reject)
        again = Counter(row_of(reject.source) for reject in self.rejects)
        for name, source in self._sources.items():
            source.pending = 0
            work = source.work if source.work is not None and source.work.since >= since else None
            if work or name in before or again[name]:
                run = Run(outcome="sent again", at=time.time(), rejected=again[name])
                run.imported, run.requests = (work.imported, work.requests) if work else (0, 0)
                run.read = run.imported + run.rejected
                source.runs, source.work = [run, *source.runs[: MAX_RUNS - 1]], None
                source.count += 1
        self._reported = still
        self.generation += 1

    def _take_one(self, line: dict[str, Any]) -> bool:
        kind, name = line.get("kind"), line.get("source")
        if kind not in {"import", "reject", "retry"} or not isinstance(name, str):
            return False
        now = time.time()
        if kind == "retry":
            return self._take_retry(line, name, now)
        if kind == "reject":
            self._keep({**line, "at": now})
            self._source(row_of(name)).pending += 1
        else:
            run = msgspec.convert({**line, "at": now}, Run)
            source = self._source(name)
            source.runs = [run, *source.runs[: MAX_RUNS - 1]]
            source.count += 1
            source.pending = 0
            source.work = None
            self._reported += run.rejected
        return True

    def _take_retry(self, line: dict[str, Any], name: str, now: float) -> bool:
        """The importer waits before it tries again."""
        source = self._sources.get(row_of(name))
        wait = line.get("wait_seconds")
        if source is None or source.work is None or not isinstance(wait, int | float):
            return False
        source = self._source(row_of(name))
        if source.work is not None:
            source.work.waits_until = max(source.work.waits_until, now + wait)
            source.work.waits_for = str(line.get("reason") or "")
        return False

    def _keep(self, line: dict[str, Any]) -> None:
        """Keeps a reject to be shown."""
        event = str(line.get("event") or "")[:REJECT_TEXT]
        name, user = event_and_user(event)
        kind = kind_of(str(line.get("reason")))
        fields = {**line, "event": event, "kind": kind, "name": name, "user": user}
        self.rejects.append(msgspec.convert(fields, SourceReject))
        self.rejects_taken += 1

    def _source(self, name: str) -> Source:
        source = self._sources.setdefault(name, Source(name))
        self._sources.move_to_end(name)
        self.changes += 1
        source.changed = self.changes
        if len(self._sources) > MAX_SOURCES:
            _, forgotten = self._sources.popitem(last=False)
            self._reported += forgotten.pending
        return source


def grouped(rejects: Iterable[SourceReject]) -> list[dict[str, Any]]:
    """Rejects by what their reasons have in common, the largest group first.

    Returns:
        For each its `kind`, the `reason` where all have the same (else that is the kind), the `field` of the
        newest, the `count`, and in how many `sources`.
    """
    counts: Counter[str] = Counter()
    newest: dict[str, SourceReject] = {}
    reasons: dict[str, str] = {}
    sources: dict[str, set[str]] = {}
    for reject in rejects:
        counts[reject.kind] += 1
        newest[reject.kind] = reject
        if reasons.setdefault(reject.kind, reject.reason) != reject.reason:
            reasons[reject.kind] = reject.kind
        sources.setdefault(reject.kind, set()).add(row_of(reject.source))
    return [
        {
            "kind": kind,
            "reason": reasons[kind],
            "field": newest[kind].field,
            "count": count,
            "sources": len(sources[kind]),
        }
        for kind, count in counts.most_common(_MAX_GROUPS)
    ]


_MAX_GROUPS = 50
