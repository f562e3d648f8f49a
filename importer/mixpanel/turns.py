"""PriorityLock: who began first goes first, also when it comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush


class PriorityLock:
    """Lets one pass at a time: of those that wait, the one with the lowest number.

    Where there is room for few, a batch that has been refused would else be overtaken again and again by those behind
    it, and its source could get no further: it is the first batch not settled that the next delivery goes on from.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[int] = []
        self._is_taken = False

    @contextmanager
    def held(self, number: int) -> Iterator[None]:
        """Waits until it is the turn of `number`, which lasts for the `with` block."""
        with self._changed:
            heappush(self._waiting, number)
            self._changed.wait_for(lambda: not self._is_taken and self._waiting[0] == number)
            heappop(self._waiting)
            self._is_taken = True
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()
