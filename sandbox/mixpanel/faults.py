"""Trouble on purpose: what a server and the way to it can do wrong, by switches; the same again for the same seed."""

from __future__ import annotations

import random
from collections import deque
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from sandbox.switches import Seconds, Share, shares, switch_name, turned

Count = Annotated[int, Meta(ge=0)]
Kind = Literal[
    "429",
    "500",
    "502",
    "503",
    "504",
    "cut_before",
    "cut_after",
    "hang",
    "truncated",
    "html",
    "garbage",
    "short_count",
]
"""What can befall a request:

- 429, 500, 502, 503, 504: that answer; nothing taken.
- cut_before: the connection is reset; nothing taken.
- cut_after: the events are taken, then the connection is reset without an answer.
- hang: the events are taken, the answer comes `hang_seconds` later.
- truncated: the events are taken, the answer breaks off before its end.
- html: 200 with a web page, as a proxy in the way might; nothing taken.
- garbage: the events are taken, the answer is 200 and not JSON.
- short_count: a part of the events is taken, and 200 says how many.
"""
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]

TAKEN_FIRST = frozenset({"cut_after", "hang", "truncated", "garbage", "short_count"})
"""The kinds that befall the answer, when the events have been taken."""


class FailFirst(Struct, frozen=True, forbid_unknown_fields=True):
    """The first `requests` requests from now on all suffer this."""

    status: int | Kind
    requests: Count


class Switches(Struct, frozen=True, forbid_unknown_fields=True, rename=switch_name):
    """All that can be made to go wrong. Each kind's own switch is the share of requests that suffer it, from 0 to 1.

    Attributes:
        seed: what the choice of requests follows from.
        latency: seconds that each answer waits; `jitter`: up to so many seconds more, evenly spread.
        after: requests from now on that the shares spare.
        hang_seconds: how long a hanging answer takes.
        retry_after: seconds that the Retry-After header of a 429 or 503 asks for; None leaves the header out.
        retry_after_date: whether that header gives a date instead of seconds.
        rate_events_per_second, rate_bytes_per_minute: the rate over which requests get a 429 and nothing is taken,
            measured over the last `rate_window` seconds; None for no limit. Bytes are uncompressed. Mixpanel's are
            30,000 and 2,000,000,000: https://developer.mixpanel.com/reference/import-events#rate-limits
        max_bytes: the uncompressed size of a body over which it gets a 413.
        max_events: the number of events over which a body gets a 413.
        unnamed_400: a body that holds this text gets a 400 that names no record, and nothing of it is taken.
        unauthorized: every request gets a 401.
        credentials: `username:secret`, or a lone token or API secret, which alone is accepted; None accepts any.
        insert_id_spelling: what a failed record's id goes by; Mixpanel's pages have both.
    """

    seed: int = 0
    latency: Seconds = 0.0
    jitter: Seconds = 0.0
    after: Count = 0
    answer_429: Share = 0.0
    answer_500: Share = 0.0
    answer_502: Share = 0.0
    answer_503: Share = 0.0
    answer_504: Share = 0.0
    cut_before: Share = 0.0
    cut_after: Share = 0.0
    hang: Share = 0.0
    truncated: Share = 0.0
    html: Share = 0.0
    garbage: Share = 0.0
    short_count: Share = 0.0
    fail_first: FailFirst | None = None
    hang_seconds: Seconds = 60.0
    retry_after: Seconds | None = None
    retry_after_date: bool = False
    rate_events_per_second: Annotated[float, Meta(gt=0)] | None = None
    rate_bytes_per_minute: Annotated[float, Meta(gt=0)] | None = None
    rate_window: Annotated[float, Meta(gt=0)] = 60.0
    max_bytes: Annotated[int, Meta(ge=1)] = 10_000_000
    max_events: Annotated[int, Meta(ge=1)] = 2_000
    unnamed_400: Annotated[str, Meta(min_length=1)] | None = None
    unauthorized: bool = False
    credentials: str | None = None
    insert_id_spelling: Literal["$insert_id", "insert_id"] = "$insert_id"


class Faults:
    """Decides what befalls each request."""

    def __init__(self, seed: int = 0, credentials: str | None = None) -> None:
        self._start = Switches(seed=seed, credentials=credentials)
        self.reset()

    def reset(self) -> None:
        """No more trouble than at the start."""
        self._use(self._start)

    def change(self, asked: dict[str, Any]) -> None:
        """Turns the switches named in `asked`, and leaves the others. The choice of requests starts anew.

        Raises:
            SwitchError: one of them does not exist or has no such position; nothing is changed.
        """
        self._use(turned(self.switches, asked, KINDS))

    def shown(self) -> dict[str, Any]:
        """The switches as they stand, by name; of the credentials only that there are some."""
        shown: dict[str, Any] = msgspec.to_builtins(self.switches)
        if self.switches.credentials is not None:
            shown["credentials"] = "(set)"
        return shown

    def next(self) -> int | Kind | None:
        """What befalls the next request: a status to answer, or one of the kinds, or nothing."""
        self._requests += 1
        first = self.switches.fail_first
        if first is not None and self._requests <= first.requests:
            return first.status
        draw = self._random.random()
        if self._requests <= self.switches.after:
            return None
        for kind, share in self._shares.items():
            if draw < share:
                return int(kind) if kind.isdigit() else kind
            draw -= share
        return None

    def delay(self) -> float:
        """Seconds that the next answer waits."""
        return self.switches.latency + self._random.random() * self.switches.jitter

    def exceeds_rate(self, now: float, events: int, size: int) -> bool:
        """Whether a request of so many events and uncompressed bytes goes over the rate; if not, it now counts."""
        switches = self.switches
        if switches.rate_events_per_second is None and switches.rate_bytes_per_minute is None:
            return False
        while self._window and self._window[0][0] <= now - switches.rate_window:
            _, old_events, old_size = self._window.popleft()
            self._window_events -= old_events
            self._window_bytes -= old_size
        most_events = (switches.rate_events_per_second or float("inf")) * switches.rate_window
        most_bytes = (switches.rate_bytes_per_minute or float("inf")) * switches.rate_window / 60
        if self._window_events + events > most_events or self._window_bytes + size > most_bytes:
            return True
        self._window.append((now, events, size))
        self._window_events += events
        self._window_bytes += size
        return False

    def _use(self, switches: Switches) -> None:
        self.switches = switches
        self._shares = shares(switches, KINDS)
        self._random = random.Random(switches.seed)
        self._requests = 0
        self._window: deque[tuple[float, int, int]] = deque()
        self._window_events = self._window_bytes = 0
