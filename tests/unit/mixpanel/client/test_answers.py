"""What an answer says is read generously: what cannot be read is left out, and the rest stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from importer.mixpanel.batch import pack
from importer.mixpanel.client import answers
from importer.mixpanel.client.answers import (
    Answer,
    FailedRecord,
    UnattributedFailure,
    decoded,
    failures,
    identity_calls,
)
from tests.unit.mixpanel.scripted import batch, event


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        (3, 3),
        (3.0, 3),
        ("3", 3),
        (" 3.0 ", 3),
        (0, 0),
        (-1, -1),
        (3.5, None),
        ("three", None),
        ("", None),
        (True, None),
        (None, None),
        ([3], None),
        ({"n": 3}, None),
        ("1e999", None),
        ("nan", None),
    ],
)
def test_a_whole_number_is_understood_in_each_of_its_forms(told: Any, meant: int | None) -> None:
    body = {"num_records_imported": told, "failed_records": [{"index": told, "message": "no"}]}
    assert decoded(json.dumps(body).encode()) == Answer(meant, [FailedRecord(index=meant, message="no")], None)


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ({"$insert_id": "a"}, FailedRecord(insert_id="a")),
        ({"insert_id": "a"}, FailedRecord(insert_id="a")),
        ({"$insert_id": None, "insert_id": "a"}, FailedRecord(insert_id="a")),
        ({"$insert_id": "a", "insert_id": "b"}, FailedRecord(insert_id="a")),
        ({"insert_id": 7}, FailedRecord(insert_id="7")),
        ({"field": ["a", "b"], "message": {"why": 1}}, FailedRecord(field="['a', 'b']", message="{'why': 1}")),
        ({}, FailedRecord()),
        ("no", FailedRecord(message="no")),
        (
            "'properties.time' is invalid: no",
            FailedRecord(None, None, "properties.time", "'properties.time' is invalid: no"),
        ),
        ("it's 'quoted' later", FailedRecord(message="it's 'quoted' later")),
        (None, FailedRecord()),
        (7, FailedRecord(message="7")),
        (["no"], FailedRecord(message="['no']")),
    ],
)
def test_a_failed_record_is_understood_in_each_of_its_forms(told: Any, meant: FailedRecord) -> None:
    assert decoded(json.dumps({"failed_records": [told, {"index": 1}]}).encode()) == Answer(
        None, [meant, FailedRecord(index=1)], None
    )


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ({"index": 1}, [FailedRecord(index=1)]),
        ("no", [FailedRecord(message="no")]),
        ([], []),
        (None, []),
        (True, []),
        (7, []),
    ],
)
def test_failed_records_need_not_be_an_array(told: Any, meant: list[FailedRecord]) -> None:
    assert decoded(json.dumps({"failed_records": told, "error": 5}).encode()) == Answer(None, meant, "5")


@pytest.mark.parametrize(
    "body",
    [
        b'{"num_records_imported": 2, "error": "cut \xc3"}',
        b'{"num_records_imported": 2, "error": "a\ttab"}',
        b'\xef\xbb\xbf{"num_records_imported": 2, "error": "a"}',
        b'{"num_records_imported": 2, "error": NaN}',
        b'{"num_records_imported": 2, "error": "\\ud800"}',
    ],
    ids=["a cut character", "a control character", "a byte order mark", "NaN", "half a surrogate pair"],
)
def test_what_is_almost_json_is_read_all_the_same(body: bytes) -> None:
    answer = decoded(body)
    assert answer is not None
    assert answer.imported == 2


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"ok"', b"1", b'{"a":', b"<html>", b"[" * 100_000, b"\xff"])
def test_what_is_no_object_is_no_answer(body: bytes) -> None:
    assert decoded(body) is None


def test_events_are_found_by_index_or_else_by_insert_id() -> None:
    told = [FailedRecord(index=2), FailedRecord(index=9, insert_id="id-0"), FailedRecord(insert_id="id-3")]
    assert failures(batch(0, 1, 2, 3), told) == {2: told[0], 0: told[1], 3: told[2]}


def test_an_event_that_was_sent_alone_is_found_whatever_names_it() -> None:
    told = FailedRecord(index=9, message="no")
    assert failures(batch(0), [told]) == {0: told}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (FailedRecord(index=4, message="no"), "no"),
        (FailedRecord(index=-1), "400: it names an event that was not sent"),
        (FailedRecord(insert_id="who?", message="no"), "no"),
        (FailedRecord(message="identity events are not allowed"), "identity events are not allowed"),
    ],
)
def test_an_event_that_is_not_in_the_batch_is_not_found(told: FailedRecord, reason: str) -> None:
    with pytest.raises(UnattributedFailure) as raised:
        failures(batch(0, 1, 2, 3), [FailedRecord(index=1), told])
    assert str(raised.value) == reason


def test_a_text_about_identity_events_is_about_all_of_them() -> None:
    told = FailedRecord(message="identity events are not allowed when project is using simplified identity management")
    part = pack([event(0), event(1, "$identify"), event(2, "$merge"), event(3, "$identity"), event(4, "$create_alias")])
    assert failures(part, [told]) == {1: told, 2: told, 4: told}


def test_what_has_no_name_that_can_be_read_is_no_identity_call() -> None:
    assert identity_calls(pack([b'{"event":7}', b"no JSON", b"[]", b'{"event":"$merge"}'])) == [3]


def test_of_several_that_speak_of_one_event_the_last_counts() -> None:
    told = [FailedRecord(index=0, message=text) for text in ("first", "second", "last")]
    assert failures(batch(0), told) == {0: told[-1]}
    assert failures(batch(0, 1), told) == {0: told[-1]}


class Answered:
    """An answer of which the headers are all that is looked at."""

    def __init__(self, value: str) -> None:
        self.headers = {"Retry-After": value}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("999999999", answers._MAX_RETRY_AFTER), ("", None), ("soon", None),
     ("-1", None), ("1.5", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Wed, 21 Oct 2015 07:28:00", None),
     ("Wed, 21 Oct 2215 07:28:00 GMT", answers._MAX_RETRY_AFTER)],
)  # fmt: skip
def test_how_long_an_answer_asks_to_wait(value: str, seconds: float | None) -> None:
    assert answers.retry_after(Answered(value)) == seconds  # type: ignore[arg-type]
