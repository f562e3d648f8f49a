"""What one sender learns of Mixpanel's rate limit, all senders of the process heed.

Additive increase, multiplicative decrease, as TCP does it, on the requests in flight: a refusal (429) halves them and
holds all of them for a while; each request that is taken allows a little more. Processes that know nothing of each
other come to share the limit so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STEP = 0.05
"""How many more requests are let into flight for a full round of them: slow enough that few are refused in a minute."""


class Throttle:
    """Lets requests pass, as many at a time as the limit seems to bear.

    Args:
        most: requests in flight, at most.
        clock: seconds, monotonic.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._changed = threading.Condition()
        self._allowed = float(most)
        self._in_flight = 0
        self._held_until = 0.0

    @contextmanager
    def turn(self, deadline: float) -> Iterator[bool]:
        """Waits for a turn, and holds it for the `with` block. False when the deadline comes before the turn does."""
        came = self._wait(deadline)
        try:
            yield came
        finally:
            if came:
                with self._changed:
                    self._in_flight -= 1
                    self._changed.notify()

    def taken(self) -> None:
        """A request was taken: a little more may be in flight."""
        with self._changed:
            if self._allowed < self._most:
                self._allowed = min(self._allowed + _STEP / self._allowed, self._most)
                self._changed.notify()

    def refused(self, wait: float) -> None:
        """A request was refused for load: for so many seconds none is sent, and then half as many at a time.

        Refusals of requests that were on their way together count as one.
        """
        with self._changed:
            now = self._clock()
            if now >= self._held_until:
                self._allowed = max(self._allowed / 2, 1.0)
                self._held_until = now + wait

    def _wait(self, deadline: float) -> bool:
        with self._changed:
            while True:
                now = self._clock()
                if now >= self._held_until and self._in_flight < int(self._allowed):
                    self._in_flight += 1
                    return True
                if now >= deadline:
                    return False
                until = min(deadline, self._held_until) if now < self._held_until else deadline
                self._changed.wait(min(until - now, 1.0))
