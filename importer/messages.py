"""One message: from its bytes until all of it is settled. What delivers it (a push, a pull, a queue) is its source.

Its source acknowledges it then, and not before; what is handed back, the source delivers again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from msgspec import Struct

from importer import log
from importer.core.batching.batcher import Batcher
from importer.core.batching.memory_budget import MemoryBudget, Reservation
from importer.core.batching.source import Source
from importer.core.batching.summaries import Summaries
from importer.core.pipeline import Pipeline
from importer.core.rejects.buffered import BufferedRejectSink
from importer.core.rejects.reject import Reject
from importer.errors import DeliveryError
from importer.formats.content import records_of_message
from importer.formats.reader import Rows
from importer.reject_sinks.log import LogSink
from importer.reject_sinks.place import RejectStore
from importer.settings import Settings


class Message(Struct, frozen=True, gc=False):
    """One message.

    Attributes:
        data: the bytes that were published.
        attributes: what came beside them, as JSON; b"" where there is nothing.
        source: where it was and which it is, as logs and rejects name it.
        channel: where it was, alone: a subscription, a queue, a topic's partition; "" where that is not known.
        published: when it was published (RFC 3339); "" where that is not known.
    """

    data: bytes
    attributes: bytes
    source: str
    channel: str
    published: str


Keep = Callable[[list[Reject]], Awaitable[None]]
"""Makes rejects safe, or raises `DeliveryError`."""


class MessageImporter:
    """Imports messages, those that are open at a time in common batches. Belongs to one event loop.

    Args:
        settings: the process's.
        service: what delivers the messages, as the log calls it.
        default: what the log calls their source where no message names it.
        retry_seconds: for which a batch is tried again, where the settings say nothing else.
        clock: seconds, monotonic.

    Attributes:
        batcher: what their events share batches with; it counts the messages that are open.
        budget: the memory for all that wait.
        clock: see above.
        summaries: which they are counted in.

    Raises:
        SettingsError: the settings name a transform that cannot be loaded.
    """

    def __init__(
        self,
        settings: Settings,
        service: str,
        default: str,
        retry_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log.get()
        self.clock = clock
        self._service = service
        self._loop = asyncio.get_running_loop()
        self.batcher = Batcher(
            Pipeline(settings, clock), retry_seconds if settings.retry_seconds is None else settings.retry_seconds
        )
        sink = RejectStore(settings.rejects).for_source("messages")
        self._log_sink = LogSink()
        self._buffered_sink = BufferedRejectSink(sink, logged=settings.log_rejects) if sink else None
        self.budget = MemoryBudget(settings.buffer_bytes)
        self._most_uncompressed = settings.buffer_bytes // 2
        self._rows: Rows = "records" if settings.mapping else "events"
        self._failure: BaseException | None = None
        self.summaries = Summaries(self.batcher, default, clock)

    def opened(self) -> OpenMessage:
        """A message that is about to come, or has come. It is open within its `with` block, and what became of it is
        counted when that is left."""
        return OpenMessage(self)

    def end(self) -> None:
        """The process was told to end: sends at once what waits. A signal handler may call it, at any moment."""
        self._loop.call_soon_threadsafe(self.batcher.flush)
        self._loop.call_soon_threadsafe(self.summaries.end)

    def pause(self) -> None:
        """No message is open, and none may come for long: the summary that is left is written now."""
        self.summaries.write_rest()

    def close(self) -> None:
        """Closes the connections, once no message is open."""
        self.batcher.pipeline.close()

    async def _settle(self, source: Source, message: Message, keep: Keep | None) -> None:
        records = records_of_message(message.data, self._most_uncompressed, self._rows)
        try:
            if rejects := await source.deliver(message.source, records, message.data or message.attributes):
                await (keep or self._keep)(rejects)
        except DeliveryError as error:
            self._tell_once(error)
            raise

    async def _keep(self, rejects: list[Reject]) -> None:
        """Makes the rejects safe. Where no place is set for them, the log is it: each is written there whole."""
        if self._buffered_sink is not None:
            await self._buffered_sink.store(rejects)
        else:
            self._log_sink.store(rejects)

    def _tell_once(self, error: DeliveryError) -> None:
        """One line for a batch that was not taken, however many messages had a part in it."""
        if error.__cause__ is not self._failure:
            self._failure = error.__cause__
            self._log.error(
                f"Messages are handed back to {self._service}: {error}", kind="handed back", reason=str(error)
            )


class OpenMessage:
    """A message that somebody waits for. See `MessageImporter.opened`."""

    __slots__ = ("_began", "_importer", "_memory", "_message", "_source")

    def __init__(self, importer: MessageImporter) -> None:
        self._importer = importer
        self._began = importer.clock()
        self._memory = Reservation(importer.budget)
        self._source = importer.batcher.source(self._memory)
        self._message: Message | None = None

    def __enter__(self) -> Self:
        self._source.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.__exit__(kind, error, trace)
        self._memory.release()
        if message := self._message:
            self._importer.summaries.answer(message.channel, message.published, self._began)
        else:
            self._importer.summaries.consider()

    def take(self, size: int) -> None:
        """Takes memory for the message itself, before it is read.

        Raises:
            BudgetExceeded: others have it; the message is to be handed back.
        """
        self._memory.take(size)

    def settle(self, message: Message, keep: Keep | None = None) -> Coroutine[Any, Any, None]:
        """Returns when everything in the message is imported, dropped, or kept as a reject.

        Args:
            message: what has come.
            keep: makes its rejects safe; by default they go where the settings say.

        Raises:
            DeliveryError: Mixpanel did not take all of it, or rejects could not be kept; the message is to be handed
                back.
            BudgetExceeded: there is no memory for it; the same.
        """
        self._message = message
        return self._importer._settle(self._source, message, keep)

    def drop(self, message: Message, kind: str) -> None:
        """Counts the message as dropped: there is nothing in it to import, and that is as it should be."""
        self._message = message
        self._source.drop(kind)
