"""Many small sources at once, such as messages: each brings few records, and waits until they are settled.

Their events share batches. The question is when a batch leaves. Full, it leaves at once; and no event waits for company
longer than `max_wait`. Between these the rule is: **a batch leaves when it holds a quarter of the sources that are
open.** The senders are a closed number (an instance has as many open requests as its concurrency allows), and whoever
is answered comes back with the next message. Waiting for all of them would make everyone move in step, with the
processor idle while Mixpanel works. With a quarter, four groups go round: one gathers while the others are on their
way. One source alone is a quarter of what is open, so it leaves without waiting; with a thousand open, a batch has 250.
What comes in the same turn of the event loop joins, as long as the batch has few sources; a batch of many leaves on the
spot. Else the groups would grow together, and go round in step after all. While four are on their way, or all senders
are busy, the batch stays and grows: load itself makes batches larger.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from importer.core.pipeline import Delivery, Pipeline
from importer.core.rejects import Reject, rejected_event, rejected_record, rejected_rest
from importer.core.report import Report, Tally
from importer.errors import DeliveryError, Unreadable
from importer.mixpanel.batch import Batch
from importer.records import Record, is_blank

_GROUPS = 4

_MANY = 200
"""Sources in a batch with which it does not wait for the turn of the event loop to end."""

_AT_A_TIME = 2_000
"""Records of one source that are read before others get their turn: a batch full, so that no part of one leaves."""

_TURN = 0.2
"""Seconds after which they get it in any case: a transform may be slow, a gzip may hold white space by the gigabyte."""

_MAX_REJECTS = 1_000
"""Records of one source that are refused one by one; with one more, it is refused as a whole from there on."""

_MAX_BLANK = 100_000
"""Blank lines of one source that are passed over: a small message can decompress to millions of them."""


class _Ticket:
    """One source's records on their way: settled when `unsettled` comes down to nothing."""

    __slots__ = ("done", "failed", "read", "rejects", "source", "tally", "unsettled")

    def __init__(self, source: str, done: asyncio.Future[None]) -> None:
        self.source = source
        self.done = done
        self.unsettled = 1  # held by `Batcher.deliver` until it has read all the records
        self.read = 0
        self.tally = Tally()
        self.rejects: list[Reject] = []
        self.failed: DeliveryError | None = None

    def settle(self) -> None:
        """Books one event, or the reading, as come to its end."""
        self.unsettled -= 1
        if not self.unsettled and not self.done.done():
            self.done.set_result(None)


_Place = tuple[_Ticket, int, int, bytes | None]
"""The source, line and offset of a record, and the record where a transform made something else of it."""


class Batcher:
    """Puts the events of many sources in common batches. Belongs to one event loop.

    Args:
        pipeline: the process's.
        retry_seconds: seconds for which one batch is tried again before its sources are handed back.

    Attributes:
        open: sources that are open now, from the moment something of them has come until they are answered. The caller
            counts them.
        report: the counts since `new_report` was last called.
    """

    def __init__(self, pipeline: Pipeline, retry_seconds: float) -> None:
        self._pipeline = pipeline
        self._retry_seconds = retry_seconds
        self._max_wait = pipeline.settings.max_wait
        self._loop = asyncio.get_running_loop()
        self._batch: Batch[_Place] = pipeline.new_batch()
        self._gathered = 0  # sources with events in the batch
        self._full: deque[Batch[_Place]] = deque()
        self._in_flight = 0  # batches
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        self._will_consider = False
        self.open = 0
        self.report = Report()

    async def deliver(
        self, source: str, records: Iterable[Record], whole: bytes, hold: Callable[[int], None] | None = None
    ) -> list[Reject]:
        """Brings the records of one source to their end.

        Args:
            source: what rejects say they came from.
            records: see `formats.records`.
            whole: the source's bytes, which the reject carries if they cannot be read to their end.
            hold: is told the bytes of each record before it is held here; what it raises ends the reading.

        Returns:
            The rejects, to be kept before the source is let go. All other records were imported or dropped.

        Raises:
            DeliveryError: Mixpanel did not take all of them; the source is to be handed back.
            Exception: whatever `records` and `hold` raise; the same. What was read before is on its way all the same.
        """
        if self._gathered >= _MANY and self._is_enough():
            self._consider()
        ticket = _Ticket(source, self._loop.create_future())
        try:
            await self._read(ticket, records, whole, hold)
        except BaseException:
            self.report.read += ticket.read
            raise
        ticket.settle()
        await ticket.done
        self._count(ticket)
        if ticket.failed:
            raise DeliveryError(str(ticket.failed)) from ticket.failed
        return ticket.rejects

    def flush(self) -> None:
        """From now on nothing waits for company: the process is about to end."""
        self._max_wait = 0.0
        self._is_due = True
        self._consider()

    def new_report(self) -> Report:
        """The report so far; counting starts anew."""
        report, self.report = self.report, Report()
        return report

    async def _read(
        self, ticket: _Ticket, records: Iterable[Record], whole: bytes, hold: Callable[[int], None] | None
    ) -> None:
        pipeline = self._pipeline
        batch_was = None
        last, blank = (0, 0), 0
        clock = self._pipeline.clock
        pause_at = clock() + _TURN
        try:
            for number, (line, offset, record) in enumerate(records):
                if number and (number % _AT_A_TIME == 0 or clock() > pause_at):
                    await asyncio.sleep(0)
                    pause_at = clock() + _TURN
                if is_blank(record):
                    blank += 1
                    if blank > _MAX_BLANK:
                        raise Unreadable(f"more than {_MAX_BLANK} lines of it are blank")
                    continue
                last = line, offset
                if hold:
                    hold(len(record))
                prepared = pipeline.prepare(record)
                for invalid in prepared.rejected:
                    if len(ticket.rejects) >= _MAX_REJECTS:
                        raise Unreadable(f"more than {_MAX_REJECTS} records of it cannot be imported")
                    ticket.rejects.append(rejected_record(ticket.source, line, offset, record, invalid))
                ticket.tally.add(prepared.dropped, prepared.changed)
                ticket.read += prepared.read
                self.report.bytes += len(record)
                place = (ticket, line, offset, record if pipeline.makes_events else None)
                for event in prepared.events:
                    self._add(event, place)
                    if batch_was is not self._batch:
                        batch_was = self._batch
                        self._gathered += 1
        except Unreadable as error:
            ticket.read += 1
            ticket.rejects.append(rejected_rest(ticket.source, *last, whole, str(error)))

    def _add(self, event: bytes, place: _Place) -> None:
        place[0].unsettled += 1
        if not self._batch.add(event, place):
            self._full.append(self._batch)
            self._renew()
            self._batch.add(event, place)
        if self._timer is None:
            self._timer = self._loop.call_later(self._max_wait, self._wait_is_over)
        if not self._will_consider:
            # Not at once: what else has come meanwhile joins first.
            self._will_consider = True
            self._loop.call_soon(self._consider)

    def _wait_is_over(self) -> None:
        self._is_due = True
        self._consider()

    def _consider(self) -> None:
        """Sends what is to leave now, as far as there is room for it."""
        self._will_consider = False
        while self._full and self._leave(self._full[0]):
            self._full.popleft()
        if self._full or not self._batch.events:
            return
        if (self._is_due or self._is_enough()) and self._leave(self._batch):
            self._renew()

    def _is_enough(self) -> bool:
        return self._in_flight < _GROUPS and self._gathered * _GROUPS >= self.open

    def _renew(self) -> None:
        self._batch = self._pipeline.new_batch()
        self._gathered = 0
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self, batch: Batch[_Place]) -> bool:
        deadline = self._pipeline.clock() + self._retry_seconds
        future = self._pipeline.executor.submit_now(batch.size, lambda: self._pipeline.deliver(batch, deadline))
        if future is None:
            return False
        self._in_flight += 1
        future.add_done_callback(lambda ended: self._loop.call_soon_threadsafe(self._settle, batch.places, ended))
        return True

    def _settle(self, places: list[_Place], ended: Future[Delivery[_Place]]) -> None:
        """Books a batch: its sources hear of it, those first that have nothing else on its way."""
        self._in_flight -= 1
        if error := ended.exception():
            # One for all of them, without the traceback: its frames lead back to the sources, and so to itself.
            failure = DeliveryError(
                str(error) if isinstance(error, DeliveryError) else f"{type(error).__name__}: {error}"
            )
            for ticket, *_ in places:
                ticket.failed = failure
        else:
            delivery = ended.result()
            self.report.add_outcome(delivery.outcome)
            for one in delivery.rejected:
                ticket, line, offset, record = one.place
                ticket.rejects.append(rejected_event(ticket.source, line, offset, record, one.event, one.rejection))
        for place in places:
            place[0].settle()
        self._consider()

    def _count(self, ticket: _Ticket) -> None:
        """Counts what is known of a source at its end. What was imported is counted by the batch."""
        self.report.read += ticket.read
        if ticket.failed:
            return
        self.report.add_tally(ticket.tally)
        for one in ticket.rejects:
            self.report.add_reject(one)
