"""Rows of Amplitude's export, as its documentation and real files have them: field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from importer.mappings.fields.insert_ids import insert_id
from importer.mappings.vendors import amplitude
from importer.mappings.vendors.amplitude import matches, to_mixpanel
from sandbox.vendors import amplitude as made_up
from sandbox.vendors.shop import happenings
from tests.unit.mappings.judged import dropped, event, judge, properties, rejected, spoiled

UUID = "8a0b1c2d-11f0-4a5b-9c3d-0242ac120002"
ROW: dict[str, Any] = {
    "$insert_id": None,
    "amplitude_id": 723_894_234_987,
    "app": 345_678,
    "data": {"path": "/2/httpapi"},
    "device_id": "d-1",
    "event_id": 17,
    "event_properties": {},
    "event_time": "2025-06-30 03:37:52.846000",
    "client_event_time": "2025-06-30 03:30:00.000000",
    "event_type": "Order Completed",
    "groups": {},
    "ip_address": None,
    "platform": "iOS",
    "session_id": -1,
    "user_id": None,
    "user_properties": {},
    "uuid": UUID,
}
TIME = 1_751_254_672_846

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a time without a zone is in UTC", {}, {"time": TIME}),
    ("a time without a fraction", {"event_time": "2025-06-30 03:37:52"}, {"time": TIME - 846}),
    ("a time as the documentation has it", {"event_time": "2025-06-30T03:37:52.846Z"}, {"time": TIME}),
    ("finer than milliseconds", {"event_time": "2025-06-30 03:37:52.846999"}, {"time": TIME}),
    ("a device", {}, {"$device_id": "d-1", "$user_id": None, "distinct_id": "$device:d-1"}),
    ("a user", {"user_id": "u1"}, {"$device_id": "d-1", "$user_id": "u1", "distinct_id": "u1"}),
    ("a user alone", {"user_id": "u1", "device_id": None}, {"$device_id": None, "$user_id": "u1", "distinct_id": "u1"}),
    ("a merged person is no device", {}, {"amplitude_id": None}),
    ("the uuid", {}, {"$insert_id": UUID}),
    (
        "a legal id of the sender's",
        {"$insert_id": "523095E5-0bd1-4f0c-8d3c-1f1f77a7d0aa"},
        {"$insert_id": "523095E5-0bd1-4f0c-8d3c-1f1f77a7d0aa"},
    ),
    ("an id that Mixpanel would not take", {"$insert_id": "Property Pre-Order Submitted:1"}, {"$insert_id": UUID}),
    ("an id that is too long", {"$insert_id": f"ajs-next-1730000000000-{UUID}"}, {"$insert_id": UUID}),
    ("such an id alone", {"$insert_id": "a:1", "uuid": None}, {"$insert_id": insert_id("a:1")}),
    ("no id", {"uuid": None}, {"$insert_id": None}),
    ("an address", {"ip_address": "203.0.113.7"}, {"ip": "203.0.113.7"}),
    ("no address", {}, {"ip": None}),
    ("a city", {"city": "Ipoh", "region": "Perak"}, {"$city": "Ipoh", "$region": "Perak"}),
    ("a country's name", {"country": "Malaysia"}, {"mp_country_code": "MY", "country": None}),
    ("an unknown country", {"country": "Atlantis"}, {"mp_country_code": None, "country": "Atlantis"}),
    ("a system", {"os_name": "ios", "os_version": "17.5"}, {"$os": "ios", "$os_version": "17.5", "$browser": None}),
    (
        "a browser, which is called a system on the web",
        {"platform": "Web", "os_name": "Chrome", "os_version": "137"},
        {"$browser": "Chrome", "$browser_version": "137", "$os": None, "$os_version": None},
    ),
    ("an app", {"version_name": "1.0.81"}, {"$app_version_string": "1.0.81"}),
    (
        "a phone",
        {
            "device_brand": "Apple",
            "device_manufacturer": "Apple Inc",
            "device_model": "iPhone15,3",
            "device_carrier": "Maxis",
        },
        {"$brand": "Apple", "$manufacturer": "Apple Inc", "$model": "iPhone15,3", "$carrier": "Maxis"},
    ),
    (
        "its family",
        {"device_family": "Apple iPhone", "device_type": "Apple iPhone 15"},
        {"device_family": "Apple iPhone", "device_type": "Apple iPhone 15"},
    ),
    ("a library", {"library": "amplitude-ts/2.3.1"}, {"mp_lib": "amplitude-ts", "$lib_version": "2.3.1"}),
    ("a library without version", {"library": "segment"}, {"mp_lib": "segment", "$lib_version": None}),
    ("a session", {"session_id": 1751254672846}, {"session_id": 1751254672846}),
    ("no session", {}, {"session_id": None}),
    ("where", {"location_lat": 4.5, "location_lng": 101}, {"location_lat": 4.5, "location_lng": 101.0}),
    (
        "plain ones",
        {"language": "Malay", "platform": "iOS", "dma": "x", "paying": True},
        {"language": "Malay", "platform": "iOS", "dma": "x", "paying": True},
    ),
    ("what is empty", {"city": "", "language": ""}, {"$city": None, "language": None}),
    (
        "its own properties",
        {"event_properties": {"price": 1.5, "n": 2**63, "coupon": None, "tags": ["a"]}},
        {"price": 1.5, "n": 2**63, "coupon": None, "tags": ["a"]},
    ),
    ("its own count more than plain ones", {"event_properties": {"platform": "PS5"}}, {"platform": "PS5"}),
    (
        "none does harm",
        {
            "event_properties": {
                "$ignore": True,
                "bucket": 1,
                "token": "t",
                "ip": "1.1.1.1",
                "time": 5,
                "distinct_id": "x",
                "$user_id": "y",
            }
        },
        {
            "$ignore": None,
            "bucket": None,
            "token": None,
            "ip": None,
            "time": TIME,
            "distinct_id": "$device:d-1",
            "$user_id": None,
        },
    ),
    ("a page", {"event_properties": {"[Amplitude] Page Location": "https://a/b"}}, {"$current_url": "https://a/b"}),
    ("groups", {"groups": {"company": ["acme"]}}, {"company": ["acme"]}),
    (
        "what is known of the user",
        {"user_properties": {"plan": "pro", "price": 7}, "event_properties": {"price": 1}},
        {"user_properties": {"plan": "pro", "price": 7}, "price": 1},
    ),
    (
        "too much known of the user",
        {"user_properties": {str(n): n for n in range(300)}},
        {"user_properties": None, "time": TIME},
    ),
    ("Amplitude's own", {}, {"app": None, "data": None, "event_id": None}),
]


@pytest.mark.parametrize(("fields", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_field_becomes_what_mixpanel_calls_it(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = properties(to_mixpanel, ROW | fields)
    assert {name: found.get(name) for name in expected} == expected


def test_an_event_keeps_its_name_and_has_no_nulls() -> None:
    made = event(to_mixpanel, dict.fromkeys(amplitude.Row.__struct_encode_fields__) | ROW)
    assert made["event"] == "Order Completed"
    assert made["properties"].keys() == {"time", "distinct_id", "$device_id", "$insert_id", "platform"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("$identify", "identify call"),
        ("$groupidentify", "group identify call"),
        ("$create_alias", "alias call"),
        ("$merge", "merge call"),
    ],
)
def test_what_sets_something_about_users_is_dropped(name: str, kind: str) -> None:
    assert dropped(to_mixpanel, ROW | {"event_type": name}) == kind


def test_the_files_of_merged_users_are_dropped() -> None:
    row = {"scope": 1, "merge_time": "2025-06-30 03:37:52", "amplitude_id": 1, "merged_amplitude_id": 2}
    assert matches(row)
    assert dropped(to_mixpanel, row) == "merged users"


REJECTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": ({"event_type": None}, "has no event name: event_type must be a text and is missing", "event_type"),
    "a blank name": ({"event_type": " "}, "has no event name: event_type must be a text and is empty", "event_type"),
    "a name that is none": ({"event_type": ["a"]}, "has no event name: event_type must be a text", "event_type"),
    "no time": ({"event_time": None}, "has no usable time: event_time must be in ISO 8601", "event_time"),
    "a time that is none": ({"event_time": "soon"}, "has no usable time: event_time must be in ISO", "event_time"),
    "nobody": ({"device_id": None}, "has no user: no usable id is in user_id or device_id", "user_id"),
    "forbidden": ({"device_id": "null", "user_id": "undefined"}, "has no user", "user_id"),
    "too deep": ({"event_properties": {"a": [{"b": {"c": {"d": {}}}}]}}, "has a property that Mixp", "properties.a"),
    "too many": ({"event_properties": {str(n): n for n in range(255)}}, "has 261 properties", "properties"),
}


@pytest.mark.parametrize(("fields", "reason", "field"), REJECTS.values(), ids=REJECTS)
def test_what_cannot_be_mapped_is_a_reject_with_a_reason(fields: dict[str, Any], reason: str, field: str) -> None:
    found = rejected(to_mixpanel, ROW | fields)
    assert found.reason.startswith(reason)
    assert found.field == field


def test_made_up_rows_are_all_imported_and_decoded_ones_give_the_same() -> None:
    for happening in happenings(200):
        row = made_up.row(happening)
        assert matches(row)
        record = json.dumps(row).encode()
        assert amplitude.outcomes(row) == to_mixpanel(record)
        (line,) = judge(to_mixpanel, record)
        assert json.loads(line)["properties"]["time"] // 1000 == happening.time // 1000


MATCHES = {
    "a row": (ROW, True),
    "an upload": ({"event_type": "a", "event_properties": {}, "user_id": "u"}, False),
    "another tool's": ({"event": "a", "properties": {}}, False),
}


@pytest.mark.parametrize(("record", "does"), MATCHES.values(), ids=MATCHES)
def test_a_row_is_recognised_by_its_keys(record: dict[str, Any], does: bool) -> None:
    assert matches(record) == does


@given(spoiled([ROW, *map(made_up.row, happenings(30, 7))]))
def test_whatever_a_row_holds_keeps_the_rules_or_is_a_reject(record: bytes) -> None:
    assert judge(to_mixpanel, record) == judge(to_mixpanel, record)
