"""A span: a stretch of a source, of which some records are events on their way, and the others are settled already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from importer.core.ordered.places import Place
from importer.core.pipeline import Pipeline
from importer.core.rejects.reject import Reject, held_bytes, is_counted_again, rejected_event
from importer.core.report import Tally
from importer.mappings.outcome import Dropped
from importer.mixpanel.batch import Batch
from importer.mixpanel.outcome import Outcome

_MAX_SETTLED = 2_000
_MAX_REJECTED_BYTES = 4_000_000
"""Records of a span that are settled already, and bytes of the rejects: what a file of nothing else makes us hold."""


@dataclass(slots=True)
class Settled:
    """What became of a span: every record in it is accounted for here."""

    outcome: Outcome
    rejects: list[Reject]
    rejected_bytes: int  # of memory that the rejects take
    tally: Tally


@dataclass(slots=True)
class Span:
    """A stretch of a source.

    Attributes:
        batch: the events of it.
        started: the clock's time when it began to fill.
    """

    batch: Batch[Place]
    started: float
    _record_bytes: int = 0
    _rejects: list[Reject] = field(default_factory=list)
    _rejected_bytes: int = 0
    _tally: Tally = field(default_factory=Tally)
    _settled: int = 0

    @property
    def size(self) -> int:
        """Bytes held, before compression."""
        return self.batch.size + self._record_bytes + self._rejected_bytes

    @property
    def is_full(self) -> bool:
        """Whether it holds as much as it may of what is settled already. Of events the batch itself says so."""
        return self._settled >= _MAX_SETTLED or self._rejected_bytes >= _MAX_REJECTED_BYTES

    @property
    def is_empty(self) -> bool:
        """Whether nothing came in yet."""
        return not self.batch.events and not self._settled

    def hold(self, size: int) -> None:
        """Takes note that records of `size` bytes are held beside their events."""
        self._record_bytes += size

    def reject(self, reject: Reject) -> None:
        """Takes a reject in."""
        self._rejects.append(reject)
        self._rejected_bytes += held_bytes(reject)
        self._settled += 1

    def rejects_again(self, line: int, offset: int, record: bytes) -> bool:
        """Counts another rejected event of a record in its reject, where one is enough. See `is_counted_again`."""
        is_counted = is_counted_again(self._rejects, line, offset, record)
        self._settled += is_counted
        return is_counted

    def tally(self, dropped: Sequence[Dropped], changed: Sequence[str]) -> None:
        """Counts what was dropped and changed of a record."""
        self._tally.add(dropped, changed)
        self._settled += len(dropped)

    def deliver(self, pipeline: Pipeline, source: str, deadline: float) -> Settled:
        """Brings it to its end, on a thread of the executor's.

        Raises:
            DeliveryError: see `Client.send`.
        """
        delivery = pipeline.deliver(self.batch, deadline, source)
        for one in delivery.rejected:
            before = len(one.before)
            place = one.place.after(before, sum(map(len, one.before)) + before) if before else one.place
            record = place.record(one.event)
            if not self.rejects_again(place.line, place.offset, record):
                self.reject(rejected_event(source, place.line, place.offset, record, one.event, one.rejection))
        if delivery.rejected:
            self._rejects.sort(key=lambda reject: reject.offset)
        return Settled(delivery.outcome, self._rejects, self._rejected_bytes, self._tally)
