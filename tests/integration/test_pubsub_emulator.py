"""Messages by way of Google's own Pub/Sub emulator: its client publishes them, its subscription pushes them."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest
from google.cloud.pubsub_v1 import PublisherClient

from sandbox import processes
from sandbox.clients import Standin
from sandbox.events import Events
from sandbox.topic.emulator import Emulator
from tests.conftest import StartFunction

TARGET = "pubsub_import"


def publish(
    client: PublisherClient, emulator: Emulator, topic: str, messages: Sequence[bytes], **attributes: str
) -> None:
    path = client.topic_path(emulator.project, topic)
    for future in [client.publish(path, data, **attributes) for data in messages]:
        future.result(timeout=60)


def test_every_event_that_is_published_arrives_once(
    function: StartFunction, standin: Standin, emulator: Emulator, publisher: PublisherClient
) -> None:
    importing = function(TARGET)
    emulator.subscribe("once", importing.url)
    single, listed, packed = (list(Events(count, "small", seed=count).records()) for count in (300, 20, 30))
    messages = [*single, b"[" + b",".join(listed) + b"]", gzip.compress(b"\n".join(packed))]
    publish(publisher, emulator, "once", messages, origin="a test")
    ids = [identifier for count in (300, 20, 30) for identifier in Events(count, "small", seed=count).ids()]
    assert standin.wait_for(ids) == dict.fromkeys(ids, 1)
    importing.process.stop()
    summaries = importing.log("import")
    counted = [sum(line[name] for line in summaries) for name in ("read", "imported", "handed_back")]
    assert counted == [350, 350, 0]
    for summary in summaries:
        assert summary["source"] == f"projects/{emulator.project}/subscriptions/once"
        assert 0 < summary["oldest_event_age_seconds"] < 300


def test_while_mixpanel_fails_messages_come_again_and_none_is_lost(
    function: StartFunction, standin: Standin, emulator: Emulator, publisher: PublisherClient
) -> None:
    importing = function(TARGET, IMPORT_RETRY_SECONDS="0.2")
    emulator.subscribe("again", importing.url)
    standin.faults(**{"503": 0.5, "cut_after": 0.25, "seed": 11})
    publish(publisher, emulator, "again", list(Events(50, "small", seed=4).records()))
    importing.process.wait_until(lambda: len(importing.log("handed back")) >= 5 or None, timeout=60)
    standin.faults(**{"503": 0, "cut_after": 0})
    ids = list(Events(50, "small", seed=4).ids())
    assert standin.wait_for(ids).keys() == set(ids)


def test_messages_open_when_the_process_is_killed_come_to_the_next_one(
    function: StartFunction, standin: Standin, emulator: Emulator, publisher: PublisherClient
) -> None:
    settings = {"MIXPANEL_API_URL": standin.url, "MIXPANEL_PROJECT_TOKEN": "demo"}
    port = processes.free_port()
    standin.faults(latency=0.1)
    emulator.subscribe("killed", f"http://127.0.0.1:{port}")
    ids = list(Events(40, "small", seed=5).ids())
    with processes.function(TARGET, environment=settings, port=port) as first:
        publish(publisher, emulator, "killed", list(Events(40, "small", seed=5).records()))
        first.process.wait_until(lambda: standin.summary()["imported"] >= 5 or None)
        first.process.stop(grace=0)
        assert not set(ids) <= standin.ids().keys()
    with processes.function(TARGET, environment=settings, port=port):
        assert standin.wait_for(ids).keys() == set(ids)


def test_what_can_never_be_imported_comes_once(
    function: StartFunction, standin: Standin, emulator: Emulator, publisher: PublisherClient
) -> None:
    importing = function(TARGET)
    emulator.subscribe("never", importing.url)
    publish(publisher, emulator, "never", [b"not an event"], origin="a test")
    publish(publisher, emulator, "never", [b""], origin="attributes alone")
    good = list(Events(20, "small", seed=6).records())
    publish(publisher, emulator, "never", good)
    standin.wait_for(list(Events(20, "small", seed=6).ids()))
    rejects: list[dict[str, Any]] = importing.process.wait_until(
        lambda: found if len(found := importing.log("reject")) >= 2 else None
    )
    assert sorted(line["event"] for line in rejects) == ["not an event", '{"origin":"attributes alone"}']


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_no_part_of_the_emulator_outlives_a_parent_that_is_killed(emulator: Emulator) -> None:
    assert emulator
    project = f"outlived-{os.getpid()}"
    code = (
        "import time; from sandbox import pubsub_emulator\n"
        f"with pubsub_emulator.emulator({project!r}) as running: print(running.host, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=processes.ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        port = parent.stdout.readline().strip().rpartition(":")[2]
        parent.kill()
    deadline = time.monotonic() + 10
    while found := subprocess.run(["pgrep", "-f", f"--port={port}|{project}"], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
