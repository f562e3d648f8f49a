"""A Pub/Sub push request, in each of its shapes, made into one message.

The shapes: the wrapped JSON (https://cloud.google.com/pubsub/docs/push#receive_push), which Eventarc's CloudEvents in
binary mode carry as well; and the unwrapped body (`--push-no-wrapper`), the message's data as it is, with what is known
of it in `x-goog-pubsub-…` headers (`--push-no-wrapper-write-metadata`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct, field

MAX_MESSAGE_BYTES = 10_000_000
"""A message's data, at most: https://cloud.google.com/pubsub/quotas#resource_limits"""

MAX_PUSH_BYTES = MAX_MESSAGE_BYTES * 4 // 3 + 1_000_000
"""A push request's body, at most: base64 makes three bytes four, and attributes come on top."""


class NoPush(Exception):
    """A request that Pub/Sub cannot have sent; the text says why."""


class Message(Struct, frozen=True, gc=False):
    """One message.

    Attributes:
        data: the bytes that were published.
        source: the subscription and the message, as logs and rejects name it.
        subscription: the subscription alone; "" where the push does not say.
        published: when it was published (epoch seconds); 0 where the push does not say.
    """

    data: bytes
    source: str
    subscription: str
    published: float


class _Wrapped(Struct, gc=False):
    data: bytes = b""
    attributes: dict[str, str] | None = None
    message_id: str = field(name="messageId", default="")
    publish_time: datetime | None = field(name="publishTime", default=None)


class _Push(Struct, gc=False):
    message: _Wrapped
    subscription: str = ""


class _Envelope(Struct, gc=False):
    """Whether a body is, or should have been, the wrapped JSON. An event has neither of these keys at its top."""

    message: msgspec.Raw | None = None
    subscription: msgspec.Raw | None = None
    event: msgspec.Raw | None = None


_decode_push = msgspec.json.Decoder(_Push).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def message(body: bytes, headers: Mapping[str, str]) -> Message:
    """Makes a message of a push request's body and headers (their names in lower case).

    Raises:
        NoPush: Pub/Sub sends no such request.
    """
    try:
        push = _decode_push(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if _is_wrapped(body):
            raise NoPush(f"the body looks like a wrapped message, but: {error}") from None
        return _unwrapped(body, headers)
    wrapped = push.message
    if len(wrapped.data) > MAX_MESSAGE_BYTES:
        raise NoPush(f"a message of {len(wrapped.data)} bytes is more than Pub/Sub takes")
    published = wrapped.publish_time
    return Message(
        data=wrapped.data,
        source=f"{push.subscription or 'push'}#{wrapped.message_id}",
        subscription=push.subscription,
        published=published.replace(tzinfo=published.tzinfo or UTC).timestamp() if published else 0.0,
    )


def _is_wrapped(body: bytes) -> bool:
    try:
        envelope = _decode_envelope(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return envelope.event is None and (envelope.message is not None or envelope.subscription is not None)


def _unwrapped(body: bytes, headers: Mapping[str, str]) -> Message:
    subscription = headers.get("x-goog-pubsub-subscription-name", "")
    message_id = headers.get("x-goog-pubsub-message-id", "")
    if not body and not message_id:
        raise NoPush("the body is empty")
    if len(body) > MAX_MESSAGE_BYTES:
        raise NoPush(f"a message of {len(body)} bytes is more than Pub/Sub takes")
    return Message(body, f"{subscription or 'push'}#{message_id}", subscription, _time(headers))


def _time(headers: Mapping[str, str]) -> float:
    try:
        return datetime.fromisoformat(headers["x-goog-pubsub-publish-time"]).timestamp()
    except (KeyError, ValueError):
        return 0.0
