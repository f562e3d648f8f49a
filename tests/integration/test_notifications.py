"""A bucket's own notifications: Google's Pub/Sub emulator pushes them to the function, which imports the objects."""

from __future__ import annotations

import json

import pytest
from google.cloud.pubsub_v1 import PublisherClient

from sandbox.clients import Bucket, Standin
from sandbox.topic.emulator import Emulator
from tests.conftest import StartFunction

EVENT = b'{"event":"Seen","properties":{"time":1735689600,"distinct_id":"u1","$insert_id":"%s"}}\n'


@pytest.mark.parametrize("wrapping", [{}, {"noWrapper": {"writeMetadata": True}}], ids=["wrapped", "unwrapped"])
def test_objects_that_a_topic_announces_are_imported_and_junk_on_it_is_acknowledged(
    wrapping: dict[str, object],
    function: StartFunction,
    standin: Standin,
    bucket: Bucket,
    emulator: Emulator,
    publisher: PublisherClient,
) -> None:
    importing = function("gcs_import", IMPORT_CHECKPOINTS=f"gs://{bucket.name}/own")
    topic = f"notifications-{len(wrapping)}"
    emulator.subscribe(topic, importing.url, pushConfig={"pushEndpoint": importing.url, **wrapping})
    path = publisher.topic_path(emulator.project, topic)

    def notify(kind: str, name: str, generation: str, payload: bytes | None = None) -> None:
        resource = {"kind": "storage#object", "bucket": bucket.name, "name": name, "generation": generation}
        attributes = {"eventType": kind, "bucketId": bucket.name, "objectId": name, "objectGeneration": generation}
        publisher.publish(path, payload or json.dumps(resource).encode(), **attributes).result(timeout=60)

    first = bucket.put("first.jsonl", EVENT % b"one")
    publisher.publish(path, b"hello").result(timeout=60)
    notify("OBJECT_FINALIZE", "first.jsonl", first)
    notify("OBJECT_DELETE", "first.jsonl", first)
    notify("OBJECT_FINALIZE", "never.jsonl", "1")
    standin.faults(fail_first={"requests": 1, "status": 503})
    notify("OBJECT_FINALIZE", "second.jsonl", bucket.put("second.jsonl", EVENT % b"two"), payload=b"{}")

    importing.process.wait_until(lambda: len(standin.ids()) == 2 or None)
    lines = importing.process.wait_until(lambda: found if len(found := importing.log("import")) >= 4 else None)
    outcomes = sorted((line["source"].rpartition("/")[2].partition("#")[0], line["outcome"]) for line in lines)
    assert outcomes == [
        ("first.jsonl", "done"), ("first.jsonl", "skipped"), ("never.jsonl", "gone"), ("second.jsonl", "done"),
    ]  # fmt: skip
    (junk,) = importing.log("bad trigger")
    assert "names no object, and is acknowledged" in junk["message"]
