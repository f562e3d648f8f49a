"""A request that announces an object, in each of its shapes, made into one CloudEvent.

The shapes: Eventarc's CloudEvents, binary or in one piece; and a bucket's own notifications on a Pub/Sub topic
(https://cloud.google.com/storage/docs/pubsub-notifications), pushed in their wrapping, without it, or by Eventarc. Of
these, the attributes say what befell which object; the payload, the object as the storage API shows it, may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from cloudevents.exceptions import GenericException
from cloudevents.http import from_http
from cloudevents.http.event import CloudEvent
from msgspec import Struct, field

FINALIZED = "google.cloud.storage.object.v1.finalized"
"""The type of the CloudEvent that a newly written object sends."""

_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
_KINDS = {
    "OBJECT_FINALIZE": FINALIZED,
    "OBJECT_DELETE": FINALIZED.replace("finalized", "deleted"),
    "OBJECT_ARCHIVE": FINALIZED.replace("finalized", "archived"),
    "OBJECT_METADATA_UPDATE": FINALIZED.replace("finalized", "metadataUpdated"),
}
_PUSHED = ("x-goog-pubsub-message-id", "x-goog-pubsub-subscription-name")


class InvalidAnnouncement(Exception):
    """A request that neither Eventarc nor Pub/Sub sends; the text says why."""


class _Message(Struct):
    data: bytes = b""
    attributes: dict[str, str] = field(default_factory=dict)


class _Push(Struct):
    message: _Message


_decode_push = msgspec.json.Decoder(_Push).decode


def announced(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """The event that a request announces. Where a push names no object, the event's data does not either.

    Args:
        headers: of the request; their names in any case.

    Raises:
        InvalidAnnouncement: the request is no announcement, nor a push.
    """
    found = {name.lower(): value for name, value in headers.items()}
    if any(name in found for name in _PUSHED):
        return _of_message(_unwrapped(found, body))
    if "ce-type" not in found and (message := _wrapped(body)):
        return _of_message(message)
    try:
        event = from_http(found, body)
    except (GenericException, ValueError, TypeError, AttributeError, RecursionError) as error:
        if "ce-type" not in found and (message := _without_metadata(body)):
            return _of_message(message)
        raise InvalidAnnouncement(
            f"neither a CloudEvent nor a push of Pub/Sub: {type(error).__name__}: {error}"
        ) from None
    if event["type"] != _PUBLISHED:
        return event
    return _of_message(_wrapped(msgspec.json.encode(event.get_data())) or _Message())


def _of_message(message: _Message) -> CloudEvent:
    """What a notification says, as the event that Eventarc would have sent."""
    told = message.attributes
    payload = _json(message.data)
    data: Any = payload if isinstance(payload, dict) else {}
    for key, attribute in (("bucket", "bucketId"), ("name", "objectId"), ("generation", "objectGeneration")):
        if told.get(attribute):
            data[key] = told[attribute]
    kind = told.get("eventType", "")
    return CloudEvent({"type": _KINDS.get(kind, kind) or FINALIZED, "source": "//pubsub.googleapis.com"}, data)


def _wrapped(body: bytes) -> _Message | None:
    """The message in a push with its wrapping; None where this is none."""
    try:
        return _decode_push(body).message
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _unwrapped(headers: Mapping[str, str], body: bytes) -> _Message:
    """The message of a push without its wrapping. Its attributes are headers, if the subscription writes metadata."""
    names = ("eventType", "bucketId", "objectId", "objectGeneration")
    return _Message(body, {name: headers[name.lower()] for name in names if headers.get(name.lower())})


def _without_metadata(body: bytes) -> _Message | None:
    """A notification of which nothing but the payload has come: the object as the storage API shows it."""
    payload = _json(body)
    return _Message(body) if isinstance(payload, dict) and payload.get("kind") == "storage#object" else None


def _json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
