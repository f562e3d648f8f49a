"""A consumer of Kafka's topics: polls without a pause, imports what comes, commits what is settled.

Nothing that Mixpanel does stops the polling: while much waits, partitions are paused, and polled all the same, so that
the group keeps its member. When partitions are taken away (cooperatively: the others go on), what of them is open gets
a few seconds to settle, its offsets are committed, and only then are they given up. Of partitions that were lost,
nothing is committed. A message that Mixpanel does not take is tried again where it is: no offset passes it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from importer import log
from importer.errors import ImporterError
from importer.messages import MessageImporter
from importer.settings import Settings
from importer.sources.kafka.offsets import Offsets
from importer.sources.kafka.rejects import RejectsTopic
from importer.sources.kafka.settling import Partition, Settling

_RETRY_SECONDS = 60.0
_POLL_SECONDS = 0.1
_POLL_MESSAGES = 1_000
_COMMIT_SECONDS = 1.0
_REVOKE_SECONDS = 10.0
_GRACE_SECONDS = 6.0
_TOLD_SECONDS = 30.0

_OURS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "partition.assignment.strategy": "cooperative-sticky",
    "auto.offset.reset": "earliest",
    "client.id": "mixpanel-importer",
}

T = TypeVar("T")


class KafkaSourceError(ImporterError):
    """The brokers, the group or a topic cannot be used; the text says why."""


class KafkaSource:
    """Imports topics until it is told to end. Belongs to the event loop that it is made in.

    Args:
        settings: the process's.
        topics: their names; one that begins with `^` is a regular expression.
        configuration: librdkafka's, by its own names (`bootstrap.servers`, `group.id`, …).
        max_open: messages that wait at a time.
        rejects_topic: where rejects go; None where the settings say.
        clock: seconds, monotonic.

    Raises:
        KafkaSourceError: librdkafka does not take the configuration.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[str],
        configuration: Mapping[str, Any],
        *,
        max_open: int,
        rejects_topic: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log.get()
        self._loop = asyncio.get_running_loop()
        self._messages = MessageImporter(settings, "Kafka", "kafka", _RETRY_SECONDS, clock)
        self._topics = topics
        self._max_open = max_open
        self._max_bytes = settings.buffer_bytes // 2
        self._clock = clock
        try:
            self._consumer = Consumer(
                {**_OURS, **configuration, "error_cb": self._note_error, "on_commit": self._on_commit}
            )
            producer = Producer(_of_producers(configuration)) if rejects_topic else None
        except KafkaException as error:
            raise KafkaSourceError(f"Kafka does not take the configuration: {_text(error)}") from None
        rejects = RejectsTopic(producer, rejects_topic) if producer and rejects_topic else None
        self._settling = Settling(self._messages, rejects, self._fail)
        self._partitions = self._settling.partitions
        self._is_paused = False
        self._stopping = threading.Event()
        self._error: ImporterError | None = None
        self._trouble = ""
        self._polled_at = clock()

    async def run(self) -> None:
        """Imports until `end` is called, and then what is open, for a few seconds.

        Raises:
            KafkaSourceError: there is no such topic, or no permission.
            FatalDeliveryError: Mixpanel does not take the credentials, or something else that no retry heals.
        """
        self._consumer.subscribe(
            list(self._topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        polling = threading.Thread(target=self._poll, name="kafka", daemon=True)
        polling.start()
        while polling.is_alive():
            await asyncio.sleep(_POLL_SECONDS)
        await self._settling.close()
        if self._error:
            raise self._error

    def end(self) -> None:
        """The process was told to end. A signal handler may call it, at any moment."""
        self._stopping.set()

    def is_polling(self, seconds: float) -> bool:
        """Whether it polled within the last seconds, for a health check."""
        return self._clock() - self._polled_at < seconds

    # What runs on the thread that polls: the client lets nobody else in while it is asked for messages.

    def _poll(self) -> None:
        try:
            self._poll_until_stopped()
        except KafkaException as error:
            self._fail(KafkaSourceError(f"Kafka: {_text(error)}"))
        finally:
            self._messages.end()
            partitions = [*self._partitions]
            self._in_loop(self._settling.drain(partitions, _GRACE_SECONDS))
            self._commit(partitions, is_last=True)
            self._consumer.close()

    def _poll_until_stopped(self) -> None:
        committed_at = told_at = self._clock()
        while not self._stopping.is_set():
            messages = self._consumer.consume(_POLL_MESSAGES, _POLL_SECONDS)
            now = self._polled_at = self._clock()
            if good := [one for one in messages if self._is_message(one)]:
                self._in_loop(self._settling.begin_all(good))
            self._pause_or_resume()
            if now - committed_at > _COMMIT_SECONDS:
                committed_at = now
                self._commit([*self._partitions])
            if now - told_at > _TOLD_SECONDS:
                told_at = now
                self._tell()

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _is_message(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if (
            error.code()
            in {
                KafkaError.UNKNOWN_TOPIC_OR_PART,
                KafkaError.TOPIC_AUTHORIZATION_FAILED,
                KafkaError.GROUP_AUTHORIZATION_FAILED,
            }
            or error.fatal()
        ):
            self._fail(KafkaSourceError(f"Kafka: {error.str()}"))
        return False

    def _pause_or_resume(self) -> None:
        """Backpressure. A rebalance resumes by itself, so what is assigned is looked at each time."""
        is_much = len(self._settling) >= self._max_open or self._settling.bytes >= self._max_bytes
        is_little = len(self._settling) <= self._max_open // 2 and self._settling.bytes <= self._max_bytes // 2
        if not self._is_paused and is_much:
            self._consumer.pause(self._consumer.assignment())
            self._is_paused = True
        elif self._is_paused and is_little:
            self._consumer.resume(self._consumer.assignment())
            self._is_paused = False

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._partitions[one.topic, one.partition] = Offsets()
        consumer.incremental_assign(partitions)
        if self._is_paused:
            consumer.pause(partitions)
        self._log.info(
            f"Kafka: {len(partitions)} partitions more, {len(self._partitions)} in all",
            kind="kafka",
            partitions=len(self._partitions),
        )

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Others get them: what is open settles first, for a few seconds, and what is settled is committed."""
        taken = [(one.topic, one.partition) for one in partitions]
        self._in_loop(self._settling.drain(taken, _REVOKE_SECONDS))
        self._commit(taken, is_last=True)
        self._forget(taken)
        consumer.incremental_unassign(partitions)
        self._log.info(
            f"Kafka: {len(taken)} partitions less, {len(self._partitions)} in all",
            kind="kafka",
            partitions=len(self._partitions),
        )

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Others have them already: nothing of them is committed any more."""
        self._forget([(one.topic, one.partition) for one in partitions])
        consumer.incremental_unassign(partitions)
        self._log.warning(f"Kafka: {len(partitions)} partitions were lost to others", kind="kafka")

    def _forget(self, partitions: Sequence[Partition]) -> None:
        for one in partitions:
            self._partitions.pop(one, None)

    def _commit(self, partitions: Sequence[Partition], *, is_last: bool = False) -> None:
        offsets = self._in_loop(self._settling.to_commit(partitions))
        if not offsets:
            return
        try:
            if is_last:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._not_committed(offsets, _text(error))

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        if error is not None:
            self._not_committed(offsets, error.str())

    def _not_committed(self, offsets: Sequence[TopicPartition], reason: str) -> None:
        """The next commit has these offsets as well; of partitions that others have, they are not ours to commit."""
        for one in offsets:
            if found := self._partitions.get((one.topic, one.partition)):
                found.committed = None
        self._log.warning(f"Kafka did not take offsets: {reason}", kind="kafka", reason=reason)

    def _note_error(self, error: KafkaError) -> None:
        """Librdkafka tries again by itself; what it says is told once."""
        if error.str() != self._trouble:
            self._trouble = error.str()
            self._log.warning(f"Kafka: {self._trouble}", kind="kafka", reason=self._trouble)

    def _tell(self) -> None:
        lag = 0
        for topic, partition in [*self._partitions]:
            with suppress(KafkaException):
                one = TopicPartition(topic, partition)
                _, high = self._consumer.get_watermark_offsets(one, cached=True)
                (position,) = self._consumer.position([one])
                if high >= 0 and position.offset >= 0:
                    lag += max(high - position.offset, 0)
        self._log.info(
            f"Kafka: {len(self._partitions)} partitions, {lag} messages behind, {len(self._settling)} open",
            kind="kafka",
            partitions=len(self._partitions),
            lag=lag,
            open=len(self._settling),
        )

    def _fail(self, error: ImporterError) -> None:
        self._error = self._error or error
        self._stopping.set()


def _of_producers(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What of a consumer's configuration a producer takes: how the brokers are reached."""
    of_both = ("bootstrap.", "security.", "sasl.", "ssl.", "client.", "socket.", "broker.")
    return {name: value for name, value in configuration.items() if name.startswith(of_both)} | {"acks": "all"}


def _text(error: KafkaException) -> str:
    found = error.args[0] if error.args else error
    return found.str() if isinstance(found, KafkaError) else str(found)
