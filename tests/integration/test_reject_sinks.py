"""Rejects on a topic, by way of Google's own Pub/Sub emulator: what is published, and when it counts as kept."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
import requests
from google.cloud.pubsub_v1 import PublisherClient

from importer.core.rejects.reject import Reject, rejected_record
from importer.errors import InvalidRecord, RejectSinkError
from importer.reject_sinks.place import RejectStore
from importer.reject_sinks.topic import TopicSink
from sandbox.processes import free_port
from sandbox.topic.emulator import Emulator

SOURCE = "gs://events/file#1"

Published = tuple[bytes, Mapping[str, str]]
"""A message's data and attributes."""

Pull = Callable[[int], list[Published]]


def reject(line: int, record: bytes = b"{}", reason: str = "no", field: str | None = None) -> Reject:
    return rejected_record(SOURCE, line, 7, record, InvalidRecord(reason, field))


@pytest.fixture
def topic(emulator: Emulator, publisher: PublisherClient, request: pytest.FixtureRequest) -> str:
    """A topic of the test's own."""
    name = publisher.topic_path(emulator.project, request.node.name.partition("[")[0])
    publisher.create_topic(name=name)
    return str(name)


@pytest.fixture
def pulled(topic: str, emulator: Emulator) -> Pull:
    """Pulls so many messages from the topic, in the order of their lines."""
    subscription = topic.replace("/topics/", "/subscriptions/")

    def call(method: str, verb: str, **body: Any) -> dict[str, Any]:
        answer = requests.request(method, f"http://{emulator.host}/v1/{subscription}{verb}", json=body, timeout=60)
        answer.raise_for_status()
        return dict(answer.json())

    def pull(count: int) -> list[Published]:
        found: dict[str, Published] = {}
        while len(found) < count:
            received = call("POST", ":pull", maxMessages=1_000).get("receivedMessages", [])
            for message in (one["message"] for one in received):
                found[message["messageId"]] = base64.b64decode(message["data"]), message["attributes"]
            if received:
                call("POST", ":acknowledge", ackIds=[one["ackId"] for one in received])
        return sorted(found.values(), key=lambda message: int(message[1]["line"]))

    call("PUT", "", topic=topic)
    return pull


def test_each_reject_is_a_message_with_its_reason_and_place(topic: str, pulled: Pull) -> None:
    sink = RejectStore(topic).for_source(SOURCE)
    assert sink
    kept = [
        reject(1, b'{"event":"e","properties":{"time":1,"distinct_id":"u","$insert_id":"id-1"}}', "is old", "time"),
        *(reject(line) for line in range(2, 1_500)),
    ]
    sink.store(kept)
    messages = pulled(len(kept))
    assert [msgspec.json.decode(data, type=Reject) for data, _ in messages] == kept
    assert [attributes for _, attributes in messages[:2]] == [
        {"source": SOURCE, "line": "1", "offset": "7", "reason": "is old", "field": "time", "insert_id": "id-1"},
        {"source": SOURCE, "line": "2", "offset": "7", "reason": "no", "field": "", "insert_id": ""},
    ]


def test_an_attribute_is_cut_to_what_a_topic_takes_and_the_message_has_it_whole(
    topic: str, publisher: PublisherClient, pulled: Pull
) -> None:
    TopicSink(publisher, topic).store([reject(1, reason="x" + "é" * 2_000)])
    ((data, attributes),) = pulled(1)
    assert attributes["reason"] == "x" + "é" * 511
    assert json.loads(data)["reason"] == "x" + "é" * 2_000


def test_the_longest_messages_that_can_be_refused_are_kept_whole(
    topic: str, publisher: PublisherClient, pulled: Pull
) -> None:
    """A message may have 10 MB, and as part of a reject it is longer: in base64 if it is no text, escaped if it is."""
    noise, control = b"\xff" + random.Random(1).randbytes(9_900_000), b"\1" * 9_900_000
    kept = [reject(1, noise), reject(2, control)]
    TopicSink(publisher, topic).store(kept)
    assert [msgspec.json.decode(gzip.decompress(data), type=Reject) for data, _ in pulled(2)] == kept


def test_on_a_topic_that_does_not_exist_nothing_is_kept_and_it_is_named(
    emulator: Emulator, publisher: PublisherClient
) -> None:
    nowhere = publisher.topic_path(emulator.project, "nowhere")
    with pytest.raises(RejectSinkError, match=rf"^NotFound: 404 Topic not found \({nowhere}\)$"):
        TopicSink(publisher, nowhere).store([reject(1)])


def test_what_the_topic_does_not_confirm_in_time_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    topic = "projects/p/topics/rejects"
    with pytest.raises(RejectSinkError, match=rf"^{topic} did not take them within 0.2 s$"):
        TopicSink(PublisherClient(), topic, seconds=0.2).store([reject(1)])
