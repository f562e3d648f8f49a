"""Mixpanel's Import API: one batch in, one outcome out.

Source of the facts: https://developer.mixpanel.com/reference/import-events
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Callable

import stamina
from urllib3 import BaseHTTPResponse

from importer import log
from importer.errors import FatalDeliveryError, Unavailable
from importer.mixpanel.answers import Answer, UnattributedFailure, decoded, failures, retry_after
from importer.mixpanel.batch import Packed
from importer.mixpanel.connections import Connections
from importer.mixpanel.outcome import Outcome, RejectedEvent
from importer.mixpanel.rate_limit import RateLimiter
from importer.mixpanel.turns import PriorityLock
from importer.settings import CredentialKind, Settings

_CONNECT_TIMEOUT = 10.0
_MAX_WAIT = 60.0
_FIRST_TURN = 5.0
_MAX_REJECTED_BEFORE_FIRST_SUCCESS = 10
_MAX_SHORT_COUNTS = 3
_MAX_SHORT_COUNTS_ALONE = 10
"""For one event alone it is hardly the event's fault: refusing it comes late."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_SETTINGS_OF = {
    CredentialKind.SERVICE_ACCOUNT: "MIXPANEL_SERVICE_ACCOUNT_USERNAME, MIXPANEL_SERVICE_ACCOUNT_SECRET, "
    "MIXPANEL_PROJECT_ID and the account's role in that project",
    CredentialKind.PROJECT_TOKEN: "MIXPANEL_PROJECT_TOKEN",
    CredentialKind.API_SECRET: "MIXPANEL_API_SECRET",
}


class _TransientError(Exception):
    """A try that may go better: why, and after how long at the least."""

    def __init__(self, reason: str, status: int | None, first_wait: float, wait: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.first_wait = first_wait
        self.wait = wait


class _TooLarge(Exception):
    """413."""


class Client:
    """Sends batches to one project. Safe to use from several threads; they share its connections.

    Attributes:
        max_bytes: the largest body (uncompressed) that is tried; it shrinks when Mixpanel answers 413.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        stamina.instrumentation.set_on_retry_hooks([])  # each try again is logged once, here
        self.max_bytes = settings.batch_bytes
        self._clock = clock
        self._log = log.get()
        self._credentials = settings.credentials
        self._backoff = settings.backoff
        self._timeout = settings.timeout
        self._connections = Connections(settings)
        self._limiter = RateLimiter(settings.backoff / 10, clock)
        self._lock_by_age = PriorityLock()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._has_succeeded = False
        self._rejected_before_first_success = 0

    def send(self, batch: Packed, deadline: float) -> Outcome:
        """Brings the events into Mixpanel, whatever it takes: tries again, smaller, or without the bad ones.

        Args:
            batch: at most 2,000 events, as `event.prepare` returns them.
            deadline: the clock's time after which nothing is tried again.

        Returns:
            The outcome: for every event, imported or refused.

        Raises:
            Unavailable: the deadline came first. Some of the events may have been taken; sending all of them again
                is safe, since each has an `$insert_id`.
            FatalDeliveryError: credentials or settings are wrong, and no batch can be taken.
        """
        outcome = Outcome()
        number = next(self._numbers)
        parts = deque([(0, batch)] if batch.count else [])
        while parts:
            first, part = parts.popleft()
            try:
                if part.size > self.max_bytes and part.count > 1:
                    parts.extendleft(_halves(first, part))
                    continue
                self._take(part, first, self._deliver(part, number, deadline, outcome), outcome)
            except _TooLarge:
                if part.count > 1:
                    self._shrink(part.size)
                    parts.extendleft(_halves(first, part))
                else:
                    self._reject_alone(first, "413: too large for Mixpanel even alone", outcome)
            except UnattributedFailure as unnamed:
                if part.count > 1:
                    parts.extendleft(_halves(first, part))
                else:
                    self._reject_alone(first, str(unnamed), outcome)
        return outcome

    def close(self) -> None:
        """Closes the connections."""
        self._connections.close()

    def _take(self, part: Packed, first: int, answer: Answer, outcome: Outcome) -> None:
        """Books an answer that says what was taken."""
        failed = failures(part, answer.failed_records or [])
        outcome.rejected += [
            RejectedEvent(first + index, record.field, record.message or "refused without a message")
            for index, record in failed.items()
        ]
        outcome.imported += part.count - len(failed)
        with self._lock:
            self._has_succeeded = True

    def _reject_alone(self, index: int, message: str, outcome: Outcome) -> None:
        """Books one event that was refused alone. If nothing was ever taken it may be no event's fault: then stop."""
        with self._lock:
            self._rejected_before_first_success += not self._has_succeeded
            doubtful = (
                not self._has_succeeded and self._rejected_before_first_success >= _MAX_REJECTED_BEFORE_FIRST_SUCCESS
            )
        if doubtful:
            raise FatalDeliveryError(
                f"Mixpanel refused the first {_MAX_REJECTED_BEFORE_FIRST_SUCCESS} events, each sent alone, "
                f"without naming a field: {message}. Check MIXPANEL_PROJECT_ID, MIXPANEL_REGION and MIXPANEL_API_URL."
            )
        outcome.rejected.append(RejectedEvent(index, None, message))

    def _shrink(self, refused: int) -> None:
        with self._lock:
            smaller = max(refused // 2, 1)
            if smaller < self.max_bytes:
                self.max_bytes = smaller
                self._log.warning(
                    f"Mixpanel answered 413 to {refused} bytes: from now on this process sends {smaller} at most.",
                    kind="smaller batches",
                    max_bytes=smaller,
                )

    def _deliver(self, part: Packed, number: int, deadline: float, outcome: Outcome) -> Answer:
        """Posts events in one request until there is an answer that settles them, or the deadline comes."""
        tries, sent_at = 0, 0.0

        def again(error: Exception) -> float | bool:
            if not isinstance(error, _TransientError):
                return False
            wait = self._wait(error, tries)
            if error.status == 429:
                self._limiter.throttled(sent_at, error.wait)
            if self._clock() + wait > deadline:
                return False
            outcome.retried += 1
            self._log.warning(
                f"{error}; trying again in {wait:.1f} s.",
                kind="retry",
                status=error.status,
                reason=str(error),
                wait_seconds=round(wait, 3),
            )
            return wait

        def once() -> Answer:
            nonlocal tries, sent_at
            # A batch is tried once without any retry_seconds: for that turn it waits a little in any case.
            turn_by = deadline if tries else max(deadline, self._clock() + _FIRST_TURN)
            self._await_turn(part.count, number, turn_by)
            tries, sent_at = tries + 1, self._clock()
            outcome.requests += 1
            outcome.sent_bytes += len(part.body)
            answer = self._post(part, deadline, tries)
            self._limiter.succeeded(part.count)
            return answer

        try:
            return once()  # as nearly every batch: to enter the loop below takes a tenth of the time of a request
        except _TransientError as trouble:
            failed: _TransientError | None = trouble
        try:
            for attempt in stamina.retry_context(on=again, attempts=None, timeout=None):
                with attempt:
                    if failed:  # the first try of this loop was the one above
                        first, failed = failed, None
                        raise first
                    return once()
        except _TransientError as trouble:
            raise Unavailable(f"Mixpanel could not take the events in time: {trouble}") from trouble
        raise AssertionError("unreachable")

    def _await_turn(self, events: int, number: int, deadline: float) -> None:
        with self._lock_by_age.held(number):
            while wait := self._limiter.acquire(events):
                if self._clock() + wait > deadline:
                    raise Unavailable("Mixpanel could not take the events in time: its rate limit left no room")
                time.sleep(wait)

    def _wait(self, trouble: _TransientError, tries: int) -> float:
        """Seconds to the next try: what the answer asks for, or twice as long each time; never all at once."""
        jitter = trouble.first_wait * random.uniform(0.5, 2.5)  # noqa: S311 (spreads load, hides nothing)
        if trouble.wait is not None:
            return trouble.wait + jitter
        if trouble.status == 429:  # how long to hold back is for the pace to say, for all senders together
            return jitter
        doubled: float = trouble.first_wait * 2 ** min(tries - 1, 16)
        return min(doubled, _MAX_WAIT) + jitter

    def _post(self, part: Packed, deadline: float, tries: int) -> Answer:
        remaining = max(deadline - self._clock(), 1.0)
        try:
            response = self._connections.post(
                part.body, connect=min(_CONNECT_TIMEOUT, remaining), read=min(self._timeout, remaining)
            )
        except TimeoutError:
            raise _TransientError("Mixpanel gave no answer in time", None, self._backoff) from None
        except ConnectionError as error:
            # Often a connection that idled too long: the first try again comes soon.
            raise _TransientError(f"the connection failed ({_cause(error)})", None, self._backoff / 10) from None
        return self._read(response, part.count, tries)

    def _read(self, response: BaseHTTPResponse, count: int, tries: int) -> Answer:
        status = response.status
        if status in {200, 400}:
            answer = decoded(response)
            if answer is None or (status == 200 and answer.num_records_imported is None):
                raise _TransientError(f"Mixpanel's answer ({status}) could not be read", status, self._backoff / 10)
            if not answer.failed_records and status == 400:
                raise UnattributedFailure(f"400: {answer.error or 'the body was not understood'}")
            self._check_count(answer, count, tries)
            return answer
        if status == 413:
            raise _TooLarge
        if status in {401, 403}:
            self._fail_credentials(status)
        if status in _PASSING or status >= 500:
            first_wait = self._backoff / 10 if status == 429 else self._backoff
            raise _TransientError(f"Mixpanel answered {status}", status, first_wait, retry_after(response))
        raise FatalDeliveryError(
            f"Mixpanel answered {status}, which no retry heals: check MIXPANEL_API_URL and MIXPANEL_REGION."
        )

    def _check_count(self, answer: Answer, count: int, tries: int) -> None:
        """Holds the count against what was sent: an event that was not counted was not taken."""
        failed = answer.failed_records or ()  # an event can be in it twice, for two fields
        due = count - len({(each.index, each.dollar_insert_id, each.insert_id) for each in failed})
        if answer.num_records_imported is None or answer.num_records_imported >= due:
            return
        reason = f"Mixpanel says it imported {answer.num_records_imported} of {due} events"
        if tries < (_MAX_SHORT_COUNTS if count > 1 else _MAX_SHORT_COUNTS_ALONE):
            raise _TransientError(reason, 200, self._backoff / 10)
        raise UnattributedFailure(reason)

    def _fail_credentials(self, status: int) -> None:
        kind = self._credentials.kind
        message = f"Mixpanel refused the {kind.value} ({status}): check {_SETTINGS_OF[kind]}, and MIXPANEL_REGION."
        self._log.error(message, kind="credentials", status=status, credentials=kind.value)
        raise FatalDeliveryError(message)


def _halves(first: int, part: Packed) -> tuple[tuple[int, Packed], tuple[int, Packed]]:
    """The two halves of a part, the latter first, as `deque.extendleft` wants them."""
    left, right = part.halves()
    return (first + left.count, right), (first, left)


def _cause(error: BaseException) -> str:
    """The innermost error's type: its text may hold addresses, never more than that is wanted."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return type(error).__name__
