"""Notifications of S3 in each envelope, and what only looks like one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.sources.s3.notification import Announced, InvalidNotification, announced, announced_by, text_within
from importer.storage.s3.download import Object

KEY = "in/a b+ü/%41.jsonl"


def of_s3(
    key: str = "in%2Fa+b%2B%C3%BC%2F%2541.jsonl", event: str = "ObjectCreated:Put", **more: Any
) -> dict[str, Any]:
    told = {"key": key, "size": 5, "eTag": "e1", **more}
    s3 = {"s3SchemaVersion": "1.0", "bucket": {"name": "events", "arn": "arn:aws:s3:::events"}, "object": told}
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": event, "s3": s3}


EVENTBRIDGE = {
    "version": "0",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "detail": {"bucket": {"name": "events"}, "object": {"key": KEY, "size": 5, "etag": "e1"}, "reason": "PutObject"},
}


def by_sns(message: Any) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": json.dumps(message)}


DIRECT = {"Records": [of_s3()]}
ENVELOPES: dict[str, Any] = {
    "S3": DIRECT,
    "EventBridge": EVENTBRIDGE,
    "SNS around S3": by_sns(DIRECT),
    "SNS around EventBridge": by_sns(EVENTBRIDGE),
    "SNS that calls": {"Records": [{"EventSource": "aws:sns", "Sns": by_sns(DIRECT)}]},
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_object_is_found_in_each_envelope_with_its_key_as_it_is(name: str) -> None:
    [found] = announced(json.dumps(ENVELOPES[name])) or []
    assert found.object == Object("events", KEY, "e1", None)
    assert found.is_written
    assert not found.again


def test_a_version_and_the_wish_to_have_it_again_are_understood() -> None:
    [found] = announced(json.dumps({"Records": [of_s3(versionId="v7")], "again": True})) or []
    assert (found.object.version, found.again) == ("v7", True)
    told = {**EVENTBRIDGE, "detail": {"bucket": {"name": "b"}, "object": {"key": "k", "version-id": "v7"}}}
    [found] = announced_by(told) or []
    assert (found.object.version, found.object.etag) == ("v7", None)


def test_several_objects_come_in_one_notification() -> None:
    found = announced_by(
        {"Records": [of_s3("a"), of_s3("b", "ObjectRemoved:Delete"), of_s3("c", "s3:ObjectCreated:Put")]}
    )
    assert [(one.object.key, one.is_written) for one in found or ()] == [("a", True), ("b", False), ("c", True)]


def test_s3_tests_whether_it_reaches_its_queue() -> None:
    told = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "events"}
    assert announced(json.dumps(told)) == []
    assert announced(json.dumps(by_sns(told))) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"event": "Signup", "properties": {"time": 1}}',
        '{"event": "Records", "properties": {"Records": [], "source": "aws.s3"}}',
        '{"Records": []}',
        '{"Records": [{"event": "a"}]}',
        '{"Records": 7}',
        '[{"Records": [{"s3": {}}]}]',
        '{"event": "a", "p": "\\"Records\\""}\n{"event": "Records"}',
        '"aws.s3"',
        "",
        "[" * 100_000 + '"Records"',
        json.dumps(by_sns({"event": "a"})),
    ],
)
def test_what_is_no_notification_is_left_to_be_events(text: str) -> None:
    assert announced(text) is None


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"bucket": {"name": "b"}},
        {"bucket": {"name": "b"}, "object": {"key": ""}},
        {"bucket": {"name": "a/b"}, "object": {"key": "k"}},
        {"bucket": {"name": "b"}, "object": {"key": 7}},
        {"bucket": {"name": "b"}, "object": {"key": "%FF"}},
        {"bucket": {"name": "b"}, "object": {"key": "k", "eTag": 7}},
        {"bucket": [], "object": None},
    ],
)
def test_a_notification_of_no_object_is_invalid(told: dict[str, Any]) -> None:
    with pytest.raises(InvalidNotification):
        announced(json.dumps({"Records": [{"eventSource": "aws:s3", "s3": told}]}))


def test_what_sns_wraps_is_the_message() -> None:
    assert text_within(json.dumps(by_sns({"event": "a"}))) == '{"event": "a"}'
    assert text_within('{"event": "a", "TopicArn": 1}') == '{"event": "a", "TopicArn": 1}'


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda some: (
            st.lists(some)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "Records",
                        "s3",
                        "bucket",
                        "object",
                        "key",
                        "name",
                        "Sns",
                        "Message",
                        "TopicArn",
                        "source",
                        "detail",
                    ]
                ),
                some,
            )
        ),
    )
)
def test_any_json_is_a_notification_or_is_none_or_is_invalid(value: Any) -> None:
    try:
        found = announced_by(value)
    except InvalidNotification:
        return
    assert found is None or all(isinstance(one, Announced) for one in found)
