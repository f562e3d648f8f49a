"""Publishes a message to the sandbox's topic, whichever that is."""

from __future__ import annotations

import base64

import requests

MAX_MESSAGE_BYTES = 10_000_000
"""https://cloud.google.com/pubsub/quotas#resource_limits"""


def publish(topic: str | None, gcloud_topic: str | None, data: bytes) -> str:
    """Publishes one message.

    Args:
        topic: where a POST of the data does it.
        gcloud_topic: where Google's own API does it.
        data: the message's.

    Returns:
        Its id.

    Raises:
        requests.RequestException: it was not taken.
    """
    if topic:
        answer = requests.post(topic, data=data, timeout=30)
    else:
        message = {"messages": [{"data": base64.b64encode(data).decode()}]}
        answer = requests.post(f"{gcloud_topic}:publish", json=message, timeout=30)
    answer.raise_for_status()
    return str(answer.json()["messageIds"][0])
