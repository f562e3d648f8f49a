"""What a message or a call says of objects, in each of its envelopes, made into the objects it announces.

- S3's own: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
- EventBridge's: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
- SNS's around either: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

import msgspec
from msgspec import Struct

from importer.storage.s3.download import Object

_CREATED = "ObjectCreated:"
_CREATED_BY_EVENTBRIDGE = "Object Created"
_SAYS_SO = ('"Records"', '"TopicArn"', '"aws.s3"', '"s3:TestEvent"')
"""One of these is in every envelope; what has none of them need not be looked at."""

_MAX_ENVELOPES = 2


class InvalidNotification(Exception):
    """What looks like a notification, and names no object; the text says why."""


class Announced(Struct, frozen=True):
    """One object that a notification speaks of.

    Attributes:
        event: what happened to it.
        is_written: whether that is that it was written.
        again: whether it is wanted whatever a receipt says.
    """

    object: Object
    event: str
    is_written: bool
    again: bool


def text_within(body: str) -> str:
    """The message of SNS that a message of SQS holds; itself, where it holds none."""
    if '"TopicArn"' in body:
        found = _decoded(body)
        if _is_from_sns(found):
            return str(found["Message"])
    return body


def announced(body: str) -> list[Announced] | None:
    """The objects that a text announces, none where it is a test of S3's; None where it is no notification.

    Raises:
        InvalidNotification: it looks like one and is none.
    """
    if not any(sign in body for sign in _SAYS_SO):
        return None
    return announced_by(_decoded(body))


def announced_by(event: Any, envelopes: int = 0) -> list[Announced] | None:
    """See `announced`."""
    if not isinstance(event, dict) or envelopes > _MAX_ENVELOPES:
        return None
    if event.get("Event") == "s3:TestEvent" and "Records" not in event:
        return []
    if _is_from_sns(event):
        return announced_by(_decoded(event["Message"]), envelopes + 1)
    again = str(event.get("again")).lower() == "true"
    if event.get("source") == "aws.s3" and "detail" in event:
        return [_of_eventbridge(event, again)]
    records = event.get("Records")
    if not isinstance(records, list) or not records or not all(map(_is_record, records)):
        return None
    found: list[Announced] = []
    for record in records:
        if "Sns" in record:
            found += announced_by(_decoded(record["Sns"].get("Message")), envelopes + 1) or ()
        else:
            found.append(_of_s3(record, again))
    return found


def _is_record(record: Any) -> bool:
    return isinstance(record, dict) and any(isinstance(record.get(name), dict) for name in ("s3", "Sns"))


def _is_from_sns(event: Any) -> bool:
    return isinstance(event, dict) and "TopicArn" in event and isinstance(event.get("Message"), str)


def _of_s3(record: dict[str, Any], again: bool) -> Announced:
    event = str(record.get("eventName", ""))
    told = record["s3"]
    # In forms, a blank is a plus; everything else is percent-encoded.
    found = _object(told.get("bucket"), told.get("object"), ("eTag", "versionId"), is_encoded=True)
    return Announced(found, event, event.removeprefix("s3:").startswith(_CREATED), again)


def _of_eventbridge(event: dict[str, Any], again: bool) -> Announced:
    kind, detail = str(event.get("detail-type", "")), event["detail"]
    told = detail if isinstance(detail, dict) else {}
    found = _object(told.get("bucket"), told.get("object"), ("etag", "version-id"), is_encoded=False)
    return Announced(found, kind, kind == _CREATED_BY_EVENTBRIDGE, again)


def _object(bucket: Any, told: Any, names: tuple[str, str], *, is_encoded: bool) -> Object:
    name = bucket.get("name") if isinstance(bucket, dict) else None
    key = told.get("key") if isinstance(told, dict) else None
    if not isinstance(name, str) or not isinstance(key, str) or not name or not key or "/" in name:
        raise InvalidNotification("it names no bucket and key")
    etag, version = (told.get(one) or None for one in names)
    if not all(isinstance(one, str | None) for one in (etag, version)):
        raise InvalidNotification("its ETag or version is no text")
    try:
        key = unquote_plus(key, errors="strict") if is_encoded else key
        key.encode()
    except UnicodeError:
        raise InvalidNotification("its key is no text") from None
    return Object(name, key, etag, version)


def _decoded(text: Any) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, TypeError):
        return None
