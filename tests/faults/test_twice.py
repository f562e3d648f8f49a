"""Anything that is done twice is safe: two deliveries at once, one that comes late, and events without an id."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from sandbox import processes
from sandbox.bucket.eventarc import cloud_event
from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from sandbox.mixpanel.faults import KINDS
from tests.conftest import StartFunction
from tests.faults.trouble import (
    KEEPING,
    QUICK,
    SEED,
    content,
    kept_rejects,
    messages,
    missing,
    objects,
    push_until_taken,
    twice,
)


def deliver(url: str, bucket: Bucket, name: str) -> int:
    """Delivers the event of an object once more, and returns how it was answered."""
    resource = requests.get(f"{bucket.url}/storage/v1/b/{bucket.name}/o/{name}", timeout=30).json()
    headers, body = cloud_event(resource)
    return requests.post(url, data=body, headers=headers, timeout=120).status_code


def test_two_deliveries_at_the_same_time_are_harmless(
    environment: dict[str, str], standin: Standin, bucket: Bucket, figure: Callable[[str], None]
) -> None:
    """Invariant 4, with both saving checkpoints all the time, and each failing and beginning anew now and then."""
    events = Events(20_000, "small", seed=SEED, bad_share=0.001)
    settings = {**environment, **KEEPING, "IMPORT_RETRY_SECONDS": "0.05", "IMPORT_CONCURRENCY": "2"}
    shares = dict.fromkeys(KINDS, 0.05 / len(KINDS))
    first = {"status": 503, "requests": 30}
    standin.faults(seed=SEED, latency=0.02, hang_seconds=0.7, fail_first=first, **shares)
    bucket.put("events.jsonl", content(events))
    answers: list[list[int]] = [[], []]

    def deliver_until_taken(statuses: list[int]) -> None:
        while not statuses or statuses[-1] != 200:
            statuses.append(deliver(gcs_import.url, bucket, "events.jsonl"))

    source = Path(__file__).with_name("quick_checkpoints.py")
    with processes.function("gcs_import", environment=settings, source=source) as gcs_import:
        both = [threading.Thread(target=deliver_until_taken, args=(statuses,)) for statuses in answers]
        for each in both:
            each.start()
        for each in both:
            each.join(120)
    assert max(map(len, answers)) > 1
    assert not missing(events, standin)
    assert {reject.line for reject in kept_rejects(bucket)} == {number for number, _ in events.bad()}
    assert "receipt.json" in {name.rpartition("/")[2] for name in objects(bucket, "checkpoints/")}
    figure(f"{len(answers[0])} and {len(answers[1])} deliveries, {twice(standin):,} of 20,000 came twice")


def test_a_late_second_delivery_ends_at_once(standin: Standin, bucket: Bucket, function: StartFunction) -> None:
    """Invariant 4: the receipt says that the object is done, so it is neither read nor sent again."""
    events = Events(20_000, "small", seed=SEED)
    gcs_import = function("gcs_import", **QUICK, **KEEPING)
    bucket.put("events.jsonl", content(events))
    assert deliver(gcs_import.url, bucket, "events.jsonl") == 200
    read, sent = bucket.read()["events.jsonl"], standin.summary()["requests"]
    assert deliver(gcs_import.url, bucket, "events.jsonl") == 200
    assert (bucket.read()["events.jsonl"], standin.summary()["requests"]) == (read, sent)
    gcs_import.process.wait_until(lambda: len(gcs_import.log("import")) == 2 or None)
    assert gcs_import.log("import")[1]["outcome"] == "skipped"


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_a_file_without_ids_imported_twice_is_there_once(
    gzipped: bool, standin: Standin, bucket: Bucket, function: StartFunction
) -> None:
    """Invariant 4: an event without an `$insert_id` gets the same one on every delivery."""
    events = Events(3_000, "small", seed=SEED, insert_ids=False)
    gcs_import = function("gcs_import", **QUICK)
    bucket.put("events", content(events, gzipped=gzipped))
    assert deliver(gcs_import.url, bucket, "events") == 200
    assert deliver(gcs_import.url, bucket, "events") == 200
    assert set(standin.ids().values()) == {2}
    assert len(standin.ids()) == 3_000


def test_a_message_without_ids_pushed_twice_is_there_once(standin: Standin, function: StartFunction) -> None:
    """Invariant 4, for messages, however they are put together in batches."""
    pushes = messages(Events(3_000, "small", seed=SEED, insert_ids=False), of=3)
    pubsub_import = function("pubsub_import", **QUICK)
    push_until_taken(pubsub_import.url, pushes)
    push_until_taken(pubsub_import.url, pushes[::-1], senders=7)
    assert set(standin.ids().values()) == {2}
    assert len(standin.ids()) == 3_000
