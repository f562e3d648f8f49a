"""Rejects of many small sources, such as messages: they share a sink, and each waits until its own are safe."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from importer.mixpanel import NotTaken
from importer.rejects import Reject, RejectSink

_EVERY = 0.5


class SharedSink:
    """Confirms a sink at intervals, for all whose rejects came in since. Belongs to one event loop.

    Args:
        sink: where the rejects go.
        every: seconds that the first of them waits for others.
    """

    def __init__(self, sink: RejectSink, every: float = _EVERY) -> None:
        self._sink = sink
        self._every = every
        self._confirming: asyncio.Task[None] | None = None

    async def keep(self, rejects: Sequence[Reject]) -> None:
        """Returns when the rejects are safe.

        Raises:
            NotTaken: they could not be kept; their source is to be handed back.
        """
        try:
            await asyncio.to_thread(self._add, rejects)
            if self._confirming is None:
                self._confirming = asyncio.create_task(self._confirm())
            await asyncio.shield(self._confirming)
        except Exception as error:
            raise NotTaken(f"the rejects could not be kept: {type(error).__name__}: {error}") from error

    def _add(self, rejects: Sequence[Reject]) -> None:
        for one in rejects:
            self._sink.add(one)

    async def _confirm(self) -> None:
        await asyncio.sleep(self._every)
        self._confirming = None  # what comes from now on may miss this round: it waits for the next
        await asyncio.to_thread(self._sink.confirm)
