"""PriorityLock: who began first goes first, also when it comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heapify, heappop, heappush


class PriorityLock:
    """Lets one pass at a time: of those that wait, the one with the lowest number.

    Where there is room for few, a batch that was throttled would else be overtaken again and again by those behind it,
    and its source could get no further: it is the first batch not settled that the next delivery goes on from.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[int] = []
        self._is_taken = False

    @contextmanager
    def held(self, number: int, seconds: float | None = None) -> Iterator[None]:
        """Waits until it is the turn of `number`, which lasts for the `with` block.

        Raises:
            TimeoutError: it did not come within so many seconds (None, or infinity: however long it takes).
        """
        with self._changed:
            if self._is_taken or self._waiting:
                self._wait(number, seconds)
            self._is_taken = True
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                if self._waiting:
                    self._changed.notify_all()

    def _wait(self, number: int, seconds: float | None) -> None:
        heappush(self._waiting, number)
        most = None if seconds is None else min(seconds, threading.TIMEOUT_MAX)
        if self._changed.wait_for(lambda: not self._is_taken and self._waiting[0] == number, most):
            heappop(self._waiting)
            return
        self._waiting.remove(number)
        heapify(self._waiting)
        self._changed.notify_all()  # it may have been the one that the others waited for
        raise TimeoutError("the turn did not come in time")
