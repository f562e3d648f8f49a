"""The report: what became of the records, in numbers, under the names that log, metrics and docs use."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from importer.core.rejects import Reject
from importer.mixpanel.outcome import Outcome

_FIRST_REJECTS = 5


@dataclass(slots=True)
class Report:
    """What became of one source's records: `read = imported + rejected + dropped`, once all is settled.

    Attributes:
        read: records read; one that the transform turned into several events counts as many times.
        imported: events that Mixpanel took.
        rejected: records refused, here or by Mixpanel.
        dropped: records for which the transform returned None.
        requests: requests made to Mixpanel, those made again included.
        retried: requests made again.
        bytes: uncompressed bytes of the records read.
        sent_bytes: bytes sent to Mixpanel, compressed.
        seconds: how long it took.
        oldest_event_age_seconds: how long ago the oldest of it had been handed to Google, when it was settled.
        first_rejects: the first few rejects.
        unreadable: why the source could not be read to its end, if it could not.
    """

    read: int = 0
    imported: int = 0
    rejected: int = 0
    dropped: int = 0
    requests: int = 0
    retried: int = 0
    bytes: int = 0
    sent_bytes: int = 0
    seconds: float = 0.0
    oldest_event_age_seconds: float = 0.0
    first_rejects: list[Reject] = field(default_factory=list)
    unreadable: str | None = None

    @property
    def handed_back(self) -> int:
        """Records that were read and not settled: the trigger still holds them."""
        return self.read - self.imported - self.rejected - self.dropped

    def counts(self) -> dict[str, Any]:
        """The numbers, under the names that the log and the metrics use."""
        numbers = {name: value for name, value in asdict(self).items() if isinstance(value, int | float)}
        rounded = {name: round(value, 3) for name, value in numbers.items()}
        return {**rounded, "handed_back": self.handed_back}

    def add_outcome(self, outcome: Outcome) -> None:
        """Counts a batch in. What Mixpanel refused of it counts where it becomes a reject."""
        self.imported += outcome.imported
        self.requests += outcome.requests
        self.retried += outcome.retried
        self.sent_bytes += outcome.sent_bytes

    def add_reject(self, reject: Reject) -> None:
        """Counts a reject in, and keeps it if it is among the first."""
        self.rejected += 1
        if len(self.first_rejects) < _FIRST_REJECTS:
            self.first_rejects.append(reject)
