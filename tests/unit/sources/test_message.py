"""What a push request is made into: its shapes told apart, and what is none refused."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.sources.pubsub.message import MAX_MESSAGE_BYTES, MAX_PUSH_BYTES, Head, InvalidPush, head, message

EVENT = b'{"event":"signed up","properties":{"time":1700000000,"distinct_id":"u1"}}'
SUBSCRIPTION = "projects/p/subscriptions/s"
NO_HEADERS = Head()


def wrapped(data: bytes | None = EVENT, subscription: str | None = SUBSCRIPTION, **fields: Any) -> bytes:
    inner = {"messageId": "17", "publishTime": "2026-01-02T03:04:05.678Z", **fields}
    if data is not None:
        inner["data"] = base64.b64encode(data).decode()
    body: dict[str, Any] = {"message": inner}
    if subscription is not None:
        body["subscription"] = subscription
    return json.dumps(body).encode()


def test_the_wrapped_form_gives_the_data_and_where_it_came_from() -> None:
    found = message(wrapped(message_id="17", publish_time="…", orderingKey="k", deliveryAttempt=5), NO_HEADERS)
    assert found.data == EVENT
    assert found.source == f"{SUBSCRIPTION}#17"
    assert (found.channel, found.published) == (SUBSCRIPTION, "2026-01-02T03:04:05.678Z")


def test_eventarc_adds_headers_that_do_not_matter() -> None:
    cloud_event = [(b"ce-type", b"google.cloud.pubsub.topic.v1.messagePublished"), (b"ce-id", b"17")]
    told = head([*cloud_event, (b"content-type", b"application/json"), (b"content-length", b"300")])
    assert told == Head(length=300)
    assert message(wrapped(), told).data == EVENT


def test_the_unwrapped_form_is_the_data_itself() -> None:
    found = message(EVENT, NO_HEADERS)
    assert (found.data, found.source, found.channel, found.published) == (EVENT, "push#", "", "")


def test_the_unwrapped_form_may_tell_of_itself_in_headers() -> None:
    told = head(
        [
            (b"x-goog-pubsub-subscription-name", SUBSCRIPTION.encode()),
            (b"x-goog-pubsub-message-id", b"17"),
            (b"x-goog-pubsub-publish-time", b"2026-01-02T03:04:05.678Z"),
            (b"x-goog-pubsub-ordering-key", b"k"),
            (b"content-encoding", b"gzip"),
        ]
    )
    found = message(EVENT, told)
    assert (found.data, found.source) == (EVENT, f"{SUBSCRIPTION}#17")
    assert (found.channel, found.published) == (SUBSCRIPTION, "2026-01-02T03:04:05.678Z")


def test_data_published_in_the_wrapped_form_stays_data_where_headers_say_that_it_is() -> None:
    told = head([(b"x-goog-pubsub-message-id", b"18")])
    assert message(wrapped(), told).data == wrapped()


@pytest.mark.parametrize(
    "record",
    [
        b'{"event":"e","properties":{},"message":{"data":"aGVsbG8="},"subscription":"projects/p/subscriptions/s"}',
        b'{"message":"a line of a log","level":"info"}',
        b'{"message":{"text":"hello"},"subscription":"monthly"}',
        b'{"message":null}',
        b'[{"event":"e"}]',
        b'{"event":"a"}\n{"event":"b"}',
        b"\x1f\x8b\x08\x00",
        b"not JSON at all",
        b"",
    ],
)
def test_a_record_with_such_keys_of_its_own_is_no_wrapped_form(record: bytes) -> None:
    assert message(record, NO_HEADERS).data == record


@pytest.mark.parametrize(
    "body",
    [
        wrapped(data=None),
        wrapped(data=b""),
        json.dumps({"message": {}, "subscription": SUBSCRIPTION}).encode(),
        json.dumps({"message": {"data": None, "messageId": "1"}}).encode(),
    ],
)
def test_a_message_without_data_is_a_message(body: bytes) -> None:
    assert message(body, NO_HEADERS).data == b""


def test_a_message_of_attributes_alone_keeps_them() -> None:
    found = message(wrapped(data=None, attributes={"key": "valué"}), NO_HEADERS)
    assert found.data == b""
    assert json.loads(found.attributes) == {"key": "valué"}
    assert message(b'{"message":{"attributes":{"key":"value"}}}', NO_HEADERS).attributes == b'{"key":"value"}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"message":{"data":"not base64","messageId":"1"}}', "base64"),
        (b'{"message":{"data":"aGVsbG8"}}', "base64"),
        (b'{"message":{"data":17,"messageId":"1"}}', r"message\.data"),
        (b'{"message":{"messageId":17}}', "messageId"),
        (json.dumps({"subscription": SUBSCRIPTION}).encode(), "message"),
        (json.dumps({"message": None, "subscription": SUBSCRIPTION}).encode(), "message"),
        (json.dumps({"message": [], "subscription": SUBSCRIPTION}).encode(), "message"),
        (wrapped(subscription="projects/" + "x" * 2_000), "subscription"),
        (wrapped(messageId="1" * 2_000), "messageId"),
        (wrapped(data=b"x" * (MAX_MESSAGE_BYTES + 1)), "more than Pub/Sub takes"),
        (b"x" * (MAX_MESSAGE_BYTES + 1), "more than Pub/Sub takes"),
    ],
)
def test_what_pubsub_cannot_have_sent_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidPush, match=reason):
        message(body, NO_HEADERS)


def test_the_largest_message_there_can_be_is_taken() -> None:
    data = b"x" * MAX_MESSAGE_BYTES
    body = wrapped(data)
    assert len(body) < MAX_PUSH_BYTES
    assert message(body, head([(b"content-length", str(len(body)).encode())])).data == data


@pytest.mark.parametrize(
    ("length", "meant"), [(b"0", 0), (b"17", 17), (b"", None), (b"-1", None), (b"17, 17", None), (b"\xb2", None)]
)
def test_the_announced_length_is_read_where_it_is_one(length: bytes, meant: int | None) -> None:
    assert head([(b"content-length", length)]).length == meant


def test_a_body_longer_than_any_push_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidPush, match="more than a push can have"):
        head([(b"content-length", str(MAX_PUSH_BYTES + 1).encode())])


names = st.text(max_size=50)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
keys = st.sampled_from(["data", "attributes", "messageId", "message_id", "publishTime", "orderingKey", "other"])
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "message": st.dictionaries(keys, json_values, max_size=6) | json_values,
        "subscription": st.just(SUBSCRIPTION) | json_values,
        "event": json_values,
    },
)


@given(
    st.binary(max_size=2_000),
    names,
    names,
    st.none() | st.dictionaries(names, names, max_size=5),
    st.dictionaries(names.map("x-".__add__), json_values, max_size=3),
)
def test_whatever_is_published_comes_out_of_the_wrapped_form(
    data: bytes, subscription: str, message_id: str, attributes: dict[str, str] | None, more: dict[str, Any]
) -> None:
    fields = more if attributes is None else {**more, "attributes": attributes}
    found = message(wrapped(data, subscription, messageId=message_id, **fields), NO_HEADERS)
    assert (found.data, found.channel) == (data, subscription)
    assert found.source == f"{subscription or 'push'}#{message_id}"


@given(st.binary(max_size=2_000) | near_misses.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_message_or_is_refused(body: bytes) -> None:
    try:
        found = message(body, NO_HEADERS)
    except InvalidPush:
        return
    assert found.data in {body, b""} or base64.b64encode(found.data) in body


@given(near_misses)
def test_an_event_is_never_taken_for_the_wrapped_form(value: dict[str, Any]) -> None:
    body = json.dumps({**value, "event": "signed up"}).encode()
    assert message(body, NO_HEADERS).data == body


@given(st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=40)), max_size=8), st.binary(max_size=40))
def test_no_header_makes_it_stumble(headers: list[tuple[bytes, bytes]], value: bytes) -> None:
    strange = [(b"content-length", value), (b"x-goog-pubsub-" + value, value), (b"x-goog-pubsub-publish-time", value)]
    with contextlib.suppress(InvalidPush):  # a length may be too much
        message(EVENT, head([*headers, *strange]))


def test_what_headers_say_is_no_longer_than_a_name_can_be() -> None:
    names = ("subscription-name", "message-id", "publish-time")
    told = head([(f"x-goog-pubsub-{name}".encode(), b"x" * 60_000) for name in names])
    assert [len(text) for text in (told.subscription, told.message_id, told.published)] == [1_000] * 3
