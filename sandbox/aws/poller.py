"""What stands between a queue and a function on AWS: it receives messages, calls the function, deletes what is settled.

The answer is read as strictly as Amazon reads it: what is not of the right shape counts as a failure of the whole batch
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
"""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType
from typing import Any, Self

from sandbox.aws.clients import Cloud
from sandbox.aws.function import CallError, Function

_WAIT = 0.05
"""Seconds between two looks at an empty queue."""


class Poller:
    """Calls functions with what a queue holds, from entering its `with` block to leaving it.

    Args:
        cloud: whose queue.
        functions: each handles one call at a time, so they are the concurrency.
        batch: messages of one call, at most.
    """

    def __init__(self, cloud: Cloud, *functions: Function, batch: int = 1) -> None:
        self._cloud = cloud
        self._batch = batch
        self._is_ending = threading.Event()
        self._threads = [threading.Thread(target=self._poll, args=(one,), name="poller") for one in functions]
        self.answers: deque[Any] = deque(maxlen=1_000)
        """What the functions answered; an exception where they did not."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_ending.set()
        for thread in self._threads:
            thread.join()

    def _poll(self, function: Function) -> None:
        sqs, queue = self._cloud.sqs, self._cloud.queue
        while not self._is_ending.is_set():
            found = sqs.receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=self._batch,
                AttributeNames=["All"],
            ).get("Messages", [])
            if not found:
                self._is_ending.wait(_WAIT)
                continue
            try:
                answer = function.call({"Records": [_record(one, self._cloud.queue_arn) for one in found]})
                self.answers.append(answer)
            except CallError as error:
                self.answers.append(error)
                continue
            failed = failures(answer, [one["MessageId"] for one in found])
            for one in found:
                if one["MessageId"] not in failed:
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])


def failures(answer: Any, ids: list[str]) -> set[str]:
    """The messages that an answer says are to come again; all of them, where Amazon would not understand it."""
    if answer is None or answer == {}:
        return set()
    listed = answer.get("batchItemFailures", []) if isinstance(answer, dict) else None
    if not isinstance(listed, list | None) or not isinstance(answer, dict):
        return set(ids)
    named = {str(one.get("itemIdentifier")) if isinstance(one, dict) else "" for one in listed or ()}
    return named if named <= {*ids} else set(ids)


def _record(message: dict[str, Any], queue_arn: str) -> dict[str, Any]:
    """A message as Lambda gives it to a function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": "us-east-1",
    }
