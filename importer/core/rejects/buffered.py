"""Rejects of many small sources, such as messages: stored together, in slices; each source waits for its own alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from importer.core.rejects.reject import Reject, RejectLog, RejectSink
from importer.errors import DeliveryError, RejectSinkError

_EVERY = 0.5
_MAX_REJECTS = 2_000
_MAX_BYTES = 4_000_000
"""Rejects of one slice, and bytes of their events: on a topic, a small reject takes 3 kB until it is confirmed."""

_MAX_IN_FLIGHT = 4
"""Slices that are being stored at the same time. A sink that stalls does so for one of them; the others go on."""

_LOGGED_PER_ROUND = 20


class _Slice:
    """Rejects that are stored in one go, by a task of their own."""

    __slots__ = ("is_closed", "rejects", "size", "task")

    def __init__(self, store: Callable[[_Slice], Coroutine[None, None, None]]) -> None:
        self.rejects: list[Reject] = []
        self.size = 0
        self.is_closed = asyncio.Event()
        self.task = asyncio.create_task(store(self))
        self.task.add_done_callback(_look_at)

    def has_room(self, size: int) -> bool:
        """Whether a reject of `size` bytes more is within the bounds. An empty slice takes any."""
        return not self.rejects or (len(self.rejects) < _MAX_REJECTS and self.size + size <= _MAX_BYTES)


class BufferedRejectSink:
    """Stores, at intervals, the rejects that came in since; the first of them are logged. Belongs to one event loop.

    Many rejects leave sooner: once a slice is full. The sink is never given more than a slice.

    Args:
        sink: where the rejects go.
        every: seconds that the first reject of a slice waits for others.
        logged: rejects of an interval that are written to the log with their content, at most.
    """

    def __init__(self, sink: RejectSink, every: float = _EVERY, logged: int = _LOGGED_PER_ROUND) -> None:
        self._sink = sink
        self._every = every
        self._logged = min(logged, _LOGGED_PER_ROUND)
        self._log = RejectLog(most=self._logged)
        self._log_until = 0.0  # of the event loop's clock: then an interval of the log begins anew
        self._room = asyncio.Semaphore(_MAX_IN_FLIGHT)
        self._open: _Slice | None = None

    async def store(self, rejects: Sequence[Reject]) -> None:
        """Returns when the rejects are safe.

        Raises:
            DeliveryError: not all of them are, and none is held any longer; their source is to be handed back.
        """
        slices = dict.fromkeys(self._add(one) for one in rejects)
        try:
            for each in slices:
                await asyncio.shield(each.task)
        except RejectSinkError as error:
            raise DeliveryError(f"the rejects could not be kept: {error}") from error

    def _add(self, reject: Reject) -> _Slice:
        """Puts a reject in the slice that is open; gives the slice."""
        self._write(reject)
        size = len(reject.event)
        if self._open and not self._open.has_room(size):
            self._close(self._open)
        if self._open is None:
            self._open = _Slice(self._store)
            asyncio.get_running_loop().call_later(self._every, self._close, self._open)
        self._open.rejects.append(reject)
        self._open.size += size
        return self._open

    def _close(self, slice_: _Slice) -> None:
        slice_.is_closed.set()
        if self._open is slice_:
            self._open = None

    async def _store(self, slice_: _Slice) -> None:
        await slice_.is_closed.wait()
        async with self._room:
            await asyncio.to_thread(self._sink.store, slice_.rejects)

    def _write(self, reject: Reject) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._log_until:
            self._log = RejectLog(most=self._logged)
            self._log_until = now + self._every
        self._log.add(reject)


def _look_at(task: asyncio.Task[None]) -> None:
    """Takes note of how a slice ended, for the case that all who waited for it have gone."""
    if not task.cancelled():
        task.exception()
