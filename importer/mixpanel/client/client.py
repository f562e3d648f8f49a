"""Mixpanel's Import API: one batch in, one outcome out.

Source of the facts: https://developer.mixpanel.com/reference/import-events
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from importer import log
from importer.errors import FatalDeliveryError, Unavailable
from importer.mixpanel.batch import Packed, pack
from importer.mixpanel.client.answers import Answer, TooLarge, UnattributedFailure, failures, identity_calls
from importer.mixpanel.client.endpoint import Endpoint, InFlight
from importer.mixpanel.client.rate_limit import RateLimiter
from importer.mixpanel.outcome import Outcome, RejectedEvent
from importer.settings import Settings

_MAX_REJECTED_IN_A_ROW = 10
"""Events that are rejected, each sent alone, none named, before it has to be shown that Mixpanel takes any at all."""


@dataclass(slots=True)
class _Batch(InFlight):
    """A batch on its way.

    Attributes:
        is_proven: whether Mixpanel took an event since the batch began, so that a rejection is the event's own fault.
        in_a_row: events rejected alone since it last took one.
    """

    is_proven: bool = False
    in_a_row: int = 0

    def prove(self) -> None:
        self.is_proven, self.in_a_row = True, 0


_Part = tuple[Sequence[int], Packed]
"""Events that go in one request, and the index of each in the batch."""


class Client:
    """Sends batches to one project. Safe to use from several threads; they share its connections.

    Args:
        settings: the process's.
        clock: seconds, monotonic.
        limiter: of the rate; by default one of its own, with the ceiling that the settings ask for.

    Attributes:
        max_bytes: the largest body (uncompressed) that is tried; it shrinks when Mixpanel answers 413.
        limiter: see `RateLimiter.on_wait`.
    """

    def __init__(
        self, settings: Settings, clock: Callable[[], float] = time.monotonic, limiter: RateLimiter | None = None
    ) -> None:
        self.max_bytes = self._batch_bytes = settings.batch_bytes
        self.limiter = limiter or RateLimiter(settings.backoff / 10, clock, settings.events_per_second)
        self._endpoint = Endpoint(settings, clock, self.limiter)
        self._log = log.get()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._taken: tuple[Packed, frozenset[int]] | None = None  # the last request with events taken, and those not
        self._rejected_before_any_taken = 0

    def send(self, batch: Packed, deadline: float, source: str = "") -> Outcome:
        """Brings the events into Mixpanel, whatever it takes: tries again, smaller, or without the bad ones.

        Args:
            batch: at most 2,000 events, as `event.Completer` returns them.
            deadline: the clock's time after which nothing is tried again.
            source: where they are from, for the log.

        Returns:
            The outcome: for every event, imported or rejected.

        Raises:
            Unavailable: the deadline came first, or Mixpanel takes nothing at present. Some of the events may have been
                taken; sending all of them again is safe, since each has an `$insert_id`.
            FatalDeliveryError: credentials or settings are wrong, and no batch can be taken. For a moment after one
                batch failed so, the others do without a request.
        """
        sent = _Batch(next(self._numbers), deadline, source)
        parts: deque[_Part] = deque([(range(batch.count), batch)] if batch.count else [])
        while parts:
            indices, part = parts.popleft()
            parts.extendleft(reversed(self._bring(indices, part, sent)))
        if not sent.is_proven and sent.in_a_row == batch.count > 0:
            raise _nothing_taken(f"all {batch.count} events", sent.outcome.rejected[-1].message)
        return sent.outcome

    def probe(self, deadline: float) -> None:
        """Asks whether Mixpanel takes requests that are signed so, by one that holds no event: it imports nothing.

        Raises:
            Unavailable: there was no answer that tells before the deadline.
            FatalDeliveryError: it does not.
        """
        with suppress(UnattributedFailure):  # it knows who asks, and finds nothing to import
            self._endpoint.deliver(pack([]), InFlight(next(self._numbers), deadline))

    def close(self) -> None:
        """Closes the connections."""
        self._endpoint.close()

    def _bring(self, indices: Sequence[int], part: Packed, batch: _Batch) -> list[_Part]:
        """Sends a part, and books what became of it. Returns what of it has to be sent (again), in smaller parts."""
        if part.size > self.max_bytes and part.count > 1:
            return _halves(indices, part)
        try:
            return self._book(indices, part, self._endpoint.deliver(part, batch), batch)
        except TooLarge:
            if part.count > 1:
                self._shrink(part.size)
                return _halves(indices, part)
            self._reject_alone(RejectedEvent(indices[0], None, "413: too large for Mixpanel even alone"), batch)
        except UnattributedFailure as failure:
            if part.count > 1:
                return self._divide(indices, part, str(failure), batch)
            self._reject_alone(RejectedEvent(indices[0], None, str(failure)), batch)
        return []

    def _book(self, indices: Sequence[int], part: Packed, answer: Answer, batch: _Batch) -> list[_Part]:
        """Books an answer that says what was taken. Returns the events that were not, through no fault of theirs."""
        failed = failures(part, answer.failed) if answer.failed else {}
        batch.outcome.rejected += [
            RejectedEvent(indices[index], record.field, record.message or "rejected without a message")
            for index, record in failed.items()
        ]
        due = part.count - len(failed)
        if answer.imported is not None and answer.imported < due:  # as where one event spoils the request for all
            return [_chosen(indices, part, [index for index in range(part.count) if index not in failed])]
        batch.outcome.imported += due
        if due:
            batch.prove()
            with self._lock:
                self._taken = part, frozenset(failed)
        return []

    def _divide(self, indices: Sequence[int], part: Packed, reason: str, batch: _Batch) -> list[_Part]:
        """Divides a part that was rejected without an event named, so that the culprit is found with few requests."""
        suspects = identity_calls(part)
        if 0 < len(suspects) < part.count:
            others = sorted(set(range(part.count)) - set(suspects))
            return [_chosen(indices, part, others), _chosen(indices, part, suspects)]
        self._make_sure(reason, batch)
        return _halves(indices, part)

    def _reject_alone(self, event: RejectedEvent, batch: _Batch) -> None:
        """Books one event that was rejected alone. If nothing was ever taken it may be no event's fault: then stop."""
        self._make_sure(event.message, batch)
        if not batch.is_proven:
            with self._lock:
                self._rejected_before_any_taken += 1
                is_doubtful = self._rejected_before_any_taken >= _MAX_REJECTED_IN_A_ROW
            if is_doubtful:
                raise _nothing_taken(f"the first {_MAX_REJECTED_IN_A_ROW} events", event.message)
        batch.outcome.rejected.append(event)
        batch.in_a_row += 1
        if batch.in_a_row == _MAX_REJECTED_IN_A_ROW:
            batch.is_proven, batch.in_a_row = False, 0

    def _make_sure(self, reason: str, batch: _Batch) -> None:
        """Makes sure that Mixpanel takes events at all, by sending one again that it took before: that is safe.

        Raises:
            Unavailable: it does not, so that no event is at fault.
        """
        if batch.is_proven or (proof := self._proof()) is None:
            return
        try:
            self._endpoint.deliver(proof, batch)
        except (TooLarge, UnattributedFailure) as failure:
            if isinstance(failure, TooLarge):  # so it was not for their size that larger ones were not taken
                self.max_bytes = self._batch_bytes
            raise Unavailable(
                f"Mixpanel takes no events at present, not even one that it took before ({reason}): "
                "no event is rejected for that."
            ) from None
        batch.prove()

    def _proof(self) -> Packed | None:
        """An event that was taken, alone."""
        with self._lock:
            if self._taken is None:
                return None
            part, failed = self._taken
            if part.count > 1:
                index = next(index for index in range(part.count) if index not in failed)
                part = pack([part.events()[index]])
                self._taken = part, frozenset()
            return part

    def _shrink(self, rejected: int) -> None:
        with self._lock:
            smaller = max(rejected // 2, 1)
            if smaller < self.max_bytes:
                self.max_bytes = smaller
                self._log.warning(
                    f"Mixpanel answered 413 to {rejected} bytes: from now on this process sends {smaller} at most.",
                    kind="smaller batches",
                    max_bytes=smaller,
                )


def _nothing_taken(events: str, reason: str) -> FatalDeliveryError:
    return FatalDeliveryError(
        f"Mixpanel rejected {events}, each sent alone, without naming a field, and took none so far: {reason}. "
        "Check MIXPANEL_PROJECT_ID, MIXPANEL_REGION and MIXPANEL_API_URL."
    )


def _chosen(indices: Sequence[int], part: Packed, chosen: Sequence[int]) -> _Part:
    """Some events of a part."""
    events = part.events()
    return [indices[index] for index in chosen], pack([events[index] for index in chosen])


def _halves(indices: Sequence[int], part: Packed) -> list[_Part]:
    left, right = part.halves()
    return [(indices[: left.count], left), (indices[left.count :], right)]
