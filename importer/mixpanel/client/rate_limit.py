"""The rate of a process: how fast it sends, once Mixpanel has said that it is too fast.

A sender that only sleeps after a 429 comes back as fast as before, is throttled again, and leaves the limit unused in
between. So what one sender learns, all heed: a 429 sets the rate to a little less than was taken in the last second,
and from there it rises, slowly at first, to find the limit again. Processes that know nothing of each other come to
share a limit so: who is throttled backs off. A ceiling of the process's own (`IMPORT_EVENTS_PER_SECOND`) holds from the
first request on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

_BACK_OFF = 0.98
"""The part of what was taken in the last second that is sent after a 429."""

_MAX_BACK_OFF = 0.85
"""The part of the rate that is kept when less than that was taken, so that a limit by the minute does not end it."""

_MAX_HOLD = 8.0
_MIN_RATE = 4_000.0
"""Events a second that are sent in any case, unless the process's own ceiling is lower: two batches."""


class RateLimiter:
    """Tells each sender when to go. Without a limit until the first 429, but for the ceiling.

    Args:
        hold: seconds in which nobody goes after the first 429, or one with nothing taken since the one before;
            doubled for each further one.
        clock: seconds, monotonic.
        ceiling: events a second that this process sends at most, on average; None for no such limit.

    Attributes:
        on_wait: is told the seconds of each wait that is over, for engines that report how long they were throttled.
            One sender waits at a time, so they add up to the time in which the process was. It is called on the
            sender's thread, and what it raises fails that sender's batch.
    """

    def __init__(self, hold: float, clock: Callable[[], float], ceiling: float | None = None) -> None:
        self.on_wait: Callable[[float], None] | None = None
        self._hold = hold
        self._clock = clock
        self._ceiling = ceiling
        self._lock = threading.Lock()
        self._base: float | None = None  # events a second at the time of the last 429
        self._rate_then: float | None = None
        self._is_throttled = False  # and the rate is not yet set anew
        self._throttled_at = -1.0
        self._held_until = 0.0
        self._next = 0.0
        self._in_a_row = 0
        self._taken: deque[tuple[float, int]] = deque()  # when, and how many events, of the last second

    @property
    def source(self) -> str:
        """Whose limit it is that makes senders wait, in words."""
        with self._lock:
            now = self._clock()
            is_own = self._ceiling is not None and now >= self._held_until and self._rate(now) == self._ceiling
            return "IMPORT_EVENTS_PER_SECOND" if is_own else "its rate limit"

    def acquire(self, events: int) -> float:
        """Whether a request with so many events may go: 0 if it may, and its turn is taken; else seconds to ask again.

        After a 429 one goes alone, and the others wait to see what becomes of it.
        """
        with self._lock:
            now = self._clock()
            go = max(self._next, self._held_until)
            if now < go:
                return go - now
            gap = 0.0
            if self._is_throttled:
                gap = 0.0 if self._is_slight() else self._hold
                self._back_off()
            rate = self._rate(now)
            # A turn that nobody was there to take is not lost, as long as it is not long ago.
            self._next = max(go, now - 0.1) + max(gap, events / rate) if rate else now
            return 0.0

    def delay(self) -> float:
        """Seconds until the next request may go, as far as is known now. Unlike `acquire`, it takes no turn."""
        with self._lock:
            return max(max(self._next, self._held_until) - self._clock(), 0.0)

    def wait(self, seconds: float) -> None:
        """Waits for so long as `acquire` said, and tells `on_wait`."""
        time.sleep(seconds)
        if self.on_wait is not None:
            self.on_wait(seconds)

    def succeeded(self, events: int) -> None:
        """A request was taken."""
        with self._lock:
            self._in_a_row = 0
            now = self._clock()
            self._taken.append((now, events))
            while self._taken[0][0] < min(now, self._throttled_at if self._is_throttled else now) - 1.0:
                self._taken.popleft()

    def throttled(self, sent_at: float, retry_after: float | None = None) -> None:
        """A request that was sent at that time (by the clock) was answered with 429.

        Those that were sent before the last 429 tell nothing new. `retry_after` is what the answer asks for (seconds),
        if it does: nobody goes sooner, and no sooner than without it.
        """
        with self._lock:
            if sent_at < self._throttled_at:
                return
            now = self._clock()
            self._is_throttled = True
            self._rate_then = self._rate(now)
            self._throttled_at = now
            self._in_a_row = min(self._in_a_row + 1, 16)
            hold = 0.0 if self._is_slight() else min(self._hold * 2 ** (self._in_a_row - 1), _MAX_HOLD)
            self._held_until = now + max(hold, retry_after or 0.0)

    def _is_slight(self) -> bool:
        """Whether the last 429 only says that the rate is a little too high: the turn that it cost is enough."""
        return self._rate_then is not None and self._in_a_row <= 1

    def _back_off(self) -> None:
        """Sets the rate anew, once what was on its way at the 429 has been answered."""
        self._is_throttled = False
        lately = sum(events for when, events in self._taken if when >= self._throttled_at - 1.0)
        rate = self._rate_then
        if rate is None:
            self._base = max(lately * _BACK_OFF, _MIN_RATE)
        else:
            self._base = max(min(rate, lately) * _BACK_OFF, rate * _MAX_BACK_OFF, _MIN_RATE)

    def _rate(self, now: float) -> float | None:
        """Events a second: 2 % more ten seconds after the 429, a tenth after twenty, three times after a minute."""
        if self._base is None:
            return self._ceiling
        since = max(now - self._throttled_at, 0.0)
        rate = self._base * (1 + since / 1_000 + since * since * since / 100_000)
        return rate if self._ceiling is None else min(rate, self._ceiling)
