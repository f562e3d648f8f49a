"""On AWS: whatever S3, Mixpanel and the process do wrong, every event is there in the end, and every reject."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec
import pytest

from importer.core.rejects.reject import Reject
from sandbox.aws.clients import Cloud
from sandbox.aws.function import CallError, Function
from sandbox.aws.poller import Poller
from sandbox.bucket.faults import KINDS
from sandbox.clients import Standin
from sandbox.events import Events
from sandbox.mixpanel.faults import KINDS as MIXPANELS
from sandbox.processes import Service
from tests.faults.trouble import SEED, content, missing, twice

HANDLER = "tests.faults.quick_lambda.handler"
KILLS = 20


@pytest.fixture(scope="module")
def environment(standin_process: Service, cloud_process: Service) -> dict[str, str]:
    return {
        **Cloud(cloud_process.url).environment,
        "MIXPANEL_API_URL": standin_process.url,
        "MIXPANEL_PROJECT_TOKEN": "demo",
        "IMPORT_BACKOFF": "0.005",
        "IMPORT_TIMEOUT": "0.5",
        "IMPORT_BATCH_EVENTS": "200",
        "IMPORT_CONCURRENCY": "4",
        "IMPORT_REJECTS": "s3://events-state/rejects",
        "IMPORT_CHECKPOINTS": "s3://events-state/checkpoints",
    }


@pytest.fixture(scope="module")
def shared(environment: dict[str, str]) -> Iterator[Function]:
    with Function(environment, handler=HANDLER) as function:
        yield function


def rejected_lines(cloud: Cloud) -> set[int]:
    lines = [row for key in cloud.keys(prefix="rejects/") for row in gzip.decompress(cloud.get(key)).splitlines()]
    return {msgspec.json.decode(line, type=Reject).line for line in lines}


def test_objects_and_messages_survive_twenty_kills_and_all_faults_at_once(
    environment: dict[str, str], standin: Standin, cloud: Cloud, figure: Callable[[str], None]
) -> None:
    """Invariant 2: a message is deleted only after what it announces, or holds, is settled."""
    redrive = {"deadLetterTargetArn": f"{cloud.queue_arn}-dead-letters", "maxReceiveCount": 1_000}
    policy = {"RedrivePolicy": msgspec.json.encode(redrive).decode()}
    cloud.sqs.set_queue_attributes(QueueUrl=cloud.queue, Attributes=policy)
    chance = random.Random(SEED)
    events = Events(10_000, "small", seed=SEED, bad_share=0.001)
    sent = Events(2_000, "small", seed=SEED + 1)
    shares = dict.fromkeys(MIXPANELS, 0.1 / len(MIXPANELS))
    standin.faults(seed=SEED, latency=0.1, hang_seconds=0.7, **shares)
    cloud.put("a b+ü.jsonl", content(events))
    records = sent.records()
    while lot := list(islice(records, 100)):
        cloud.send(b"\n".join(lot).decode())
    cloud.faults(seed=SEED, stall_seconds=0.7, **{kind: 0.05 for kind in KINDS if kind != "corrupt"})
    kills = 0
    with (
        Function(environment, handler=HANDLER) as one,
        Function(environment, handler=HANDLER) as other,
        Poller(cloud, one, other, batch=10) as poller,
    ):
        until = time.monotonic() + 90
        while kills < KILLS and time.monotonic() < until:
            time.sleep(chance.uniform(0.1, 0.4))
            busy = [function.pid for function in (one, other) if function.pid is not None]
            if busy and cloud.waiting():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(busy), signal.SIGKILL)
                    kills += 1
        cloud.wait_until_empty(timeout=90)
    cloud.end_trouble()
    assert kills == KILLS
    assert not missing(events, standin)
    assert not missing(sent, standin)
    assert rejected_lines(cloud) == {number for number, _ in events.bad()}
    assert cloud.waiting(cloud.dead_letters) == 0
    answers = [answer for answer in poller.answers if not isinstance(answer, CallError)]
    assert all(answer.keys() == {"batchItemFailures"} for answer in answers)
    figure(
        f"{kills} kills, {len(poller.answers)} calls, {twice(standin):,} of {events.count + sent.count:,} came twice"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_arrives_whole(
    kind: str, shared: Function, standin: Standin, cloud: Cloud, figure: Callable[[str], None]
) -> None:
    """Invariants 2 and 3: good events arrive and bad ones are kept, each for itself, whatever S3 does."""
    events = Events(5_000, "small", seed=SEED, bad_share=0.001)
    cloud.put("file", content(events, gzipped=True))
    cloud.faults(seed=SEED, stall_seconds=0.7, **{kind: 0.3})
    with Poller(cloud, shared) as poller:
        cloud.wait_until_empty(timeout=90)
    cloud.end_trouble()
    assert not missing(events, standin)
    bad = {number for number, _ in events.bad()}
    assert rejected_lines(cloud) >= bad if kind == "corrupt" else rejected_lines(cloud) == bad
    assert [key.rpartition("/")[2] for key in cloud.keys(prefix="checkpoints/")] == ["receipt.json"]
    figure(f"{len(poller.answers)} calls, {twice(standin):,} of {events.count:,} came twice")
