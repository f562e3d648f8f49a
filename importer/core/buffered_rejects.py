"""Rejects of many small sources, such as messages: they are kept together, and each source waits until its own are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from importer.core.rejects import Reject, RejectLog, RejectSink
from importer.errors import DeliveryError, RejectSinkError

_EVERY = 0.5
_LOGGED_PER_ROUND = 20


class BufferedRejectSink:
    """Keeps, at intervals, all the rejects that came in since; the first of them are logged. Belongs to one event loop.

    Args:
        sink: where the rejects go.
        every: seconds that the first of them waits for others.
    """

    def __init__(self, sink: RejectSink, every: float = _EVERY) -> None:
        self._sink = sink
        self._every = every
        self._waiting: list[Reject] = []
        self._round: asyncio.Task[None] | None = None

    async def store(self, rejects: Sequence[Reject]) -> None:
        """Returns when the rejects are safe.

        Raises:
            DeliveryError: they are not, and are held no longer; their source is to be handed back.
        """
        self._waiting += rejects
        if self._round is None:
            self._round = asyncio.create_task(self._keep_all())
        try:
            await asyncio.shield(self._round)
        except RejectSinkError as error:
            raise DeliveryError(f"the rejects could not be kept: {error}") from error

    async def _keep_all(self) -> None:
        await asyncio.sleep(self._every)
        rejects, self._waiting, self._round = self._waiting, [], None
        log = RejectLog(most=_LOGGED_PER_ROUND)
        for one in rejects:
            log.add(one)
        await asyncio.to_thread(self._sink.store, rejects)
