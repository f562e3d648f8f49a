"""The sender: many batches on their way at once, bounded in number and in bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class BoundedExecutor:
    """Runs deliveries on a bounded number of threads. One serves a whole process, so its bounds hold for the process.

    Args:
        concurrency: deliveries at work at the same time, at most.
        buffer_bytes: uncompressed bytes held by them together, at most; one delivery alone may be larger.
    """

    def __init__(self, concurrency: int, buffer_bytes: int) -> None:
        self._buffer_bytes = buffer_bytes
        self._concurrency = concurrency
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="send")
        self._changed = threading.Condition()
        self._at_work = 0
        self._held = 0

    def submit(self, size: int, deliver: Callable[[], Result]) -> Future[Result]:
        """Starts a delivery of `size` bytes; while there is no room for it, waits. This is the backpressure."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(size))
            self._take(size)
        return self._start(size, deliver)

    def submit_now(self, size: int, deliver: Callable[[], Result]) -> Future[Result] | None:
        """Starts a delivery of `size` bytes if there is room for it; None if not. Ask again when one has ended."""
        with self._changed:
            if not self._has_room(size):
                return None
            self._take(size)
        return self._start(size, deliver)

    def _take(self, size: int) -> None:
        self._at_work += 1
        self._held += size

    def _start(self, size: int, deliver: Callable[[], Result]) -> Future[Result]:
        future = self._threads.submit(deliver)
        future.add_done_callback(lambda _: self._release(size))
        return future

    def close(self) -> None:
        """Waits for the deliveries at work, and ends the threads."""
        self._threads.shutdown()

    def _has_room(self, size: int) -> bool:
        return self._at_work == 0 or (self._at_work < self._concurrency and self._held + size <= self._buffer_bytes)

    def _release(self, size: int) -> None:
        with self._changed:
            self._at_work -= 1
            self._held -= size
            self._changed.notify_all()
