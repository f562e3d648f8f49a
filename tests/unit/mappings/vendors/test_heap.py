"""Rows of Heap Connect's tables, as its documentation has them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from importer.errors import SettingsError
from importer.mappings.loading import load_mapping
from importer.mappings.vendors import heap
from importer.mappings.vendors.heap import matches, of_table, to_mixpanel
from sandbox.vendors import heap as made_up
from sandbox.vendors.shop import happenings
from tests.unit.mappings.judged import dropped, encode, event, judge, properties, rejected, spoiled

ROW: dict[str, Any] = {
    "event_id": 7_212_345_678_901_234_567,
    "user_id": 4_012_345_678_901_234,
    "session_id": 1_234_567_890_123_456_789,
    "time": "2025-06-30 03:37:52.846",
    "library": "web",
}
TIME = 1_751_254_672_846
purchases = of_table("purchase")

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a time in UTC", {}, {"time": TIME}),
    ("a time as Avro has it", {"time": "2025-06-30T03:37:52.846000Z"}, {"time": TIME}),
    ("milliseconds", {"time": TIME}, {"time": TIME}),
    ("microseconds", {"time": TIME * 1000 + 7}, {"time": TIME}),
    (
        "a device",
        {},
        {
            "$device_id": "4012345678901234",
            "distinct_id": "$device:4012345678901234",
            "$user_id": None,
            "user_id": None,
        },
    ),
    (
        "a user, where a query joined it",
        {"identity": "u1"},
        {"$user_id": "u1", "$device_id": "4012345678901234", "distinct_id": "u1", "identity": None},
    ),
    ("an address", {"ip": "203.0.113.7"}, {"ip": "203.0.113.7"}),
    ("a city", {"city": "Ipoh", "region": "Perak"}, {"$city": "Ipoh", "$region": "Perak"}),
    ("a country's name", {"country": "Malaysia"}, {"mp_country_code": "MY", "country": None}),
    ("an unknown country", {"country": "Atlantis"}, {"mp_country_code": None, "country": "Atlantis"}),
    (
        "a page",
        {"domain": "a.example", "path": "/b", "query": "?c=1", "hash": "#d"},
        {"$current_url": "a.example/b?c=1#d", "domain": None},
    ),
    ("a page without query", {"domain": "a.example", "path": "/", "query": None}, {"$current_url": "a.example/"}),
    ("a referrer", {"referrer": "https://b/", "title": "A"}, {"$referrer": "https://b/", "title": "A"}),
    ("a system", {"platform": "Mac OS X 14"}, {"$os": "Mac OS X", "$os_version": "14"}),
    ("a system without version", {"platform": "Linux"}, {"$os": "Linux", "$os_version": None}),
    ("a browser", {"browser": "Chrome 100"}, {"$browser": "Chrome", "$browser_version": "100"}),
    (
        "a browser of many words",
        {"browser": "Mobile Safari 17.4.1"},
        {"$browser": "Mobile Safari", "$browser_version": "17.4.1"},
    ),
    (
        "a phone",
        {"device": "iPhone 15", "carrier": "Maxis", "device_type": "Mobile"},
        {"$device": "iPhone 15", "$carrier": "Maxis", "device_type": "Mobile"},
    ),
    ("an app", {"app_version": "4.2", "app_name": "Shop"}, {"$app_version_string": "4.2", "app_name": "Shop"}),
    ("a campaign", {"utm_source": "google", "utm_term": None}, {"utm_source": "google", "utm_term": None}),
    ("a library", {}, {"mp_lib": "web"}),
    ("a session stays exact", {}, {"session_id": "1234567890123456789"}),
    ("its own properties", {"price": 1.5, "sku": ""}, {"price": 1.5, "sku": None}),
    (
        "what does harm",
        {"$ignore": True, "bucket": 1, "token": "t", "distinct_id": "x"},
        {"$ignore": None, "bucket": None, "token": None, "distinct_id": "$device:4012345678901234"},
    ),
]


@pytest.mark.parametrize(("columns", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_column_becomes_what_mixpanel_calls_it(columns: dict[str, Any], expected: dict[str, Any]) -> None:
    found = properties(purchases, ROW | columns)
    assert {name: found.get(name) for name in expected} == expected


def test_the_table_is_the_name_and_a_user_changes_nothing_of_it() -> None:
    assert event(purchases, ROW)["event"] == event(purchases, ROW | {"identity": "u1"})["event"] == "purchase"
    for column in ("event_table_name", "event_name", "event", "table"):
        found = event(to_mixpanel, ROW | {column: "purchase"})
        assert found["event"] == "purchase"
        assert column not in found["properties"]


def test_an_id_is_of_its_table() -> None:
    ids = {properties(of_table(table), ROW)["$insert_id"] for table in ("purchase", "signup")}
    ids.add(properties(purchases, ROW | {"event_id": 7_212_345_678_901_234_568})["$insert_id"])
    assert len(ids) == 3
    assert properties(to_mixpanel, ROW | {"event_table_name": "purchase", "title": "synced again"})["$insert_id"] in ids


@pytest.mark.parametrize(
    ("table", "kind"), [("users", "user"), ("sessions", "session"), ("user_migrations", "user migration")]
)
def test_tables_of_no_events_are_dropped(table: str, kind: str) -> None:
    assert dropped(of_table(table), ROW) == kind
    assert dropped(to_mixpanel, {"event_table_name": table}) == kind


def test_rows_of_no_events_are_told_by_their_columns() -> None:
    assert dropped(to_mixpanel, {"from_user_id": 1, "to_user_id": 2, "time": "x"}) == "user migration"
    assert dropped(to_mixpanel, {"user_id": 1, "joindate": "2025-06-30 03:37:52", "identity": "u1"}) == "user"


def test_the_table_of_all_events_has_each_ones_name() -> None:
    assert event(of_table("all_events"), ROW | {"event_table_name": "signup"})["event"] == "signup"


REJECTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": (
        {},
        "has no event name: Heap's is the name of the row's table; set IMPORT_MAPPING=",
        "event_table_name",
    ),
    "no id": ({"event_table_name": "a", "event_id": None}, "is no row of an event's table of Heap's", "event_id"),
    "no time": ({"event_table_name": "a", "time": None}, "has no usable time: time must be in ISO 8601", "time"),
    "nobody": ({"event_table_name": "a", "user_id": 0}, "has no user: no usable id is in user_id or id", "user_id"),
    "too deep": ({"event_table_name": "a", "x": {"b": {"c": {"d": {}}}}}, "has a property that Mix", "properties.x"),
}


@pytest.mark.parametrize(("columns", "reason", "field"), REJECTS.values(), ids=REJECTS)
def test_what_cannot_be_mapped_is_a_reject_with_a_reason(columns: dict[str, Any], reason: str, field: str) -> None:
    found = rejected(to_mixpanel, ROW | columns)
    assert found.reason.startswith(reason)
    assert found.field == field


def test_a_table_is_named_with_the_mapping() -> None:
    mapping = load_mapping("heap:Signed Up", {}).mapping
    assert mapping is not None
    assert event(mapping, ROW)["event"] == "Signed Up"
    for name in ("heap:", "segment:track", "x:y"):
        with pytest.raises(SettingsError, match="there is no such mapping"):
            load_mapping(name, {})


def test_made_up_rows_are_all_imported() -> None:
    for happening in happenings(100):
        row = made_up.row(happening)
        assert matches(row)
        assert heap.outcomes(row, "t") == of_table("t")(encode(row))
        (line,) = judge(of_table(made_up.table(happening)), encode(row))
        assert json.loads(line)["properties"]["time"] == happening.time


SAMPLES = [
    ROW | {"event_table_name": "a"},
    *({"event_table_name": "t"} | made_up.row(one) for one in happenings(30, 7)),
]


@given(spoiled(SAMPLES))
def test_whatever_a_row_holds_keeps_the_rules_or_is_a_reject(record: bytes) -> None:
    assert judge(to_mixpanel, record) == judge(to_mixpanel, record)
