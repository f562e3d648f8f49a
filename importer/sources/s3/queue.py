"""What can be done with a message of SQS beside answering Lambda: when it comes again, and that it begins anew."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session
from msgspec import Struct

from importer import log

_FIRST_WAIT, _LONGEST_WAIT = 60, 7_200
"""Seconds before a message comes again that was handed back; doubled each time it is."""

_MAX_ENTRIES = 10
"""Of one request: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html"""

_CONFIG = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})


class Message(Struct, frozen=True):
    """A message of SQS, as Lambda gives it.

    Attributes:
        id: what Lambda is answered with.
        handle: of this receipt.
        queue: its queue's ARN.
        receives: how many times it was received, this time included.
        sent: when it was sent, in milliseconds since 1970, 0 where that is not told.
    """

    id: str
    body: str
    handle: str
    queue: str
    receives: int
    sent: int

    @property
    def source(self) -> str:
        """The queue and the message, as logs and rejects name it."""
        return f"{self.queue}#{self.id}"


def message(record: dict[str, Any]) -> Message:
    """Makes a message of a record of Lambda's.

    Raises:
        KeyError: it has no id, or is no message.
    """
    attributes = record.get("attributes") or {}
    return Message(
        record["messageId"],
        record["body"],
        record.get("receiptHandle", ""),
        record.get("eventSourceARN", ""),
        _number(attributes.get("ApproximateReceiveCount")),
        _number(attributes.get("SentTimestamp")),
    )


def come_again(messages: Sequence[Message], *, at_once: bool = False) -> None:
    """Has messages of one queue that are handed back come again at once, or after a wait that doubles. Where that
    fails, they come when the queue says."""
    try:
        for some in _slices(messages):
            answer = _client(os.getpid()).change_message_visibility_batch(
                QueueUrl=_url(os.getpid(), some[0].queue),
                Entries=[
                    {"Id": str(number), "ReceiptHandle": one.handle, "VisibilityTimeout": 0 if at_once else _wait(one)}
                    for number, one in enumerate(some)
                ],
            )
            for failed in answer.get("Failed", ()):
                _tell(some[int(failed["Id"])], f"comes again when its queue says: {failed.get('Code')}")
    except Exception as error:
        _tell(messages[0], f"comes again when its queue says: {type(error).__name__}: {error}")


def begin_anew(message: Message, *, at_once: bool = False) -> bool:
    """Sends a message once more, as one that was never received, so that a big object may take any number of deliveries
    and is no dead letter.

    Returns:
        Whether it is sent: then the message itself is settled.
    """
    if not message.queue or message.queue.endswith(".fifo"):
        return False
    try:
        url = _url(os.getpid(), message.queue)
        _client(os.getpid()).send_message(
            QueueUrl=url, MessageBody=message.body, DelaySeconds=0 if at_once else _FIRST_WAIT
        )
    except Exception as error:
        _tell(message, f"counts its receives on: {type(error).__name__}: {error}")
        return False
    return True


def _wait(message: Message) -> int:
    return min(_FIRST_WAIT << min(max(message.receives - 1, 0), 20), _LONGEST_WAIT)


def _slices(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    return (messages[start : start + _MAX_ENTRIES] for start in range(0, len(messages), _MAX_ENTRIES))


def _tell(message: Message, what: str) -> None:
    log.get().warning(f"The message {message.source} {what}", kind="queue", source=message.source)


def _number(text: Any) -> int:
    return int(text) if str(text).isdigit() else 0


@cache
def _client(_process: int) -> Any:
    return Session().create_client("sqs", config=_CONFIG)


@cache
def _url(process: int, arn: str) -> str:
    *_, account, name = arn.split(":")
    return str(_client(process).get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"])
