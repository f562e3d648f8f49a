"""Rejects on a topic: a message each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from typing import TYPE_CHECKING, Self

import msgspec

from importer.core.rejects.reject import Reject
from importer.errors import RejectSinkError
from importer.reject_sinks.objects import gzipped

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient

_MESSAGE_BYTES = 9_900_000
"""The longest line that is published as it is. A message may have 10 MB, its attributes included:
https://cloud.google.com/pubsub/quotas#resource_limits"""


_SLICE_REJECTS = 1_000
_SLICE_BYTES = 8_000_000
"""Rejects that are published at once, and bytes of their events: one takes 3 kB, and three times its event, until it is
confirmed."""

_PUBLISH = "pubsub.topics.publish"
_CHECK_SECONDS = 10.0

_ATTRIBUTE_BYTES = 1_024
"""The longest value of an attribute: https://cloud.google.com/pubsub/quotas#resource_limits"""


class TopicSink:
    """Publishes each reject as a message: the JSON line as its data, and the reason, field and place as attributes.

    A line too long for a message is gzipped: a message's own data was no longer than that, so it nearly always fits.
    """

    def __init__(self, publisher: PublisherClient, topic: str, seconds: float = 60.0) -> None:
        self._publisher = publisher
        self._topic = topic
        self._seconds = seconds

    @classmethod
    def opened(cls, topic: str, seconds: float) -> Self:
        """The sink for a topic, which is waited for so long for each slice."""
        from google.cloud.pubsub_v1 import PublisherClient  # noqa: PLC0415

        return cls(PublisherClient(), topic, seconds)

    def store(self, rejects: Sequence[Reject]) -> None:
        """See `core.rejects.reject.RejectSink`. Publishes them in slices, and waits until each is confirmed."""
        try:
            for some in _slices(rejects):
                self._publish(some)
        except RejectSinkError:
            raise
        except Exception as error:
            raise RejectSinkError(f"{type(error).__name__}: {error} ({self._topic})") from error

    def _publish(self, rejects: Sequence[Reject]) -> None:
        futures = [self._publisher.publish(self._topic, _data(reject), **_attributes(reject)) for reject in rejects]
        if wait(futures, timeout=self._seconds).not_done:
            raise RejectSinkError(f"{self._topic} did not take them within {self._seconds:g} s")
        for future in futures:
            future.result()


def check_topic(topic: str) -> str:
    """A sentence that says that the topic is there, and that one may publish to it.

    Raises:
        RejectSinkError: it is not there, or one may not.
    """
    from google.api_core.exceptions import GoogleAPICallError, MethodNotImplemented  # noqa: PLC0415
    from google.cloud.pubsub_v1 import PublisherClient  # noqa: PLC0415

    publisher = PublisherClient()
    try:
        try:
            asked = {"resource": topic, "permissions": [_PUBLISH]}
            allowed = _PUBLISH in publisher.test_iam_permissions(request=asked, timeout=_CHECK_SECONDS).permissions
        except MethodNotImplemented:  # the emulator, where everybody may
            publisher.get_topic(topic=topic, timeout=_CHECK_SECONDS)
            allowed = True
    except GoogleAPICallError as error:
        raise RejectSinkError(f"{topic} cannot be published to: {error.message}") from error
    if not allowed:
        raise RejectSinkError(f"{topic} cannot be published to: it needs the permission {_PUBLISH} (or does not exist)")
    return f"{topic} can be published to."


def _slices(rejects: Sequence[Reject]) -> Iterator[list[Reject]]:
    """Cuts rejects into slices, in order. One that is longer than a slice makes one of its own."""
    slice_: list[Reject] = []
    size = 0
    for one in rejects:
        if slice_ and (len(slice_) == _SLICE_REJECTS or size + len(one.event) > _SLICE_BYTES):
            yield slice_
            slice_, size = [], 0
        slice_.append(one)
        size += len(one.event)
    if slice_:
        yield slice_


def _data(reject: Reject) -> bytes:
    line = msgspec.json.encode(reject)
    return line if len(line) <= _MESSAGE_BYTES else gzipped(line)


def _attributes(reject: Reject) -> dict[str, str]:
    attributes = {
        "source": reject.source,
        "line": str(reject.line),
        "offset": str(reject.offset),
        "reason": reject.reason,
        "field": reject.field or "",
        "insert_id": reject.insert_id or "",
    }
    return {name: value.encode()[:_ATTRIBUTE_BYTES].decode(errors="ignore") for name, value in attributes.items()}
