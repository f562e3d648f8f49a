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
from concurrent.futures import Future

from importer.core.batching.source import Memory, Place, Source
from importer.core.pipeline import Delivery, Pipeline
from importer.core.report import Report
from importer.errors import DeliveryError
from importer.mixpanel.batch import Batch

_GROUPS = 4

_MANY = 200
"""Sources in a batch with which it does not wait for the turn of the event loop to end."""


class Batcher:
    """Puts the events of many sources in common batches. Belongs to one event loop.

    Args:
        pipeline: the process's.
        retry_seconds: seconds for which one batch is tried again before its sources are handed back.

    Attributes:
        pipeline: the same.
        open: sources that are open now; they count themselves.
        report: the counts since `new_report` was last called: of the sources that were left since, and of the requests.
    """

    def __init__(self, pipeline: Pipeline, retry_seconds: float) -> None:
        self.pipeline = pipeline
        self._retry_seconds = retry_seconds
        self._max_wait = pipeline.settings.max_wait
        self._loop = asyncio.get_running_loop()
        self._batch: Batch[Place] = pipeline.new_batch()
        self._number = 1  # of the batch
        self._gathered = 0  # sources with events in the batch
        self._full: deque[Batch[Place]] = deque()
        self._in_flight = 0  # batches
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        self._will_consider = False
        self.open = 0
        self.report = Report()

    def source(self, memory: Memory | None = None, *, is_bounded: bool = True) -> Source:
        """A source of events. It is open within its `with` block, and what became of it is counted when that is left.

        Args:
            memory: its part of the memory for what waits; None where somebody else sees to that.
            is_bounded: False where nobody waits for an answer: then it may have any number of bad or blank records.
        """
        return Source(self, memory, is_bounded=is_bounded)

    def make_way(self) -> None:
        """Lets a batch of many leave before the next source is read, if it may."""
        if self._gathered >= _MANY and self._is_enough():
            self._consider()

    def add(self, event: bytes, place: Place) -> None:
        """Takes an event in. Its source will hear of it: `imported` or `failed`, and before, if so, `rejected`."""
        if not self._batch.add(event, place):
            self._full.append(self._batch)
            self._renew()
            self._batch.add(event, place)
        source = place[0]
        if source.counted_in != self._number:
            source.counted_in = self._number
            self._gathered += 1
        if self._timer is None:
            self._timer = self._loop.call_later(self._max_wait, self._wait_is_over)
        if not self._will_consider:
            # Not at once: what else has come meanwhile joins first.
            self._will_consider = True
            self._loop.call_soon(self._consider)

    def flush(self) -> None:
        """From now on nothing waits for company: the process is about to end."""
        self._max_wait = 0.0
        self._is_due = True
        self._consider()

    def new_report(self) -> Report:
        """The report so far; counting starts anew."""
        report, self.report = self.report, Report()
        return report

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
        self._batch = self.pipeline.new_batch()
        self._number += 1
        self._gathered = 0
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self, batch: Batch[Place]) -> bool:
        deadline = self.pipeline.clock() + self._retry_seconds
        source = _named(batch.places)
        future = self.pipeline.executor.submit_now(batch.size, lambda: self.pipeline.deliver(batch, deadline, source))
        if future is None:
            return False
        self._in_flight += 1
        future.add_done_callback(lambda ended: self._loop.call_soon_threadsafe(self._settle, batch.places, ended))
        return True

    def _settle(self, places: list[Place], ended: Future[Delivery[Place]]) -> None:
        """Tells the sources what became of a batch."""
        self._in_flight -= 1
        if error := ended.exception():
            # One for all of them, without the traceback: its frames lead back to the sources, and so to itself.
            failure = (
                type(error)(str(error))
                if isinstance(error, DeliveryError)
                else DeliveryError(f"{type(error).__name__}: {error}")
            )
            for source, *_ in places:
                source.failed(failure)
        else:
            delivery = ended.result()
            self.report.add_requests(delivery.outcome)
            for one in delivery.rejected:
                source, line, offset, record = one.place
                source.rejected(line, offset, record, one.event, one.rejection)
            for source, *_ in places:
                source.imported()
        self._consider()


def _named(places: list[Place]) -> str:
    """Where the events of a batch are from: one message, or the subscription of many."""
    first, last = places[0][0].name, places[-1][0].name
    return first if first == last else first.partition("#")[0]
