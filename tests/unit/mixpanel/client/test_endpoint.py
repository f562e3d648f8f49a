"""When a request is made, and when it is not made again: waits, turns, deadlines, what no retry heals."""

from __future__ import annotations

import json
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from typing import Any

import pytest
import requests.adapters
import trustme

from importer import log
from importer.errors import FatalDeliveryError, Unavailable
from importer.mixpanel.client.client import Client
from tests.unit.mixpanel.scripted import (
    Answer,
    Clock,
    Events,
    Scripted,
    batch,
    client_of,
    ok,
    scripted,
    serving,
    takes_all,
)

LATER = 1e12


@pytest.fixture(autouse=True)
def _log() -> None:
    log.configure()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that goes when the client sleeps; no wait is longer or shorter by chance."""
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(random, "uniform", lambda least, most: 1.0)
    return clock


def logged(capsys: pytest.CaptureFixture[str], kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["kind"] == kind]


@contextmanager
def timed(clock: Clock, *answers: Answer) -> Iterator[tuple[Scripted, list[float]]]:
    """A server, and when it got its requests."""
    times: list[float] = []

    def noted(answer: Answer) -> Callable[[Events], Answer]:
        def note(_: Events) -> Answer:
            times.append(clock.now)
            return answer

        return note

    with scripted(*map(noted, answers)) as server:
        yield server, times


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


# Waits: as long as they are said to be


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}], ids=["plain", "Retry-After: 0"])
def test_after_a_429_the_wait_is_as_long_as_it_was_said_and_grows(
    clock: Clock, capsys: pytest.CaptureFixture[str], headers: dict[str, str]
) -> None:
    answers = [(429, headers, b"")] * 8
    with timed(clock, *answers, ok(1)) as (server, times), client_of(server, clock, backoff=2) as client:
        assert client.send(batch(1), LATER).retried == 8
    waits = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0]
    assert gaps(times) == pytest.approx(waits)
    lines = logged(capsys, "retry")
    assert [line["wait_seconds"] for line in lines] == waits
    assert [line["message"] for line in lines] == [f"Mixpanel answered 429; trying again in {s} s." for s in waits]


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}], ids=["plain", "Retry-After: 0"])
def test_after_a_503_it_doubles_up_to_a_minute(clock: Clock, headers: dict[str, str]) -> None:
    answers = [(503, headers, b"")] * 7
    with timed(clock, *answers, ok(1)) as (server, times), client_of(server, clock, backoff=2) as client:
        client.send(batch(1), LATER)
    assert gaps(times) == pytest.approx([4.0, 6.0, 10.0, 18.0, 34.0, 62.0, 62.0])


@pytest.mark.parametrize(("status", "wait"), [(429, 30.2), (503, 32.0)])
def test_it_waits_for_what_the_answer_asks_for_and_a_little_more(
    clock: Clock, capsys: pytest.CaptureFixture[str], status: int, wait: float
) -> None:
    answer: Answer = (status, {"Retry-After": "30"}, b"")
    with timed(clock, answer, ok(1)) as (server, times), client_of(server, clock, backoff=2) as client:
        client.send(batch(1), LATER)
    assert gaps(times) == pytest.approx([wait])
    assert [line["wait_seconds"] for line in logged(capsys, "retry")] == [wait]


def test_another_senders_429_is_part_of_the_wait_that_is_said(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    times: list[float] = []

    def throttled_meanwhile(_: Events) -> Answer:
        times.append(clock.now)
        client.limiter.throttled(clock.now, retry_after=7)
        return 502, {}, b""

    def note(events: Events) -> Answer:
        times.append(clock.now)
        return takes_all(events)

    with scripted(throttled_meanwhile, note) as server, client_of(server, clock, backoff=2) as client:
        client.send(batch(1), LATER)
    assert gaps(times) == pytest.approx([7.0])
    (line,) = logged(capsys, "retry")
    assert (line["wait_seconds"], line["message"]) == (7.0, "Mixpanel answered 502; trying again in 7.0 s.")


def test_a_batch_that_waits_behind_older_ones_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Of those that were throttled, the one that began first goes first, and alone: the others may wait for long."""
    answered = {"id-1": threading.Event(), "id-2": threading.Event()}
    both_are_here = threading.Barrier(2)

    def throttle_the_first_of_each(events: Events) -> Answer:
        (insert_id,) = (one["properties"]["$insert_id"] for one in events)
        if answered[insert_id].is_set():
            return takes_all(events)
        both_are_here.wait(10)
        if insert_id == "id-2":  # its line comes after the other's
            answered["id-1"].wait(10)
            time.sleep(0.2)
        answered[insert_id].set()
        return 429, {"Retry-After": "1"}, b""

    with scripted(throttle_the_first_of_each) as server, client_of(server) as client, ThreadPoolExecutor(2) as threads:
        first = threads.submit(client.send, batch(1), LATER)
        while not server.requests:
            time.sleep(0.001)
        second = threads.submit(client.send, batch(2), LATER)
        assert (first.result(10).imported, second.result(10).imported) == (1, 1)
    said = [re.sub(r"[\d.]+ s", "… s", line["message"]) for line in logged(capsys, "retry")]
    assert said == [
        "Mixpanel answered 429; trying again in … s.",
        "Mixpanel answered 429; trying again in … s at the earliest, behind 1 that began before it.",
    ]


def test_a_wait_that_would_end_after_the_deadline_is_not_begun(clock: Clock) -> None:
    answers: list[Answer] = [(429, {}, b"")] * 9
    with timed(clock, *answers) as (server, times), client_of(server, clock, backoff=2) as client:
        with pytest.raises(Unavailable, match=r"^Mixpanel could not take the events in time: Mixpanel answered 429$"):
            client.send(batch(1), clock.now + 3.0)
        assert [when - times[0] for when in times] == pytest.approx([0.0, 0.2, 0.6, 1.4, 3.0])
    assert clock.now == pytest.approx(times[-1])


def test_a_turn_that_another_batch_holds_is_not_waited_for_beyond_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted(takes_all) as server, client_of(server) as client:
        client.limiter.throttled(time.monotonic(), retry_after=30)
        goes_on = threading.Event()
        monkeypatch.setattr(client.limiter, "wait", lambda _: goes_on.wait(20))
        monkeypatch.setattr("importer.mixpanel.client.endpoint._FIRST_TURN", 0.3)
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(client.send, batch(1), time.monotonic() + 60)
            time.sleep(0.1)
            started = time.monotonic()
            with pytest.raises(Unavailable, match=r"in time: its rate limit left no room$"):
                client.send(batch(2), started + 0.2)
            assert 0.25 < time.monotonic() - started < 2
            client.limiter._held_until = 0.0
            goes_on.set()
            assert first.result(5).imported == 1


# The process's own ceiling


def test_the_ceiling_of_the_settings_is_kept_to_and_waits_are_told(clock: Clock) -> None:
    told: list[float] = []
    answers = [ok(100)] * 5
    with timed(clock, *answers) as (server, times), client_of(server, clock, events_per_second=50.0) as client:
        client.limiter.on_wait = told.append
        for _ in range(5):
            assert client.send(batch(*range(100)), LATER).imported == 100
    assert gaps(times) == pytest.approx([1.9, 2.0, 2.0, 2.0])
    assert told == pytest.approx([1.9, 2.0, 2.0, 2.0])


def test_a_batch_for_which_the_ceiling_leaves_no_room_is_handed_back_and_told_why(clock: Clock) -> None:
    with scripted(takes_all) as server, client_of(server, clock, events_per_second=10.0) as client:
        client.send(batch(*range(100)), LATER)
        with pytest.raises(Unavailable) as raised:
            client.send(batch(*range(100)), clock.now + 8)
        assert len(server.requests) == 1
    assert str(raised.value) == ("Mixpanel could not take the events in time: IMPORT_EVENTS_PER_SECOND left no room")


def test_nobody_waits_without_a_limit(clock: Clock) -> None:
    with timed(clock, *[ok(2_000)] * 3) as (server, times), client_of(server, clock) as client:
        for _ in range(3):
            client.send(batch(*range(2_000)), LATER)
    assert gaps(times) == [0.0, 0.0]


# An answer that does not end


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@contextmanager
def trickling(wire: bytes, tls: ssl.SSLContext | None = None) -> Iterator[tuple[Scripted, list[int]]]:
    """A server that answers one byte every 20 ms, and how many bytes each connection got."""
    script, written = Scripted([]), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            written.append(0)
            nth = len(written) - 1
            with suppress(OSError):
                for byte in wire:
                    self.wfile.write(bytes([byte]))
                    written[nth] += 1
                    time.sleep(0.02)

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Handler, tls) as port:
        script.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        yield script, written


@pytest.mark.parametrize(
    "wire",
    [HEAD + b" " * 1_000, b"HTTP/1.1 200 OK\r\n" + b"X-Filler: x\r\n" * 90, b"H" * 1_000],
    ids=["the body", "the headers", "the status line"],
)
def test_an_answer_byte_by_byte_does_not_outlast_the_deadline(wire: bytes) -> None:
    with trickling(wire) as (server, written), client_of(server, timeout=60) as client:
        started = time.monotonic()
        with pytest.raises(Unavailable, match="in time: Mixpanel gave no answer in time"):
            client.send(batch(1), started + 1.2)
        assert 1.1 < time.monotonic() - started < 2.5
        assert len(written) == 1


def test_an_answer_byte_by_byte_is_a_timeout_when_it_takes_too_long() -> None:
    with trickling(HEAD + b" " * 1_000) as (server, written), client_of(server, timeout=0.4) as client:
        started = time.monotonic()
        with pytest.raises(Unavailable, match="Mixpanel gave no answer in time"):
            client.send(batch(1), started + 1.0)
        assert len(written) >= 2
        assert max(written) < 40


def test_an_answer_byte_by_byte_that_ends_in_time_is_an_answer() -> None:
    body = b'{"code":200,"num_records_imported":1}'
    wire = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with trickling(wire) as (server, _), client_of(server, timeout=30) as client:
        assert client.send(batch(1), time.monotonic() + 30).retried == 0


def test_an_answer_that_ends_with_its_connection_is_read_to_its_end() -> None:
    wire = b'HTTP/1.0 200 OK\r\n\r\n{"code":200,"num_records_imported":1}'
    with trickling(wire) as (server, _), client_of(server, timeout=30) as client:
        assert client.send(batch(1), time.monotonic() + 30).retried == 0


def test_over_tls_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with authority.cert_pem.tempfile() as trusted, trickling(HEAD + b" " * 1_000, context) as (server, written):
        monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", trusted)
        with client_of(server, timeout=60) as client:
            started = time.monotonic()
            with pytest.raises(Unavailable, match="Mixpanel gave no answer in time"):
                client.send(batch(1), started + 1.2)
            assert time.monotonic() - started < 2.5
    assert len(written) == 1


def test_a_body_that_nobody_reads_does_not_outlast_the_deadline_either() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = Scripted([], url=f"http://127.0.0.1:{deaf.getsockname()[1]}")
        text = random.Random(1).randbytes(4_000_000).hex()
        with client_of(server, timeout=60) as client:
            started = time.monotonic()
            with pytest.raises(Unavailable):
                client.send(batch(1, text=text), started + 1.2)
            assert time.monotonic() - started < 3


# What no retry heals


def outcomes(client: Client, batches: int, threads: int) -> list[str]:
    """What became of batches that were sent at the same time."""

    def one(number: int) -> str:
        try:
            return f"imported {client.send(batch(number), LATER).imported}"
        except FatalDeliveryError as failure:
            return str(failure)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(batches)))


UNAUTHORIZED: Answer = (401, {}, {"code": 401, "error": "Invalid credentials"})
SENTENCE = "Mixpanel rejected the project token (401): check MIXPANEL_PROJECT_TOKEN, and MIXPANEL_REGION."


def test_after_a_401_what_is_not_on_its_way_yet_fails_without_a_request_and_one_line_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    together = threading.Barrier(3)

    def unauthorized(_: Events) -> Answer:
        together.wait(10)
        return UNAUTHORIZED

    with scripted(unauthorized) as server, client_of(server, backoff=60) as client:
        assert outcomes(client, 12, threads=3) == [SENTENCE] * 12
        assert len(server.requests) == 3
    (line,) = logged(capsys, "credentials")
    assert (line["severity"], line["message"], line["status"]) == ("ERROR", SENTENCE, 401)


def test_while_a_401_lasts_one_request_in_a_while_asks_whether_it_was_mended(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(UNAUTHORIZED, UNAUTHORIZED, takes_all) as server, client_of(server, clock, backoff=2) as client:
        made = []
        for seconds in (0, 1.9, 0.1, 1.9, 0.2, 0):
            clock.now += seconds
            (became,) = outcomes(client, 1, threads=1)
            made.append((len(server.requests), became == "imported 1"))
        assert made == [(1, False), (1, False), (2, False), (2, False), (3, True), (4, True)]
    assert len(logged(capsys, "credentials")) == 1


def test_a_401_after_it_was_mended_is_told_again(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(UNAUTHORIZED, takes_all, UNAUTHORIZED) as server, client_of(server, backoff=1e-6) as client:
        became = [outcomes(client, 1, threads=1)[0] for _ in range(3)]
        assert became == [SENTENCE, "imported 1", SENTENCE]
    assert len(logged(capsys, "credentials")) == 2


@pytest.mark.parametrize("answer", [(400, {}, {"error": "what?"}), (413, {}, b"")], ids=["400", "413"])
def test_an_answer_about_the_events_shows_that_the_credentials_were_mended(clock: Clock, answer: Answer) -> None:
    with scripted(ok(1), UNAUTHORIZED, answer, takes_all) as server, client_of(server, clock, backoff=2) as client:
        client.send(batch(1), LATER)
        assert outcomes(client, 1, threads=1) == [SENTENCE]
        clock.now += 2
        assert client.send(batch(1, 2), LATER).imported == 2
        assert len(server.requests) > 4


@pytest.mark.parametrize("status", [301, 302, 307, 308, 402, 404, 405, 409, 410, 418, 451])
def test_what_no_retry_heals_stops_the_others_too(status: int) -> None:
    elsewhere = {"Location": "http://127.0.0.1:9/"}
    with scripted((status, elsewhere, b"")) as server, client_of(server, backoff=60) as client:
        became = outcomes(client, 5, threads=1)
        assert len(server.requests) == 1
    assert len(set(became)) == 1
    assert became[0].startswith(f"Mixpanel answered {status}, ")
    assert became[0].endswith(". The data stays where it is.")


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (302, "a redirect, which is not followed, .*check that MIXPANEL_API_URL is unset, .*"),
        (402, "payment required: check the plan, the usage and the billing of the organization in Mixpanel"),
        (404, "not found, .*check MIXPANEL_API_URL, which is best unset, and MIXPANEL_REGION"),
        (
            409,
            "a conflict, .*check in Mixpanel whether the project is being deleted, reset or moved, .*if it lasts",
        ),
        (410, "which no retry heals: check MIXPANEL_API_URL and MIXPANEL_REGION"),
    ],
)
def test_what_no_retry_heals_comes_with_what_to_do(status: int, advice: str) -> None:
    with scripted((status, {}, b"")) as server, client_of(server) as client:
        (became,) = outcomes(client, 1, threads=1)
    assert re.fullmatch(rf"Mixpanel answered {status}, {advice}\. The data stays where it is\.", became)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 503, 520, 599])
def test_what_may_pass_is_tried_again(status: int) -> None:
    with scripted((status, {}, b""), ok(1)) as server, client_of(server) as client:
        assert client.send(batch(1), LATER).retried == 1


def test_a_request_says_where_its_events_are_from_where_that_is_asked_for(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted((503, {}, b""), ok(1)) as server:
        with client_of(server, clock) as client:
            client.send(batch(1), LATER, "gs://b/sören.jsonl#17")
        assert not any("source" in name.lower() for name in server.requests[0][1])
        with client_of(server, clock, source_header="X-Import-Source") as client:
            client.send(batch(1), LATER, "gs://b/sören.jsonl#17")
        assert server.requests[-1][1]["X-Import-Source"] == "gs://b/s%C3%B6ren.jsonl#17"
    assert {line["source"] for line in logged(capsys, "retry")} == {"gs://b/sören.jsonl#17"}
