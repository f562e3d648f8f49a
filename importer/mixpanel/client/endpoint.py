"""The endpoint /import: a request is made again until an answer settles it, at the rate that the project allows."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from importer import log
from importer.errors import FatalDeliveryError, Unavailable
from importer.mixpanel.batch import Packed
from importer.mixpanel.client.answers import Answer, TransientError, settled
from importer.mixpanel.client.breaker import CircuitBreaker
from importer.mixpanel.client.connections import Connections
from importer.mixpanel.client.rate_limit import RateLimiter
from importer.mixpanel.client.turns import PriorityLock
from importer.mixpanel.outcome import Outcome
from importer.settings import CredentialKind, Settings

_CONNECT_TIMEOUT = 10.0
_MAX_WAIT = 60.0
_FIRST_TURN = 5.0
_SETTINGS_OF = {
    CredentialKind.SERVICE_ACCOUNT: "MIXPANEL_SERVICE_ACCOUNT_USERNAME, MIXPANEL_SERVICE_ACCOUNT_SECRET, "
    "MIXPANEL_PROJECT_ID and the account's role in that project",
    CredentialKind.PROJECT_TOKEN: "MIXPANEL_PROJECT_TOKEN",
    CredentialKind.API_SECRET: "MIXPANEL_API_SECRET",
}


@dataclass(slots=True)
class InFlight:
    """A batch on its way.

    Attributes:
        number: batches are numbered as they begin; the lower goes first.
        deadline: the clock's time after which nothing is tried again.
        source: where its events are from.
        outcome: what became of it so far.
    """

    number: int
    deadline: float
    source: str = ""
    outcome: Outcome = field(default_factory=Outcome)


class Endpoint:
    """Where requests are made, for all batches of a process. Safe to use from several threads.

    Args:
        settings: the process's.
        clock: seconds, monotonic.
        limiter: of the rate.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float], limiter: RateLimiter) -> None:
        self._clock = clock
        self._limiter = limiter
        self._log = log.get()
        self._credentials = settings.credentials
        self._backoff = settings.backoff
        self._timeout = settings.timeout
        self._connections = Connections(settings)
        self._breaker = CircuitBreaker(settings.backoff, clock)
        self._lock_by_age = PriorityLock()
        self._retried: set[int] = set()  # the numbers of the batches that are tried again

    def deliver(self, part: Packed, batch: InFlight) -> Answer:
        """Posts events of a batch in one request, until there is an answer that settles them, or the deadline comes.

        Raises:
            TooLarge, UnattributedFailure: see `answers.settled`.
            Unavailable: the deadline came first.
            FatalDeliveryError: no retry heals it, as with wrong credentials.
        """
        outcome, tries = batch.outcome, 0
        try:
            while True:
                self._await_turn(part.count, batch, is_first=not tries)
                self._breaker.check()
                tries, sent_at = tries + 1, self._clock()
                outcome.requests += 1
                outcome.sent_bytes += len(part.body)
                try:
                    answer = self._post(part, batch, tries)
                except TransientError as trouble:
                    self._pause(trouble, tries, sent_at, batch)
                else:
                    self._limiter.succeeded(part.count if answer.imported is None else answer.imported)
                    return answer
        finally:
            self._retried.discard(batch.number)

    def close(self) -> None:
        """Closes the connections."""
        self._connections.close()

    def _await_turn(self, events: int, batch: InFlight, *, is_first: bool) -> None:
        # A batch is tried once without any retry_seconds: for that turn it waits a little in any case.
        now = self._clock()
        deadline = max(batch.deadline, now + _FIRST_TURN) if is_first else batch.deadline
        try:
            with self._lock_by_age.held(batch.number, deadline - now):
                while wait := self._limiter.acquire(events):
                    if self._clock() + wait > deadline:
                        raise TimeoutError
                    self._limiter.wait(wait)
        except TimeoutError:
            reason = f"Mixpanel could not take the events in time: {self._limiter.source} left no room"
            raise Unavailable(reason) from None

    def _pause(self, trouble: TransientError, tries: int, sent_at: float, batch: InFlight) -> None:
        """Waits until it is time to try again, after a line that says when that will be.

        Raises:
            Unavailable: that would be after the deadline.
        """
        wait = self._wait(trouble, tries)
        if trouble.status == 429:  # how long to hold back is for the limiter to say, for all senders together
            self._limiter.throttled(sent_at, trouble.retry_after + wait if trouble.retry_after else None)
        held = self._limiter.delay()
        in_all = max(wait, held)
        if self._clock() + in_all > batch.deadline:
            raise Unavailable(f"Mixpanel could not take the events in time: {trouble}") from trouble
        batch.outcome.retried += 1
        self._retried.add(batch.number)
        older = sum(number < batch.number for number in tuple(self._retried)) if held else 0
        behind = f" at the earliest, behind {older} that began before it" if older else ""
        self._log.warning(
            f"{trouble}; trying again in {in_all:.1f} s{behind}.",
            kind="retry",
            source=batch.source,
            status=trouble.status,
            reason=str(trouble),
            wait_seconds=round(in_all, 3),
        )
        time.sleep(wait)

    def _wait(self, trouble: TransientError, tries: int) -> float:
        """Seconds to the next try: what the answer asks for, or twice as long each time; never all at once."""
        first_wait = self._backoff / 10 if trouble.is_brief else self._backoff
        jitter = first_wait * random.uniform(0.5, 2.5)  # noqa: S311 (spreads load, hides nothing)
        if trouble.status == 429:
            return jitter
        if trouble.retry_after:  # 0 asks for nothing
            return trouble.retry_after + jitter
        doubled: float = first_wait * 2 ** min(tries - 1, 16)
        return min(doubled, _MAX_WAIT) + jitter

    def _post(self, part: Packed, batch: InFlight, tries: int) -> Answer:
        remaining = max(batch.deadline - self._clock(), 1.0)
        connect, total = min(_CONNECT_TIMEOUT, remaining), min(self._timeout, remaining)
        try:
            response = self._connections.post(part.body, connect=connect, total=total, source=batch.source)
        except TimeoutError:
            raise TransientError("Mixpanel gave no answer in time", None, is_brief=False) from None
        except ConnectionError as error:
            # Often a connection that idled too long: the first try again comes soon.
            raise TransientError(f"the connection failed ({_cause(error)})", None) from None
        if response.status in {401, 403}:
            self._fail_credentials(response.status)
        if response.status in {200, 400, 413}:
            self._breaker.close()
        try:
            return settled(response, part.count, tries)
        except FatalDeliveryError as failure:
            self._breaker.open(failure)
            raise

    def _fail_credentials(self, status: int) -> None:
        kind = self._credentials.kind
        failure = FatalDeliveryError(
            f"Mixpanel rejected the {kind.value} ({status}): check {_SETTINGS_OF[kind]}, and MIXPANEL_REGION."
        )
        if self._breaker.open(failure):
            self._log.error(str(failure), kind="credentials", status=status, credentials=kind.value)
        raise failure


def _cause(error: BaseException) -> str:
    """The innermost error's type: its text may hold addresses, never more than that is wanted."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return type(error).__name__
