"""Rejects on a topic of Kafka's: each with the value as it came, the key that its message had, and why, in headers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaException, Message, Producer

from importer.core.rejects.reject import Reject
from importer.errors import DeliveryError

_MAX_HEADER = 1_000


class RejectsTopic:
    """Produces rejects, and waits until the broker has them. Belongs to one event loop.

    Args:
        producer: of a client of its own, with `acks=all`.
        topic: its name.
    """

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._loop = asyncio.get_running_loop()

    async def store(self, came: Message, rejects: Sequence[Reject]) -> None:
        """Returns when the broker has all of them.

        Args:
            came: the message that they were in. Its key and its headers are theirs, too.
            rejects: what of it cannot be imported.

        Raises:
            DeliveryError: the broker has not.
        """
        waiting = [self._produce(came, one) for one in rejects]
        await asyncio.to_thread(self._producer.flush, 30.0)
        for one in waiting:
            if error := await one:
                raise DeliveryError(f"the rejects could not be kept in the topic {self._topic}: {error}")

    def _produce(self, came: Message, reject: Reject) -> asyncio.Future[Any]:
        confirmed: asyncio.Future[Any] = self._loop.create_future()

        def on_delivery(error: Any, _: Message) -> None:
            self._loop.call_soon_threadsafe(_settle, confirmed, error)

        try:
            self._producer.produce(
                self._topic, reject.record(), came.key(), headers=_headers(came, reject), on_delivery=on_delivery
            )
        except (KafkaException, BufferError) as error:
            confirmed.set_result(error)
        return confirmed


def _settle(confirmed: asyncio.Future[Any], error: Any) -> None:
    if not confirmed.done():
        confirmed.set_result(error)


def _headers(came: Message, reject: Reject) -> Any:
    """Those that the message had, and what Kafka Connect's dead letters say in theirs, by the importer's words."""
    own = {
        "reason": reject.reason,
        "field": reject.field,
        "insert_id": reject.insert_id,
        "source": reject.source,
        "line": str(reject.line),
        "offset": str(reject.offset),
        "at": reject.at,
    }
    named = [(f"import.{name}", text[:_MAX_HEADER].encode()) for name, text in own.items() if text]
    return [*(came.headers() or []), *named]
