"""The stand-in answers POST /import as Mixpanel's reference says, one row a rule."""

from __future__ import annotations

import gzip
import json
import re
import signal
import socket
import subprocess
import sys
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from sandbox import processes
from sandbox.clients import Standin

NDJSON = {"Content-Type": "application/x-ndjson"}
ARRAY = {"Content-Type": "application/json"}
GZIP = {"Content-Encoding": "gzip"}
TOKEN = ("a-project-token", "")
ACCOUNT = ("importer.1a2b3c.mp-service-account", "a-secret")


def event(number: int, **properties: Any) -> dict[str, Any]:
    return {
        "event": "Signup",
        "properties": {"time": 1_700_000_000, "distinct_id": "user-1", "$insert_id": f"id-{number}", **properties},
    }


def lines(*events: dict[str, Any]) -> bytes:
    return b"\n".join(json.dumps(each).encode() for each in events)


def post(
    standin: Standin,
    body: bytes,
    headers: dict[str, str] | None = None,
    auth: tuple[str, str] | None = TOKEN,
    strict: str = "1",
    project_id: str | None = None,
) -> requests.Response:
    return requests.post(
        f"{standin.url}/import",
        params={"strict": strict, "project_id": project_id},
        data=body,
        headers=NDJSON if headers is None else headers,
        auth=auth,
        timeout=10,
    )


@pytest.mark.parametrize("headers", [NDJSON, NDJSON | GZIP, ARRAY, ARRAY | GZIP], ids=str)
def test_good_events_are_taken_in_both_types_gzipped_or_not(standin: Standin, headers: dict[str, str]) -> None:
    events = [event(1), event(2, city="Zürich")]
    body = lines(*events) if headers["Content-Type"] == NDJSON["Content-Type"] else json.dumps(events).encode()
    answer = post(standin, gzip.compress(body) if "Content-Encoding" in headers else body, headers)
    assert answer.status_code == 200
    assert answer.json() == {"code": 200, "num_records_imported": 2, "status": "OK"}
    found = requests.get(f"{standin.url}/sandbox/events", timeout=10).json()
    assert [each["event"] for each in found] == events[::-1]


def test_several_gzip_members_are_one_body(standin: Standin) -> None:
    body = gzip.compress(lines(event(1)) + b"\n") + gzip.compress(lines(event(2)))
    assert post(standin, body, NDJSON | GZIP).json()["num_records_imported"] == 2


def test_a_bad_event_is_named_and_the_good_ones_are_taken(standin: Standin) -> None:
    answer = post(standin, lines(event(1), event(2, time="soon"), event(3), event(4, distinct_id="anonymous")))
    assert answer.status_code == 400
    assert answer.json() == {
        "code": 400,
        "error": "some data points in the request failed validation",
        "failed_records": [
            {
                "index": 1,
                "$insert_id": "id-2",
                "field": "properties.time",
                "message": "'properties.time' is invalid: must be specified as seconds since epoch",
            },
            {
                "index": 3,
                "$insert_id": "id-4",
                "field": "properties.distinct_id",
                "message": "'properties.distinct_id' is invalid: 'anonymous' is not allowed",
            },
        ],
        "num_records_imported": 2,
        "status": "Bad Request",
    }
    assert standin.ids() == {"id-1": 1, "id-3": 1}
    assert [each["index"] for each in requests.get(f"{standin.url}/sandbox/rejects", timeout=10).json()] == [3, 1]


def test_a_failed_records_id_can_be_spelled_without_a_dollar(standin: Standin) -> None:
    standin.faults(insert_id_spelling="insert_id")
    (failed,) = post(standin, lines(event(1, time=0))).json()["failed_records"]
    assert failed["insert_id"] == "id-1"


@pytest.mark.parametrize("strict", ["0", ""])
def test_without_strict_bad_events_are_dropped_in_silence(standin: Standin, strict: str) -> None:
    answer = post(standin, lines(event(1), event(2, time="soon")), strict=strict)
    assert (answer.status_code, answer.json()["num_records_imported"]) == (200, 1)
    assert standin.summary()["rejected"] == 1


NOT_UNDERSTOOD = {
    "not JSON": (b"not JSON at all", NDJSON),
    "one line cut short": (lines(event(1)) + b'\n{"event": "Si', NDJSON),
    "bytes that are no UTF-8": (lines(event(1)) + b'\n{"event": "\xff"}', NDJSON),
    "a number beyond doubles": (lines(event(1), event(2, x="@")).replace(b'"@"', b"1e400"), NDJSON),
    "NaN": (lines(event(1), event(2, x=float("nan"))), NDJSON),
    "lines sent as an array": (lines(event(1), event(2)), ARRAY),
    "an array cut short": (json.dumps([event(1)]).encode()[:-1], ARRAY),
    "an object instead of an array": (b"{}", ARRAY),
    "gzip that is none": (lines(event(1)), NDJSON | GZIP),
    "gzip cut short": (gzip.compress(lines(event(1)))[:-9], NDJSON | GZIP),
    "gzip not declared": (gzip.compress(lines(event(1))), NDJSON),
    "an unknown encoding": (lines(event(1)), NDJSON | {"Content-Encoding": "br"}),
    "an unknown type": (lines(event(1)), {"Content-Type": "text/csv"}),
}


@pytest.mark.parametrize(("body", "headers"), NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD.keys())
def test_a_body_not_understood_names_no_record_and_nothing_is_taken(
    standin: Standin, body: bytes, headers: dict[str, str]
) -> None:
    answer = post(standin, body, headers)
    assert answer.status_code == 400
    assert answer.json().keys() == {"code", "error", "status"}
    assert standin.ids() == {}


SIGNED = {
    "a service account with its project": (ACCOUNT, "17", 200),
    "a service account without": (ACCOUNT, None, 401),
    "a project token or API secret": (TOKEN, None, 200),
    "a project token with a project": (TOKEN, "17", 200),
    "nobody": (None, None, 401),
    "no name": (("", "a-secret"), "17", 401),
}


@pytest.mark.parametrize(("auth", "project_id", "status"), SIGNED.values(), ids=SIGNED.keys())
def test_who_may_import(standin: Standin, auth: tuple[str, str] | None, project_id: str | None, status: int) -> None:
    answer = post(standin, lines(event(1)), auth=auth, project_id=project_id)
    assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert len(standin.ids()) == (status == 200)


@pytest.mark.parametrize("header", ["Bearer abc", "Basic !", "Basic", "Basic Zm9v"])
def test_a_signature_that_cannot_be_read_is_none(standin: Standin, header: str) -> None:
    answer = post(standin, lines(event(1)), NDJSON | {"Authorization": header}, auth=None)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("credentials", "auth", "status"),
    [
        ("user:right", ("user", "right"), 200),
        ("user:right", ("user", "wrong"), 401),
        ("right", ("right", ""), 200),
        ("right", ("wrong", ""), 401),
    ],
)
def test_only_the_credentials_asked_for_are_accepted(
    standin: Standin, credentials: str, auth: tuple[str, str], status: int
) -> None:
    standin.faults(credentials=credentials)
    assert post(standin, lines(event(1)), auth=auth, project_id="17").status_code == status


def test_credentials_can_be_refused_altogether(standin: Standin) -> None:
    standin.faults(unauthorized=True)
    assert post(standin, lines(event(1))).status_code == 401


def test_two_thousand_events_are_the_most(standin: Standin) -> None:
    assert post(standin, lines(*map(event, range(2000)))).status_code == 200
    answer = post(standin, lines(*map(event, range(2001))))
    assert (answer.status_code, answer.json()["status"]) == (413, "Request Entity Too Large")


@pytest.mark.parametrize("headers", [NDJSON, NDJSON | GZIP], ids=str)
def test_ten_million_bytes_uncompressed_are_the_most(standin: Standin, headers: dict[str, str]) -> None:
    body = lines(*(event(n, text="x" * 900_000) for n in range(11)))
    for more, status in ((0, 200), (1, 413)):
        padded = body + b" " * (10_000_000 - len(body) + more)
        answer = post(standin, gzip.compress(padded, 1) if "Content-Encoding" in headers else padded, headers)
        assert (answer.status_code, answer.json()["code"]) == (status, status)


def test_a_body_that_would_not_end_is_not_unpacked_to_the_end(standin: Standin) -> None:
    assert post(standin, gzip.compress(b" " * 300_000_000, 6), NDJSON | GZIP).status_code == 413


def test_a_smaller_limit_is_named_as_the_reference_does(standin: Standin) -> None:
    standin.faults(max_bytes=2097152)
    answer = post(standin, b" " * 2097153)
    assert answer.json() == {
        "code": 413,
        "error": "request exceeds max limit of 2097152 bytes",
        "status": "Request Entity Too Large",
    }


def test_the_same_event_twice_is_one_and_duplicates_are_counted_apart(standin: Standin) -> None:
    same = [event(1), event(1, more="than before")]
    other = [
        event(2),
        event(1, time=1_700_000_001),
        event(1, distinct_id="user-2"),
        {**event(1), "event": "Login"},
    ]
    assert post(standin, lines(*same, *other)).json()["num_records_imported"] == 6
    assert post(standin, lines(*same)).json()["num_records_imported"] == 2
    summary = standin.summary()
    assert (summary["received"], summary["imported"], summary["duplicates"]) == (8, 5, 3)
    listed = requests.get(f"{standin.url}/sandbox/ids", timeout=10).text
    assert sorted(listed.splitlines()) == ["id-1\t1", "id-1\t1", "id-1\t1", "id-1\t4", "id-2\t1"]


def test_over_the_rate_nothing_is_taken(standin: Standin) -> None:
    standin.faults(rate_events_per_second=1, rate_window=3, retry_after=2)
    assert post(standin, lines(event(1), event(2))).status_code == 200
    answer = post(standin, lines(event(3), event(4)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert answer.json()["status"] == "Too Many Requests"
    assert set(standin.ids()) == {"id-1", "id-2"}


FAULTS = {
    "429": (429, 0),
    "500": (500, 0),
    "502": (502, 0),
    "503": (503, 0),
    "504": (504, 0),
    "html": (200, 0),
    "garbage": (200, 4),
    "short_count": (200, 2),
    "hang": (200, 4),
}


@pytest.mark.parametrize(("kind", "status", "taken"), [(kind, *row) for kind, row in FAULTS.items()])
def test_trouble_that_answers(standin: Standin, kind: str, status: int, taken: int) -> None:
    standin.faults(**{kind: 1}, hang_seconds=0.2)
    answer = post(standin, lines(*map(event, range(4))))
    assert answer.status_code == status
    assert len(standin.ids()) == taken
    if kind in {"html", "garbage"}:
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            answer.json()
    elif status == 200:
        assert answer.json()["num_records_imported"] == taken
    assert (answer.elapsed.total_seconds() >= 0.2) == (kind == "hang")


@pytest.mark.parametrize(("kind", "taken"), [("cut_before", 0), ("cut_after", 4), ("truncated", 4)])
def test_trouble_that_breaks_the_connection(standin: Standin, kind: str, taken: int) -> None:
    standin.faults(**{kind: 1})
    expected = requests.exceptions.ChunkedEncodingError if kind == "truncated" else ConnectionResetError
    with pytest.raises(requests.RequestException) as broken:
        post(standin, lines(*map(event, range(4))))
    reasons = [broken.value, *(arg for error in broken.value.args for arg in getattr(error, "args", ()))]
    assert any(isinstance(reason, expected) for reason in reasons)
    assert len(standin.ids()) == taken


def test_a_date_may_say_when_to_retry(standin: Standin) -> None:
    standin.faults(**{"503": 1}, retry_after=60, retry_after_date=True)
    named = parsedate_to_datetime(post(standin, lines(event(1))).headers["Retry-After"])
    assert named.timestamp() == pytest.approx(time.time() + 60, abs=5)


def test_a_body_with_a_poisoned_event_is_refused_whole(standin: Standin) -> None:
    standin.faults(unnamed_400="poison")
    answer = post(standin, lines(event(1), event(2, x="a poisoned one")))
    assert answer.status_code == 400
    assert "failed_records" not in answer.json()
    assert post(standin, lines(event(1))).status_code == 200


def test_switches_are_shown_and_a_wrong_one_is_refused(standin: Standin) -> None:
    address = f"{standin.url}/sandbox/faults"
    assert requests.post(address, json={"429": 0.25}, timeout=10).json()["429"] == 0.25
    assert requests.get(address, timeout=10).json()["429"] == 0.25
    wrong = requests.post(address, json={"fog": 1}, timeout=10)
    assert wrong.status_code == 400
    assert "fog" in wrong.json()["error"]


def test_requests_are_listed_newest_first_without_their_secrets(standin: Standin) -> None:
    post(standin, lines(event(1)), auth=("user", "hush-hush"), project_id="17")
    standin.faults(cut_after=1)
    with pytest.raises(requests.ConnectionError):
        post(standin, lines(event(2), event(2), event(3, time=0)))
    listed = requests.get(f"{standin.url}/sandbox/requests", timeout=10)
    newest, first = listed.json()
    assert (first["n"], first["events"], first["status"], first["auth"]) == (1, 1, 200, "service account")
    assert (newest["n"], newest["events"], newest["status"], newest["fault"]) == (2, 3, None, "cut_after")
    assert (newest["imported"], newest["duplicates"], newest["rejected"]) == (2, 1, 1)
    assert "hush" not in listed.text


def test_a_reset_forgets_everything(standin: Standin) -> None:
    standin.faults(short_count=1)
    post(standin, lines(*map(event, range(4))))
    standin.reset()
    summary = standin.summary()
    assert (summary["requests"], summary["received"], summary["answers"], standin.ids()) == (0, 0, {}, {})
    assert post(standin, lines(event(1))).json()["num_records_imported"] == 1


def test_pages_from_elsewhere_may_not_turn_its_switches(standin: Standin) -> None:
    address = f"{standin.url}/sandbox/faults"
    refused = requests.post(address, json={"429": 1}, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10)
    assert refused.status_code == 403
    rebound = {"Sec-Fetch-Site": "same-origin", "Host": "evil.example:8081"}
    assert requests.post(address, json={"429": 1}, headers=rebound, timeout=10).status_code == 403
    assert requests.post(address, json={"429": 0}, headers={"Sec-Fetch-Site": "same-origin"}, timeout=10).ok
    assert requests.post(address, json={"429": 0}, headers={"Host": "localhost:8081"}, timeout=10).ok


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("upload?name=a.jsonl", b"{}", 409, "There is no bucket here: start with --bucket-url."),
        ("preview", b"no JSON", 400, 'A preview takes {"text": …}.'),
        ("preview", b" " * 5_000_001, 413, "A preview takes at most 5,000,000 bytes."),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    standin: Standin, path: str, body: bytes, status: int, said: str
) -> None:
    answer = requests.post(f"{standin.url}/sandbox/{path}", data=body, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (status, said)


def test_a_request_may_say_where_its_events_are_from(standin: Standin) -> None:
    post(standin, lines(event(1)), NDJSON | {"X-Import-Source": "gs://events/%C3%BC.jsonl%231"})
    (found,) = requests.get(f"{standin.url}/sandbox/events?source=Ü.jsonl", timeout=10).json()
    assert found["source"] == "gs://events/ü.jsonl#1"


def test_counting_only_still_unpacks_and_counts() -> None:
    with processes.service("sandbox.mixpanel", "--port", "0", "--count-only") as service:
        standin = Standin(service.url)
        body = lines(*map(event, range(100)))
        assert post(standin, gzip.compress(body), NDJSON | GZIP).json()["num_records_imported"] == 100
        assert (standin.summary()["imported"], standin.summary()["bytes"]) == (100, len(body))


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_and_well_when_asked_even_with_a_request_hanging(asked: signal.Signals) -> None:
    command = [sys.executable, "-m", "sandbox.mixpanel", "--port", "0"]
    with subprocess.Popen(command, cwd=processes.ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = json.loads(running.stdout.readline())["url"]
        standin = Standin(url)
        standin.faults(hang=1)
        with pytest.raises(requests.Timeout):
            requests.post(f"{url}/import?strict=1", data=lines(event(1)), headers=NDJSON, auth=TOKEN, timeout=0.5)
        running.send_signal(asked)
        assert running.wait(timeout=5) == 0


def test_a_port_that_is_taken_gets_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "sandbox.mixpanel", "--port", port]
        ended = subprocess.run(command, cwd=processes.ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert re.fullmatch(rf"Cannot listen on 127\.0\.0\.1:{port}: .*--port.*\n", ended.stderr)
