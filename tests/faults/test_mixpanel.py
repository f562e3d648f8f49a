"""Whatever Mixpanel and the way to it do wrong, every event is there in the end: from files and from messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import requests

from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from sandbox.mixpanel.faults import KINDS
from tests.conftest import StartFunction
from tests.faults.trouble import QUICK, SEED, accounted, content, messages, missing, push_until_taken, twice

# 429 comes late: for a minute after it a function sends slowly.
EACH: dict[str, dict[str, float]] = {kind: {kind: 0.3} for kind in reversed(KINDS)}
MIXED: dict[str, dict[str, float]] = {
    "all kinds, 10 % fail": dict.fromkeys(KINDS, 0.1 / len(KINDS)),
    "all kinds, 40 % fail": dict.fromkeys(KINDS, 0.4 / len(KINDS)),
}
TROUBLE = {**EACH, "429 and 503, with Retry-After": {"429": 0.15, "503": 0.15, "retry_after": 0.1}, **MIXED}


EVENTS = Events(20_000, "small", seed=SEED)
"""In a file they make a hundred requests."""

FILE = cache(lambda: content(EVENTS))
MESSAGES = cache(lambda of: messages(EVENTS, of))


@pytest.fixture(scope="module")
def files(environment: dict[str, str]) -> Iterator[processes.Function]:
    with processes.function("gcs_import", environment=environment) as function:
        yield function


@pytest.fixture(scope="module")
def pushes(environment: dict[str, str]) -> Iterator[processes.Function]:
    with processes.function("pubsub_import", environment=environment) as function:
        yield function


@pytest.mark.parametrize("name", TROUBLE)
def test_a_file_arrives_whole(
    name: str, standin: Standin, bucket: Bucket, files: processes.Function, figure: Callable[[str], None]
) -> None:
    """Invariants 1 and 6: all read is accounted for; what a retry can heal is retried, or else delivered again."""
    standin.faults(seed=SEED, hang_seconds=0.7, **TROUBLE[name])
    bucket.send_events_to(files.url)
    bucket.put("events.jsonl", FILE())
    deliveries = bucket.wait_until_delivered()
    assert not missing(EVENTS, standin)
    assert all(accounted(line) for line in files.log("import"))
    figure(f"{twice(standin):,} of {EVENTS.count:,} came twice, {deliveries[0]['attempts']} deliveries")


@pytest.mark.parametrize("name", TROUBLE)
def test_messages_arrive_whole(
    name: str, standin: Standin, pushes: processes.Function, figure: Callable[[str], None]
) -> None:
    """Invariant 2: a message is acknowledged only when Mixpanel has its events."""
    standin.faults(seed=SEED, hang_seconds=0.7, **TROUBLE[name])
    of = 1 if name == "all kinds, 10 % fail" else 10
    again = push_until_taken(pushes.url, MESSAGES(of), senders=400)
    assert not missing(EVENTS, standin)
    figure(f"{twice(standin):,} of {EVENTS.count:,} came twice, {again} messages pushed again")


@pytest.mark.parametrize("checkpoints", [None, "gs://events/checkpoints"], ids=["without checkpoints", "checkpoints"])
def test_a_file_without_patience_arrives_by_being_delivered_again(
    checkpoints: str | None,
    standin: Standin,
    bucket: Bucket,
    function: StartFunction,
    figure: Callable[[str], None],
) -> None:
    """Invariant 6: when patience ends, the work is handed back, and the next delivery brings what is missing."""
    events = Events(20_000, "small", seed=SEED)
    settings = {**QUICK, "IMPORT_RETRY_SECONDS": "0", "IMPORT_BATCH_EVENTS": "2000", "IMPORT_CHECKPOINTS": checkpoints}
    gcs_import = function("gcs_import", **settings)
    # One batch of ten that fails is enough to hand all back: with 6 % of them, half of the deliveries come through.
    shares = dict.fromkeys(KINDS, 0.06 / len(KINDS))
    standin.faults(seed=SEED, hang_seconds=0.7, fail_first={"status": 503, "requests": 1}, **shares)
    bucket.send_events_to(gcs_import.url)
    bucket.put("events.jsonl", content(events))
    deliveries = bucket.wait_until_delivered()
    assert not missing(events, standin)
    attempts = deliveries[0]["attempts"]
    assert attempts > 1
    told = gcs_import.process.wait_until(
        lambda: found if len(found := reports(gcs_import, "gs://events/events.jsonl")) == attempts else None
    )
    assert [line["outcome"] for line in told] == ["handed back"] * (attempts - 1) + ["done"]
    figure(f"{twice(standin):,} of 20,000 came twice, {attempts} deliveries")


def test_messages_without_patience_arrive_by_being_pushed_again(
    standin: Standin, function: StartFunction, figure: Callable[[str], None]
) -> None:
    """Invariants 2 and 6: a message whose batch was not taken is not acknowledged, so it comes again."""
    events = Events(5_000, "small", seed=SEED)
    pubsub_import = function("pubsub_import", **{**QUICK, "IMPORT_RETRY_SECONDS": "0", "IMPORT_BATCH_EVENTS": "50"})
    standin.faults(seed=SEED, hang_seconds=0.7, **dict.fromkeys(KINDS, 0.05))
    again = push_until_taken(pubsub_import.url, messages(events, of=10), senders=400)
    assert not missing(events, standin)
    assert again > 0
    figure(f"{twice(standin):,} of 5,000 came twice, {again} messages pushed again")


def test_wrong_credentials_fail_loudly_and_keep_the_data_where_it_is(
    standin: Standin, bucket: Bucket, files: processes.Function, pushes: processes.Function
) -> None:
    """Invariant 6: what no retry heals is not retried; the trigger still holds it when the credentials are right."""
    events = Events(1_000, "small", seed=SEED)
    in_file, in_messages = content(events), messages(Events(100, "small", seed=SEED + 1), of=10)
    standin.faults(unauthorized=True)
    bucket.send_events_to(files.url)
    bucket.put("refused.jsonl", in_file)
    told = files.process.wait_until(lambda: reports(files, "gs://events/refused.jsonl") or None)
    assert (told[0]["outcome"], told[0]["retried"]) == ("handed back", 0)
    assert "Mixpanel rejected the project token (401): check MIXPANEL_PROJECT_TOKEN" in told[0]["reason"]
    assert {requests.post(pushes.url, data=push, timeout=30).status_code for push in in_messages} == {503}
    assert not bucket.deliveries()[0]["delivered"]
    standin.faults(unauthorized=False)
    bucket.wait_until_delivered()
    push_until_taken(pushes.url, in_messages)
    assert not missing(events, standin)
    assert len(standin.ids()) == 1_100


def reports(function: processes.Function, source: str) -> list[dict[str, Any]]:
    """What the log says of each delivery of an object."""
    return [line for line in function.log("import") if line["source"].startswith(f"{source}#")]
