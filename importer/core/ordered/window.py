"""A window of deliveries on their way: they end in any order, and are taken out in the order they came in."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Generic, TypeVar

from importer.core.executor import BoundedExecutor

_MAX_IN_FLIGHT = 64
_MAX_IN_FLIGHT_BYTES = 64_000_000
"""Deliveries that wait for the one before them, and bytes that they hold: events and rejects."""

Tag = TypeVar("Tag")
Result = TypeVar("Result")


class Window(Generic[Tag, Result]):
    """Runs deliveries, each with a tag that comes back with its result. Belongs to one thread.

    Args:
        executor: where they run.
    """

    def __init__(self, executor: BoundedExecutor) -> None:
        self._executor = executor
        self._waiting: deque[tuple[Future[Result], int, Tag]] = deque()
        self._bytes = 0

    def add(self, tag: Tag, size: int, deliver: Callable[[], Result]) -> None:
        """Starts a delivery that holds `size` bytes; waits while the executor has no room for it."""
        self._waiting.append((self._executor.submit(size, deliver), size, tag))
        self._bytes += size

    def settled(self) -> Iterator[tuple[Tag, Result]]:
        """Takes out, in order, those that have ended. Where more wait than may, the first is waited for.

        Raises:
            Exception: what the delivery raised whose turn it is; it is out then, too.
        """
        while self._waiting and (self._waiting[0][0].done() or self._is_too_much()):
            yield self._next()

    def rest(self) -> Iterator[tuple[Tag, Result]]:
        """Takes out all, in order, as they end. See `settled`."""
        while self._waiting:
            yield self._next()

    def successes(self) -> Iterator[Result]:
        """Takes out the results of those that end well, whatever becomes of the others."""
        while self._waiting:
            with contextlib.suppress(Exception):
                yield self._next()[1]

    def _next(self) -> tuple[Tag, Result]:
        future, size, tag = self._waiting.popleft()
        self._bytes -= size
        return tag, future.result()

    def _is_too_much(self) -> bool:
        return len(self._waiting) > _MAX_IN_FLIGHT or (len(self._waiting) > 1 and self._bytes > _MAX_IN_FLIGHT_BYTES)
