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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import stamina
from msgspec import Struct
from urllib3 import BaseHTTPResponse

from importer import event as events_
from importer import log
from importer.batch import Packed
from importer.connections import Connections
from importer.pace import Pace
from importer.settings import CredentialKind, Settings
from importer.turns import Turns

_CONNECT_TIMEOUT = 10.0
_LONGEST_WAIT = 60.0
_LONGEST_ASKED_FOR = 300.0
"""The most of a `Retry-After` that is waited for: one far too long would hold back the whole process, for good."""

_FIRST_TURN = 5.0
_MOST_REFUSED_UNSEEN = 10
_MOST_SHORT_COUNTS = 3
_MOST_SHORT_COUNTS_ALONE = 10
"""For one event alone it is hardly the event's fault: refusing it comes late."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_SETTINGS_OF = {
    CredentialKind.SERVICE_ACCOUNT: "MIXPANEL_SERVICE_ACCOUNT_USERNAME, MIXPANEL_SERVICE_ACCOUNT_SECRET, "
    "MIXPANEL_PROJECT_ID and the account's role in that project",
    CredentialKind.PROJECT_TOKEN: "MIXPANEL_PROJECT_TOKEN",
    CredentialKind.API_SECRET: "MIXPANEL_API_SECRET",
}


class NotTaken(Exception):
    """Mixpanel did not take (all of) the batch. The caller hands the work back to its trigger, which keeps the data."""


class Unavailable(NotTaken):
    """What a later try may heal: patience ended before Mixpanel took the batch."""


class Refused(NotTaken):
    """What no retry heals: the credentials or the settings are wrong. The text says which to look at."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event that Mixpanel will never take: its index in the batch, the field at fault, and Mixpanel's words."""

    index: int
    field: str | None
    message: str


@dataclass(slots=True)
class Outcome:
    """What became of one batch. Every event in it was imported or is in `refused`; there is no third.

    Attributes:
        imported: events that Mixpanel took.
        refused: events it will never take.
        requests: requests made, tries again included.
        retried: requests that had to be made again.
        sent_bytes: bytes sent as request bodies, compressed.
    """

    imported: int = 0
    refused: list[Refusal] = field(default_factory=list)
    requests: int = 0
    retried: int = 0
    sent_bytes: int = 0


class _FailedRecord(Struct):
    index: int | None = None
    dollar_insert_id: str | None = msgspec.field(name="$insert_id", default=None)
    insert_id: str | None = None
    field: str | None = None
    message: str | None = None


class _Answer(Struct):
    num_records_imported: int | None = None
    failed_records: list[_FailedRecord] | None = None
    error: Any = None


class _Trouble(Exception):
    """A try that may go better: why, and after how long at the least."""

    def __init__(self, reason: str, status: int | None, first_wait: float, wait: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.first_wait = first_wait
        self.wait = wait


class _TooLarge(Exception):
    """413."""


class _Unnamed(Exception):
    """The body was refused, and no record in it named (or fewer taken than sent, which names none either)."""


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
        self._pace = Pace(settings.backoff / 10, clock)
        self._turns = Turns()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._has_taken = False
        self._refused_unseen = 0

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
            Refused: credentials or settings are wrong, and no batch can be taken.
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
                    self._refuse_alone(first, "413: too large for Mixpanel even alone", outcome)
            except _Unnamed as unnamed:
                if part.count > 1:
                    parts.extendleft(_halves(first, part))
                else:
                    self._refuse_alone(first, str(unnamed), outcome)
        return outcome

    def close(self) -> None:
        """Closes the connections."""
        self._connections.close()

    def _take(self, part: Packed, first: int, answer: _Answer, outcome: Outcome) -> None:
        """Books an answer that says what was taken."""
        failed = _failures(part, answer.failed_records or [])
        outcome.refused += [
            Refusal(first + index, record.field, record.message or "refused without a message")
            for index, record in failed.items()
        ]
        outcome.imported += part.count - len(failed)
        with self._lock:
            self._has_taken = True

    def _refuse_alone(self, index: int, message: str, outcome: Outcome) -> None:
        """Books one event that was refused alone. If nothing was ever taken it may be no event's fault: then stop."""
        with self._lock:
            self._refused_unseen += not self._has_taken
            doubtful = not self._has_taken and self._refused_unseen >= _MOST_REFUSED_UNSEEN
        if doubtful:
            raise Refused(
                f"Mixpanel refused the first {_MOST_REFUSED_UNSEEN} events, each sent alone, without naming a field: "
                f"{message}. Check MIXPANEL_PROJECT_ID, MIXPANEL_REGION and MIXPANEL_API_URL."
            )
        outcome.refused.append(Refusal(index, None, message))

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

    def _deliver(self, part: Packed, number: int, deadline: float, outcome: Outcome) -> _Answer:
        """Posts events in one request until there is an answer that settles them, or the deadline comes."""
        tries, sent_at = 0, 0.0

        def again(error: Exception) -> float | bool:
            if not isinstance(error, _Trouble):
                return False
            wait = self._wait(error, tries)
            if error.status == 429:
                self._pace.refused(sent_at, error.wait)
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

        def once() -> _Answer:
            nonlocal tries, sent_at
            # A batch is tried once without any patience: for that turn it waits a little in any case.
            turn_by = deadline if tries else max(deadline, self._clock() + _FIRST_TURN)
            self._await_turn(part.count, number, turn_by)
            tries, sent_at = tries + 1, self._clock()
            outcome.requests += 1
            outcome.sent_bytes += len(part.body)
            answer = self._post(part, deadline, tries)
            self._pace.taken(part.count)
            return answer

        try:
            return once()  # as nearly every batch: to enter the loop below takes a tenth of the time of a request
        except _Trouble as trouble:
            failed: _Trouble | None = trouble
        try:
            for attempt in stamina.retry_context(on=again, attempts=None, timeout=None):
                with attempt:
                    if failed:  # the first try of this loop was the one above
                        first, failed = failed, None
                        raise first
                    return once()
        except _Trouble as trouble:
            raise Unavailable(f"Mixpanel could not take the events in time: {trouble}") from trouble
        raise AssertionError("unreachable")

    def _await_turn(self, events: int, number: int, deadline: float) -> None:
        with self._turns.turn(number):
            while wait := self._pace.wait(events):
                if self._clock() + wait > deadline:
                    raise Unavailable("Mixpanel could not take the events in time: its rate limit left no room")
                time.sleep(wait)

    def _wait(self, trouble: _Trouble, tries: int) -> float:
        """Seconds to the next try: what the answer asks for, or twice as long each time; never all at once."""
        jitter = trouble.first_wait * random.uniform(0.5, 2.5)  # noqa: S311 (spreads load, hides nothing)
        if trouble.wait is not None:
            return trouble.wait + jitter
        if trouble.status == 429:  # how long to hold back is for the pace to say, for all senders together
            return jitter
        doubled: float = trouble.first_wait * 2 ** min(tries - 1, 16)
        return min(doubled, _LONGEST_WAIT) + jitter

    def _post(self, part: Packed, deadline: float, tries: int) -> _Answer:
        remaining = max(deadline - self._clock(), 1.0)
        try:
            response = self._connections.post(
                part.body, connect=min(_CONNECT_TIMEOUT, remaining), read=min(self._timeout, remaining)
            )
        except TimeoutError:
            raise _Trouble("Mixpanel gave no answer in time", None, self._backoff) from None
        except ConnectionError as error:
            # Often a connection that idled too long: the first try again comes soon.
            raise _Trouble(f"the connection failed ({_cause(error)})", None, self._backoff / 10) from None
        return self._read(response, part.count, tries)

    def _read(self, response: BaseHTTPResponse, count: int, tries: int) -> _Answer:
        status = response.status
        if status in {200, 400}:
            answer = _decoded(response)
            if answer is None or (status == 200 and answer.num_records_imported is None):
                raise _Trouble(f"Mixpanel's answer ({status}) could not be read", status, self._backoff / 10)
            if not answer.failed_records and status == 400:
                raise _Unnamed(f"400: {answer.error or 'the body was not understood'}")
            self._check_count(answer, count, tries)
            return answer
        if status == 413:
            raise _TooLarge
        if status in {401, 403}:
            self._refuse_credentials(status)
        if status in _PASSING or status >= 500:
            first_wait = self._backoff / 10 if status == 429 else self._backoff
            raise _Trouble(f"Mixpanel answered {status}", status, first_wait, _retry_after(response))
        raise Refused(f"Mixpanel answered {status}, which no retry heals: check MIXPANEL_API_URL and MIXPANEL_REGION.")

    def _check_count(self, answer: _Answer, count: int, tries: int) -> None:
        """Holds the count against what was sent: an event that was not counted was not taken."""
        failed = answer.failed_records or ()  # an event can be in it twice, for two fields
        due = count - len({(each.index, each.dollar_insert_id, each.insert_id) for each in failed})
        if answer.num_records_imported is None or answer.num_records_imported >= due:
            return
        reason = f"Mixpanel says it imported {answer.num_records_imported} of {due} events"
        if tries < (_MOST_SHORT_COUNTS if count > 1 else _MOST_SHORT_COUNTS_ALONE):
            raise _Trouble(reason, 200, self._backoff / 10)
        raise _Unnamed(reason)

    def _refuse_credentials(self, status: int) -> None:
        kind = self._credentials.kind
        message = f"Mixpanel refused the {kind.value} ({status}): check {_SETTINGS_OF[kind]}, and MIXPANEL_REGION."
        self._log.error(message, kind="credentials", status=status, credentials=kind.value)
        raise Refused(message)


def _decoded(response: BaseHTTPResponse) -> _Answer | None:
    try:
        return msgspec.json.decode(response.data, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _failures(part: Packed, failed: list[_FailedRecord]) -> dict[int, _FailedRecord]:
    """Finds the events that `failed_records` speaks of: by index, else by insert id (spelled either way)."""
    found = {r.index: r for r in failed if r.index is not None and 0 <= r.index < part.count}
    lost = [r for r in failed if r.index is None or not 0 <= r.index < part.count]
    if lost:
        by_id = {events_.insert_id(event): index for index, event in enumerate(part.events())}
        for record in lost:
            index = by_id.get(record.dollar_insert_id or record.insert_id)
            if index is None:
                raise _Unnamed(f"400: {record.message or 'a record was refused that is not in the batch'}")
            found[index] = record
    return found


def _halves(first: int, part: Packed) -> tuple[tuple[int, Packed], tuple[int, Packed]]:
    """The two halves of a part, the latter first, as `deque.extendleft` wants them."""
    left, right = part.halves()
    return (first + left.count, right), (first, left)


def _retry_after(response: BaseHTTPResponse) -> float | None:
    """Seconds that a `Retry-After` header asks for, in either of its forms (RFC 9110, 10.2.3), within bounds."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_ASKED_FOR)
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return min(max((then - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_ASKED_FOR) if then.tzinfo else None


def _cause(error: BaseException) -> str:
    """The innermost error's type: its text may hold addresses, never more than that is wanted."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return type(error).__name__
