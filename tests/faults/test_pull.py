"""Messages that a worker pulls from Google's own emulator: its streams, its leases, its acknowledgements.

The emulator goes on giving messages to streams whose client is gone, each time for as long as a lease lasts (Google's
own subscriber waits for them as long as ours). So few messages are open where a test ends a worker, and the last has
many streams.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import requests

from sandbox import processes
from sandbox.clients import Standin
from sandbox.events import Events
from sandbox.processes import Logging
from sandbox.topic.emulator import Emulator

_PATIENCE = 200.0
"""Seconds in which all events are to be there."""

Start = Callable[..., Logging]


def subscription(emulator: Emulator, name: str) -> str:
    return f"projects/{emulator.project}/subscriptions/{name}"


def left(emulator: Emulator, name: str) -> int:
    """Messages that Pub/Sub would deliver now."""
    answer = requests.post(
        f"http://{emulator.host}/v1/{subscription(emulator, name)}:pull",
        json={"maxMessages": 1000, "returnImmediately": True},
        timeout=60,
    )
    return len(answer.json().get("receivedMessages", []))


@pytest.fixture
def pulling(standin: Standin, emulator: Emulator) -> Iterator[Start]:
    with ExitStack() as running:

        def start(*words: str, **settings: str) -> Logging:
            environment = {
                "MIXPANEL_API_URL": standin.url,
                "MIXPANEL_PROJECT_TOKEN": "demo",
                "PUBSUB_EMULATOR_HOST": emulator.host,
                **settings,
            }
            started = processes.start_command("pull", *words, environment=environment)
            running.enter_context(started.process)
            return started

        yield start


def test_every_message_arrives_once_and_is_acknowledged(pulling: Start, standin: Standin, emulator: Emulator) -> None:
    emulator.subscribe("pulled", None)
    single, listed, packed = (list(Events(count, "small", seed=count).records()) for count in (3000, 20, 30))
    bad = [b'{"event": "x", "properties": {}}', b"no JSON"]
    emulator.publish("pulled", [*single, b"[" + b",".join(listed) + b"]", gzip.compress(b"\n".join(packed)), *bad])
    worker = pulling(subscription(emulator, "pulled"), "--streams", "2")
    ids = [identifier for count in (3000, 20, 30) for identifier in Events(count, "small", seed=count).ids()]
    assert standin.wait_for(ids, _PATIENCE) == dict.fromkeys(ids, 1)
    worker.process.wait_until(lambda: len(worker.log("reject")) == 2 or None)
    worker.process.end()
    assert worker.process.wait(15) == 0
    summaries = worker.log("import")
    counted = [sum(line[name] for line in summaries) for name in ("read", "imported", "rejected", "handed_back")]
    assert counted == [3052, 3050, 2, 0]
    assert {line["source"] for line in summaries} == {subscription(emulator, "pulled")}
    assert all(0 < line["oldest_event_age_seconds"] < 300 for line in summaries)
    assert left(emulator, "pulled") == 0


def test_nothing_is_lost_while_mixpanel_fails_and_workers_are_killed(
    pulling: Start, standin: Standin, emulator: Emulator, figure: Callable[[str], None]
) -> None:
    emulator.subscribe("troubled", None)
    count, chance = 2_000, random.Random(7)
    emulator.publish("troubled", list(Events(count, "small", seed=5).records()))
    standin.faults(**{"503": 0.2, "429": 0.1, "cut_after": 0.1, "latency": 0.02, "seed": 5})
    kills = 0
    for _ in range(3):
        worker = pulling(subscription(emulator, "troubled"), "--max-open", "50", IMPORT_RETRY_SECONDS="2")
        before = len(standin.ids())
        worker.process.wait_until(lambda: len(standin.ids()) > before or None, timeout=60)  # noqa: B023
        time.sleep(chance.uniform(0, 0.3))
        kills += worker.process.exit_code is None
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait(10)
    standin.faults(**{"503": 0, "429": 0, "cut_after": 0, "latency": 0})
    pulling(subscription(emulator, "troubled"), "--streams", "16")
    counts = standin.wait_for(list(Events(count, "small", seed=5).ids()), _PATIENCE)
    worker.process.stop()
    assert kills == 3
    assert left(emulator, "troubled") == 0
    figure(f"{kills} kills, {sum(counts.values()) - count} of {count:,} events came twice")


def test_the_end_settles_what_is_open_and_gives_back_the_rest(
    pulling: Start, standin: Standin, emulator: Emulator
) -> None:
    emulator.subscribe("ended", None)
    count = 300
    emulator.publish("ended", list(Events(count, "small", seed=6).records()))
    standin.faults(latency=1.0)
    worker = pulling(subscription(emulator, "ended"), "--max-open", "100")
    worker.process.wait_until(lambda: len(standin.ids()) > 0 or None)
    began = time.monotonic()
    worker.process.end()
    assert worker.process.wait(10) == 0, worker.process.tail
    imported = sum(line["imported"] for line in worker.log("import"))
    standin.faults(latency=0)
    assert imported == len(standin.ids()) < count, f"after {time.monotonic() - began:.1f} s"
    pulling(subscription(emulator, "ended"), "--streams", "16")
    ids = list(Events(count, "small", seed=6).ids())
    assert standin.wait_for(ids, _PATIENCE) == dict.fromkeys(ids, 1), (
        "what was acknowledged came again, or what was not came not"
    )


def test_while_mixpanel_is_down_messages_stay_and_come_when_it_is_up(
    pulling: Start, standin: Standin, emulator: Emulator
) -> None:
    emulator.subscribe("down", None)
    ids = list(Events(200, "small", seed=8).ids())
    emulator.publish("down", list(Events(200, "small", seed=8).records()))
    standin.faults(**{"503": 1.0})
    worker = pulling(subscription(emulator, "down"), IMPORT_RETRY_SECONDS="0.5")
    worker.process.wait_until(lambda: worker.log("handed back") or None)
    standin.faults(**{"503": 0})
    assert standin.wait_for(ids, _PATIENCE) == dict.fromkeys(ids, 1)


def test_wrong_credentials_end_the_worker_with_a_sentence(pulling: Start, standin: Standin, emulator: Emulator) -> None:
    emulator.subscribe("denied", None)
    emulator.publish("denied", list(Events(10, "small", seed=9).records()))
    standin.faults(unauthorized=True)
    worker = pulling(subscription(emulator, "denied"))
    assert worker.process.wait(30) == 2
    assert "MIXPANEL_PROJECT_TOKEN" in worker.process.tail
    assert "Traceback" not in worker.process.tail
    standin.faults(unauthorized=False)
    pulling(subscription(emulator, "denied"), "--streams", "16")
    ids = list(Events(10, "small", seed=9).ids())
    assert standin.wait_for(ids, _PATIENCE) == dict.fromkeys(ids, 1)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("projects/sandbox/subscriptions/nobody-made-it", "cannot be pulled: "),
        ("nobody-made-it", "it is projects/PROJECT/subscriptions/NAME"),
    ],
)
def test_what_is_no_subscription_is_told_in_a_sentence(pulling: Start, name: str, told: str) -> None:
    worker = pulling(name)
    assert worker.process.wait(30) == 2
    assert name in worker.process.tail
    assert told in worker.process.tail
    assert "Traceback" not in worker.process.tail


def test_a_message_without_data_is_a_reject_with_its_attributes(
    pulling: Start, standin: Standin, emulator: Emulator
) -> None:
    emulator.subscribe("empty", None)
    body = {"messages": [{"data": base64.b64encode(b"").decode(), "attributes": {"kind": "test"}}]}
    requests.post(f"http://{emulator.host}/v1/projects/{emulator.project}/topics/empty:publish", json=body, timeout=60)
    worker = pulling(subscription(emulator, "empty"))
    (reject,) = worker.process.wait_until(lambda: worker.log("reject") or None)
    assert json.loads(reject["event"]) == {"kind": "test"}
