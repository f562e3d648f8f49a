"""CircuitBreaker: what no retry heals is asked for once, and not by every sender for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable

from importer.errors import FatalDeliveryError

_SAID_AGAIN_AFTER = 60.0
"""Seconds after which a failure that lasts is worth a log line again."""


class CircuitBreaker:
    """Closed as long as requests are answered; opened by a failure that every other request would meet as well.

    While it is open, one request in `hold` seconds goes through, to see whether the cause was mended.

    Args:
        hold: seconds.
        clock: seconds, monotonic.
    """

    def __init__(self, hold: float, clock: Callable[[], float]) -> None:
        self._hold = hold
        self._clock = clock
        self._lock = threading.Lock()
        self._failure: str | None = None
        self._held_until = 0.0
        self._said_at = 0.0

    def check(self) -> None:
        """To be called before each request.

        Raises:
            FatalDeliveryError: a request would fail: one did just now, with these words.
        """
        if self._failure is None:
            return
        with self._lock:
            now = self._clock()
            if self._failure is not None and now < self._held_until:
                raise FatalDeliveryError(self._failure)
            self._held_until = now + self._hold

    def open(self, failure: FatalDeliveryError) -> bool:
        """A request failed so. Returns whether that is news: the first time, and each minute that it lasts."""
        with self._lock:
            now = self._clock()
            is_news = self._failure is None or now >= self._said_at + _SAID_AGAIN_AFTER
            self._failure = str(failure)
            self._held_until = now + self._hold
            if is_news:
                self._said_at = now
            return is_news

    def close(self) -> None:
        """A request was answered as it should be."""
        if self._failure is not None:
            with self._lock:
                self._failure = None
