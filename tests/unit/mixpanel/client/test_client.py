"""The client: one batch in, one outcome out, whatever Mixpanel answers. All against real servers."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import msgspec
import pytest
import requests.adapters
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importer import log
from importer.errors import FatalDeliveryError, Unavailable
from importer.mixpanel.batch import pack
from importer.mixpanel.client.client import Client
from importer.mixpanel.outcome import Outcome, RejectedEvent
from importer.settings import CredentialKind, Credentials, Settings
from sandbox.clients import Standin
from sandbox.processes import free_port
from tests.unit.mixpanel.scripted import batch, event, ok, partly, scripted, serving

SECRET = "hush-hush"
CREDENTIALS = {
    CredentialKind.SERVICE_ACCOUNT: Credentials(CredentialKind.SERVICE_ACCOUNT, "importer.1a2b3c", SECRET, "17"),
    CredentialKind.PROJECT_TOKEN: Credentials(CredentialKind.PROJECT_TOKEN, SECRET, "", None),
    CredentialKind.API_SECRET: Credentials(CredentialKind.API_SECRET, SECRET, "", None),
}

MakeClient = Callable[..., Client]


@pytest.fixture(autouse=True)
def _log() -> None:
    log.configure()


@pytest.fixture
def client(standin: Standin) -> Iterator[MakeClient]:
    """Makes clients of the stand-in, which wait little."""
    made: list[Client] = []

    def make(
        kind: CredentialKind = CredentialKind.SERVICE_ACCOUNT,
        clock: Callable[[], float] = time.monotonic,
        **changes: Any,
    ) -> Client:
        quick = Settings(CREDENTIALS[kind], standin.url, backoff=0.02, timeout=1)
        made.append(Client(msgspec.structs.replace(quick, **changes), clock))
        return made[-1]

    yield make
    for each in made:
        each.close()


def soon(seconds: float = 30) -> float:
    return time.monotonic() + seconds


def ids(*numbers: int) -> set[str]:
    return {f"id-{number}" for number in numbers}


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# What Mixpanel takes


def test_a_batch_goes_in_one_request(standin: Standin, client: MakeClient) -> None:
    events = batch(*range(2_000))
    assert client().send(events, soon()) == Outcome(2_000, [], requests=1, retried=0, sent_bytes=len(events.body))
    assert standin.ids() == dict.fromkeys(ids(*range(2_000)), 1)


def test_an_empty_batch_needs_no_request(standin: Standin, client: MakeClient) -> None:
    assert client().send(pack([]), soon()) == Outcome()
    assert standin.summary()["requests"] == 0


@pytest.mark.parametrize("spelling", ["$insert_id", "insert_id"])
def test_the_events_that_mixpanel_names_are_rejected_and_the_others_imported(
    standin: Standin, client: MakeClient, spelling: str
) -> None:
    standin.faults(insert_id_spelling=spelling)
    events = pack([event(0), event(1, time=1), event(2), event(3, distinct_id="null"), event(4)])
    outcome = client().send(events, soon())
    assert (outcome.imported, outcome.requests, outcome.retried) == (3, 1, 0)
    assert [(rejected.index, rejected.field) for rejected in outcome.rejected] == [
        (1, "properties.time"),
        (3, "properties.distinct_id"),
    ]
    assert "1971-01-01" in outcome.rejected[0].message
    assert standin.ids() == dict.fromkeys(ids(0, 2, 4), 1)


def test_a_batch_of_nothing_but_bad_events_is_rejected_in_one_request(client: MakeClient) -> None:
    outcome = client().send(batch(*range(50), time=1), soon())
    assert (outcome.imported, len(outcome.rejected), outcome.requests) == (0, 50, 1)


# What names no event: cut in halves until the culprit stands alone


def test_an_event_that_spoils_its_batch_without_being_named_is_found(standin: Standin, client: MakeClient) -> None:
    standin.faults(unnamed_400="poison")
    sender = client()
    events = pack([event(n, text="poison" if n == 613 else "") for n in range(1_000)])
    outcome = sender.send(events, soon())
    assert outcome.rejected == [RejectedEvent(613, None, "400: invalid request body")]
    assert (outcome.imported, outcome.retried) == (999, 0)
    assert outcome.requests <= 2 * 10 + 1
    assert set(standin.ids()) == ids(*range(1_000)) - ids(613)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.sampled_from(["good", "good", "good", "unnamed", "named", "large"]), max_size=40), st.integers(2, 2_000)
)
def test_whatever_is_wrong_with_a_batch_each_event_is_imported_or_rejected(
    standin: Standin, client: MakeClient, kinds: Sequence[str], limit: int
) -> None:
    standin.reset()
    sender = client()
    sender.send(batch(1_000), soon())
    standin.faults(unnamed_400="poison", max_bytes=max(limit, 300))
    spoil: dict[str, dict[str, Any]] = {
        "good": {},
        "unnamed": {"text": "poison"},
        "named": {"time": 1},
        "large": {"text": "x" * 3_000},
    }
    outcome = sender.send(pack([event(n, **spoil[kind]) for n, kind in enumerate(kinds)]), soon())
    good = {n for n, kind in enumerate(kinds) if kind == "good"}
    assert outcome.imported == len(good)
    assert sorted(rejected.index for rejected in outcome.rejected) == sorted(set(range(len(kinds))) - good)
    assert set(standin.ids()) == ids(1_000, *good)


def test_when_mixpanel_understands_nothing_from_the_start_it_is_no_events_fault(
    standin: Standin, client: MakeClient
) -> None:
    standin.faults(unnamed_400="Signup")
    with pytest.raises(FatalDeliveryError, match=r"the first 10 events.*MIXPANEL_PROJECT_ID, MIXPANEL_REGION"):
        client().send(batch(*range(64)), soon())


def test_a_process_that_has_sent_events_rejects_those_it_cannot_send(standin: Standin, client: MakeClient) -> None:
    sender = client()
    sender.send(batch(1), soon())
    standin.faults(unnamed_400="poison")
    assert len(sender.send(batch(*range(32), text="poison"), soon()).rejected) == 32


# What is too large


def test_a_body_too_large_goes_in_halves_and_the_limit_is_remembered(
    standin: Standin, client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    standin.faults(max_bytes=50_000)
    sender = client()
    events = batch(*range(1_000))
    assert sender.send(events, soon()).imported == 1_000
    assert 25_000 <= sender.max_bytes <= 50_000
    too_large = standin.summary()["answers"]["413"]
    assert too_large == [line["kind"] for line in logged(capsys)].count("smaller batches")
    assert sender.send(events, soon()).imported == 1_000
    assert standin.summary()["answers"]["413"] == too_large


def test_the_limit_is_not_made_smaller_by_what_nobody_rejected(standin: Standin, client: MakeClient) -> None:
    standin.faults(max_bytes=50_000)
    sender = client()
    sender.send(batch(*range(1_000)), soon())
    limit = sender.max_bytes
    for count in range(1_000, 400, -50):
        assert sender.send(batch(*range(count)), soon()).imported == count
    assert sender.max_bytes == limit


def test_an_event_too_large_even_alone_is_rejected_alone(standin: Standin, client: MakeClient) -> None:
    standin.faults(max_bytes=50_000)
    events = pack([event(n, text="x" * 60_000 if n == 7 else "") for n in range(20)])
    outcome = client().send(events, soon())
    assert outcome.rejected == [RejectedEvent(7, None, "413: too large for Mixpanel even alone")]
    assert (outcome.imported, set(standin.ids())) == (19, ids(*range(20)) - ids(7))


def test_when_everything_is_too_large_from_the_start_it_is_no_events_fault(
    standin: Standin, client: MakeClient
) -> None:
    standin.faults(max_bytes=1)
    with pytest.raises(FatalDeliveryError, match="413"):
        client().send(batch(*range(64)), soon())


# What a later try heals


@pytest.mark.parametrize("trouble", [429, 500, 502, 503, 504, "cut_before", "html", "short_count"])
def test_what_passes_is_tried_again(standin: Standin, client: MakeClient, trouble: int | str) -> None:
    standin.faults(fail_first={"status": trouble, "requests": 2})
    events = batch(*range(100))
    expected = Outcome(100, [], requests=3, retried=2, sent_bytes=3 * len(events.body))
    assert client().send(events, soon()) == expected
    assert set(standin.ids()) == ids(*range(100))


@pytest.mark.parametrize("trouble", ["cut_after", "truncated", "garbage", "hang"])
def test_an_answer_that_is_lost_costs_duplicates_which_are_one_event(
    standin: Standin, client: MakeClient, trouble: str
) -> None:
    standin.faults(fail_first={"status": trouble, "requests": 2}, hang_seconds=30)
    outcome = client(timeout=0.3).send(batch(*range(100)), soon())
    assert (outcome.imported, outcome.requests, outcome.retried) == (100, 3, 2)
    assert standin.ids() == dict.fromkeys(ids(*range(100)), 3)


def test_every_try_again_is_logged_with_its_reason(
    standin: Standin, client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    standin.faults(fail_first={"status": 503, "requests": 2})
    client().send(batch(1), soon())
    lines = logged(capsys)
    assert [(line["kind"], line["severity"], line["status"]) for line in lines] == [("retry", "WARNING", 503)] * 2
    assert all(line["message"].startswith("Mixpanel answered 503; trying again in") for line in lines)
    assert lines[0]["wait_seconds"] < lines[1]["wait_seconds"] * 4


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("dated", [False, True], ids=["in seconds", "as a date"])
def test_it_is_not_tried_again_before_mixpanel_asks_for_it(
    standin: Standin, client: MakeClient, status: int, dated: bool
) -> None:
    standin.faults(fail_first={"status": status, "requests": 1}, retry_after=25, retry_after_date=dated)
    with pytest.raises(Unavailable, match=str(status)):
        client().send(batch(1), soon(20))
    assert standin.summary()["requests"] == 1


@pytest.mark.parametrize("dated", [False, True], ids=["in seconds", "as a date"])
def test_it_is_tried_again_when_mixpanel_asks_for_it(
    standin: Standin, client: MakeClient, dated: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    standin.faults(fail_first={"status": 503, "requests": 1}, retry_after=1, retry_after_date=dated)
    assert client().send(batch(1), soon()).imported == 1
    (line,) = logged(capsys)
    assert (0 if dated else 1) <= line["wait_seconds"] < 1.5


def test_a_rate_limit_is_kept_to_and_nothing_is_lost(standin: Standin, client: MakeClient) -> None:
    standin.faults(rate_events_per_second=2_000, rate_window=0.5)
    sender = client()
    with ThreadPoolExecutor(4) as threads:
        parts = [batch(*range(first, first + 200)) for first in range(0, 3_000, 200)]
        outcomes = list(threads.map(lambda part: sender.send(part, soon()), parts))
    assert sum(outcome.imported for outcome in outcomes) == 3_000
    assert len(standin.ids()) == 3_000
    assert sum(outcome.retried for outcome in outcomes) == standin.summary()["answers"].get("429", 0)


@pytest.mark.parametrize("trouble", ["429", "503", "cut_before", "html", "short_count"])
def test_when_patience_ends_the_batch_is_not_taken(standin: Standin, client: MakeClient, trouble: str) -> None:
    standin.faults(**{trouble: 1})
    with pytest.raises(Unavailable, match="Mixpanel could not take the events in time"):
        client().send(batch(1), soon(0.2))
    assert standin.summary()["requests"] > 1
    assert not standin.ids()


def test_after_the_deadline_a_batch_is_tried_once(standin: Standin, client: MakeClient) -> None:
    assert client().send(batch(1), soon(-1)).imported == 1
    standin.faults(**{"503": 1})
    with pytest.raises(Unavailable):
        client().send(batch(2), soon(-1))
    assert standin.summary()["requests"] == 2


def test_a_server_that_is_not_there_is_trouble_that_may_pass(client: MakeClient) -> None:
    port = free_port()
    with pytest.raises(Unavailable, match=r"the connection failed \(ConnectionRefusedError\)") as raised:
        client(api_url=f"http://127.0.0.1:{port}").send(batch(1), soon(0.1))
    assert str(port) not in str(raised.value)


def test_a_count_that_stays_short_is_held_against_no_event_too_soon(standin: Standin, client: MakeClient) -> None:
    standin.faults(fail_first={"status": "short_count", "requests": 6})
    assert client().send(batch(1), soon()).imported == 1
    standin.faults(fail_first={"status": "short_count", "requests": 7})
    outcome = client().send(batch(*range(8)), soon())
    assert (outcome.imported, outcome.rejected, outcome.retried >= 4) == (8, [], True)


MIXED = ("429", "500", "502", "503", "504", "cut_before", "cut_after", "truncated", "html", "garbage", "short_count")


@pytest.mark.parametrize("seed", range(3))
def test_under_all_troubles_at_once_every_event_arrives(standin: Standin, client: MakeClient, seed: int) -> None:
    standin.faults(**dict.fromkeys(MIXED, 0.03), seed=seed)
    sender = client()
    with ThreadPoolExecutor(8) as threads:
        parts = [batch(*range(first, first + 50)) for first in range(0, 2_000, 50)]
        outcomes = list(threads.map(lambda part: sender.send(part, soon(60)), parts))
    assert [outcome.imported for outcome in outcomes] == [50] * 40
    assert set(standin.ids()) == ids(*range(2_000))
    assert sum(outcome.requests for outcome in outcomes) == standin.summary()["requests"]


# What no retry heals


@pytest.mark.parametrize("kind", CredentialKind)
def test_rejected_credentials_fail_at_once_and_are_named_but_not_shown(
    standin: Standin, client: MakeClient, kind: CredentialKind, capsys: pytest.CaptureFixture[str]
) -> None:
    standin.faults(credentials="others:than-ours")
    sender = client(kind)
    with pytest.raises(FatalDeliveryError) as raised:
        sender.send(batch(1), soon())
    assert f"Mixpanel rejected the {kind.value} (401): check MIXPANEL_" in str(raised.value)
    (line,) = logged(capsys)
    assert (line["kind"], line["severity"], line["status"]) == ("credentials", "ERROR", 401)
    assert standin.summary()["requests"] == 1
    assert SECRET not in f"{raised.value!r} {line} {sender!r} {vars(sender)!r} {CREDENTIALS[kind]!r}"


@pytest.mark.parametrize(
    ("status", "told"),
    [(403, "Mixpanel rejected the service account"), (404, "answered 404"), (301, "answered 301"), (405, "no retry")],
)
def test_other_failures_stop_at_once_and_redirects_are_not_followed(client: MakeClient, status: int, told: str) -> None:
    with scripted(ok(1)) as elsewhere, scripted((status, {"Location": f"{elsewhere.url}/import"}, b"")) as server:
        with pytest.raises(FatalDeliveryError, match=told):
            client(api_url=server.url).send(batch(1), soon())
        assert (len(server.requests), elsewhere.requests) == (1, [])


PARTIAL = {
    "named by index": (partly({"index": 1, "message": "no"}, imported=2), [RejectedEvent(1, None, "no")]),
    "named by $insert_id": (
        partly({"$insert_id": "id-1", "message": "no"}, imported=2),
        [RejectedEvent(1, None, "no")],
    ),
    "named by insert_id": (partly({"insert_id": "id-1", "field": "f"}, imported=2), None),
    "an index beyond the batch": (partly({"index": 9, "insert_id": "id-1"}, imported=2), None),
    "named twice, for two fields": (
        partly({"index": 1, "field": "a", "message": "no"}, {"index": 1, "field": "b", "message": "no"}, imported=2),
        [RejectedEvent(1, "b", "no")],
    ),
    "all of them": (
        partly(*({"index": n, "message": "no"} for n in range(3)), imported=0),
        [RejectedEvent(n, None, "no") for n in range(3)],
    ),
    "no message": (partly({"index": 1, "message": None, "field": None}, imported=2), None),
    "no count": (partly({"index": 1, "message": "no"}, imported=None), [RejectedEvent(1, None, "no")]),
}


@pytest.mark.parametrize(("answer", "expected"), PARTIAL.values(), ids=PARTIAL.keys())
def test_a_partial_answer_is_understood_however_it_names_the_events(
    client: MakeClient, answer: tuple[int, dict[str, str], Any], expected: list[RejectedEvent] | None
) -> None:
    with scripted(answer) as server:
        outcome = client(api_url=server.url).send(batch(0, 1, 2), soon())
        assert (len(server.requests), outcome.imported) == (1, 3 - len(outcome.rejected))
    assert outcome.rejected == expected if expected else [rejected.index for rejected in outcome.rejected] == [1]
    assert all(rejected.message for rejected in outcome.rejected)


def test_a_record_named_that_is_not_in_the_batch_leaves_every_event_accounted_for(client: MakeClient) -> None:
    unknown = partly({"insert_id": "who?", "message": "no"}, imported=3)
    with scripted(unknown, ok(2)) as server:
        outcome = client(api_url=server.url).send(batch(0, 1, 2, 3), soon())
    assert (outcome.imported, outcome.rejected) == (4, [])


NOT_AN_ANSWER = {
    "an empty object": (200, {}, {}),
    "no count": (200, {}, {"code": 200, "status": "OK"}),
    "an array": (200, {}, []),
    "null": (200, {}, None),
    "nothing": (200, {}, b""),
    "a web page": (400, {"Content-Type": "text/html"}, b"<html>Bad Request</html>"),
    "gzip that is none": (200, {"Content-Encoding": "gzip"}, b"plain"),
    "a status of Cloudflare's": (520, {}, b""),
    "too early": (425, {}, b""),
}


@pytest.mark.parametrize("answer", NOT_AN_ANSWER.values(), ids=NOT_AN_ANSWER.keys())
def test_an_answer_that_says_nothing_is_no_success(client: MakeClient, answer: tuple[int, dict[str, str], Any]) -> None:
    with scripted(answer, ok(1)) as server:
        outcome = client(api_url=server.url).send(batch(1), soon())
        assert (outcome.imported, len(server.requests), outcome.retried) == (1, 2, 1)


def test_a_rejection_in_an_odd_form_is_still_a_rejection(client: MakeClient) -> None:
    with scripted(ok(1), (400, {}, {"error": {"code": 7}}), ok(1)) as server:
        sender = client(api_url=server.url)
        sender.send(batch(1), soon())
        assert sender.send(batch(2), soon()).rejected == [RejectedEvent(0, None, "400: {'code': 7}")]


FAR_YEAR = "Fri, 01 Jan 99999999999999999999 00:00:00 GMT"


@pytest.mark.parametrize("value", ["²", "-1", "soon", "Fri, 31 Feb 2025 99:00:00 GMT", FAR_YEAR, "1e999", "", " 0 "])
def test_a_retry_after_that_makes_no_sense_does_no_harm(client: MakeClient, value: str) -> None:
    with scripted((503, {"Retry-After": value}, b""), ok(1)) as server:
        assert client(api_url=server.url).send(batch(1), soon()).imported == 1


@pytest.mark.parametrize("value", ["86400", "9" * 400, "Fri, 31 Dec 9999 00:00:00 GMT"], ids=["a day", "huge", "dated"])
def test_a_retry_after_far_too_long_does_not_hold_the_process_back_for_ever(client: MakeClient, value: str) -> None:
    now = 0.0
    with scripted((429, {"Retry-After": value}, b""), ok(1)) as server:
        sender = client(clock=lambda: now, api_url=server.url)
        with pytest.raises(Unavailable, match="429"):
            sender.send(batch(1), 250)
        now = 301.0
        assert sender.send(batch(1), 310).imported == 1


# What goes over the wire


@pytest.mark.parametrize(
    ("credentials", "signed", "project"),
    [
        (CREDENTIALS[CredentialKind.SERVICE_ACCOUNT], f"importer.1a2b3c:{SECRET}", "&project_id=17"),
        (CREDENTIALS[CredentialKind.PROJECT_TOKEN], f"{SECRET}:", ""),
        (Credentials(CredentialKind.API_SECRET, "Schlüssel", "", "17"), "Schlüssel:", "&project_id=17"),
    ],
)
def test_a_request_is_as_the_reference_says(
    client: MakeClient, credentials: Credentials, signed: str, project: str
) -> None:
    with scripted(ok(2)) as server:
        client(credentials=credentials, api_url=server.url).send(batch(1, 2), soon())
        ((path, headers, body),) = server.requests
    assert path == f"/import?strict=1{project}"
    assert headers["Authorization"] == "Basic " + base64.b64encode(signed.encode()).decode()
    assert headers["Content-Type"] == "application/x-ndjson"
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body).splitlines() == [event(1), event(2)]
    assert "ip" not in json.loads(event(1))["properties"]


def test_requests_share_a_connection_whatever_is_answered(client: MakeClient) -> None:
    with scripted((503, {}, b"busy"), ok(1), (413, {}, b"too large"), ok(1)) as server:
        sender = client(api_url=server.url)
        for n in range(5):
            sender.send(batch(n), soon())
    assert len(server.requests) > 5
    assert server.connections == 1


def test_a_proxy_is_used_where_the_environment_says_so_and_not_where_it_says_not(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(ok(1)) as proxy, scripted(ok(1)) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        client(api_url=server.url).send(batch(1), soon())
        assert (len(proxy.requests), len(server.requests)) == (0, 1)
        client(api_url="http://api.mixpanel.invalid").send(batch(1), soon())
        assert proxy.requests[0][0] == "http://api.mixpanel.invalid/import?strict=1&project_id=17"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What a server needs to be "localhost"."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@contextmanager
def tunnels() -> Iterator[tuple[str, list[str]]]:
    """A proxy's address, and whereto it was asked for tunnels."""
    asked: list[str] = []

    class Tunnel(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as there:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_passed_on, args=(there, self.connection))
                back.start()
                _passed_on(self.connection, there)
                back.join()

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Tunnel) as port:
        yield f"http://127.0.0.1:{port}", asked


def _passed_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_a_certificate_that_no_authority_signed_gets_nothing(client: MakeClient, tls: ssl.SSLContext) -> None:
    with scripted(ok(1), tls=tls) as server, pytest.raises(Unavailable, match="SSLCertVerificationError"):
        client(api_url=server.url).send(batch(1), time.monotonic())
    assert not server.requests


@pytest.mark.parametrize("is_tunnelled", [False, True])
def test_one_that_an_authority_signed_is_trusted_also_through_a_proxy(
    client: MakeClient,
    tls: ssl.SSLContext,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_tunnelled: bool,
) -> None:
    with authority.cert_pem.tempfile() as trusted, scripted(ok(1), tls=tls) as server, tunnels() as (proxy, asked):
        monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", trusted)
        if is_tunnelled:
            monkeypatch.setenv("https_proxy", proxy)
            monkeypatch.delenv("no_proxy", raising=False)
        sender = client(api_url=server.url)
        assert [sender.send(batch(n), soon()).imported for n in range(3)] == [1, 1, 1]
    assert server.connections == 1
    assert [path for path, _, _ in server.requests] == ["/import?strict=1&project_id=17"] * 3
    assert set(asked) == ({server.url.removeprefix("https://")} if is_tunnelled else set())


def test_no_netrc_replaces_the_credentials(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with scripted(ok(1)) as server:
        client(api_url=server.url).send(batch(1), soon())
        signed = base64.b64decode(server.requests[0][1]["Authorization"].removeprefix("Basic ")).decode()
    assert signed == f"importer.1a2b3c:{SECRET}"
