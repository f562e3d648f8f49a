"""The report: what became of the records, in numbers, under the names that log, metrics and docs use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct

from importer.core.rejects.reject import Reject
from importer.errors import ImporterError
from importer.mappings.outcome import Dropped
from importer.mixpanel.outcome import Outcome

_FIRST_REJECTS = 5

_Count = Annotated[int, Meta(ge=0)]


class Counts(Struct):
    """What became of records, in numbers. A number that the summary is to show is added here, and nowhere else.

    Attributes:
        imported: events that Mixpanel took.
        rejected: records rejected, here or by Mixpanel.
        dropped: records, or events in them, that a mapping, a filter or the transform left out.
        requests: requests made to Mixpanel, those made again included.
        retried: requests made again.
        bytes: uncompressed bytes of the records read.
        sent_bytes: bytes sent to Mixpanel, compressed.
        seconds: how long it took.
        dropped_by: `dropped`, by kind (see `Dropped`).
        changed_by: events that a filter changed, by the name of its rule.
    """

    imported: _Count = 0
    rejected: _Count = 0
    dropped: _Count = 0
    requests: _Count = 0
    retried: _Count = 0
    bytes: _Count = 0
    sent_bytes: _Count = 0
    seconds: float = 0.0
    dropped_by: dict[str, int] = msgspec.field(default_factory=dict)
    changed_by: dict[str, int] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, report: Report, offset: int) -> Counts:
        """What a report has counted so far, `offset` being the bytes of content that it is about."""
        values = {name: _copied(getattr(report, name)) for name in Counts.__struct_fields__}
        return cls(**{**values, "bytes": offset})

    def report(self) -> Report:
        """A report that goes on counting from here."""
        values = {name: _copied(getattr(self, name)) for name in Counts.__struct_fields__}
        return Report(read=self.imported + self.rejected + self.dropped, **values)


class Report(Counts):
    """What became of one source's records: `read = imported + rejected + dropped`, once all is settled.

    Reports add up: of several sources, `sum(reports, Report())` is the report of them all.

    Attributes:
        read: records read; one of which a mapping or transform makes several events counts as many times.
        oldest_event_age_seconds: how long ago the oldest of it had been handed to Google, when it was settled.
        first_rejects: the first few rejects.
        unreadable: why the source could not be read to its end, if it could not.
    """

    read: _Count = 0
    oldest_event_age_seconds: float = 0.0
    first_rejects: list[Reject] = msgspec.field(default_factory=list)
    unreadable: str | None = None

    @property
    def handed_back(self) -> int:
        """Records that were read and not settled: the trigger still holds them."""
        return self.read - self.imported - self.rejected - self.dropped

    def counts(self) -> dict[str, Any]:
        """The numbers, under the names that the log and the metrics use; those by kind where there are any."""
        values = {name: getattr(self, name) for name in ("read", *Counts.__struct_fields__, "oldest_event_age_seconds")}
        numbers = {name: round(value, 3) for name, value in values.items() if isinstance(value, int | float)}
        by_kind = {name: dict(value) for name, value in values.items() if isinstance(value, dict) and value}
        return {**numbers, "handed_back": self.handed_back, **by_kind}

    def add_outcome(self, outcome: Outcome) -> None:
        """Counts a batch in. What Mixpanel rejected of it counts where it becomes a reject."""
        self.imported += outcome.imported
        self.add_requests(outcome)

    def add_requests(self, outcome: Outcome) -> None:
        """Counts in what a batch took; what became of its events is counted by source."""
        self.requests += outcome.requests
        self.retried += outcome.retried
        self.sent_bytes += outcome.sent_bytes

    def add_reject(self, reject: Reject) -> None:
        """Counts a reject in, and holds it if it is among the first."""
        self.add_rejects((reject,))

    def add_rejects(self, rejects: Sequence[Reject]) -> None:
        """Counts rejects in, and holds those among the first."""
        self.rejected += sum(one.records for one in rejects)
        self.first_rejects += rejects[: _FIRST_REJECTS - len(self.first_rejects)]

    def add_tally(self, tally: Tally) -> None:
        """Counts in what was dropped and changed."""
        self.dropped += tally.dropped.total()
        self.dropped_by = _sum(self.dropped_by, tally.dropped)
        self.changed_by = _sum(self.changed_by, tally.changed)

    def __add__(self, other: Report) -> Self:
        """The report of both. The first of their rejects and of their reasons stay, the age is that of the oldest."""
        total = type(self)()
        for name in ("read", *Counts.__struct_fields__):
            mine, others = getattr(self, name), getattr(other, name)
            setattr(total, name, _sum(mine, others) if isinstance(mine, dict) else mine + others)
        total.oldest_event_age_seconds = max(self.oldest_event_age_seconds, other.oldest_event_age_seconds)
        total.first_rejects = [*self.first_rejects, *other.first_rejects][:_FIRST_REJECTS]
        total.unreadable = self.unreadable or other.unreadable
        return total


class HandedBack(ImporterError):
    """The work could not be finished; whoever triggered it is to deliver it again. Sending twice is safe.

    Attributes:
        report: what was settled all the same.
        has_moved: whether the next delivery goes on from a later place than this one did.
    """

    has_moved = False

    def __init__(self, reason: str, report: Report) -> None:
        super().__init__(reason)
        self.report = report


class Tally:
    """What mappings, filters and the transform dropped or changed, by kind and rule, until it is settled."""

    __slots__ = ("changed", "dropped")

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()

    def add(self, dropped: Iterable[Dropped], changed: Iterable[str]) -> None:
        self.dropped.update(one.kind for one in dropped)
        self.changed.update(changed)


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {kind: one.get(kind, 0) + other.get(kind, 0) for kind in {**one, **other}}


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value
