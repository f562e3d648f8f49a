"""Speaks to the local S3 and SQS, for the sandbox and the tests."""

from __future__ import annotations

import json
import time
from functools import cached_property
from typing import Any, BinaryIO

import boto3
import requests
from botocore.config import Config

from sandbox.bucket.faults import KINDS

_REGION = "us-east-1"
_ACCOUNT = "123456789012"
"""moto's."""


class Cloud:
    """S3 and SQS at `url`, with what `aws/template.yaml` makes of them: a bucket whose objects are announced on a
    queue, a queue for dead letters, a bucket for what the importer keeps.

    Args:
        visibility: seconds after which a message comes again that was not deleted.
        receives: after which a message is a dead letter.
    """

    def __init__(self, url: str, bucket: str = "events", visibility: int = 30, receives: int = 20) -> None:
        self.url = url
        self.bucket = bucket
        self.state = f"{bucket}-state"
        self.queue_arn = f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:{bucket}"
        self.queue = f"{url}/{_ACCOUNT}/{bucket}"
        self.dead_letters = f"{url}/{_ACCOUNT}/{bucket}-dead-letters"
        self._visibility = visibility
        self._receives = receives

    @property
    def environment(self) -> dict[str, str]:
        """What leads boto3 there."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_REGION": _REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @cached_property
    def s3(self) -> Any:
        """boto3's client of S3."""
        return self.client("s3")

    @cached_property
    def sqs(self) -> Any:
        """boto3's client of SQS."""
        return self.client("sqs")

    def client(self, service: str) -> Any:
        """boto3's client of a service."""
        session = boto3.session.Session("sandbox", "sandbox", region_name=_REGION)
        return session.client(service, endpoint_url=self.url, config=Config(max_pool_connections=50))

    def set_up(self) -> None:
        """Makes the buckets and the queues."""
        for bucket in (self.bucket, self.state):
            self.s3.create_bucket(Bucket=bucket)
        dead_letters = f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:{self.bucket}-dead-letters"
        self.sqs.create_queue(QueueName=f"{self.bucket}-dead-letters")
        redrive = json.dumps({"deadLetterTargetArn": dead_letters, "maxReceiveCount": self._receives})
        attributes = {"VisibilityTimeout": str(self._visibility), "RedrivePolicy": redrive}
        self.sqs.create_queue(QueueName=self.bucket, Attributes=attributes)
        told = [{"QueueArn": self.queue_arn, "Events": ["s3:ObjectCreated:*"]}]
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration={"QueueConfigurations": told}
        )

    def put(self, key: str, data: bytes | BinaryIO, **how: Any) -> str:
        """Writes an object, which is announced on the queue.

        Returns:
            Its ETag, without the quotes.
        """
        return str(self.s3.put_object(Bucket=self.bucket, Key=key, Body=data, **how)["ETag"]).strip('"')

    def keys(self, bucket: str | None = None, prefix: str = "") -> list[str]:
        """What lies in a bucket, by default in the one for what the importer keeps."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket or self.state, Prefix=prefix)
        return sorted(one["Key"] for page in pages for one in page.get("Contents", ()))

    def get(self, key: str, bucket: str | None = None) -> bytes:
        """An object's content."""
        content: bytes = self.s3.get_object(Bucket=bucket or self.state, Key=key)["Body"].read()
        return content

    def send(self, body: str) -> None:
        """Sends a message to the queue."""
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def waiting(self, queue: str | None = None) -> int:
        """Messages in a queue, those that were received and not deleted included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        names.append("ApproximateNumberOfMessagesDelayed")
        found = self.sqs.get_queue_attributes(QueueUrl=queue or self.queue, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    def wait_until_empty(self, timeout: float = 60) -> None:
        """Waits until all messages are settled.

        Raises:
            TimeoutError: they were not, within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while left := self.waiting():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} messages are left in the queue after {timeout:g} s")
            time.sleep(0.05)

    def faults(self, **rules: Any) -> None:
        """Turns the switches named; the others stay. See `sandbox.bucket.faults.Switches`."""
        requests.post(f"{self.url}/sandbox/faults", json=rules, timeout=60).raise_for_status()

    def end_trouble(self) -> None:
        """Nothing befalls a request from now on."""
        self.faults(**dict.fromkeys(KINDS, 0.0))

    def read(self) -> dict[str, int]:
        """How many bytes of each object's content were read since it was emptied, those read again included."""
        return dict(requests.get(f"{self.url}/sandbox/read", timeout=60).json())

    def reset(self) -> None:
        """Empties all, and sets it up anew."""
        requests.post(f"{self.url}/sandbox/reset", timeout=60).raise_for_status()
