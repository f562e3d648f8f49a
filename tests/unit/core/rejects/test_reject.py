"""One reject, and the lines of the log: what they carry, and how many there are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from importer import log
from importer.core.rejects.reject import (
    Reject,
    RejectLog,
    held_bytes,
    rejected_event,
    rejected_record,
    rejected_rest,
)
from importer.errors import InvalidRecord
from importer.mixpanel.outcome import RejectedEvent

EVENT = b'{"event":"e","properties":{"$insert_id":"i-1"}}'
Seen = pytest.CaptureFixture[str]


def test_a_record_is_rejected_as_it_came_with_the_id_that_it_has() -> None:
    one = rejected_record("s", 3, 40, EVENT, InvalidRecord("no time", "properties.time"))
    assert (one.source, one.line, one.offset, one.reason, one.field) == ("s", 3, 40, "no time", "properties.time")
    assert (one.insert_id, one.event, one.encoding, one.record()) == ("i-1", EVENT.decode(), None, EVENT)
    assert (one.whole, one.records) == (False, 1)
    assert rejected_record("s", 3, 40, EVENT, InvalidRecord("is no object")).insert_id is None
    age = datetime.now(UTC) - datetime.fromisoformat(one.at)
    assert -1 < age.total_seconds() < 60
    assert len(one.at) == len("2025-06-01T00:00:00.000+00:00")


def test_what_is_no_text_is_carried_all_the_same() -> None:
    one = rejected_record("s", 1, 0, b"\xff\x00", InvalidRecord("no"))
    assert (one.encoding, one.event, one.record()) == ("base64", "/wA=", b"\xff\x00")
    assert "encoding" not in msgspec.to_builtins(rejected_record("s", 1, 0, b"x", InvalidRecord("no")))


def test_what_mixpanel_rejected_is_the_record_that_it_was_made_of() -> None:
    no = RejectedEvent(0, "properties.time", "is too old")
    made = rejected_event("s", 1, 0, b"a,b", EVENT, no)
    assert (made.event, made.insert_id, made.reason, made.field) == ("a,b", "i-1", "is too old", "properties.time")
    assert rejected_event("s", 1, 0, None, EVENT, no).record() == EVENT


@pytest.mark.parametrize(
    ("line", "rest", "expected"),
    [
        (0, b"all", (1, "broken", True)),
        (7, b"all", (8, "from here on: broken", True)),
        (7, b"", (8, "from here on: broken", False)),
    ],
)
def test_what_follows_is_rejected_from_there(line: int, rest: bytes, expected: tuple[int, str, bool]) -> None:
    one = rejected_rest("s", line, 9, rest, "broken")
    assert (one.line, one.reason, one.whole) == expected
    assert (one.offset, one.record()) == (9, rest)


def test_what_a_reject_holds_is_its_text_and_some_more() -> None:
    small, large = (rejected_record("s", 1, 0, b"x" * size, InvalidRecord("no")) for size in (10, 100_010))
    assert held_bytes(large) - held_bytes(small) == 100_000
    assert 500 < held_bytes(small) < 700


def reject(line: int, **changes: Any) -> Reject:
    made = rejected_record("s", line, 0, b"event", InvalidRecord("no", "f"))
    return msgspec.structs.replace(made, **changes)


def logged(seen: Seen) -> list[dict[str, Any]]:
    return [json.loads(line) for line in seen.readouterr().out.splitlines()]


@pytest.fixture(autouse=True)
def _log() -> None:
    log.configure("WARNING")


@pytest.mark.parametrize(("number", "lines", "is_capped"), [(1, 1, False), (2, 2, False), (3, 3, True), (9, 3, True)])
def test_so_many_are_logged_and_one_line_says_so(number: int, lines: int, is_capped: bool, capsys: Seen) -> None:
    for all_at_once in (True, False):
        written = RejectLog(3)
        if all_at_once:
            written.add_all([reject(nth) for nth in range(number)])
            written.add_all([reject(99)] * 0)
        else:
            for nth in range(number):
                written.add(reject(nth))
        said = logged(capsys)
        assert [one["line"] for one in said if one["kind"] == "reject"] == [*range(lines)]
        assert [one["kind"] for one in said[lines:]] == (["rejects capped"] if is_capped else [])


def test_none_is_logged_where_none_is_to_be(capsys: Seen) -> None:
    RejectLog(0).add_all([reject(1), reject(2)])
    RejectLog(0).add(reject(1))
    assert logged(capsys) == []


def test_a_hundred_are_logged_by_default_and_each_is_cut(capsys: Seen) -> None:
    RejectLog().add_all([reject(nth) for nth in range(150)])
    assert len(logged(capsys)) == 101
    long = "x" * 3_000
    RejectLog(9).add(reject(1, reason=long, field=long, insert_id=long, event=long))
    (one,) = logged(capsys)
    assert [len(one[name]) for name in ("reason", "field", "insert_id", "event")] == [2_000] * 4
    assert one["message"] == f"s, line 1: {'x' * 2_000}: {'x' * 2_000}"
    RejectLog(9).add(reject(1, field=None))
    assert logged(capsys)[0]["message"] == "s, line 1: no"
