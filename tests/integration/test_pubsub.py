"""Messages into Mixpanel, by the function as production runs it: every shape, every fault, and the process's end."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from backports import zstd

from bench.measuring import group, peak_memory
from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from sandbox.pushes import Answers, bodies, send, wrapped
from tests.conftest import StartFunction
from tests.faults.trouble import kept_rejects

TARGET = "pubsub_import"
SUBSCRIPTION = "projects/p/subscriptions/s"
METADATA = {"x-goog-pubsub-subscription-name": SUBSCRIPTION, "x-goog-pubsub-message-id": "17"}
CLOUD_EVENT = {
    "ce-id": "17",
    "ce-source": "//pubsub.googleapis.com/projects/p/topics/t",
    "ce-specversion": "1.0",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    "content-type": "application/json",
}
EVENTS = list(Events(3, "small").records())
IDS = list(Events(3, "small").ids())

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")


@pytest.fixture(scope="module")
def shared(standin_process: processes.Service) -> Iterator[processes.Function]:
    """The function with the settings it has by default."""
    settings = {"MIXPANEL_API_URL": standin_process.url, "MIXPANEL_PROJECT_TOKEN": "demo"}
    with processes.function(TARGET, environment=settings) as function:
        yield function


@pytest.fixture(scope="module")
def impatient(standin_process: processes.Service) -> Iterator[processes.Function]:
    """The function with less patience than the shortest wait: at the first trouble, messages are handed back."""
    settings = {
        "MIXPANEL_API_URL": standin_process.url,
        "MIXPANEL_PROJECT_TOKEN": "demo",
        "IMPORT_RETRY_SECONDS": "0.2",
    }
    with processes.function(TARGET, environment=settings) as function:
        yield function


@contextmanager
def new_lines(function: processes.Function, kind: str) -> Iterator[list[dict[str, Any]]]:
    """What is logged within the block, once it is left."""
    before = len(function.log(kind))
    found: list[dict[str, Any]] = []
    yield found
    function.process.wait_until(lambda: len(function.log(kind)) > before or None, timeout=10)
    found.extend(function.log(kind)[before:])


def push(function: processes.Function, body: bytes, headers: Mapping[str, str] | None = None) -> requests.Response:
    return requests.post(function.url, data=body, headers=headers, timeout=30)


def deliver(function: processes.Function, pushes: Sequence[bytes], senders: int = 100) -> Answers:
    return asyncio.run(send(function.url, pushes, senders))


def deliver_until_acknowledged(function: processes.Function, pushes: Sequence[bytes]) -> int:
    """Delivers as Pub/Sub does: what was not acknowledged comes again. Returns how many rounds it took."""
    rounds = 0
    while pushes:
        rounds += 1
        assert rounds < 100, f"{len(pushes)} are still not acknowledged"
        time.sleep(0.1)
        answers = deliver(function, pushes)
        pushes = [body for index, body in enumerate(pushes) if answers.status[index] != 204]
    return rounds


def acknowledged(answers: Answers, ids: Sequence[str]) -> set[str]:
    return {ids[index] for index, status in answers.status.items() if status == 204}


# Shapes

DATA = {
    "one event": (EVENTS[0], IDS[:1]),
    "one event on several lines": (json.dumps(json.loads(EVENTS[0]), indent=2).encode(), IDS[:1]),
    "an array": (b"[" + b",".join(EVENTS) + b"]", IDS),
    "lines": (b"\n".join(EVENTS), IDS),
    "gzipped lines": (gzip.compress(b"\n".join(EVENTS)), IDS),
    "lines in zstd": (zstd.compress(b"\n".join(EVENTS)), IDS),
    "several on several lines": ("\n".join(json.dumps(json.loads(one), indent=2) for one in EVENTS).encode(), IDS),
    "several with nothing between": (b"".join(EVENTS), IDS),
    "a wrapped array": (b'{"events": [' + b",".join(EVENTS) + b"]}", IDS),
    "a gzipped array": (gzip.compress(b"[" + b",\n".join(EVENTS) + b"]"), IDS),
}
SHAPES: dict[str, Callable[[bytes], tuple[bytes, dict[str, str]]]] = {
    "wrapped": lambda data: (wrapped(data, "17", SUBSCRIPTION), {"content-type": "application/json"}),
    "Eventarc": lambda data: (wrapped(data, "17", SUBSCRIPTION), CLOUD_EVENT),
    "unwrapped": lambda data: (data, {}),
    "unwrapped, with metadata": lambda data: (data, METADATA),
    "unwrapped, said to be gzipped": lambda data: (data, {**METADATA, "content-encoding": "gzip"}),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("content", DATA)
def test_each_shape_with_each_content_is_imported(
    shared: processes.Function, standin: Standin, shape: str, content: str
) -> None:
    data, ids = DATA[content]
    answer = push(shared, *SHAPES[shape](data))
    assert (answer.status_code, answer.content) == (204, b"")
    assert standin.ids() == dict.fromkeys(ids, 1)


def test_a_bad_record_costs_itself_alone_and_is_logged_whole(shared: processes.Function, standin: Standin) -> None:
    bad = b'{"event":"no properties","note":"' + b"n" * 5_000 + b'"}'
    with new_lines(shared, "reject") as rejects:
        assert push(shared, wrapped(b"\n".join([EVENTS[0], bad, EVENTS[1]]), "17")).status_code == 204
    assert [(line["severity"], line["source"], line["line"]) for line in rejects] == [
        ("ERROR", f"{SUBSCRIPTION}#17", 2)
    ]
    assert rejects[0]["event"] == bad.decode()
    assert set(standin.ids()) == set(IDS[:2])


# What can never succeed is acknowledged, and kept

NEVER = {
    "empty data": (json.dumps({"message": {"data": "", "messageId": "1", "attributes": {}}}).encode(), {}, "{}"),
    "no data": (json.dumps({"message": {"messageId": "1"}, "subscription": SUBSCRIPTION}).encode(), {}, ""),
    "attributes only": (
        json.dumps({"message": {"messageId": "1", "attributes": {"k": "v"}}}).encode(),
        {},
        '{"k": "v"}',
    ),
    "an empty body": (b"", METADATA, ""),
    "not JSON": (wrapped(b"<html>"), {}, "<html>"),
    "not JSON, unwrapped": (b"\xff\xfe\x00", METADATA, base64.b64encode(b"\xff\xfe\x00").decode()),
    "a broken array": (wrapped(b"[" + EVENTS[0]), {}, "[" + EVENTS[0].decode()),
    "broken gzip": (gzip.compress(EVENTS[0])[:-4], {}, base64.b64encode(gzip.compress(EVENTS[0])[:-4]).decode()),
}


@pytest.mark.parametrize("what", NEVER)
def test_what_can_never_succeed_is_logged_whole_and_acknowledged(shared: processes.Function, what: str) -> None:
    body, headers, kept = NEVER[what]
    with new_lines(shared, "reject") as rejects:
        assert push(shared, body, headers).status_code == 204
    assert [(line["severity"], line["event"]) for line in rejects] == [("ERROR", kept)]


def test_an_event_of_many_megabytes_is_a_reject(shared: processes.Function, standin: Standin) -> None:
    body = wrapped(EVENTS[0].replace(b'"event":"', b'"event":"' + b"x" * 8_000_000))
    assert len(body) > 10_500_000
    with new_lines(shared, "reject") as rejects:
        assert push(shared, body).status_code == 204
    assert "too long" in rejects[0]["reason"]
    assert standin.ids() == {}


@pytest.mark.parametrize("content", [b"\0", b"\n", b"{}\n", b"[", b'{"event":"e"}\n'])
def test_a_gzip_bomb_is_a_reject(shared: processes.Function, content: bytes) -> None:
    bomb = gzip.compress(gzip.compress(content * (30_000_000 // len(content)), 1))
    with new_lines(shared, "reject") as rejects:
        assert push(shared, wrapped(bomb)).status_code == 204
    assert rejects[-1]["event"] == base64.b64encode(bomb).decode()
    assert len(rejects) <= 1_001


# What is no push is refused


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"message":{"data":"not base64","messageId":"1"}}', {}),
        (json.dumps({"subscription": SUBSCRIPTION}).encode(), CLOUD_EVENT),
        (json.dumps({"message": "hello", "subscription": SUBSCRIPTION}).encode(), {}),
        (b"x" * 11_000_000, METADATA),
        (wrapped(b"x" * 12_000_000), {}),
    ],
    ids=["bad base64", "no message", "no object", "11 MB", "12 MB wrapped"],
)
def test_what_is_no_push_is_refused_and_logged(
    shared: processes.Function, body: bytes, headers: dict[str, str]
) -> None:
    with new_lines(shared, "invalid push") as lines:
        assert push(shared, body, headers).status_code == 400
    assert [line["severity"] for line in lines] == ["WARNING"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_a_push_is_a_post(shared: processes.Function, standin: Standin, method: str) -> None:
    assert requests.request(method, shared.url, data=EVENTS[0], timeout=10).status_code == 400
    assert standin.ids() == {}


def test_a_body_without_an_announced_length_is_read_no_further_than_a_push_can_be_long(
    shared: processes.Function,
) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1_000):
            yield b"x" * 1_000_000

    try:
        assert requests.post(shared.url, data=endless(), timeout=30).status_code == 400
    except requests.ConnectionError:  # the answer came while the rest was still being sent
        assert shared.log("invalid push")
    assert requests.post(shared.url, data=iter([EVENTS[0]]), timeout=30).status_code == 204


def test_content_forges_no_line_of_the_log(shared: processes.Function) -> None:
    forged = b'x\n{"severity":"ERROR","kind":"forged","message":"x"}\r\n\xe2\x80\xa8'
    with new_lines(shared, "reject"):
        push(shared, wrapped(forged, message_id='1\n{"kind":"forged"}'))
    with new_lines(shared, "invalid push"):
        push(shared, b'{"subscription":"projects/","message":{"data":"\\n{\\"kind\\":\\"forged\\"}"}}')
    assert shared.log("forged") == []


# Batches, waiting, memory


def test_one_message_alone_waits_for_nobody(function: StartFunction, standin: Standin) -> None:
    alone = function(TARGET, IMPORT_MAX_WAIT="10")
    assert requests.post(alone.url, data=EVENTS[0], timeout=5).status_code == 204
    assert standin.ids() == {IDS[0]: 1}


def test_a_thousand_senders_make_few_requests(shared: processes.Function, standin: Standin) -> None:
    standin.faults(latency=0.1)
    answers = deliver(shared, bodies(30_000, "small"), senders=1_000)
    assert answers.counts() == {204: 30_000}
    assert standin.summary()["imported"] == 30_000
    assert standin.summary()["requests"] <= 150


def test_the_same_message_gives_the_same_events_wherever_and_whenever(
    function: StartFunction, standin: Standin
) -> None:
    nameless = [wrapped(event, str(n)) for n, event in enumerate(Events(200, "small", insert_ids=False).records())]
    several = wrapped(b"\n".join(Events(50, "small", seed=2, insert_ids=False).records()))
    instances = [function(TARGET), function(TARGET)]

    async def at_once() -> list[Answers]:
        return await asyncio.gather(*(send(each.url, [*nameless, several], 50) for each in instances))

    for answers in [*asyncio.run(at_once()), deliver(instances[0], [*nameless, several])]:
        assert answers.counts() == {204: 201}
    assert standin.ids().keys() == standin.ids().keys()
    assert (standin.summary()["imported"], standin.summary()["duplicates"]) == (250, 500)


@needs_proc
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzipped"])
def test_messages_beyond_the_memory_are_sent_away_at_once_and_come_again(
    function: StartFunction, standin: Standin, compressed: bool
) -> None:
    """150 messages at a time, of a megabyte each once they are unpacked, with room for ten of them."""
    small = function(TARGET, IMPORT_BUFFER_BYTES="10000000", IMPORT_BATCH_BYTES="2000000")
    assert push(small, EVENTS[0]).status_code == 204
    standin.faults(latency=0.2)
    before = peak_memory(group(small.process.pid)[-1])
    pack = gzip.compress if compressed else bytes
    padding = b'"padding":"' + b"x" * 990_000 + b'",'
    events = [event.replace(b'"time":', padding + b'"time":') for event in Events(150, "small", seed=3).records()]
    pushes = [wrapped(pack(event), str(n)) for n, event in enumerate(events)]
    answers = deliver(small, pushes, senders=150)
    assert answers.counts().keys() == {204, 429}
    ids = list(Events(150, "small", seed=3).ids())
    assert acknowledged(answers, ids) | {IDS[0]} == standin.ids().keys()
    assert peak_memory(group(small.process.pid)[-1]) - before < 120_000_000
    deliver_until_acknowledged(small, [body for index, body in enumerate(pushes) if answers.status[index] != 204][:20])


def test_no_message_is_too_large_for_ever(function: StartFunction, standin: Standin) -> None:
    tiny = function(TARGET, IMPORT_BUFFER_BYTES="1000", IMPORT_BATCH_BYTES="1000")
    assert push(tiny, wrapped(b"\n".join(Events(100, "small").records()))).status_code == 204
    assert standin.ids() == dict.fromkeys(Events(100, "small").ids(), 1)


# Trouble

FAULTS: dict[str, dict[str, Any]] = {
    "429": {"429": 0.3, "retry_after": 0},
    "503": {"503": 0.3},
    "reset before": {"cut_before": 0.3},
    "reset after": {"cut_after": 0.3},
    "cut short": {"truncated": 0.3},
    "no JSON": {"garbage": 0.3},
    "a web page": {"html": 0.3},
    "too few taken": {"short_count": 0.3},
    "all mixed": dict.fromkeys(["429", "503", "cut_before", "cut_after", "truncated", "garbage", "html"], 0.05),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_acknowledged_is_there_and_the_rest_comes_again(
    impatient: processes.Function, standin: Standin, fault: str
) -> None:
    standin.faults(seed=7, latency=0.02, **FAULTS[fault])
    pushes, ids = bodies(1_000, "small"), list(Events(1_000, "small").ids())
    answers = deliver(impatient, pushes)
    assert answers.counts().keys() == {204, 503}
    assert acknowledged(answers, ids) <= standin.ids().keys()
    again = [body for index, body in enumerate(pushes) if answers.status[index] != 204]
    deliver_until_acknowledged(impatient, again)
    assert standin.ids().keys() == set(ids)


@pytest.mark.parametrize("fault", FAULTS)
def test_trouble_that_passes_is_borne_with_patience(function: StartFunction, standin: Standin, fault: str) -> None:
    standin.faults(seed=7, **FAULTS[fault])
    patient = function(TARGET, IMPORT_BACKOFF="0.01", IMPORT_RETRY_SECONDS="30")
    answers = deliver(patient, bodies(500, "small"))
    assert answers.counts() == {204: 500}
    assert standin.ids().keys() == set(Events(500, "small").ids())


def test_messages_that_share_a_failure_share_the_line_that_tells_of_it(
    impatient: processes.Function, standin: Standin
) -> None:
    standin.faults(**{"503": 1.0})
    with new_lines(impatient, "handed back") as lines:
        answers = deliver(impatient, bodies(300, "small"))
    assert answers.counts() == {503: 300}
    assert len(lines) <= standin.summary()["requests"] < 300


def test_with_wrong_credentials_nothing_is_acknowledged(shared: processes.Function, standin: Standin) -> None:
    standin.faults(unauthorized=True)
    answer = push(shared, EVENTS[0])
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    shared.process.wait_until(lambda: shared.log("credentials") or None)


# What is counted, and when


def summaries(function: processes.Function, count: int) -> list[dict[str, Any]]:
    """What the first summaries say, once there are so many."""
    return function.process.wait_until(lambda: found if len(found := function.log("import")) >= count else None)


def test_each_message_alone_is_in_a_summary_at_once(function: StartFunction, standin: Standin) -> None:
    """Nothing waits for another message, or for a timer: the platform stops the processor when none is open."""
    alone = function(TARGET)
    for n in range(3):
        assert push(alone, wrapped(EVENTS[n], str(n))).status_code == 204
        line = summaries(alone, n + 1)[n]
        assert (line["read"], line["imported"], line["handed_back"], line["requests"]) == (1, 1, 0, 1)
        assert (line["severity"], line["source"], line["outcome"]) == ("INFO", SUBSCRIPTION, "done")
        assert line["seconds"] < 5


def test_a_message_that_spans_batches_is_counted_whole(function: StartFunction, standin: Standin) -> None:
    small = function(TARGET, IMPORT_BATCH_EVENTS="100")
    data = b"\n".join([*Events(950, "small").records(), b"not JSON"])
    assert push(small, wrapped(data)).status_code == 204
    (line,) = summaries(small, 1)
    assert (line["read"], line["imported"], line["rejected"], line["handed_back"]) == (951, 950, 1, 0)
    assert standin.summary()["requests"] >= 10


def test_rejects_that_could_not_be_kept_are_handed_back_and_no_rejects(
    function: StartFunction, standin: Standin
) -> None:
    nowhere = function(TARGET, IMPORT_REJECTS="gs://no-such-bucket/rejects")
    assert push(nowhere, wrapped(EVENTS[0] + b"\nnot JSON")).status_code == 503
    (line,) = summaries(nowhere, 1)
    assert (line["read"], line["imported"], line["rejected"], line["handed_back"]) == (2, 1, 0, 1)
    assert (line["severity"], line["outcome"]) == ("WARNING", "handed back")


def test_a_message_open_at_the_end_is_counted(function: StartFunction, standin: Standin) -> None:
    ending = function(TARGET)
    standin.faults(latency=0.5)
    answers: list[Answers] = []
    thread = threading.Thread(target=lambda: answers.append(deliver(ending, [wrapped(EVENTS[0])])))
    thread.start()
    time.sleep(0.2)
    os.kill(ending.process.pid, signal.SIGTERM)
    thread.join(20)
    assert answers[0].counts() == {204: 1}
    ending.process.wait(20)
    assert [line["imported"] for line in ending.log("import")] == [1]


def test_of_a_message_with_thousands_of_bad_records_the_good_ones_are_imported(
    function: StartFunction, standin: Standin
) -> None:
    """The first thousand bad ones are rejects of their own, those beyond are folded; all are counted and in the log."""
    folding = function(TARGET)
    bad = [b'{"event":"no properties","n":%d}' % n for n in range(20_000)]
    data = gzip.compress(b"\n".join([EVENTS[0], *bad, EVENTS[1]]))
    assert push(folding, wrapped(data)).status_code == 204
    assert set(standin.ids()) == set(IDS[:2])
    (line,) = summaries(folding, 1)
    assert (line["read"], line["imported"], line["rejected"], line["handed_back"]) == (20_002, 2, 20_000, 0)
    parts = {one["reject_id"]: "" for one in folding.log("reject") if "reject_id" in one}
    for kind in ("reject", "reject part"):
        for one in folding.log(kind):
            if "reject_id" in one:
                parts[one["reject_id"]] += one["event"]
    kept = "\n".join(parts.get(one.get("reject_id"), one["event"]) for one in folding.log("reject"))
    assert kept.encode() == b"\n".join(bad)
    assert len(folding.log("reject")) < 1_010


@pytest.mark.parametrize("most", [0, 2])
def test_of_rejects_that_are_kept_the_log_has_as_many_as_it_may(
    most: int, function: StartFunction, standin: Standin, bucket: Bucket
) -> None:
    keeping = function(TARGET, IMPORT_REJECTS="gs://events/rejects", IMPORT_LOG_REJECTS=str(most))
    assert push(keeping, wrapped(b"{}\n" * 5)).status_code == 204
    assert len(kept_rejects(bucket)) == summaries(keeping, 1)[0]["rejected"] == 5
    assert [line["severity"] for line in keeping.log("reject")] == ["WARNING"] * most


def test_a_reject_that_only_the_log_keeps_is_there_whole_however_long_it_is(
    shared: processes.Function, standin: Standin
) -> None:
    """In entries that are short enough for the platform, which cuts longer ones."""
    long = b'{"event":"no properties","note":"' + b'"' * 700_000
    assert push(shared, wrapped(b"\n".join([EVENTS[0], long]), "long")).status_code == 204

    def written() -> list[str] | None:
        found = [line for line in tuple(shared.lines) if "#long" in line and '"kind":"reject' in line]
        return found if found and len(found) == json.loads(found[0])["parts"] else None

    lines = shared.process.wait_until(written)
    assert max(map(len, lines)) < 256_000
    assert "".join(json.loads(line)["event"] for line in lines) == long.decode()


# The process's end


@contextmanager
def full_flow(
    function: processes.Function, pushes: Sequence[bytes], standin: Standin, senders: int = 200
) -> Iterator[Callable[[], Answers]]:
    """Delivers in the background; in the block, the flow is at its full. Gives what waits for the answers."""
    answers: list[Answers] = []
    thread = threading.Thread(target=lambda: answers.append(deliver(function, pushes, senders)))

    def wait() -> Answers:
        thread.join(60)
        return answers[0]

    standin.faults(latency=0.05)
    thread.start()
    function.process.wait_until(lambda: standin.summary()["imported"] > len(pushes) // 10 or None)
    yield wait
    thread.join(60)


def check_the_books(answers: Answers, standin: Standin, ids: Sequence[str]) -> None:
    """Every message answered 204 is there, and every other one was not acknowledged: it got no answer, or a 503."""
    counts = answers.counts()
    assert counts[204] > 0
    assert counts[0] > 0
    assert sum(counts[status] for status in (204, 503, 0)) == len(ids)
    assert acknowledged(answers, ids) <= standin.ids().keys()


def test_on_sigterm_in_full_flow_what_is_acknowledged_is_there(function: StartFunction, standin: Standin) -> None:
    pushes, ids = bodies(10_000, "small"), list(Events(10_000, "small").ids())
    ending = function(TARGET)
    with full_flow(ending, pushes, standin) as wait:
        os.kill(ending.process.pid, signal.SIGTERM)
        answers = wait()
    check_the_books(answers, standin, ids)
    assert ending.process.wait(20) == 0
    assert acknowledged(answers, ids) == standin.ids().keys()  # what was on its way was answered
    assert sum(line["imported"] for line in ending.log("import")) == len(standin.ids())


def test_on_sigkill_in_full_flow_what_is_acknowledged_is_there_and_the_rest_comes_again(
    function: StartFunction, standin: Standin
) -> None:
    pushes, ids = bodies(10_000, "small"), list(Events(10_000, "small").ids())
    ending = function(TARGET)
    with full_flow(ending, pushes, standin) as wait:
        os.killpg(ending.process.pid, signal.SIGKILL)
        answers = wait()
    check_the_books(answers, standin, ids)
    deliver_until_acknowledged(function(TARGET), [pushes[n] for n, status in answers.status.items() if status != 204])
    assert standin.ids().keys() == set(ids)


@pytest.mark.parametrize(
    "signals", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGINT], [signal.SIGINT]], ids=["TERM", "TERM, INT", "INT"]
)
def test_when_the_process_is_told_to_end_what_waits_for_company_is_sent_at_once(
    signals: list[signal.Signals], function: StartFunction, standin: Standin
) -> None:
    """By a signal to its group, as terminals and supervisors send it, or by two at once; Mixpanel takes its time."""
    standin.faults(latency=0.5)
    ending = function(TARGET, IMPORT_MAX_WAIT="10")
    address = urlsplit(ending.url)
    head = f"POST / HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(EVENTS[0])}\r\n\r\n".encode()
    coming = [socket.create_connection((address.hostname, address.port), timeout=10) for _ in range(8)]
    with socket.create_connection((address.hostname, address.port), timeout=5) as waiting:
        for each in coming:
            each.sendall(head + EVENTS[0][:10])
        # The eight are seen before the ninth: connections are served in the order in which they have something to read.
        assert requests.get(ending.url, timeout=10).status_code == 400
        waiting.sendall(head + EVENTS[0])
        assert requests.get(ending.url, timeout=10).status_code == 400
        assert standin.ids() == {}
        for number in signals:
            os.killpg(ending.process.pid, number)
            time.sleep(0.1)  # two that come at the same moment are taken in the order of their numbers
        assert waiting.recv(100).startswith(b"HTTP/1.1 204")
    for each in coming:
        each.close()
    assert standin.ids() == {IDS[0]: 1}
    assert ending.process.wait(20) == 0
