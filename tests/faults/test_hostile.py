"""What is made to do harm does none: memory stays bounded, the error is clear, nothing is lost and nothing executed."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
import requests

from bench.measuring import peak_memory
from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from sandbox.pushes import wrapped
from tests.conftest import StartFunction
from tests.faults.trouble import KEEPING, QUICK, content, missing, workers

MB = 1_000_000
MEMORY = 200 * MB
"""The most that a process of the function may ever hold here."""

FINALIZED = "google.cloud.storage.object.v1.finalized"
GOOD = b'{"event":"e","properties":{"time":1748736000,"distinct_id":"u","$insert_id":"%s"}}'
FORGED = '{"severity":"EMERGENCY","kind":"forged","message":"all is lost"}'
SEVERITIES = {"DEBUG", "INFO", "WARNING", "ERROR"}

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads the memory's peak in /proc")


def gzipped(*runs: tuple[bytes, int]) -> bytes:
    """A gzip of each text repeated so many times, in members of 10 MB, made without holding more than one."""
    packed = []
    for text, times in runs:
        many = max(10 * MB // len(text), 1)
        packed += [gzip.compress(text * many, 1)] * (times // many)
        packed += [gzip.compress(text * (times % many), 1)]
    return b"".join(packed)


def members(count: int) -> bytes:
    """So many empty gzip members."""
    return gzip.compress(b"", mtime=0) * count


FIRST, LAST = GOOD % b"first" + b"\n", b"\n" + GOOD % b"last"
LONG_STRING = b'{"event":"e","properties":{"time":1748736000,"distinct_id":"'
HOSTILE: dict[str, tuple[Callable[[], bytes], set[str], str | None]] = {
    # name: (content, what of it is to arrive, what the log is to say)
    "a line of 2 GB": (
        lambda: gzipped((FIRST, 1), (LONG_STRING, 1), (b"x", 2_000 * MB), (LAST, 1)),
        {"first", "last"},
        "line 2: is too long: Mixpanel takes events under 1 MB",
    ),
    "an array's element of 1 GB": (
        lambda: gzipped(
            (b"[" + FIRST.strip() + b",\n", 1), (LONG_STRING, 1), (b"x", 1_000 * MB), (b'"}},', 1), (LAST, 1), (b"]", 1)
        ),
        {"first", "last"},
        "line 2: is too long: Mixpanel takes events under 1 MB",
    ),
    "brackets without an end": (
        lambda: gzipped((FIRST, 1), (b"[", 200 * MB), (LAST, 1)),
        {"first", "last"},
        "line 2: is too long",
    ),
    "a bomb of zeros": (lambda: gzipped((b"\0", 1_000 * MB)), set(), "this is no event data"),
    "a bomb in a bomb": (lambda: gzip.compress(gzipped((b"\0", 1_000 * MB))), set(), "this is no event data"),
    "a bomb of blank lines": (lambda: gzipped((FIRST, 1), (b"\n", 300 * MB), (LAST, 1)), {"first", "last"}, None),
    "a million gzip members": (
        lambda: gzip.compress(FIRST) + members(1_000_000) + gzip.compress(LAST),
        {"first", "last"},
        None,
    ),
    "gzip after gzip after gzip": (lambda: deep_gzip(500), set(), "gzip within gzip within gzip"),
    "events almost too long": (
        lambda: gzipped((FIRST, 1), (LONG_STRING + b"x" * 999_000 + b'",}}\n', 300), (LAST, 1)),
        {"first", "last"},
        "line 2: is not JSON",
    ),
    "nesting without an end": (
        lambda: gzipped((FIRST, 1), (GOOD[:-2] % b"x" + b',"a":' + b'{"a":' * 150_000 + b"\n", 100), (LAST, 1)),
        {"first", "last"},
        "line 2: is nested too deeply",
    ),
    "gzip that is none": (lambda: b"\x1f\x8b\x08\x00" + b"\xff" * 100_000, set(), "the gzip data is damaged"),
    "gzip that breaks off": (lambda: gzip.compress(FIRST * 3 + LAST)[:-20], set(), "the gzip data breaks off"),
}


def deep_gzip(depth: int) -> bytes:
    inner = FIRST
    for _ in range(depth):
        inner = zlib.compress(inner, 1, 31)
    return inner


@pytest.fixture(scope="module")
def gcs_import(environment: dict[str, str]) -> Iterator[processes.Function]:
    with processes.function("gcs_import", environment={**environment, **KEEPING}) as function:
        yield function


@needs_proc
@pytest.mark.parametrize("name", HOSTILE)
def test_memory_is_bounded_and_what_is_good_arrives(
    name: str, standin: Standin, bucket: Bucket, gcs_import: processes.Function, figure: Callable[[str], None]
) -> None:
    """Invariants 3 and 5: memory does not grow with the input, and a bad event costs itself alone."""
    make, good, told = HOSTILE[name]
    bucket.send_events_to(gcs_import.url)
    before = len(gcs_import.lines)
    bucket.put("events", make())
    bucket.wait_until_delivered()
    assert standin.ids().keys() == good
    (worker,) = workers(gcs_import.process.pid)
    figure(f"{peak_memory(worker) / 1e6:.0f} MB")
    assert peak_memory(worker) < MEMORY
    if told:
        gcs_import.process.wait_until(lambda: any(told in line for line in list(gcs_import.lines)[before:]) or None)


@needs_proc
def test_a_slow_mixpanel_slows_the_reader(standin: Standin, bucket: Bucket, function: StartFunction) -> None:
    """Invariant 5: while Mixpanel takes its time, events wait in the bucket and not in memory."""
    events = Events(120_000, "dense", seed=1)
    slow = function("gcs_import", IMPORT_CONCURRENCY="4", IMPORT_BUFFER_BYTES="10000000")
    standin.faults(latency=0.3)
    bucket.send_events_to(slow.url)
    bucket.put("events", content(events))
    bucket.wait_until_delivered()
    assert not missing(events, standin)
    (worker,) = workers(slow.process.pid)
    assert peak_memory(worker) < 150 * MB


@pytest.fixture(scope="module")
def pubsub_import(environment: dict[str, str]) -> Iterator[processes.Function]:
    with processes.function("pubsub_import", environment={**environment, "IMPORT_BATCH_EVENTS": "2000"}) as function:
        yield function


MESSAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    # name: (data of a message, the reason that its reject is to give)
    "a bomb of zeros": (lambda: gzipped((b"\0", 1_000 * MB)), "this is no event data"),
    "a bomb in a bomb": (lambda: gzip.compress(gzipped((b"\0", 1_000 * MB))), "this is no event data"),
    "a bomb of events": (lambda: gzipped((b"[", 1), (b'{"event":1},', 30 * MB)), "records of it cannot be imported"),
    "a bomb of blank lines": (lambda: gzipped((b"\n", 1_000 * MB)), "it decompresses to more than"),
    "a bomb of commas": (lambda: gzipped((b"[", 1), (b",", 1_000 * MB)), "it decompresses to more than"),
    "a bomb of brackets": (lambda: gzipped((b"[", 1_000 * MB)), "is too long"),
    "objects within objects": (lambda: GOOD[:-2] % b"x" + b',"a":' + b'{"a":' * 150_000, "is nested too deeply"),
    "a list of lists": (lambda: GOOD[:-2] % b"x" + b',\n"a":[' + b"[]," * 3 * MB + b"[]]}}", "is too long"),
}


@needs_proc
@pytest.mark.parametrize("name", MESSAGES)
def test_a_hostile_message_is_answered_and_costs_itself_alone(
    name: str, standin: Standin, pubsub_import: processes.Function, figure: Callable[[str], None]
) -> None:
    """Invariants 3 and 5, for messages: it is rejected, memory stays bounded, and others are answered meanwhile."""
    make, reason = MESSAGES[name]
    body = wrapped(make())
    with ThreadPoolExecutor(1) as thread:
        hostile = thread.submit(requests.post, pubsub_import.url, data=body, timeout=60)
        others = 0
        while not others or not hostile.done():
            other = requests.post(pubsub_import.url, data=wrapped(GOOD % f"other-{others}".encode()), timeout=60)
            assert other.status_code == 204
            others += 1
    assert hostile.result().status_code == 204
    assert standin.ids() == {f"other-{number}": 1 for number in range(others)}
    pubsub_import.process.wait_until(lambda: any(reason in line["reason"] for line in rejected(pubsub_import)) or None)
    (worker,) = workers(pubsub_import.process.pid)
    figure(f"{peak_memory(worker) / 1e6:.0f} MB, {others} others answered meanwhile")
    assert peak_memory(worker) < MEMORY


@needs_proc
def test_a_message_that_is_a_huge_array_arrives_whole(
    standin: Standin, pubsub_import: processes.Function, figure: Callable[[str], None]
) -> None:
    """Invariants 1 and 5: a hundred thousand events in one message are all there."""
    body = wrapped(gzipped((b"[", 1), (GOOD % b"same" + b",\n", 100_000), (GOOD % b"last", 1), (b"]", 1)))
    assert requests.post(pubsub_import.url, data=body, timeout=60).status_code == 204
    assert standin.ids() == {"same": 100_000, "last": 1}
    (worker,) = workers(pubsub_import.process.pid)
    figure(f"{peak_memory(worker) / 1e6:.0f} MB")
    assert peak_memory(worker) < MEMORY


PUSHES: dict[str, tuple[bytes, int]] = {
    "brackets": (b"[" * 10 * MB, 204),
    "an envelope without an end": (b'{"message":' * (MB // 2), 204),
    "an envelope with attributes without an end": (b'{"message":{"data":"","attributes":' + b"[" * MB, 204),
    "more than a push can have": (b"x" * 20 * MB, 400),
    "data that is no base64": (b'{"message":{"data":"?"},"subscription":"projects/p/subscriptions/s"}', 400),
}


@pytest.mark.parametrize("name", PUSHES)
def test_a_hostile_push_is_answered(name: str, standin: Standin, pubsub_import: processes.Function) -> None:
    """What no retry heals is not delivered again and again, or else it is no push at all."""
    body, status = PUSHES[name]
    assert requests.post(pubsub_import.url, data=body, timeout=60).status_code == status
    assert standin.summary()["requests"] == 0
    assert_nothing_is_forged(pubsub_import)


def rejected(function: processes.Function) -> list[dict[str, Any]]:
    """The rejects it logged."""
    return function.log("reject")


NAMES = [
    "a\u0007\u001b[31mred",
    "$(touch owned)`touch owned`;touch owned",
    "{0}{1!r} %s %n \\x00 \\n",
    f'x"}} {FORGED}',
    "\u202ejsonl.exe",
    "%2e%2e%2f%00",
    "#1",
    "x" * 1024,
    "é" * 512,
]


def test_names_are_names_and_nothing_else(standin: Standin, bucket: Bucket, gcs_import: processes.Function) -> None:
    """Whatever an object is called, it is imported, its reject is kept, and its receipt found."""
    bucket.send_events_to(gcs_import.url)
    for number, name in enumerate(NAMES):
        bucket.put(name, GOOD % f"name-{number}".encode() + b"\nbad\n")
    bucket.wait_until_delivered(3 * len(NAMES))
    assert standin.ids() == {f"name-{number}": 1 for number in range(len(NAMES))}
    for name in NAMES:
        resource = requests.get(f"{bucket.url}/storage/v1/b/events/o/{quote(name, safe='')}", timeout=10).json()
        assert send_event(gcs_import.url, FINALIZED, resource) == 200
    assert set(standin.ids().values()) == {1}
    assert_nothing_is_forged(gcs_import)


EVENTS: dict[str, tuple[str, Any]] = {
    "another type": ("google.cloud.storage.object.v1.deleted", {"bucket": "events", "name": "x", "generation": "1"}),
    "another bucket": (FINALIZED, {"bucket": "not-ours", "name": "x", "generation": "1"}),
    "no such bucket can be": (FINALIZED, {"bucket": "../events", "name": "x", "generation": "1"}),
    "a name with line breaks": (FINALIZED, {"bucket": "events", "name": f"x\n{FORGED}\r\n{FORGED}", "generation": "1"}),
    "a name that is no text": (FINALIZED, {"bucket": "events", "name": {"$ne": 1}, "generation": "1"}),
    "a name of half a character": (FINALIZED, {"bucket": "events", "name": "x\ud800", "generation": "1"}),
    "a name that leads elsewhere": (FINALIZED, {"bucket": "events", "name": "../../etc/passwd", "generation": "1"}),
    "no name": (FINALIZED, {"bucket": "events", "name": "", "generation": "1"}),
    "no bucket": (FINALIZED, {"bucket": "", "name": "x", "generation": "1"}),
    "a generation that is none": (FINALIZED, {"bucket": "events", "name": "x", "generation": f"1\n{FORGED}"}),
    "a generation beyond all": (FINALIZED, {"bucket": "events", "name": "x", "generation": "9" * 400}),
    "a generation below none": (FINALIZED, {"bucket": "events", "name": "x", "generation": -1}),
    "a list": (FINALIZED, [1, 2]),
    "nothing": (FINALIZED, None),
    "nesting": (FINALIZED, json.loads("[" * 500 + "]" * 500)),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_that_is_not_for_it_ends_with_a_line_in_the_log(
    name: str, standin: Standin, bucket: Bucket, gcs_import: processes.Function
) -> None:
    """Invariant 6: what no retry heals is not delivered again and again."""
    before = len(gcs_import.log())
    kind, data = EVENTS[name]
    assert send_event(gcs_import.url, kind, data) == 200
    gcs_import.process.wait_until(lambda: len(gcs_import.log()) > before or None)
    line = gcs_import.log()[before]
    assert line["kind"] == "bad trigger" or line["outcome"] in {"gone", "skipped"}
    assert standin.summary()["requests"] == 0
    assert_nothing_is_forged(gcs_import)


def test_no_event_forges_a_line_of_the_log(standin: Standin, bucket: Bucket, function: StartFunction) -> None:
    """Whatever stands in an event, a line of the log is one JSON object, and ours."""
    text = f"x\n{FORGED}\r\n\u2028{FORGED}\x1b[2J\x00"
    records = [
        json.dumps({"event": text, "properties": {"time": 1748736000, "distinct_id": "null", text: text}}).encode(),
        json.dumps({"event": text, "properties": {"time": text, "distinct_id": text}}).encode(),
        FORGED.encode(),
        text.encode().replace(b"\n", b"\r"),
        b"\xff" + text.encode().replace(b"\n", b"\r"),
        FORGED.encode() + FORGED.encode(),
    ]
    settings = {**QUICK, "IMPORT_TRANSFORM": "tests.faults.mapping:loud"}
    gcs_import = function("gcs_import", **settings)
    pubsub_import = function("pubsub_import", **settings)
    bucket.send_events_to(gcs_import.url)
    bucket.put("events", b"\n".join(records))
    bucket.wait_until_delivered()
    for record in records:
        assert requests.post(pubsub_import.url, data=wrapped(record, text, text), timeout=30).status_code in {204, 400}
    for each in (gcs_import, pubsub_import):
        each.process.wait_until(lambda: len(each.log("reject")) >= len(records) - 1 or None)  # noqa: B023
        assert_nothing_is_forged(each)


def assert_nothing_is_forged(function: processes.Function) -> None:
    for line in list(function.lines):
        entry = json.loads(line)
        assert entry["severity"] in SEVERITIES
        assert entry["kind"] != "forged"
    for line in function.process.tail.splitlines():
        assert not line.startswith(FORGED[:20])


def send_event(url: str, kind: str, data: object) -> int:
    headers = {
        "ce-id": "1",
        "ce-source": "//storage.googleapis.com/projects/_/buckets/events",
        "ce-specversion": "1.0",
        "ce-type": kind,
        "Content-Type": "application/json",
    }
    return requests.post(url, data=json.dumps(data), headers=headers, timeout=60).status_code
