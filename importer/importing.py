"""The core: records in, report out.

Each record is checked and completed (`event`), put in a batch (`batch`), and the batch is delivered (`mixpanel`) on one
of a bounded number of threads (`sending`). Whatever becomes of a record is counted, once, and every reject is kept.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import Any

from importer.batch import Batch
from importer.event import Invalid, Transform, insert_id, is_blank, prepare
from importer.formats import Record, Unreadable
from importer.mixpanel import Client, NotTaken, Outcome, Refusal
from importer.rejects import Reject, RejectSink, reject
from importer.sending import Sender
from importer.settings import Settings
from importer.transform import load

_FIRST_REJECTS = 5
_MOST_UNBOOKED = 64


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
    first_rejects: list[Reject] = field(default_factory=list)
    unreadable: str | None = None

    @property
    def handed_back(self) -> int:
        """Records that were read and not settled: the trigger still holds them."""
        return self.read - self.imported - self.rejected - self.dropped

    def counts(self) -> dict[str, Any]:
        """The numbers, under the names that the log and the metrics use."""
        numbers = {name: value for name, value in asdict(self).items() if isinstance(value, int | float)}
        numbers["seconds"] = round(self.seconds, 3)
        return {**numbers, "handed_back": self.handed_back}


class HandedBack(Exception):
    """The work could not be finished; whoever triggered it is to deliver it again. Sending twice is safe.

    Attributes:
        report: what was settled all the same.
    """

    def __init__(self, reason: str, report: Report) -> None:
        super().__init__(reason)
        self.report = report


_Place = tuple[int, int, bytes | None]
"""The line and offset of a record, and the record where a transform made something else of it."""


@dataclass(slots=True)
class _Span:
    """A stretch of the source: the events in it on their way, and what of it is settled already."""

    batch: Batch[_Place]
    rejects: list[Reject] = field(default_factory=list)
    dropped: int = 0


@dataclass(slots=True)
class _Settled:
    """What became of a span: every record in it is accounted for here."""

    outcome: Outcome
    rejects: list[Reject]
    dropped: int


@dataclass(frozen=True, slots=True)
class _Limits:
    """How long a run may take, and a batch of it."""

    clock: Callable[[], float]
    patience: float
    deadline: float

    def of_a_batch(self) -> float:
        """The clock's time after which a batch that starts now is not tried again."""
        return min(self.clock() + self.patience, self.deadline)


class _TimeUp(Exception):
    """The deadline came while there was more to read."""


class Importer:
    """Imports sources, one `run` each, within the bounds that the settings give the whole process."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._transform: Transform | None = load(settings.transform) if settings.transform else None
        self._client = Client(settings, clock)
        self._sender = Sender(settings.concurrency, settings.buffer_bytes)

    def run(
        self, source: str, records: Iterable[Record], rejects: RejectSink, patience: float, deadline: float = math.inf
    ) -> Report:
        """Imports all the records of one source.

        Args:
            source: what rejects say they came from.
            records: in order; see `formats.records`.
            rejects: where refused records go.
            patience: seconds for which one batch is tried again before the work is handed back.
            deadline: the clock's time at which reading stops, and after which nothing is tried again.

        Returns:
            The report. Every record read was imported, dropped, or is a confirmed reject.

        Raises:
            HandedBack: Mixpanel did not take all of them, the source failed, the rejects could not be kept, or the
                deadline came.
        """
        limits = _Limits(self._clock, patience, deadline)
        run = _Run(self._settings, self._client, self._sender, self._transform, source, rejects, limits)
        return run.all(records)

    def close(self) -> None:
        """Lets what is on its way settle, and closes the connections."""
        self._sender.close()
        self._client.close()


class _Run:
    """One source on its way."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        sender: Sender,
        transform: Transform | None,
        source: str,
        rejects: RejectSink,
        limits: _Limits,
    ) -> None:
        self._settings = settings
        self._client = client
        self._sender = sender
        self._transform = transform
        self._source = source
        self._rejects = rejects
        self._limits = limits
        self._report = Report()
        self._unbooked: deque[Future[_Settled]] = deque()

    def all(self, records: Iterable[Record]) -> Report:
        started = self._limits.clock()
        try:
            self._read(records)
            while self._unbooked:
                self._book(self._unbooked.popleft())
            self._rejects.confirm()
        except Exception as error:
            self._book_the_rest()
            told = isinstance(error, NotTaken | _TimeUp)
            raise HandedBack(str(error) if told else f"{type(error).__name__}: {error}", self._report) from error
        finally:
            self._report.seconds = self._limits.clock() - started
        return self._report

    def _read(self, records: Iterable[Record]) -> None:
        """Reads to the end, sending as batches fill. This loop is the hot path: one turn a record."""
        report, transform = self._report, self._transform
        span = self._new_span()
        line = offset = 0
        try:
            for line, offset, record in records:
                try:
                    events = prepare(record, transform)
                except Invalid as invalid:
                    if is_blank(record):
                        continue
                    span.rejects.append(self._reject(line, offset, record, invalid))
                    events = ()
                else:
                    span.dropped += not events
                report.read += len(events) or 1
                report.bytes += len(record)
                place = (line, offset, record if transform else None)
                for event in events:
                    if not span.batch.add(event, place):
                        self._send(span)
                        span = self._new_span()
                        span.batch.add(event, place)
                if len(span.rejects) >= self._settings.batch_events:
                    self._send(span)
                    span = self._new_span()
        except Unreadable as error:
            report.unreadable = str(error)
            report.read += 1
            span.rejects.append(reject(self._source, line + 1, offset, b"", f"from here on: {error}"))
        self._send(span)

    def _new_span(self) -> _Span:
        return _Span(Batch(self._settings.batch_events, min(self._settings.batch_bytes, self._client.max_bytes)))

    def _reject(self, line: int, offset: int, record: bytes, invalid: Invalid) -> Reject:
        return reject(self._source, line, offset, record, invalid.reason, invalid.field, insert_id(record))

    def _send(self, span: _Span) -> None:
        """Sends a span on its way, and books those that have come to their end, in the order of the source."""
        self._unbooked.append(self._sender.submit(span.batch.size, lambda: self._deliver(span)))
        while self._unbooked and (self._unbooked[0].done() or len(self._unbooked) > _MOST_UNBOOKED):
            self._book(self._unbooked.popleft())
        if self._limits.clock() > self._limits.deadline:
            raise _TimeUp("the time limit came before the end")

    def _deliver(self, span: _Span) -> _Settled:
        """Brings a span to its end. Runs on a sender's thread; on the way, and after it, no event is held unpacked."""
        packed = span.batch.pack()
        outcome = self._client.send(packed, self._limits.of_a_batch())
        if not outcome.refused:
            return _Settled(outcome, span.rejects, span.dropped)
        events = packed.events()
        refused = [self._refused(refusal, events[refusal.index], span) for refusal in outcome.refused]
        return _Settled(outcome, sorted(span.rejects + refused, key=lambda r: r.offset), span.dropped)

    def _refused(self, refusal: Refusal, event: bytes, span: _Span) -> Reject:
        line, offset, record = span.batch.places[refusal.index]
        return reject(self._source, line, offset, record or event, refusal.message, refusal.field, insert_id(event))

    def _book(self, future: Future[_Settled]) -> None:
        settled = future.result()
        report, outcome = self._report, settled.outcome
        report.imported += outcome.imported
        report.rejected += len(settled.rejects)
        report.dropped += settled.dropped
        report.requests += outcome.requests
        report.retried += outcome.retried
        report.sent_bytes += outcome.sent_bytes
        for one in settled.rejects:
            self._rejects.add(one)
            if len(report.first_rejects) < _FIRST_REJECTS:
                report.first_rejects.append(one)

    def _book_the_rest(self) -> None:
        """After a failure: what else is on its way comes to its end, and counts."""
        while self._unbooked:
            with contextlib.suppress(NotTaken):
                self._book(self._unbooked.popleft())
