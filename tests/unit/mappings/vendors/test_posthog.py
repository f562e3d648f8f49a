"""Rows of PostHog's batch exports, as its documentation and its SDKs have them: in both forms, field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from importer.mappings.vendors import posthog
from importer.mappings.vendors.posthog import matches, to_mixpanel
from sandbox.vendors import posthog as made_up
from sandbox.vendors.shop import happenings
from tests.unit.mappings.judged import dropped, event, judge, properties, rejected, spoiled

UUID = "0190a5a7-3c1e-7d3b-9f3a-6f0f2a1c9b11"
ROW: dict[str, Any] = {
    "uuid": UUID,
    "event": "Order Completed",
    "distinct_id": "u1",
    "person_id": "p-1",
    "properties": {},
    "person_properties": {"email": "a@example.com"},
    "elements_chain": "",
    "timestamp": "2025-06-30T03:37:52.846123+00:00",
    "created_at": "2025-06-30T03:38:00.000000+00:00",
    "_inserted_at": "2025-06-30T03:40:00.000000+00:00",
}
TIME = 1_751_254_672_846
ZERO = "00000000-0000-0000-0000-000000000000"

IDENTITIES: list[tuple[str, dict[str, Any], str | None, str | None]] = [
    ("a server's event", {}, "u1", None),
    ("a server's event without a profile", {"$process_person_profile": False}, None, "u1"),
    ("a server's event with one", {"$process_person_profile": True}, "u1", None),
    ("an anonymous browser", {"$device_id": "u1"}, None, "u1"),
    ("an anonymous browser that says so", {"$device_id": "d1", "$is_identified": False}, None, "d1"),
    ("an anonymous app", {"$is_identified": False}, None, "u1"),
    ("a user's browser", {"$device_id": "d1", "$user_id": "u1"}, "u1", "d1"),
    ("a user's browser that says so", {"$device_id": "d1", "$is_identified": True}, "u1", "d1"),
    ("a user's browser of old", {"$device_id": "d1"}, "u1", "d1"),
    ("another user id", {"$user_id": "u2"}, "u2", None),
    ("a number", {"$user_id": 7, "$device_id": "d1"}, "7", "d1"),
    ("a redacted device", {"$device_id": ZERO}, "u1", None),
    ("a redacted device of nobody", {"$device_id": ZERO, "$is_identified": False}, None, "u1"),
]


@pytest.mark.parametrize(("given", "user", "device"), [row[1:] for row in IDENTITIES], ids=[r[0] for r in IDENTITIES])
def test_a_distinct_id_is_a_users_or_a_devices(given: dict[str, Any], user: str | None, device: str | None) -> None:
    found = properties(to_mixpanel, ROW | {"properties": given})
    assert (found.get("$user_id"), found.get("$device_id")) == (user, device)
    assert found["distinct_id"] == (user or f"$device:{device}")


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("an address", {"$ip": "203.0.113.7"}, {"ip": "203.0.113.7", "$ip": None}),
    ("no address", {}, {"ip": None}),
    ("a city", {"$geoip_city_name": "Ipoh"}, {"$city": "Ipoh", "$geoip_city_name": None}),
    (
        "a region by its name",
        {"$geoip_subdivision_1_name": "Perak", "$geoip_subdivision_1_code": "08"},
        {"$region": "Perak"},
    ),
    (
        "a country by its code",
        {"$geoip_country_code": "MY", "$geoip_country_name": "Malaysia"},
        {"mp_country_code": "MY"},
    ),
    ("no country", {"$geoip_country_code": "ZZ"}, {"mp_country_code": None}),
    ("more of the place", {"$geoip_latitude": 1.5, "$geoip_time_zone": "Asia/Kuala_Lumpur"}, {"$geoip_latitude": None}),
    *(
        (f"{name} is called so", {name: "x"}, {name: "x"})
        for name in (
            *("$os", "$os_version", "$browser", "$current_url", "$referrer", "$referring_domain", "$device"),
            *("$lib_version", "utm_source", "utm_campaign", "$timezone", "$pathname", "$host", "$screen_name"),
        )
    ),
    ("numbers", {"$browser_version": 137, "$screen_width": 1920}, {"$browser_version": 137, "$screen_width": 1920}),
    (
        "no referrer",
        {"$referrer": "$direct", "$referring_domain": "$direct"},
        {"$referrer": None, "$referring_domain": None},
    ),
    ("no referrer at first", {"$initial_referrer": "$direct"}, {"$initial_referrer": "$direct"}),
    ("a library", {"$lib": "web"}, {"mp_lib": "web", "$lib": None}),
    (
        "an app",
        {"$app_version": "4.2", "$app_build": "421", "$os_name": "iOS"},
        {"$app_version_string": "4.2", "$app_build_number": "421", "$os": "iOS", "$app_version": None},
    ),
    (
        "a phone",
        {"$device_manufacturer": "Apple", "$device_model": "iPhone15,3", "$network_wifi": True},
        {"$manufacturer": "Apple", "$model": "iPhone15,3", "$wifi": True},
    ),
    (
        "groups",
        {"$groups": {"company": "acme", "nobody": None}, "$group_0": "acme"},
        {"company": "acme", "$groups": None, "$group_0": None},
    ),
    (
        "its own properties",
        {"price": 1.5, "n": 2**63, "coupon": None, "tags": ["a"]},
        {"price": 1.5, "n": 2**63, "tags": ["a"]},
    ),
    (
        "no flags",
        {"$feature/checkout": "b", "$feature_flag_payload": 1, "$active_feature_flags": ["a"]},
        {"$feature/checkout": None, "$feature_flag_payload": None, "$active_feature_flags": None},
    ),
    ("no calls", {"$set": {"a": 1}, "$set_once": {"a": 1}}, {"$set": None, "$set_once": None}),
    (
        "what only begins like one",
        {"$settings_tab": "a", "$screenshot": 1, "tokens": 2},
        {"$settings_tab": "a", "$screenshot": 1, "tokens": 2},
    ),
    (
        "no recordings",
        {"$replay_sample_rate": 1, "$session_recording_start_reason": "x", "$sdk_debug_retry": 1},
        {"$replay_sample_rate": None, "$session_recording_start_reason": None},
    ),
    (
        "what does harm",
        {
            "token": "phc",
            "$time": 1.5,
            "distinct_id": "x",
            "$insert_id": "y",
            "$ignore": True,
            "bucket": 1,
            "time": 5,
            "ip": "1.1.1.1",
        },
        {
            "token": None,
            "$time": None,
            "distinct_id": "u1",
            "$insert_id": UUID,
            "$ignore": None,
            "bucket": None,
            "time": TIME,
            "ip": None,
        },
    ),
    (
        "an exception without its traces",
        {"$exception_list": [{"stacktrace": {}}], "$exception_types": ["E"]},
        {"$exception_list": None, "$exception_types": ["E"]},
    ),
    ("a person's properties", {}, {"person_properties": None, "email": None}),
]


@pytest.mark.parametrize(("given", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_property_becomes_what_mixpanel_calls_it(given: dict[str, Any], expected: dict[str, Any]) -> None:
    found = properties(to_mixpanel, ROW | {"properties": given})
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "timestamp",
    [
        "2025-06-30T03:37:52.846123+00:00",
        "2025-06-30T03:37:52.846Z",
        "2025-06-30 03:37:52.846",
        "2025-06-30T05:37:52.846+02:00",
    ],
)
def test_the_time_is_the_clients(timestamp: str) -> None:
    assert properties(to_mixpanel, ROW | {"timestamp": timestamp})["time"] == TIME


@pytest.mark.parametrize(
    "name", ["Order Completed", "$pageview", "$pageleave", "$autocapture", "$screen", "$exception"]
)
def test_an_event_keeps_its_name(name: str) -> None:
    assert event(to_mixpanel, ROW | {"event": name})["event"] == name


def test_its_insert_id_is_the_uuid() -> None:
    assert properties(to_mixpanel, ROW)["$insert_id"] == UUID


DROPPED = {
    "$feature_flag_called": "feature flag call",
    "$set": "set call",
    "$groupidentify": "group identify call",
    "$create_alias": "alias call",
    "$merge_dangerously": "merge call",
    "$web_vitals": "web vitals",
    "$snapshot": "session recording",
    "$$heatmap": "heatmap",
}


@pytest.mark.parametrize(("name", "kind"), DROPPED.items())
def test_what_is_no_event_is_dropped(name: str, kind: str) -> None:
    assert dropped(to_mixpanel, ROW | {"event": name}) == kind


def test_rows_of_persons_are_dropped() -> None:
    person = {
        "team_id": 1,
        "distinct_id": "u1",
        "person_id": "p",
        "properties": {},
        "person_version": 3,
        "is_deleted": False,
    }
    assert dropped(to_mixpanel, person) == "person"


@pytest.mark.parametrize("as_row", [dict, made_up.of_table], ids=["JSON lines", "Parquet"])
def test_an_identify_call_links_the_browser_to_the_user(as_row: Any) -> None:
    call = ROW | {"event": "$identify", "properties": {"$anon_distinct_id": "d1", "$set": {"a": 1}}}
    found = event(to_mixpanel, as_row(call))
    assert found["event"] == "Identify"
    assert found["properties"] == {
        "$user_id": "u1",
        "$device_id": "d1",
        "distinct_id": "u1",
        "$insert_id": UUID,
        "time": TIME,
    }


@pytest.mark.parametrize(
    "given", [{}, {"$anon_distinct_id": "u1"}, {"$device_id": ZERO}], ids=["no", "its own", "zero"]
)
def test_an_identify_call_without_a_device_is_dropped(given: dict[str, Any]) -> None:
    assert dropped(to_mixpanel, ROW | {"event": "$identify", "properties": given}) == "identify call"


def test_both_forms_of_a_row_give_the_same_event() -> None:
    for happening in happenings(300):
        row = made_up.row(happening)
        table = made_up.of_table(row)
        assert matches(row)
        assert matches(table)
        record = json.dumps(row).encode()
        assert posthog.outcomes(row) == to_mixpanel(record) == to_mixpanel(json.dumps(table).encode())
        assert len(judge(to_mixpanel, record)) == (row["event"] != "$feature_flag_called" and not is_nobodys_call(row))


def is_nobodys_call(row: dict[str, Any]) -> bool:
    return bool(row["event"] == "$identify" and row["distinct_id"] == row["properties"]["$device_id"])


REJECTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": ({"event": None}, "has no event name: event must be a text and is missing", "event"),
    "a blank name": ({"event": " "}, "has no event name: event must be a text and is empty", "event"),
    "a name that is none": ({"event": {}}, "has no event name: event must be a text and is an object", "event"),
    "no time": ({"timestamp": None}, "has no usable time: timestamp must be in ISO 8601", "timestamp"),
    "a number": ({"timestamp": 1751254672846}, "has no usable time: timestamp must be in ISO 8601", "timestamp"),
    "nobody": ({"distinct_id": ""}, "has no user: no usable id is in distinct_id", "distinct_id"),
    "text that is no JSON": ({"properties": '{"a":'}, "has properties that cannot be read: the text is", "properties"),
    "JSON that is no object": ({"properties": "[]"}, "has properties that cannot be read: the text is", "properties"),
    "too deep": ({"properties": {"a": {"b": {"c": {"d": {}}}}}}, "has a property that Mixpanel would", "properties.a"),
    "too many": ({"properties": {str(n): n for n in range(255)}}, "has 260 properties", "properties"),
}


@pytest.mark.parametrize(("fields", "reason", "field"), REJECTS.values(), ids=REJECTS)
def test_what_cannot_be_mapped_is_a_reject_with_a_reason(fields: dict[str, Any], reason: str, field: str) -> None:
    found = rejected(to_mixpanel, ROW | fields)
    assert found.reason.startswith(reason)
    assert found.field == field


def test_what_text_holds_that_json_hardly_allows_is_mended() -> None:
    assert properties(to_mixpanel, ROW | {"properties": '{"a":"\\ud83d"}'})["a"] == "\ufffd"


def test_hundreds_of_flags_are_no_properties() -> None:
    flags = {f"$feature/flag-{n}": True for n in range(5000)}
    assert len(properties(to_mixpanel, ROW | {"properties": flags})) == 4


MATCHES = {
    "a row": (ROW, True),
    "a row of few columns": ({name: ROW[name] for name in ("uuid", "event", "distinct_id", "properties")}, False),
    "the same with a library": ({"uuid": 1, "event": "a", "distinct_id": "b", "properties": {"$lib": "web"}}, True),
    "Mixpanel's own": ({"event": "a", "properties": {"distinct_id": "b", "time": 1}}, False),
}


@pytest.mark.parametrize(("record", "does"), MATCHES.values(), ids=MATCHES)
def test_a_row_is_recognised_by_its_keys(record: dict[str, Any], does: bool) -> None:
    assert matches(record) == does


ROWS = [ROW, *map(made_up.row, happenings(30, 7))]


@given(spoiled([*ROWS, *map(made_up.of_table, ROWS)]))
def test_whatever_a_row_holds_keeps_the_rules_or_is_a_reject(record: bytes) -> None:
    assert judge(to_mixpanel, record) == judge(to_mixpanel, record)
