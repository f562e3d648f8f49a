"""A trigger: tells a function of each object written, as Eventarc does, and again until the function has answered well.

The events are those Google sends for `google.cloud.storage.object.v1.finalized`, in CloudEvents' binary content mode:
https://cloud.google.com/eventarc/docs/cloudevents and, for the data, the message `StorageObjectData` of
https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/storage/v1/data.proto.
Delivery is that of a trigger with retries on: at least once, in no order that anyone may rely on.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import requests

FINALIZED: Final = "google.cloud.storage.object.v1.finalized"

_DATA_FIELDS = (
    "kind", "id", "selfLink", "name", "bucket", "generation", "metageneration", "contentType", "contentEncoding",
    "contentDisposition", "contentLanguage", "cacheControl", "timeCreated", "updated", "storageClass",
    "timeStorageClassUpdated", "size", "md5Hash", "crc32c", "mediaLink", "etag", "metadata", "componentCount",
)  # fmt: skip
_HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_ids = itertools.count(time.time_ns() // 1000)


def cloud_event(resource: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """The headers and body of the request that tells of an object's new generation.

    Args:
        resource: the object as the storage API shows it.
    """
    headers = {
        "Content-Type": "application/json",
        "ce-id": str(next(_ids)),
        "ce-source": f"//storage.googleapis.com/projects/_/buckets/{resource['bucket']}",
        "ce-specversion": "1.0",
        # What is no printable ASCII is percent-encoded: CloudEvents' HTTP binding, 3.1.3.2.
        "ce-subject": quote(f"objects/{resource['name']}", safe=_HEADER_SAFE),
        "ce-time": str(resource["updated"]),
        "ce-type": FINALIZED,
    }
    data = {field: resource[field] for field in _DATA_FIELDS if resource.get(field) not in (None, "", {})}
    return headers, json.dumps(data).encode()


@dataclass(slots=True)
class Delivery:
    """One event on its way: `due` on the monotonic clock, its last answer's `status`, or None when there was none."""

    name: str
    generation: str
    headers: dict[str, str]
    body: bytes
    due: float = 0.0
    attempts: int = 0
    status: int | None = None
    delivered: bool = False

    def shown(self) -> dict[str, Any]:
        """What others are told of it."""
        fields = ("name", "generation", "attempts", "status", "delivered")
        return {"id": self.headers["ce-id"], **{field: getattr(self, field) for field in fields}}


class Trigger:
    """Delivers events to the function at `function_url`; while that is None they wait.

    Args:
        function_url: where to post them.
        in_flight: how many at a time, at most.
        first_wait: seconds until an event is delivered again that was not taken; doubled each time.
        longest_wait: seconds it will never be more than.
        timeout: seconds the function has to answer; Cloud Run gives an event-driven function 540 at most.
    """

    def __init__(
        self,
        function_url: str | None = None,
        *,
        in_flight: int = 2,
        first_wait: float = 1.0,
        longest_wait: float = 10.0,
        timeout: float = 540.0,
    ) -> None:
        self._function_url = function_url
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._timeout = timeout
        self._changed = threading.Condition()
        self._waiting: list[Delivery] = []
        self._known: deque[Delivery] = deque(maxlen=1000)
        self._closed = False
        for n in range(in_flight):
            threading.Thread(target=self._work, name=f"trigger {n}", daemon=True).start()

    def fire(self, resource: Mapping[str, Any]) -> None:
        """Takes an object that was just written, and returns at once."""
        headers, body = cloud_event(resource)
        delivery = Delivery(str(resource["name"]), str(resource["generation"]), headers, body)
        with self._changed:
            self._waiting.append(delivery)
            self._known.append(delivery)
            self._changed.notify()

    def send_to(self, function_url: str | None) -> None:
        """Delivers to another function from now on, at once what waits; None keeps it waiting."""
        with self._changed:
            self._function_url = function_url
            for delivery in self._waiting:
                delivery.due = 0.0
            self._changed.notify_all()

    def deliveries(self) -> list[dict[str, Any]]:
        """The last thousand events, oldest first."""
        with self._changed:
            return [delivery.shown() for delivery in self._known]

    def reset(self) -> None:
        """Forgets all events, and where they go. One that is being delivered is not delivered again."""
        with self._changed:
            self._function_url = None
            self._waiting.clear()
            self._known.clear()

    def close(self) -> None:
        """Starts no more deliveries."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while found := self._next():
            delivery, url = found
            self._settle(delivery, self._post(url, delivery))

    def _next(self) -> tuple[Delivery, str] | None:
        """The delivery that is due, waiting until there is one; None when closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                first = min(self._waiting, key=lambda delivery: delivery.due, default=None)
                if self._function_url and first and first.due <= now:
                    self._waiting.remove(first)
                    first.attempts += 1
                    return first, self._function_url
                self._changed.wait(first.due - now if first and self._function_url else None)
            return None

    def _post(self, url: str, delivery: Delivery) -> int | None:
        with requests.Session() as session:
            session.trust_env = False  # a proxy has no business between here and a local function
            try:
                answer = session.post(url, data=delivery.body, headers=delivery.headers, timeout=self._timeout)
            except requests.RequestException:
                return None
            return answer.status_code

    def _settle(self, delivery: Delivery, status: int | None) -> None:
        with self._changed:
            delivery.status = status
            delivery.delivered = status is not None and 200 <= status < 300
            if delivery.delivered or delivery not in self._known:
                return
            wait = min(self._first_wait * 2 ** min(delivery.attempts - 1, 30), self._longest_wait)
            delivery.due = time.monotonic() + wait
            self._waiting.append(delivery)
            self._changed.notify()
