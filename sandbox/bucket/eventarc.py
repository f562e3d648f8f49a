"""A trigger: tells a function of each object written, as Eventarc does, and again until the function has answered well.

The events are those Google sends for `google.cloud.storage.object.v1.finalized`, in CloudEvents' binary content mode:
https://cloud.google.com/eventarc/docs/cloudevents and, for the data, the message `StorageObjectData` of
https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/storage/v1/data.proto.
Delivery is that of a trigger with retries on: at least once, in no order that anyone may rely on.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from sandbox.delivery import Deliverer

FINALIZED: Final = "google.cloud.storage.object.v1.finalized"

_DATA_FIELDS = (
    "kind", "id", "selfLink", "name", "bucket", "generation", "metageneration", "contentType", "contentEncoding",
    "contentDisposition", "contentLanguage", "cacheControl", "timeCreated", "updated", "storageClass",
    "timeStorageClassUpdated", "size", "md5Hash", "crc32c", "mediaLink", "etag", "metadata", "componentCount",
)  # fmt: skip
_HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_TIMEOUT = 540.0
"""Seconds: what Cloud Run gives an event-driven function at most."""
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


class Trigger(Deliverer):
    """Delivers events to the function at `function_url`; while that is None they wait.

    Args:
        function_url: where to post them.
        first_wait: seconds until an event is delivered again that was not taken; doubled each time.
        longest_wait: seconds it will never be more than.
    """

    def __init__(self, function_url: str | None = None, *, first_wait: float = 1.0, longest_wait: float = 10.0) -> None:
        super().__init__(function_url, in_flight=2, first_wait=first_wait, longest_wait=longest_wait, timeout=_TIMEOUT)

    def fire(self, resource: Mapping[str, Any]) -> None:
        """Takes an object that was just written, and returns at once."""
        headers, body = cloud_event(resource)
        self.deliver(headers, body, id=headers["ce-id"], name=resource["name"], generation=str(resource["generation"]))
