"""A Pub/Sub push request, in each of its shapes, made into one message.

The shapes: the wrapped JSON (https://cloud.google.com/pubsub/docs/push#receive_push), which Eventarc's CloudEvents in
binary mode carry as well; and the unwrapped body (`--push-no-wrapper`), the message's data as it is, with what is known
of it in `x-goog-pubsub-…` headers (`--push-no-wrapper-write-metadata`,
https://cloud.google.com/pubsub/docs/payload-unwrapping).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct, field

from importer.messages import Message

MAX_MESSAGE_BYTES = 10 << 20
"""A message's data, at most: https://cloud.google.com/pubsub/quotas#resource_limits ("10 MB", read generously)"""

MAX_PUSH_BYTES = MAX_MESSAGE_BYTES * 4 // 3 + 1_000_000
"""A push request's body, at most: base64 makes three bytes four, and attributes come on top."""

_SUBSCRIPTIONS = "projects/"
"""What the name of every subscription starts with."""


class InvalidPush(Exception):
    """A request that Pub/Sub cannot have sent; the text says why."""


class Head(Struct, frozen=True, gc=False):
    """What the headers of a push tell.

    Attributes:
        length: bytes of the body, None where no header says.
        subscription, message_id, published: of an unwrapped message, "" where the push does not say.
    """

    length: int | None = None
    subscription: str = ""
    message_id: str = ""
    published: str = ""


_ABSENT = Raw()
_MAX_NAME = 1_000
_Name = Annotated[str, Meta(max_length=_MAX_NAME)]


class _Wrapped(Struct, gc=False):
    data: bytes | None = None
    attributes: Raw = _ABSENT
    message_id: _Name = field(name="messageId", default="")
    published: _Name = field(name="publishTime", default="")


class _Push(Struct, gc=False):
    message: _Wrapped
    subscription: _Name = ""
    event: Raw = _ABSENT


class _Keys(Struct, gc=False):
    """What in a JSON object tells whether it is the wrapped form, or was meant to be."""

    data: Raw = _ABSENT
    message_id: Raw = field(name="messageId", default=_ABSENT)


class _Envelope(Struct, gc=False):
    message: Raw = _ABSENT
    subscription: Raw = _ABSENT
    event: Raw = _ABSENT


_decode_push = msgspec.json.Decoder(_Push).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_keys = msgspec.json.Decoder(_Keys).decode
_NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def head(headers: Iterable[tuple[bytes, bytes]]) -> Head:
    """Reads the headers (as ASGI has them, their names in lower case).

    Raises:
        InvalidPush: they announce a body longer than a push can have.
    """
    found = dict(headers)
    digits = found.get(b"content-length", b"")
    length = int(digits) if digits.isdigit() and len(digits) < 20 else None
    if length is not None and length > MAX_PUSH_BYTES:
        raise InvalidPush(f"a body of {length} bytes is more than a push can have")
    return Head(
        length,
        found.get(b"x-goog-pubsub-subscription-name", b"")[:_MAX_NAME].decode("latin-1"),
        found.get(b"x-goog-pubsub-message-id", b"")[:_MAX_NAME].decode("latin-1"),
        found.get(b"x-goog-pubsub-publish-time", b"")[:_MAX_NAME].decode("latin-1"),
    )


def message(body: bytes, head: Head) -> Message:
    """Makes a message of a push request.

    Headers with metadata tell that the body is unwrapped. Without them its content has to: an object with an `event`
    is one; an object with a `message` that has data, attributes or an id, or with a subscription's name, is wrapped.

    Raises:
        InvalidPush: Pub/Sub sends no such request.
    """
    if head.message_id or head.subscription:
        return _unwrapped(body, head)
    try:
        push = _decode_push(body)
    except _NOT_DECODED as error:
        if _was_to_be_wrapped(body):
            raise InvalidPush(f"the body looks like a wrapped message, but: {error}") from None
        return _unwrapped(body, head)
    wrapped = push.message
    if push.event != _ABSENT or not _is_wrapped(push):
        return _unwrapped(body, head)
    data = wrapped.data or b""
    _check_size(data)
    return Message(
        data=data,
        attributes=bytes(wrapped.attributes),
        source=_source(push.subscription, wrapped.message_id),
        channel=push.subscription,
        published=wrapped.published,
    )


def _is_wrapped(push: _Push) -> bool:
    found = push.message
    return (
        found.data is not None
        or bool(found.message_id)
        or found.attributes != _ABSENT
        or push.subscription.startswith(_SUBSCRIPTIONS)
    )


def _was_to_be_wrapped(body: bytes) -> bool:
    try:
        envelope = _decode_envelope(body)
        if envelope.event != _ABSENT:
            return False
        if envelope.subscription != _ABSENT and bytes(envelope.subscription).startswith(b'"projects/'):
            return True
        keys = _decode_keys(envelope.message) if envelope.message != _ABSENT else _Keys()
    except _NOT_DECODED:
        return False
    return keys.data != _ABSENT or keys.message_id != _ABSENT


def _unwrapped(body: bytes, head: Head) -> Message:
    _check_size(body)
    return Message(body, b"", _source(head.subscription, head.message_id), head.subscription, head.published)


def _check_size(data: bytes) -> None:
    if len(data) > MAX_MESSAGE_BYTES:
        raise InvalidPush(f"a message of {len(data)} bytes is more than Pub/Sub takes")


def _source(subscription: str, message_id: str) -> str:
    return f"{subscription or 'push'}#{message_id}"
