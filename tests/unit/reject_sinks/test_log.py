"""Rejects that only the log keeps: whole, in entries that the platform does not cut, and put together again."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importer import log
from importer.core.rejects.reject import Reject, rejected_record
from importer.errors import InvalidRecord
from importer.reject_sinks.log import LogSink
from sandbox.processes import ROOT

SOURCE = "projects/p/subscriptions/s#17"
MAX_ENTRY_BYTES = 256_000


def reject(record: bytes, reason: str = "is bad", field: str | None = None, source: str = SOURCE) -> Reject:
    return rejected_record(source, 3, 40, record, InvalidRecord(reason, field))


def written(capsys: pytest.CaptureFixture[str], *rejects: Reject) -> list[bytes]:
    """The lines of the log for these."""
    log.configure("ERROR")
    capsys.readouterr()
    LogSink().store(rejects)
    return capsys.readouterr().out.encode().splitlines()


def test_a_reject_is_an_error_with_all_of_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    event = b'{"event":"e","properties":{"time":1,"distinct_id":"u","$insert_id":"i","note":"%b"}}' % (b"n" * 5_000)
    lines = written(capsys, reject(event, "is bad", "properties.time"), reject(b""))
    assert [json.loads(line) for line in lines] == [
        {
            "severity": "ERROR",
            "message": f"{SOURCE}, line 3: properties.time: is bad",
            "kind": "reject",
            "source": SOURCE,
            "line": 3,
            "offset": 40,
            "reason": "is bad",
            "field": "properties.time",
            "insert_id": "i",
            "event": event.decode(),
        },
        {
            "severity": "ERROR",
            "message": f"{SOURCE}, line 3: is bad",
            "kind": "reject",
            "source": SOURCE,
            "line": 3,
            "offset": 40,
            "reason": "is bad",
            "field": None,
            "insert_id": None,
            "event": "",
        },
    ]


def test_a_long_reject_takes_several_entries_that_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    entries = [json.loads(line) for line in written(capsys, reject(b"x" * 300_000), reject(b"y" * 130_000))]
    assert [(one["kind"], one["part"], one["parts"], len(one["event"])) for one in entries] == [
        ("reject", 1, 3, 119_998), ("reject part", 2, 3, 119_998), ("reject part", 3, 3, 60_004),
        ("reject", 1, 2, 119_998), ("reject part", 2, 2, 10_002),
    ]  # fmt: skip
    assert {one["severity"] for one in entries} == {"ERROR"}
    identifiers = [one["reject_id"] for one in entries]
    assert len(set(identifiers[:3])) == len(set(identifiers[3:])) == 1
    assert identifiers[0] != identifiers[3]
    assert {(one["source"], one["line"], one["offset"]) for one in entries} == {(SOURCE, 3, 40)}
    assert [one["message"] for one in entries[:2]] == [
        f"{SOURCE}, line 3: is bad",
        f"{SOURCE}, line 3: part 2 of 3",
    ]


def test_no_entry_is_longer_than_the_platform_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where every character takes six bytes, in every field."""
    worst = "\1" * 2_000_000
    lines = written(capsys, reject(worst.encode(), worst, worst, "\1" * 2_001), reject(b"\xff" * 2_000_000))
    assert max(map(len, lines)) < MAX_ENTRY_BYTES
    assert "".join(json.loads(line)["event"] for line in lines if b'"base64"' not in line).startswith(worst)


@given(st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_parts_are_the_event_and_none_is_too_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("importer.reject_sinks.log._MAX_PART_BYTES", 12)
    events = [json.loads(line)["event"] for line in written(capsys, reject(text.encode()))]
    assert "".join(events) == text
    assert all(len(msgspec.json.encode(event)) <= 12 for event in events)
    assert all(events) or not text


def test_what_is_not_as_usual_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    rejects = [
        reject(b"\xff"),
        msgspec.structs.replace(reject(b"a\nb"), records=2),
        msgspec.structs.replace(reject(b"a"), whole=True),
    ]
    found = [json.loads(line) for line in written(capsys, *rejects)]
    unusual = [{name: one[name] for name in ("encoding", "records", "whole") if name in one} for one in found]
    assert unusual == [{"encoding": "base64"}, {"records": 2}, {"whole": True}]


@pytest.mark.skipif(shutil.which("jq") is None, reason="runs the command of the runbook, which needs jq")
def test_the_runbook_puts_rejects_together_again(capsys: pytest.CaptureFixture[str]) -> None:
    """As gcloud gives the entries, the newest first: those of one reject need not follow each other."""
    rejects = [
        reject(b'"' * 200_000),
        msgspec.structs.replace(reject(b"a\nb"), records=2),
        msgspec.structs.replace(reject(b"\xff" * 200_000, "is none", "f"), whole=True),
        reject(b"a"),
        reject(b"a"),
    ]
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(written(capsys, *rejects)):
        payload = json.loads(line)
        entry = {name: payload.pop(name) for name in ("severity", "message")}
        entries.insert(0, {"insertId": f"i{number}", "timestamp": "then", "jsonPayload": payload, **entry})
    manual = (ROOT / "docs" / "operations.md").read_text()
    program = manual.partition('("reject" OR "reject part")')[2].partition("jq -c '")[2].partition("'")[0]
    made = subprocess.run(["jq", "-c", program], input=json.dumps(entries).encode(), capture_output=True, check=True)
    again = [msgspec.json.decode(line, type=Reject) for line in made.stdout.splitlines()]
    assert sorted(again, key=msgspec.json.encode) == sorted(
        (msgspec.structs.replace(one, at="then") for one in rejects), key=msgspec.json.encode
    )
