"""What of Kafka's messages is open, in the event loop: each is imported by a task, and settles in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Message, TopicPartition

from importer.core.batching.memory_budget import BudgetExceeded
from importer.errors import DeliveryError, FatalDeliveryError
from importer.messages import Message as Imported
from importer.messages import MessageImporter, OpenMessage
from importer.sources.kafka.message import of_kafka
from importer.sources.kafka.offsets import Offsets
from importer.sources.kafka.rejects import RejectsTopic

_AGAIN_SECONDS = 1.0

Partition = tuple[str, int]
"""A topic's name and the partition's number."""


class Settling:
    """Messages on their way. Its coroutines run in the event loop that it is made in.

    Args:
        messages: imports them.
        rejects: where their rejects go; None where the settings say.
        on_fatal: is told of what no retry heals.

    Attributes:
        partitions: those that are assigned, and what of each is settled.
        bytes: of the messages that are open.
    """

    def __init__(
        self,
        messages: MessageImporter,
        rejects: RejectsTopic | None,
        on_fatal: Callable[[FatalDeliveryError], None],
    ) -> None:
        self._messages = messages
        self._rejects = rejects
        self._on_fatal = on_fatal
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[asyncio.Task[None], tuple[Offsets, int, int]] = {}
        self.partitions: dict[Partition, Offsets] = {}
        self.bytes = 0

    def __len__(self) -> int:
        """Messages that are open."""
        return len(self._tasks)

    async def close(self) -> None:
        """Gives up what is open still: others get it, since its offsets are not committed."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.sleep(0)
        self._messages.close()

    async def begin_all(self, messages: Sequence[Message]) -> None:
        """Takes in what was polled: each message gets a task of its own."""
        for message in messages:
            offset: Any = message.offset()
            partition: Any = (message.topic(), message.partition())
            offsets = self.partitions.get(partition)
            if offsets is None:
                continue  # which others have by now
            offsets.begin(offset)
            task = self._loop.create_task(self._import(message))
            self.bytes += len(message)
            self._tasks[task] = offsets, offset, len(message)
            task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        offsets, offset, size = self._tasks.pop(task)
        self.bytes -= size
        if not task.cancelled() and task.exception() is None:
            offsets.settle(offset)

    async def _import(self, message: Message) -> None:
        """Settles a message, however often it takes."""
        imported = of_kafka(message)
        while True:
            try:
                with self._messages.opened() as opened:
                    await self._settle(opened, imported, message)
            except FatalDeliveryError as error:
                self._on_fatal(error)
                raise
            except (DeliveryError, BudgetExceeded):
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return

    async def _settle(self, opened: OpenMessage, imported: Imported, message: Message) -> None:
        if message.value() is None:
            opened.drop(imported, "tombstone")
            return
        opened.take(len(imported.data))
        rejects = self._rejects
        await opened.settle(imported, (lambda some: rejects.store(message, some)) if rejects else None)

    async def drain(self, partitions: Sequence[Partition], seconds: float) -> None:
        """Waits until nothing of these partitions is open, for some seconds."""
        theirs = {id(self.partitions[one]) for one in partitions if one in self.partitions}
        tasks = [task for task, (offsets, *_) in self._tasks.items() if id(offsets) in theirs]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def to_commit(self, partitions: Sequence[Partition]) -> list[TopicPartition]:
        """The offsets of these partitions that are new since they were asked for last."""
        found = []
        for topic, partition in partitions:
            offsets = self.partitions.get((topic, partition))
            if offsets is not None and (offset := offsets.to_commit()) is not None:
                offsets.committed = offset
                found.append(TopicPartition(topic, partition, offset))
        return found
