"""What the page can ask of the program around the stand-in, and what it is told of it; without a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sandbox import processes
from sandbox.clients import Standin

SECRET = "hush-hush"


@pytest.fixture(scope="module")
def service() -> Iterator[processes.Service]:
    with processes.service("sandbox.mixpanel", "--port", "0") as service:
        yield service


@pytest.fixture
def standin(service: processes.Service) -> Standin:
    standin = Standin(service.url)
    standin.reset()
    standin.tell_around({"functions": {"state": "unknown"}})
    return standin


def post(standin: Standin, path: str, body: bytes, **headers: str) -> tuple[int, str | None]:
    answer = requests.post(f"{standin.url}/sandbox/{path}", data=body, headers=headers, timeout=30)
    return answer.status_code, answer.json().get("error")


def test_what_is_picked_is_asked_of_whoever_started_it(service: processes.Service, standin: Standin) -> None:
    service.lines.clear()
    standin.pick_mapping("segment")
    standin.pick_mapping(None)
    deadline = time.monotonic() + 5
    while len(service.lines) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [json.loads(line) for line in service.lines] == [{"mapping": "segment"}, {"mapping": None}]


def test_the_functions_settings_are_used_and_never_shown(standin: Standin, tmp_path: Path) -> None:
    mapping = tmp_path / "hashing.toml"
    mapping.write_text('use = "auto"\n[filters.hash]\nproperties = ["mail"]\nsalt_from = "SALT"\n')
    standin.tell_around(
        {"functions": {"state": "running"}, "mapping": str(mapping), "environment": {"SALT": SECRET, "OTHER": SECRET}}
    )
    event = {"event": "A", "properties": {"time": 1_700_000_000, "distinct_id": "u", "mail": "a@b.example"}}
    answer = requests.post(f"{standin.url}/sandbox/preview", json={"text": json.dumps(event)}, timeout=30)
    (outcome,) = answer.json()["records"][0]["outcomes"]
    assert outcome["fate"] == "imported"
    assert {"stage": "filter", "rule": "hash", "part": "mail", "did": "changed"} in outcome["touches"]
    shown = answer.text
    for name in ("summary", "events", "requests", "rejects", "sources", "faults", "mapping_file"):
        shown += requests.get(f"{standin.url}/sandbox/{name}", timeout=10).text
    with requests.get(f"{standin.url}/sandbox/stream", stream=True, timeout=10) as feed:
        shown += next(feed.iter_lines()).decode()
    assert SECRET not in shown


def test_a_mapping_file_is_written_where_one_is_picked_and_nowhere_else(standin: Standin, tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    address = f"{standin.url}/sandbox/mapping_file"
    standin.pick_mapping("segment")
    assert post(standin, "mapping_file", b"x") == (409, "Pick a mapping file first.")
    standin.pick_mapping(str(file))
    assert requests.get(address, timeout=10).json() == {"text": None}
    assert post(standin, "mapping_file", b'use = "auto"') == (200, None)
    assert requests.get(address, timeout=10).json() == {"text": file.read_text()} == {"text": 'use = "auto"'}
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert post(standin, "mapping_file", b"y", **elsewhere)[0] == 403
    assert requests.get(address, headers=elsewhere, timeout=10).status_code == 403
    standin.pick_mapping(str(tmp_path / "no" / "such.toml"))
    assert (
        post(standin, "mapping_file", b"x")[1]
        == f"{tmp_path}/no/such.toml cannot be written: No such file or directory."
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("publish", b"{}", 409, "There is no topic here: `make sandbox` starts one."),
        ("send_again", b"", 409, "The rejects are not stored here, but in the log alone."),
        ("mapping", b"[]", 400, 'A mapping is {"name": "auto"}, a ready mapping, a file (*.toml), or null for none.'),
        ("around", b'{"secret": 1}', 400, "Object contains unknown field `secret`."),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    standin: Standin, path: str, body: bytes, status: int, said: str
) -> None:
    assert post(standin, path, body) == (status, said)


def test_a_preview_says_why_there_is_none(standin: Standin) -> None:
    standin.pick_mapping("segmint")
    status, said = post(standin, "preview_file", b"{}")
    assert status == 422
    assert said is not None
    assert said.startswith("IMPORT_MAPPING is 'segmint', and there is no such mapping: there are snowplow, ")
    standin.pick_mapping(None)
    png = requests.post(f"{standin.url}/sandbox/preview_file", data=b"\x89PNG\r\n\x1a\n", timeout=30).json()
    assert png["records"] == []
    assert png["unreadable"].startswith("this is no event data but a PNG")


def test_of_a_file_that_is_cut_the_last_record_is_left_out(standin: Standin) -> None:
    standin.pick_mapping(None)
    event = b'{"event":"A","properties":{"time":1700000000,"distinct_id":"u"}}\n'
    address = f"{standin.url}/sandbox/preview_file?cut=1"
    found = requests.post(address, data=event * 3 + event[:20], timeout=30).json()
    assert len(found["records"]) == 3
    assert found["more"]
    assert found["unreadable"] is None
