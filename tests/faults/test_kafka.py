"""Messages of a real Kafka broker: members of a group come, go and are killed, the broker stops and starts.

The offsets that were committed are read by a client of its own.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from sandbox import processes
from sandbox.clients import Standin
from sandbox.events import Events
from sandbox.kafka import broker as kafka
from sandbox.kafka.broker import Broker
from sandbox.processes import Logging

_PATIENCE = 120.0
"""Seconds in which all events are to be there."""

PARTITIONS = 12
Start = Callable[..., Logging]


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    if sentence := kafka.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    with kafka.broker() as running:
        yield running


@pytest.fixture
def consuming(standin: Standin, broker: Broker) -> Iterator[Start]:
    with ExitStack() as running:

        def start(topic: str, *words: str, **settings: str) -> Logging:
            environment = {
                "MIXPANEL_API_URL": standin.url,
                "MIXPANEL_PROJECT_TOKEN": "demo",
                "KAFKA_SESSION_TIMEOUT_MS": "6000",
                **settings,
            }
            options = ["--topics", topic, "--brokers", broker.address, "--group", topic, *words]
            started = processes.start_command("kafka", *options, environment=environment)
            running.enter_context(started.process)
            return started

        yield start


def make(broker: Broker, topic: str, partitions: int = PARTITIONS) -> None:
    client = AdminClient({"bootstrap.servers": broker.address})
    for future in client.create_topics([NewTopic(topic, partitions, 1)]).values():
        future.result(30)


def produce(broker: Broker, topic: str, messages: Iterator[bytes] | list[bytes | None], **more: object) -> None:
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 20, "queue.buffering.max.messages": 500_000})
    for number, value in enumerate(messages):
        producer.produce(topic, value, key=str(number % 97), **more)  # type: ignore[arg-type]
        producer.poll(0)
    assert producer.flush(60) == 0


def committed(broker: Broker, topic: str, partitions: int = PARTITIONS) -> dict[int, int]:
    """What the group's next reader begins at, by partition."""
    reader = Consumer({"bootstrap.servers": broker.address, "group.id": topic, "enable.auto.commit": False})
    found = reader.committed([TopicPartition(topic, number) for number in range(partitions)], timeout=30)
    reader.close()
    return {one.partition: max(one.offset, 0) for one in found}


def ids_before(broker: Broker, topic: str, offsets: dict[int, int]) -> set[str]:
    """The ids of all events before these offsets, read by a client of its own."""
    reader = Consumer({"bootstrap.servers": broker.address, "group.id": "reader", "enable.auto.commit": False})
    reader.assign([TopicPartition(topic, number, 0) for number, end in offsets.items() if end])
    left, found = sum(offsets.values()), set[str]()
    while left:
        one: Any
        for one in reader.consume(1000, 5):
            if one.error() is None and one.offset() < offsets[one.partition()]:
                found.add(json.loads(one.value())["properties"]["$insert_id"])
                left -= 1
    reader.close()
    return found


def test_every_message_arrives_once_and_its_offset_is_committed(
    consuming: Start, standin: Standin, broker: Broker
) -> None:
    make(broker, "once")
    events = Events(5_000, "small", seed=1)
    produce(broker, "once", events.records())
    worker = consuming("once")
    ids = set(events.ids())
    assert standin.wait_for(ids, _PATIENCE) == dict.fromkeys(ids, 1)
    worker.process.end()
    assert worker.process.wait(15) == 0, worker.process.tail
    assert sum(committed(broker, "once").values()) == 5_000
    summaries = worker.log("import")
    counted = [sum(line[name] for line in summaries) for name in ("read", "imported", "rejected", "handed_back")]
    assert counted == [5_000, 5_000, 0, 0]
    assert all(0 < line["oldest_event_age_seconds"] < 300 for line in summaries)


def test_nothing_is_lost_and_no_offset_runs_ahead_while_members_and_the_broker_come_and_go(
    consuming: Start, standin: Standin, broker: Broker, figure: Callable[[str], None]
) -> None:
    make(broker, "troubled")
    events, chance = Events(200_000, "small", seed=2), random.Random(2)
    produce(broker, "troubled", events.records())
    standin.faults(**{"503": 0.05, "429": 0.05, "cut_after": 0.05, "latency": 0.05, "seed": 2})
    members = [consuming("troubled", IMPORT_EVENTS_PER_SECOND="4000") for _ in range(3)]
    kills = 0
    for turn in range(4):
        before = len(standin.ids())
        members[0].process.wait_until(lambda: len(standin.ids()) > before + 5_000 or None, timeout=60)  # noqa: B023
        if turn == 2:
            broker.stop()
            time.sleep(2)
            broker.start()
            continue
        victim = members.pop(chance.randrange(1, 3))
        os.kill(victim.process.pid, signal.SIGKILL)
        victim.process.wait(5)
        kills += 1
        offsets = committed(broker, "troubled")
        assert ids_before(broker, "troubled", offsets) <= standin.ids().keys(), "an offset is ahead of what is settled"
        members.append(consuming("troubled", IMPORT_EVENTS_PER_SECOND="4000"))
    standin.faults(**{"503": 0, "429": 0, "cut_after": 0, "latency": 0})
    for one in members:
        one.process.end()
        assert one.process.wait(20) == 0, one.process.tail
    consuming("troubled")
    ids = set(events.ids())
    counts = standin.wait_for(ids, _PATIENCE)
    figure(f"{kills} kills, {sum(counts.values()) - len(ids)} of {len(ids):,} events came twice")
    deadline = time.monotonic() + 20
    while sum(committed(broker, "troubled").values()) < len(ids):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_rejects_go_to_a_topic_as_they_came_with_their_key_and_why(
    consuming: Start, standin: Standin, broker: Broker
) -> None:
    make(broker, "bad", 1)
    make(broker, "bad-rejects", 1)
    framed = b"\0\0\0\0\x07" + b"avro"
    good = b'{"event": "a", "properties": {"time": 1748779200, "distinct_id": "u", "$insert_id": "i"}}'
    bad = b'{"event": "a", "properties": {"time": "x"}}'
    produce(broker, "bad", [bad, None, framed, good], headers=[("trace", b"7")])
    worker = consuming("bad", "--rejects-topic", "bad-rejects")
    standin.wait_for({"i"}, _PATIENCE)
    reader = Consumer({"bootstrap.servers": broker.address, "group.id": "r", "auto.offset.reset": "earliest"})
    reader.subscribe(["bad-rejects"])
    found: list[Any] = []
    while len(found) < 2:
        found += [one for one in reader.consume(10, 5) if one.error() is None]
    reader.close()
    assert sorted(one.value() for one in found) == sorted([bad, framed])
    headers = {one.value(): dict(one.headers()) for one in found}
    assert headers[bad]["trace"] == b"7"
    assert headers[bad]["import.source"] == b"kafka://bad/0#0"
    assert b"time" in headers[bad]["import.field"]
    assert b"schema registry" in headers[framed]["import.reason"]
    worker.process.wait_until(lambda: sum(line["dropped"] for line in worker.log("import")) == 1 or None)
    worker.process.end()
    worker.process.wait(15)
    assert committed(broker, "bad", 1) == {0: 4}


def test_what_is_wrong_is_told_in_a_sentence(consuming: Start, standin: Standin, broker: Broker) -> None:
    make(broker, "denied", 1)
    produce(broker, "denied", Events(10, "small", seed=3).records())
    standin.faults(unauthorized=True)
    worker = consuming("denied")
    assert worker.process.wait(30) == 2
    assert "MIXPANEL_PROJECT_TOKEN" in worker.process.tail
    assert committed(broker, "denied", 1) == {0: 0}
    for words, told in [(("-X", "no.such=1"), "no.such"), (("-X", "nothing"), "NAME=VALUE")]:
        wrong = consuming("denied", *words)
        assert wrong.process.wait(30) == 2
        assert told in wrong.process.tail
        assert "Traceback" not in wrong.process.tail


def test_it_says_whether_it_is_well(consuming: Start, broker: Broker) -> None:
    make(broker, "health", 1)
    port = processes.free_port()
    worker = consuming("health", "--health-port", str(port))

    def status() -> int | None:
        try:
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code
        except requests.ConnectionError:
            return None

    assert worker.process.wait_until(status) == 200
