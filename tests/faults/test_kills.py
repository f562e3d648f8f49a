"""Processes that are killed at any moment lose nothing: what they had not settled is delivered again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from tests.conftest import StartFunction
from tests.faults.trouble import (
    QUICK,
    SEED,
    content,
    kept_rejects,
    messages,
    missing,
    objects,
    push_until_taken,
    twice,
    workers,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")

KILLS = 50


def test_an_import_survives_fifty_kills(standin: Standin, bucket: Bucket, figure: Callable[[str], None]) -> None:
    """Invariant 2: a checkpoint moves, and an object is finished, only after what is before it is settled."""
    chance = random.Random(SEED)
    events = Events(60_000, "small", seed=SEED, bad_share=0.001)
    environment = {
        "IMPORT_BATCH_EVENTS": "200",
        "IMPORT_CONCURRENCY": "4",
        "WORKERS": "3",
        "MIXPANEL_API_URL": standin.url,
        "MIXPANEL_PROJECT_TOKEN": "demo",
        "STORAGE_EMULATOR_HOST": bucket.url,
        "IMPORT_REJECTS": "gs://events/rejects",
        "IMPORT_CHECKPOINTS": "gs://events/checkpoints",
    }
    standin.faults(latency=0.2)
    bucket.put("events.jsonl", content(events))
    source = Path(__file__).with_name("quick_checkpoints.py")
    with processes.function("gcs_import", environment=environment, source=source) as function:
        bucket.send_events_to(function.url)
        started, kills = time.monotonic(), 0
        while kills < KILLS and not is_done(bucket):
            if (busy := importing(function.process.pid)) is not None:
                time.sleep(chance.uniform(0, 0.2))
                kill(busy, signal.SIGKILL)
                kills += 1
            time.sleep(0.01)
        seconds = time.monotonic() - started
        deliveries = bucket.wait_until_delivered(timeout=60)
    assert kills == KILLS
    assert not missing(events, standin)
    assert {reject.line for reject in kept_rejects(bucket)} == {number for number, _ in events.bad()}
    assert [name.rpartition("/")[2] for name in objects(bucket, "checkpoints/")] == ["receipt.json"]
    figure(
        f"{kills} kills in {seconds:.0f} s, {deliveries[0]['attempts']} deliveries, "
        f"{twice(standin):,} of {events.count:,} came twice"
    )


def test_an_import_survives_restarts(standin: Standin, bucket: Bucket, figure: Callable[[str], None]) -> None:
    """Invariant 2, with SIGTERM and then SIGKILL for the whole of the function, as a platform ends an instance."""
    chance = random.Random(SEED)
    events = Events(10_000, "small", seed=SEED)
    environment = {
        "IMPORT_BATCH_EVENTS": "200",
        "IMPORT_CONCURRENCY": "2",
        "MIXPANEL_API_URL": standin.url,
        "MIXPANEL_PROJECT_TOKEN": "demo",
        "STORAGE_EMULATOR_HOST": bucket.url,
    }
    standin.faults(latency=0.1)
    bucket.put("events.jsonl", content(events))
    for _ in range(4):
        with processes.function("gcs_import", environment=environment) as function:
            bucket.send_events_to(function.url)
            time.sleep(chance.uniform(0.2, 1.5))
            function.process.stop(grace=chance.uniform(0, 0.5))
    assert missing(events, standin)
    with processes.function("gcs_import", environment=environment) as function:
        bucket.send_events_to(function.url)
        deliveries = bucket.wait_until_delivered()
    assert not missing(events, standin)
    figure(f"{deliveries[0]['attempts']} deliveries, {twice(standin):,} of {events.count:,} came twice")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_messages_survive_kills(
    number: signal.Signals, standin: Standin, function: StartFunction, figure: Callable[[str], None]
) -> None:
    """Invariant 2: each message that was answered with 204 is there, and each other one comes again."""
    chance = random.Random(SEED)
    events = Events(6_000, "small", seed=SEED)
    pubsub_import = function("pubsub_import", **QUICK, WORKERS="2")
    standin.faults(latency=0.1)
    is_over = threading.Event()
    kills = 0

    def kill_now_and_then() -> None:
        nonlocal kills
        while not is_over.wait(chance.uniform(0.1, 0.5)):
            found = workers(pubsub_import.process.pid)
            if len(found) > 1:
                kill(chance.choice(found), number)
                kills += 1

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    try:
        again = push_until_taken(pubsub_import.url, messages(events, of=3), senders=60)
    finally:
        is_over.set()
        killer.join()
    assert not missing(events, standin)
    assert kills > 2
    figure(f"{kills} kills, {again} messages pushed again, {twice(standin):,} of {events.count:,} came twice")


def importing(pid: int) -> int | None:
    """The worker that has an import under way: it has begun to send, so it has more threads than the rest."""
    threads = {worker: len(os.listdir(f"/proc/{worker}/task")) for worker in workers(pid) if alive(worker)}
    busiest = max(threads, key=lambda worker: threads[worker], default=None)
    return busiest if busiest is not None and threads[busiest] >= 4 else None


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/task").exists()


def kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def is_done(bucket: Bucket) -> bool:
    return any(name.endswith("receipt.json") for name in objects(bucket, "checkpoints/"))
