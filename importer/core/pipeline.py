"""What every source's records go through, made once for a process: preparation, client, executor, and their bounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from importer.core.executor import BoundedExecutor
from importer.core.preparation import Prepared, Preparer
from importer.mappings.loading import load, load_mapping
from importer.mixpanel.batch import Batch, Place
from importer.mixpanel.client.client import Client
from importer.mixpanel.outcome import Outcome, RejectedEvent
from importer.records import Block
from importer.settings import Settings

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class PlacedReject(Generic[Place]):
    """One event that Mixpanel rejected.

    Attributes:
        place: the place it came from.
        before: the events of the same place that go before it.
        event: as it was sent.
        rejection: Mixpanel's reason.
    """

    place: Place
    before: list[bytes]
    event: bytes
    rejection: RejectedEvent


@dataclass(frozen=True, slots=True)
class Delivery(Generic[Place]):
    """What became of a batch: the outcome, and the events that Mixpanel rejected."""

    outcome: Outcome
    rejected: list[PlacedReject[Place]]


class Pipeline:
    """The parts that all sources share, within the bounds that the settings give the whole process.

    Attributes:
        settings: what it was made with.
        clock: seconds, monotonic.
        executor: where deliveries run.
        makes_events: whether what is sent is made of a record, by a mapping or transform, so that a reject has to carry
            the record beside its event.

    Raises:
        SettingsError: the settings name a mapping or a transform that cannot be loaded.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.clock = clock
        transform = load(settings.transform) if settings.transform else None
        mapped = load_mapping(settings.mapping, os.environ) if settings.mapping else None
        self._preparer = Preparer(settings.default_ip, mapped, transform)
        self.makes_events = self._preparer.makes_events
        self.executor = BoundedExecutor(settings.concurrency, settings.buffer_bytes)
        self._client = Client(settings, clock)

    def prepare(self, record: bytes) -> Prepared:
        """Makes of one record the events to send: mapping, filters, transform, then check and completion. It raises
        nothing for what a record holds."""
        return self._preparer.prepare(record)

    def prepare_block(self, block: Block) -> Iterator[tuple[int, list[bytes] | Prepared]]:
        """Prepares the records of a block, those together that become an event each. See `Preparer.prepare_block`."""
        return self._preparer.prepare_block(block)

    def new_batch(self) -> Batch[P]:
        """An empty batch, as large as the settings and Mixpanel allow."""
        return Batch(self.settings.batch_events, min(self.settings.batch_bytes, self._client.max_bytes))

    def deliver(self, batch: Batch[Place], deadline: float, source: str) -> Delivery[Place]:
        """Brings a batch to its end, on a thread of the sender's. On the way, and after it, no event is held unpacked.

        Args:
            batch: the events.
            deadline: the clock's time after which nothing is tried again.
            source: where they are from, as logs name it.

        Raises:
            NotTaken: see `Client.send`.
        """
        packed = batch.pack()
        outcome = self._client.send(packed, deadline, source)
        if not outcome.rejected:
            return Delivery(outcome, [])
        events = packed.events()
        rejected = []
        for one in outcome.rejected:
            place, nth = batch.place(one.index)
            rejected.append(PlacedReject(place, events[one.index - nth : one.index], events[one.index], one))
        return Delivery(outcome, rejected)

    def tell_waits(self, on_wait: Callable[[float], None]) -> None:
        """Has each wait for the rate limit told, in seconds; see `RateLimiter.on_wait`."""
        self._client.limiter.on_wait = on_wait

    def close(self) -> None:
        """Lets what is on its way settle, and closes the connections."""
        self.executor.close()
        self._client.close()
