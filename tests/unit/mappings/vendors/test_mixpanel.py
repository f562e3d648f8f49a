"""Mixpanel's own exports, made safe: the export's lines and the pipelines' rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from importer.mappings.vendors import mixpanel
from importer.mappings.vendors.mixpanel import matches, to_mixpanel
from sandbox.vendors import mixpanel as made_up
from sandbox.vendors.shop import happenings
from tests.unit.mappings.judged import dropped, event, judge, properties, rejected, spoiled

TIME = 1_751_254_672_000
OWN = {"time": 1_751_254_672, "distinct_id": "u1", "$insert_id": "i-1", "mp_processing_time_ms": 1_751_254_673_000}


def line(given: dict[str, Any] | None = None, name: object = "Order Completed") -> dict[str, Any]:
    """A line of the export."""
    return {"event": name, "properties": OWN | (given or {})}


def row(given: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A row of a pipeline."""
    return {
        "event_name": "Order Completed",
        "time": "2025-06-30T03:37:52.846Z",
        "distinct_id": "u1",
        "insert_id": "i-1",
        "properties": given or {},
    } | fields


IDENTITIES: list[tuple[str, dict[str, Any], str | None, str | None]] = [
    ("an id alone is a user's", {"distinct_id": "u1"}, "u1", None),
    ("unless it says otherwise", {"distinct_id": "$device:d1"}, None, "d1"),
    ("both ids", {"$user_id": "u1", "$device_id": "d1", "distinct_id": "merged"}, "u1", "d1"),
    ("a device with the prefix", {"$device_id": "$device:d1", "distinct_id": "$device:d1"}, None, "d1"),
    ("a device whose distinct_id was merged", {"$device_id": "d1", "distinct_id": "u1"}, None, "d1"),
    ("as it was sent", {"distinct_id": "merged", "$distinct_id_before_identity": "$device:d1"}, None, "d1"),
    ("as a user it was sent", {"distinct_id": "merged", "$distinct_id_before_identity": "u1"}, "u1", None),
    ("a number", {"distinct_id": 7}, "7", None),
    ("nobody", {"distinct_id": ""}, None, None),
]


@pytest.mark.parametrize(("given", "user", "device"), [one[1:] for one in IDENTITIES], ids=[o[0] for o in IDENTITIES])
def test_an_event_is_whose_it_was_when_it_was_sent(given: dict[str, Any], user: str | None, device: str | None) -> None:
    found = properties(to_mixpanel, line(given))
    assert (found.get("$user_id"), found.get("$device_id")) == (user, device)
    assert found["distinct_id"] == (user or (f"$device:{device}" if device else ""))
    assert "$distinct_id_before_identity" not in found


TIMES: list[tuple[str, dict[str, Any], int]] = [
    ("seconds", line(), TIME),
    ("milliseconds", line({"time": TIME + 846}), TIME + 846),
    ("a fraction of seconds", line({"time": 1751254672.846}), TIME + 846),
    ("a pipeline's timestamp", row(), TIME + 846),
    ("BigQuery's", row(time="2025-06-30 03:37:52.846 UTC"), TIME + 846),
    ("a pipeline's seconds", row(time=1_751_254_672), TIME),
]


@pytest.mark.parametrize(("record", "time"), [one[1:] for one in TIMES], ids=[one[0] for one in TIMES])
def test_a_time_becomes_milliseconds(record: dict[str, Any], time: int) -> None:
    assert properties(to_mixpanel, record)["time"] == time


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("its insert id", line(), {"$insert_id": "i-1"}),
    ("a row's insert id", row(), {"$insert_id": "i-1"}),
    (
        "its own properties",
        line({"price": 1.5, "$city": "Ipoh", "mp_country_code": "MY", "$os": "iOS"}),
        {"price": 1.5, "$city": "Ipoh", "mp_country_code": "MY", "$os": "iOS"},
    ),
    ("a row's", row({"price": 1.5}), {"price": 1.5}),
    ("a row's in a text", row(properties='{"price":1.5}'), {"price": 1.5}),
    ("a row's ids", row(user_id="u2", device_id="d2"), {"$user_id": "u2", "$device_id": "d2", "distinct_id": "u2"}),
    (
        "what Mixpanel noted",
        line({"$import": True, "$mp_api_endpoint": "a", "$mp_api_timestamp_ms": 1}),
        {"$import": None, "$mp_api_endpoint": None, "$mp_api_timestamp_ms": None, "mp_processing_time_ms": None},
    ),
    (
        "what does harm",
        line({"token": "t", "$ignore": True, "bucket": 1}),
        {"token": None, "$ignore": None, "bucket": None},
    ),
]


@pytest.mark.parametrize(("record", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_property_stays_what_it_is(record: dict[str, Any], expected: dict[str, Any]) -> None:
    found = properties(to_mixpanel, record)
    assert {name: found.get(name) for name in expected} == expected
    assert event(to_mixpanel, record)["event"] == "Order Completed"


@pytest.mark.parametrize(("name", "kind"), [("$merge", "merge call"), ("$create_alias", "alias call")])
def test_an_identity_call_is_dropped(name: str, kind: str) -> None:
    assert dropped(to_mixpanel, line({"$distinct_ids": ["a", "b"]}, name)) == kind
    assert dropped(to_mixpanel, row(event_name=name)) == kind


def test_an_identify_call_becomes_an_event_that_links_both_ids() -> None:
    found = event(to_mixpanel, line({"$identified_id": "u1", "$anon_id": "$device:d1"}, "$identify"))
    assert found["event"] == "Identify"
    assert found["properties"] == {
        "time": TIME,
        "$insert_id": "i-1",
        "$user_id": "u1",
        "$device_id": "d1",
        "distinct_id": "u1",
    }


@pytest.mark.parametrize("given", [{}, {"$identified_id": "u1"}, {"$identified_id": "u1", "$anon_id": "u1"}])
def test_an_identify_call_without_both_ids_is_dropped(given: dict[str, Any]) -> None:
    assert dropped(to_mixpanel, line(given, "$identify")) == "identify call"


REJECTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": (line(name=None), "has no event name: event must be a text and is missing", "event"),
    "a blank name": (row(event_name=" "), "has no event name: event_name must be a text and is empty", "event_name"),
    "no time": (line({"time": None}), "has no usable time: properties.time must be", "properties.time"),
    "a row's time": (row(time="soon"), "has no usable time: time must be in ISO 8601, or a number", "time"),
    "nobody said": (
        line({"distinct_id": None}),
        "has no user: no usable id is in properties.dis",
        "properties.distinct_id",
    ),
    "forbidden": (row(distinct_id="null"), "has no user: no usable id is in distinct_id", "distinct_id"),
    "text that is none": (row(properties="{"), "has properties that cannot be read: the text is", "properties"),
    "too deep": (line({"a": {"b": {"c": {"d": {}}}}}), "has a property that Mixpanel would reject: a", "properties.a"),
}


@pytest.mark.parametrize(("record", "reason", "field"), REJECTS.values(), ids=REJECTS)
def test_what_cannot_be_mapped_is_a_reject_with_a_reason(record: dict[str, Any], reason: str, field: str) -> None:
    found = rejected(to_mixpanel, record)
    assert found.reason.startswith(reason)
    assert found.field == field


def test_a_line_and_a_row_of_the_same_event_give_the_same() -> None:
    for happening in happenings(300):
        exported, piped = made_up.exported(happening), made_up.piped(happening)
        assert matches(exported)
        assert matches(piped)
        assert mixpanel.outcomes(exported) == mixpanel.outcomes(piped) == to_mixpanel(json.dumps(exported).encode())
        judge(to_mixpanel, json.dumps(exported).encode())


MATCHES = {
    "a line": (line(), True),
    "a row": (row(), True),
    "an event that was not exported": ({"event": "a", "properties": {"time": 1, "distinct_id": "u"}}, False),
    "a profile": ({"distinct_id": "u", "properties": {}}, False),
}


@pytest.mark.parametrize(("record", "does"), MATCHES.values(), ids=MATCHES)
def test_an_export_is_recognised_by_its_keys(record: dict[str, Any], does: bool) -> None:
    assert matches(record) == does


SAMPLES = [one for happening in happenings(20, 7) for one in (made_up.exported(happening), made_up.piped(happening))]


@given(spoiled([line(), row(), *SAMPLES]))
def test_whatever_an_export_holds_keeps_the_rules_or_is_a_reject(record: bytes) -> None:
    assert judge(to_mixpanel, record) == judge(to_mixpanel, record)
