"""What a request announces: every shape in which Google says that an object was written says the same."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from importer.sources.gcs.announcement import FINALIZED, InvalidAnnouncement, announced

RESOURCE = {"kind": "storage#object", "bucket": "my-events", "name": "a/ü b.jsonl", "generation": "17", "size": "3"}
ATTRIBUTES = {
    "eventType": "OBJECT_FINALIZE",
    "bucketId": "my-events",
    "objectId": "a/ü b.jsonl",
    "objectGeneration": "17",
    "payloadFormat": "JSON_API_V1",
    "notificationConfig": "projects/_/buckets/my-events/notificationConfigs/3",
}
METADATA = {"X-Goog-Pubsub-Message-Id": "1", "X-Goog-Pubsub-Subscription-Name": "projects/p/subscriptions/s"}
PUBLISHED = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "//p",
    "ce-type": FINALIZED,
    "Content-Type": "application/json",
}


def push(attributes: dict[str, str] | None, data: bytes | None) -> bytes:
    message: dict[str, Any] = {"messageId": "1", "publishTime": "2025-01-01T00:00:00Z"}
    if attributes is not None:
        message["attributes"] = attributes
    if data is not None:
        message["data"] = base64.b64encode(data).decode()
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


BODY = json.dumps(RESOURCE).encode()
EVENTARC_PUBSUB = PUBLISHED | {"ce-type": "google.cloud.pubsub.topic.v1.messagePublished"}
ASCII = {name: value for name, value in ATTRIBUTES.items() if name != "objectId"}
SHAPES = {
    "Eventarc": (PUBLISHED, BODY),
    "Eventarc, in one piece": (
        {"Content-Type": "application/cloudevents+json"},
        json.dumps({"specversion": "1.0", "id": "1", "source": "s", "type": FINALIZED, "data": RESOURCE}).encode(),
    ),
    "wrapped": ({}, push(ATTRIBUTES, BODY)),
    "wrapped, attributes alone": ({"Content-Type": "application/json"}, push(ATTRIBUTES, None)),
    "wrapped, payload alone": ({}, push(None, BODY)),
    "by Eventarc, from the topic": (EVENTARC_PUBSUB, push(ATTRIBUTES, BODY)),
    "unwrapped with metadata": (METADATA | ASCII, BODY),
    "unwrapped without metadata": ({"Content-Type": "application/json"}, BODY),
}


@pytest.mark.parametrize(("headers", "body"), SHAPES.values(), ids=SHAPES)
def test_each_shape_announces_the_object(headers: dict[str, str], body: bytes) -> None:
    event = announced(headers, body)

    assert event["type"] == FINALIZED
    data = event.get_data() or {}
    assert (data["bucket"], data["name"], data["generation"]) == ("my-events", "a/ü b.jsonl", "17")


@pytest.mark.parametrize(
    ("kind", "type_"),
    [("OBJECT_DELETE", "deleted"), ("OBJECT_ARCHIVE", "archived"), ("OBJECT_METADATA_UPDATE", "metadataUpdated")],
)
def test_what_else_befell_an_object_is_no_new_object(kind: str, type_: str) -> None:
    event = announced({}, push(ATTRIBUTES | {"eventType": kind}, BODY))

    assert event["type"] == FINALIZED.replace("finalized", type_)


def test_a_kind_that_is_not_known_is_kept_as_it_is() -> None:
    assert announced({}, push(ATTRIBUTES | {"eventType": "OBJECT_SUNG"}, BODY))["type"] == "OBJECT_SUNG"


def test_a_message_may_say_that_its_object_is_wanted_again() -> None:
    data = announced({}, push(None, b'{"bucket":"b","name":"n","again":true}')).get_data()

    assert data == {"bucket": "b", "name": "n", "again": True}


JUNK = {
    "a greeting": ({}, push(None, b"hello")),
    "a test": ({}, push({"eventType": "TEST"}, b'{"Service":"Amazon S3","Event":"s3:TestEvent"}')),
    "nothing": ({}, push(None, None)),
    "a list": ({}, push(None, b"[1]")),
    "unwrapped": (METADATA, b"\xff\x00"),
    "by Eventarc": (EVENTARC_PUBSUB, b'"text"'),
}


@pytest.mark.parametrize(("headers", "body"), JUNK.values(), ids=JUNK)
def test_a_message_that_names_no_object_announces_none(headers: dict[str, str], body: bytes) -> None:
    assert "bucket" not in (announced(headers, body).get_data() or {})


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"hello", b"[]", b'{"message":1}', b'{"bucket":"b"}', b"[" * 100_000, b"1", b'"x"']
)
def test_what_neither_eventarc_nor_pubsub_sends_is_said_to_be_so(body: bytes) -> None:
    with pytest.raises(InvalidAnnouncement, match="neither a CloudEvent nor a push of Pub/Sub"):
        announced({"Content-Type": "application/json"}, body)
