"""One call of Lambda's: what it was called with is imported, and answered with what is to come again.

A queue is answered with the messages that failed, in exactly this shape, since any other counts as a failure of all:
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting

A message that announces a big object is sent anew when its object got on and is not done; all other failures count
towards the queue's `maxReceiveCount`, so that what never gets on becomes a dead letter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from importer import log
from importer.core.ordered.run import Limits
from importer.core.pipeline import Pipeline
from importer.core.report import HandedBack
from importer.objects import DOWNLOAD_SECONDS, import_announced, limits
from importer.reject_sinks.place import RejectStore
from importer.settings import Settings
from importer.sources.s3.messages import QueueMessages
from importer.sources.s3.notification import Announced, InvalidNotification, announced, announced_by
from importer.sources.s3.queue import Message, begin_anew, come_again, message
from importer.storage.s3.access import Access
from importer.storage.s3.download import Download
from importer.storage.selection import skip_reason
from importer.storage.store import Patience


class InvalidCall(Exception):
    """Lambda was called with what is no event of S3, SQS, SNS or EventBridge."""


class LambdaSource:
    """Imports what Lambda is called with, one `handle` for each call. One serves a whole process.

    Raises:
        SettingsError: the settings name a transform that cannot be loaded.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log.get()
        self._pipeline = Pipeline(settings, clock)
        self._access = Access(Patience(DOWNLOAD_SECONDS, settings.timeout, settings.backoff))
        self._rejects = RejectStore(settings.rejects)
        self._messages: QueueMessages | None = None

    def close(self) -> None:
        """Ends what it has running."""
        self._pipeline.close()
        if self._messages:
            self._messages.close()

    def handle(self, event: Any, seconds: float) -> dict[str, Any] | None:
        """Imports what a call brings.

        Args:
            event: as Lambda gives it.
            seconds: that the call may take.

        Returns:
            Of messages of SQS, those that are to come again. Nothing of what was not called by a queue: all is settled.

        Raises:
            HandedBack: what was not called by a queue is not in Mixpanel yet; Lambda is to call again.
            InvalidCall: it is nothing that is known here.
            KeyError: a record that is no message of SQS; all of the batch is to come again.
        """
        time_limit = min(seconds, self._settings.time_limit or seconds)
        until = limits(self._settings, self._clock(), time_limit)
        if _is_batch(event):
            failed = self._batch([message(record) for record in event["Records"]], until)
            return {"batchItemFailures": [{"itemIdentifier": one.id} for one in failed]}
        try:
            found = announced_by(event)
        except InvalidNotification as error:
            raise InvalidCall(f"this event names no object: {error}") from None
        if found is None:
            raise InvalidCall("this is no event of S3, SQS, SNS or EventBridge")
        if failures := self._import_all(found, until):
            raise failures[0]
        return None

    def _batch(self, messages: list[Message], until: Limits) -> list[Message]:
        """Imports messages, those that hold events first. Gives those that are handed back."""
        told: list[tuple[Message, list[Announced]]] = []
        plain: list[Message] = []
        failed: list[Message] = []
        for one in messages:
            try:
                found = announced(one.body)
            except InvalidNotification as error:
                self._log.error(
                    f"{one.source} is left to the dead letters: {error}", kind="bad trigger", source=one.source
                )
                failed.append(one)
                continue
            if found is None:
                plain.append(one)
            else:
                told.append((one, found))
        handed_back = self._import_messages(plain, until) if plain else []
        come_again(handed_back)
        return [*failed, *handed_back, *(one for one, found in told if not self._settles(one, found, until))]

    def _import_messages(self, messages: list[Message], until: Limits) -> list[Message]:
        self._messages = self._messages or QueueMessages(self._settings, self._clock)
        return self._messages.import_all(messages, until.deadline - self._clock())

    def _settles(self, message: Message, found: list[Announced], until: Limits) -> bool:
        """Imports the objects of a message. Gives whether the message is settled."""
        if not found:
            self._log.info(f"{message.source} is skipped: S3 tests whether it reaches its queue.", kind="queue")
        has_its_turn = self._clock() < until.stop_at
        failures = self._import_all(found, until) if has_its_turn else []
        if has_its_turn and not failures:
            return True
        is_time_up = self._clock() >= until.stop_at
        is_to_begin_anew = not has_its_turn or any(one.has_moved for one in failures)
        if is_to_begin_anew and begin_anew(message, at_once=is_time_up):
            return True
        come_again([message], at_once=is_time_up)
        return False

    def _import_all(self, found: Iterable[Announced], until: Limits) -> list[HandedBack]:
        """Imports objects, one after the other, as long as there is time. Gives why some are handed back."""
        failures = []
        for one in found:
            try:
                self._import(one, until)
            except HandedBack as handed_back:
                failures.append(handed_back)
        return failures

    def _import(self, announced: Announced, until: Limits) -> None:
        """Imports one object.

        Raises:
            HandedBack: it is not in Mixpanel yet, or not all of it.
        """
        wanted = announced.object
        if reason := self._skip_reason(announced):
            self._log.info(
                f"{wanted.address} is skipped: {reason}.", kind="import", source=wanted.address, outcome="skipped"
            )
            return
        import_announced(
            self._pipeline,
            lambda: Download(self._access, wanted),
            wanted.address,
            self._rejects.for_source,
            until,
            again=announced.again,
        )

    def _skip_reason(self, announced: Announced) -> str | None:
        if not announced.is_written:
            return f"the event is {announced.event!r}, and only objects that were written are imported"
        return skip_reason(announced.object.address, self._settings)


def _is_batch(event: Any) -> bool:
    """Whether a call is of a queue's messages."""
    records = event.get("Records") if isinstance(event, dict) else None
    return (
        isinstance(records, list)
        and bool(records)
        and all(isinstance(one, dict) and one.get("eventSource") == "aws:sqs" for one in records)
    )
