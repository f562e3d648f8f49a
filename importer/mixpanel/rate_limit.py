"""The pace of a process: how fast it sends, once Mixpanel has said that it is too fast.

A sender that only sleeps after a 429 comes back as fast as before, is refused again, and leaves the limit unused in
between. So what one sender learns, all heed: a rejection sets the pace to a little less than was taken in the last
second, and from there it rises, slowly at first, to find the limit again. Processes that know nothing of each other
come to share a limit so: who is refused gives way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

_GIVE_WAY = 0.98
"""The part of what was taken in the last second that is sent after a rejection."""

_GIVE_WAY_AT_MOST = 0.85
"""The part of the pace that is kept when less than that was taken, so that a limit by the minute does not end it."""

_MAX_HOLD = 8.0
_MIN_RATE = 4_000.0
"""Events a second that are sent in any case: two batches."""


class RateLimiter:
    """Tells each sender when to go. Without a limit until the first rejection.

    Args:
        hold: seconds in which nobody goes after the first rejection, or one with nothing taken since the one before;
            doubled for each further one.
        clock: seconds, monotonic.
    """

    def __init__(self, hold: float, clock: Callable[[], float]) -> None:
        self._hold = hold
        self._clock = clock
        self._lock = threading.Lock()
        self._base: float | None = None  # events a second at the time of the last rejection
        self._rate_then: float | None = None
        self._is_refused = False  # and the pace is not yet set anew
        self._refused_at = -1.0
        self._held_until = 0.0
        self._next = 0.0
        self._in_a_row = 0
        self._taken: deque[tuple[float, int]] = deque()  # when, and how many events, of the last second

    def acquire(self, events: int) -> float:
        """Whether a request with so many events may go: 0 if it may, and its turn is taken; else seconds to ask again.

        After a rejection one goes alone, and the others wait to see what becomes of it.
        """
        with self._lock:
            now = self._clock()
            go = max(self._next, self._held_until)
            if now < go:
                return go - now
            gap = 0.0
            if self._is_refused:
                gap = 0.0 if self._is_slight() else self._hold
                self._give_way()
            rate = self._rate(now)
            # A turn that nobody was there to take is not lost, as long as it is not long ago.
            self._next = max(go, now - 0.1) + max(gap, events / rate) if rate else now
            return 0.0

    def succeeded(self, events: int) -> None:
        """A request was taken."""
        with self._lock:
            self._in_a_row = 0
            now = self._clock()
            self._taken.append((now, events))
            while self._taken[0][0] < min(now, self._refused_at if self._is_refused else now) - 1.0:
                self._taken.popleft()

    def throttled(self, sent_at: float, retry_after: float | None = None) -> None:
        """A request that was sent at that time (by the clock) was refused for load (429).

        Those that were sent before the last rejection tell nothing new. `retry_after` is what the answer asks for
        (seconds), if it does.
        """
        with self._lock:
            if sent_at < self._refused_at:
                return
            now = self._clock()
            self._is_refused = True
            self._rate_then = self._rate(now)
            self._refused_at = now
            self._in_a_row = min(self._in_a_row + 1, 16)
            hold = 0.0 if self._is_slight() else min(self._hold * 2 ** (self._in_a_row - 1), _MAX_HOLD)
            self._held_until = now + (hold if retry_after is None else retry_after)

    def _is_slight(self) -> bool:
        """Whether the last rejection only says that the pace is a little too fast: the turn that it cost is enough."""
        return self._rate_then is not None and self._in_a_row <= 1

    def _give_way(self) -> None:
        """Sets the pace anew, once what was on its way at the rejection has been answered."""
        self._is_refused = False
        lately = sum(events for when, events in self._taken if when >= self._refused_at - 1.0)
        rate = self._rate_then
        if rate is None:
            self._base = max(lately * _GIVE_WAY, _MIN_RATE)
        else:
            self._base = max(min(rate, lately) * _GIVE_WAY, rate * _GIVE_WAY_AT_MOST, _MIN_RATE)

    def _rate(self, now: float) -> float | None:
        """Events a second: 2 % more ten seconds after the 429, a tenth after twenty, three times after a minute."""
        if self._base is None:
            return None
        since = max(now - self._refused_at, 0.0)
        return self._base * (1 + since / 1_000 + since * since * since / 100_000)
