"""Rejects are kept before their source is let go; while they cannot be, the source is not, and nothing is lost."""

from __future__ import annotations

import gzip
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import NotFound
from google.cloud import pubsub_v1

from bench.measuring import peak_memory
from importer.core.rejects.reject import Reject
from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from sandbox.processes import ROOT
from sandbox.pushes import wrapped
from sandbox.topic.emulator import Emulator
from tests.conftest import StartFunction
from tests.faults.trouble import QUICK, SEED, content, kept_rejects, missing, objects, push_until_taken, workers

GOOD = b'{"event":"e","properties":{"time":1748736000,"distinct_id":"u","$insert_id":"good-%d"}}'
REFUSED = b'{"event":"e","properties":{"time":1748736000,"distinct_id":"null","$insert_id":"bad-%d"}}'


@pytest.fixture
def nowhere(bucket: Bucket) -> Bucket:
    """A bucket that is yet to be made."""
    return Bucket(bucket.url, f"rejects-{secrets.token_hex(4)}")


@pytest.mark.parametrize("checkpoints", [None, "gs://events/checkpoints"], ids=["", "checkpoints"])
def test_a_file_whose_rejects_cannot_be_written_is_not_finished_until_they_can(
    checkpoints: str | None, standin: Standin, bucket: Bucket, nowhere: Bucket, function: StartFunction
) -> None:
    """Invariant 2: an object is finished, and a checkpoint moved, only after a sink confirmed the rejects before it."""
    events = Events(20_000, "small", seed=SEED, bad_share=0.01)
    gcs_import = function(
        "gcs_import", **QUICK, IMPORT_REJECTS=f"gs://{nowhere.name}/rejects", IMPORT_CHECKPOINTS=checkpoints
    )
    bucket.send_events_to(gcs_import.url)
    bucket.put("events.jsonl", content(events))
    gcs_import.process.wait_until(lambda: len(gcs_import.log("import")) > 2 or None)
    assert not bucket.deliveries()[0]["delivered"]
    for line in gcs_import.log("import"):
        assert line["outcome"] == "handed back"
        why = f"there is no bucket {nowhere.name}"
        assert re.search(rf"the rejects could not be kept: gs://.* cannot be written: {why}$", line["reason"])
    assert not objects(bucket, "checkpoints/")
    bucket.make(nowhere.name)
    bucket.wait_until_delivered()
    assert not missing(events, standin)
    assert [reject.line for reject in kept_rejects(nowhere)] == [number for number, _ in events.bad()]


def test_a_message_whose_rejects_cannot_be_written_is_not_acknowledged_until_they_can(
    standin: Standin, bucket: Bucket, nowhere: Bucket, function: StartFunction
) -> None:
    """Invariant 2: a message is acknowledged only after a sink confirmed its rejects; its neighbours do not wait."""
    pubsub_import = function("pubsub_import", **QUICK, IMPORT_REJECTS=f"gs://{nowhere.name}/rejects")
    bad, good = wrapped(b"not JSON", "17"), wrapped(GOOD % 1, "18")
    assert post(pubsub_import.url, bad) == 503
    assert post(pubsub_import.url, good) == 204
    told = pubsub_import.process.wait_until(lambda: pubsub_import.log("handed back") or None)
    assert "the rejects could not be kept" in told[0]["message"]
    bucket.make(nowhere.name)
    assert post(pubsub_import.url, bad) == 204
    assert [(reject.source, reject.event) for reject in kept_rejects(nowhere)] == [
        ("projects/p/subscriptions/s#17", "not JSON")
    ]
    assert standin.ids() == {"good-1": 1}


def test_each_reject_says_where_it_came_from_and_why(standin: Standin, bucket: Bucket, function: StartFunction) -> None:
    """Invariant 3: what is wrong with one event is told of that one, and costs no other."""
    gcs_import = function("gcs_import", IMPORT_REJECTS="gs://events/rejects/here", **QUICK)
    lines = [GOOD % 1, b"{", REFUSED % 2, b'{"event":"\xff"}', GOOD % 3]
    bucket.send_events_to(gcs_import.url)
    generation = bucket.put("a/b.jsonl", b"\n".join(lines))
    bucket.wait_until_delivered(2)
    assert standin.ids() == {"good-1": 1, "good-3": 1}
    source = f"gs://events/a/b.jsonl#{generation}"
    assert [
        (one.source, one.line, one.offset, one.record(), one.field, one.insert_id) for one in kept_rejects(bucket)
    ] == [
        (source, 2, len(lines[0]) + 1, lines[1], None, None),
        (source, 3, len(lines[0]) + 3, lines[2], "properties.distinct_id", "bad-2"),
        (source, 4, len(lines[0]) + 4 + len(lines[2]), lines[3], None, None),
    ]
    assert [name.rpartition("/")[0] for name in objects(bucket, "rejects")] == [
        f"rejects/here/{datetime.now(UTC):%Y-%m-%d}/events/a/b.jsonl/{generation}"
    ]


@pytest.mark.parametrize("place", ["gs://events/own", "gs://events/own/"])
def test_nothing_is_imported_from_its_own_rejects_and_checkpoints(
    place: str, standin: Standin, bucket: Bucket, function: StartFunction
) -> None:
    """They lie in the bucket that is imported from, and each of them fires an event like any other object."""
    gcs_import = function("gcs_import", IMPORT_REJECTS=place, IMPORT_CHECKPOINTS=place, **QUICK)
    bucket.send_events_to(gcs_import.url)
    bucket.put("events.jsonl", GOOD % 1 + b"\nnot JSON\n")
    bucket.put("own-events.jsonl", GOOD % 2)
    bucket.wait_until_delivered(5)
    outcomes = {line["source"].partition("#")[0]: line["outcome"] for line in gcs_import.log("import")}
    own = {f"gs://events/{name}" for name in objects(bucket, "own/")}
    assert len(own) == 3
    assert outcomes == dict.fromkeys(own, "skipped") | {
        "gs://events/events.jsonl": "done",
        "gs://events/own-events.jsonl": "done",
    }
    assert standin.ids() == {"good-1": 1, "good-2": 1}


def test_a_topic_keeps_rejects_and_until_it_is_there_nothing_is_finished(
    standin: Standin,
    bucket: Bucket,
    function: StartFunction,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Invariant 2, with Google's own emulator: the topic is not there, then it is."""
    topic, name = f"projects/{emulator.project}/topics/rejects", f"projects/{emulator.project}/subscriptions/rejects"
    settings = {"IMPORT_REJECTS": topic, "PUBSUB_EMULATOR_HOST": emulator.host}
    gcs_import = function("gcs_import", **QUICK, **settings)
    pubsub_import = function("pubsub_import", **QUICK, **settings)
    bucket.send_events_to(gcs_import.url)
    bucket.put("events.jsonl", REFUSED % 1)
    gcs_import.process.wait_until(lambda: gcs_import.log("import") or None)
    assert "the rejects could not be kept: NotFound" in gcs_import.log("import")[0]["reason"]
    assert post(pubsub_import.url, wrapped(REFUSED % 2)) == 503

    # What is published between the making of the topic and of its subscription, nobody would see.
    bucket.send_events_to(None)
    gcs_import.process.wait_until(lambda: len(gcs_import.log("import")) == bucket.deliveries()[0]["attempts"] or None)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    with pubsub_v1.SubscriberClient() as subscriber:
        with pytest.raises(NotFound):
            subscriber.get_subscription(subscription=name)
        with pubsub_v1.PublisherClient() as publisher:
            publisher.create_topic(name=topic)
        subscriber.create_subscription(name=name, topic=topic)
        bucket.send_events_to(gcs_import.url)
        bucket.wait_until_delivered()
        assert post(pubsub_import.url, wrapped(REFUSED % 2)) == 204
        found: dict[str, Any] = {}
        while len(found) < 2:
            for one in subscriber.pull(subscription=name, max_messages=10).received_messages:
                found[one.message.attributes["insert_id"]] = one.message
    assert found.keys() == {"bad-1", "bad-2"}
    for message in found.values():
        assert message.attributes["field"] == "properties.distinct_id"
        assert json.loads(message.data)["reason"] == message.attributes["reason"]


def test_replay_brings_in_every_reject_whose_cause_was_mended(
    standin: Standin, bucket: Bucket, function: StartFunction, tmp_path: Path
) -> None:
    """The transform is mended, and then the rejects are replayed from the bucket: each of them is in, once."""
    events = Events(5_000, "small", seed=SEED)
    broken = function(
        "gcs_import", **QUICK, IMPORT_REJECTS="gs://events/rejects", IMPORT_TRANSFORM="tests.faults.mapping:broken"
    )
    bucket.send_events_to(broken.url)
    bucket.put("events.jsonl", content(events))
    bucket.wait_until_delivered(2)
    assert len(kept_rejects(bucket)) == len(missing(events, standin)) > 1_000

    replayed = replay("gs://events/rejects/", standin, bucket, tmp_path, IMPORT_TRANSFORM="tests.faults.mapping:mended")
    assert replayed.returncode == 0, replayed.stderr
    assert not missing(events, standin)
    assert set(standin.ids().values()) == {1}
    again = replay(
        "gs://events/rejects/", standin, bucket, tmp_path, "--remove", IMPORT_TRANSFORM="tests.faults.mapping:mended"
    )
    assert again.returncode == 0, again.stderr
    assert standin.ids().keys() == set(events.ids())
    assert not objects(bucket, "rejects/")


def test_replay_of_a_mended_local_file_writes_again_what_is_refused_again(
    standin: Standin, bucket: Bucket, tmp_path: Path
) -> None:
    """Half of the rejects of a file are mended by hand; the other half are refused again, and none is sent twice."""
    rejects = [
        Reject(
            source="gs://events/x#1", line=n, offset=n * 100, reason="r", field=None, insert_id=None, at="",
            event=(GOOD % n if n % 2 else REFUSED % n).decode(),
        )
        for n in range(100)
    ]  # fmt: skip
    file = tmp_path / "rejects.jsonl.gz"
    file.write_bytes(gzip.compress(b"".join(line_of(one) for one in [*rejects, *rejects[:10]])))
    replayed = replay(str(file), standin, bucket, tmp_path)
    assert replayed.returncode == 1
    assert "imported 50, dropped 0, rejected again 50, repeated 10, unreadable 0" in replayed.stdout
    assert standin.ids() == {f"good-{n}": 1 for n in range(1, 100, 2)}
    (written,) = tmp_path.glob("rejects-*.jsonl")
    again = [json.loads(line) for line in written.read_bytes().splitlines()]
    assert sorted((one["line"], one["source"]) for one in again) == [(n, "gs://events/x#1") for n in range(0, 100, 2)]


def test_replay_stops_and_removes_nothing_while_mixpanel_does_not_take_it(
    standin: Standin, bucket: Bucket, tmp_path: Path
) -> None:
    """Invariant 2: a file of rejects is removed only after all in it is settled."""
    file = tmp_path / "rejects.jsonl"
    reject = Reject(
        source="s", line=1, offset=0, reason="", field=None, insert_id=None, event=(GOOD % 1).decode(), at=""
    )
    file.write_bytes(line_of(reject))
    standin.faults(**{"503": 1.0})
    stopped = replay(str(file), standin, bucket, tmp_path, "--remove", IMPORT_RETRY_SECONDS="0.1")
    assert stopped.returncode == 2
    assert "The replay stopped: Mixpanel could not take the events in time" in stopped.stderr
    assert file.exists()
    standin.reset()
    assert replay(str(file), standin, bucket, tmp_path, "--remove").returncode == 0
    assert not file.exists()
    assert standin.ids() == {"good-1": 1}


def line_of(reject: Reject) -> bytes:
    import msgspec

    return msgspec.json.encode(reject) + b"\n"


def replay(
    place: str, standin: Standin, bucket: Bucket, directory: Path, *options: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        **processes.without_settings(os.environ),
        **QUICK,
        "MIXPANEL_API_URL": standin.url,
        "MIXPANEL_PROJECT_TOKEN": "demo",
        "STORAGE_EMULATOR_HOST": bucket.url,
        "PYTHONPATH": str(ROOT),
        **settings,
    }
    command = [sys.executable, "-m", "importer", "replay", place, *options]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def post(url: str, body: bytes) -> int:
    return requests.post(url, data=body, timeout=30).status_code


# What a file, or messages, of nothing else make us hold

MEMORY = 200_000_000
"""The most that a process of the function may ever hold here."""

NO_USER = b'{"event":"Signup","properties":{"time":1748736000,"$insert_id":"id-%06d","n":"......"}}'
"""86 bytes."""

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads the memory's peak in /proc")


@pytest.fixture
def topic(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic of the test's own."""
    name = f"projects/{emulator.project}/topics/rejects-{secrets.token_hex(4)}"
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    with pubsub_v1.PublisherClient() as publisher:
        publisher.create_topic(name=name)
    return name


@needs_proc
def test_rejects_of_a_large_file_go_to_a_topic_slice_by_slice(
    standin: Standin,
    bucket: Bucket,
    function: StartFunction,
    emulator: Emulator,
    topic: str,
    figure: Callable[[str], None],
) -> None:
    """Invariant 5: what is rejected is held until it is stored, and no more of it than a slice."""
    gcs_import = function("gcs_import", IMPORT_REJECTS=topic, PUBSUB_EMULATOR_HOST=emulator.host)
    bucket.send_events_to(gcs_import.url)
    bucket.put("events.jsonl", b"\n".join(NO_USER % n for n in range(100_000)))
    bucket.wait_until_delivered()
    (line,) = gcs_import.log("import")
    assert (line["outcome"], line["rejected"]) == ("done", 100_000)
    (worker,) = workers(gcs_import.process.pid)
    figure(f"{peak_memory(worker) / 1e6:.0f} MB")
    assert peak_memory(worker) < MEMORY


@needs_proc
def test_a_million_short_bad_lines_are_not_held_together(
    standin: Standin, bucket: Bucket, function: StartFunction, figure: Callable[[str], None]
) -> None:
    """Invariant 5: a reject counts with what it takes, of which the line of one letter is the least. Without
    checkpoints, only their size makes them leave."""
    gcs_import = function("gcs_import", IMPORT_REJECTS="gs://events/rejects")
    bucket.send_events_to(gcs_import.url)
    bucket.put("lines.gz", gzip.compress(GOOD % 1 + b"\nx" * 1_000_000))
    bucket.wait_until_delivered()
    (line,) = [line for line in gcs_import.log("import") if line["outcome"] != "skipped"]
    assert (line["outcome"], line["rejected"], line["imported"]) == ("done", 1_000_000, 1)
    (worker,) = workers(gcs_import.process.pid)
    figure(f"{peak_memory(worker) / 1e6:.0f} MB")
    assert peak_memory(worker) < MEMORY


@needs_proc
def test_rejects_of_many_messages_go_to_a_topic_slice_by_slice(
    standin: Standin, function: StartFunction, emulator: Emulator, topic: str, figure: Callable[[str], None]
) -> None:
    """Invariant 5, for messages: a hundred and fifty at once, of a thousand bad records each."""
    pubsub_import = function("pubsub_import", IMPORT_REJECTS=topic, PUBSUB_EMULATOR_HOST=emulator.host)
    message = b"\n".join([b"{}"] * 1_000)
    push_until_taken(pubsub_import.url, [wrapped(message, str(n)) for n in range(150)], senders=150)
    (worker,) = workers(pubsub_import.process.pid)
    figure(f"{peak_memory(worker) / 1e6:.0f} MB")
    assert peak_memory(worker) < MEMORY
