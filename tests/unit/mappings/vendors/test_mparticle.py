"""mParticle's batches, as its reference has them: what is sent out, and what is sent in, field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from importer.errors import InvalidRecord
from importer.mappings.outcome import Dropped
from importer.mappings.vendors import mparticle
from importer.mappings.vendors.mparticle import matches, to_mixpanel
from sandbox.vendors import mparticle as made_up
from sandbox.vendors.shop import happenings
from tests.unit.mappings.judged import dropped, event, judge, properties, rejected, spoiled

UUID = "e8335d31-2031-4bff-afec-17ffc1784697"
TIME = 1_573_828_863_888
DATA: dict[str, Any] = {
    "event_name": "click",
    "timestamp_unixtime_ms": str(TIME),
    "source_message_id": UUID,
    "event_id": -109_840_007_014_118_971,
}
BATCH: dict[str, Any] = {
    "events": [],
    "mpid": -7_636_538_281_262_557_000,
    "batch_id": 1,
    "message_type": "events",
    "user_identities": [],
    "user_attributes": {"$gender": "M"},
}


def batch(data: dict[str, Any] | None = None, kind: str = "custom_event", **fields: Any) -> dict[str, Any]:
    """A batch of one event."""
    return BATCH | {"events": [{"data": DATA | (data or {}), "event_type": kind}]} | fields


IDENTITIES: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("a person, at last", {}, None, "-7636538281262557000"),
    ("a device", {"mp_deviceid": "d1"}, None, "d1"),
    ("an iPhone", {"device_info": {"ios_idfv": "I-1", "ios_advertising_id": "x"}}, None, "I-1"),
    ("an Android phone", {"device_info": {"ios_idfv": None, "android_uuid": "a1"}}, None, "a1"),
    ("mParticle's own device first", {"mp_deviceid": "d1", "device_info": {"ios_idfv": "I-1"}}, None, "d1"),
    ("zeros", {"device_info": {"ios_idfv": "00000000-0000-0000-0000-000000000000", "android_uuid": "a1"}}, None, "a1"),
    (
        "a customer, as sent out",
        {
            "mp_deviceid": "d1",
            "user_identities": [
                {"identity_type": "email", "identity": "a@b"},
                {"identity_type": "customer_id", "identity": "u1"},
            ],
        },
        "u1",
        "d1",
    ),
    (
        "a bad identity before a good one",
        {
            "mp_deviceid": "d1",
            "user_identities": [
                None,
                {"identity_type": "customer_id", "identity": "null"},
                {"identity_type": "customer_id", "identity": 7},
            ],
        },
        "7",
        "d1",
    ),
    (
        "a customer, as sent in",
        {"mp_deviceid": "d1", "user_identities": {"customer_id": "u1", "email": "a@b"}},
        "u1",
        "d1",
    ),
    (
        "another identity",
        {"mp_deviceid": "d1", "user_identities": [{"identity_type": "email", "identity": "a@b"}]},
        None,
        "d1",
    ),
    ("identities that are none", {"mp_deviceid": "d1", "user_identities": "u1"}, None, "d1"),
]


@pytest.mark.parametrize(("fields", "user", "device"), [row[1:] for row in IDENTITIES], ids=[r[0] for r in IDENTITIES])
def test_a_customer_is_the_user_and_a_device_the_device(fields: dict[str, Any], user: str | None, device: str) -> None:
    found = properties(to_mixpanel, batch(**fields))
    assert (found.get("$user_id"), found["$device_id"]) == (user, device)
    assert found["distinct_id"] == (user or f"$device:{device}")


NAMES: list[tuple[str, dict[str, Any], str]] = [
    ("custom_event", {}, "click"),
    ("screen_view", {"screen_name": "Home"}, "Viewed Home"),
    ("screen_view", {"screen_name": " "}, "Viewed Screen"),
    ("screen_view", {}, "Viewed Screen"),
    ("commerce_event", {"product_action": {"action": "add_to_cart"}}, "add_to_cart"),
    ("commerce_event", {"promotion_action": {"action": "view"}}, "promotion_view"),
    ("commerce_event", {"product_impressions": [{"products": []}]}, "product_impression"),
    ("commerce_event", {}, "commerce_event"),
    ("session_start", {}, "session_start"),
    ("session_end", {}, "session_end"),
    ("application_state_transition", {}, "application_state_transition"),
    ("push_message", {}, "push_message"),
    ("uninstall", {}, "uninstall"),
]


@pytest.mark.parametrize(("kind", "data", "name"), NAMES)
def test_an_event_is_named_by_what_its_type_says_of_it(kind: str, data: dict[str, Any], name: str) -> None:
    assert event(to_mixpanel, batch(data, kind))["event"] == name


Case = tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]
CASES: list[Case] = [
    ("a time as sent out", {}, {}, {"time": TIME}),
    ("a time as sent in", {"timestamp_unixtime_ms": TIME}, {}, {"time": TIME}),
    ("the message's id", {}, {}, {"$insert_id": UUID}),
    ("an id of 64 bits", {"source_message_id": None}, {}, {"$insert_id": "-109840007014118971"}),
    (
        "one beyond doubles",
        {"source_message_id": "", "event_id": 6558165446704400378},
        {},
        {"$insert_id": "6558165446704400378"},
    ),
    (
        "one in a text",
        {"source_message_id": None, "event_id": "6004677780660780000"},
        {},
        {"$insert_id": "6004677780660780000"},
    ),
    ("no id", {"source_message_id": None, "event_id": None}, {}, {"$insert_id": None}),
    ("no address is sent out", {}, {}, {"ip": None}),
    ("one is sent in", {}, {"ip": "172.217.12.142"}, {"ip": "172.217.12.142"}),
    (
        "where it was",
        {"location": {"city_name": "New York", "region_code": "NY", "country_code": "US", "latitude": 40.7}},
        {"context": {"location": {"city_name": "Boston"}}},
        {"$city": "New York", "$region": "NY", "mp_country_code": "US", "latitude": None},
    ),
    (
        "where the batch was",
        {"location": None},
        {"context": {"location": {"city_name": "Boston", "country_code": "USA"}}},
        {"$city": "Boston", "mp_country_code": "US"},
    ),
    (
        "another country",
        {},
        {"device_info": {"device_country": "USA", "network_country": "us"}},
        {"mp_country_code": None},
    ),
    (
        "a phone",
        {},
        {
            "device_info": {
                "platform": "iOS",
                "os_version": "7.1.1",
                "brand": "iPhone6,1",
                "device_manufacturer": "Apple",
                "device_model": "iPhone6,1",
                "network_carrier": "AT&T",
                "radio_access_technology": "LTE",
                "has_nfc": False,
                "screen_height": 1136,
                "screen_width": 640,
                "screen_dpi": 160,
                "bluetooth_enabled": True,
                "bluetooth_version": "",
                "device": "John's iPhone",
                "push_token": "x",
            }
        },
        {
            "$os": "iOS",
            "platform": "iOS",
            "$os_version": "7.1.1",
            "$brand": "iPhone6,1",
            "$manufacturer": "Apple",
            "$model": "iPhone6,1",
            "$carrier": "AT&T",
            "$radio": "LTE",
            "$has_nfc": False,
            "$screen_height": 1136,
            "$screen_width": 640,
            "$screen_dpi": 160,
            "$bluetooth_enabled": True,
            "$bluetooth_version": None,
            "device": None,
            "push_token": None,
            "$browser": None,
        },
    ),
    (
        "a browser",
        {},
        {
            "device_info": {
                "platform": "web",
                "http_header_user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
            }
        },
        {"$browser": "Firefox", "$browser_version": 139, "$os": "Linux", "platform": "web"},
    ),
    ("a platform that is no system", {}, {"device_info": {"platform": "roku"}}, {"$os": None, "platform": "roku"}),
    (
        "an app",
        {},
        {
            "application_info": {
                "application_version": "1.0.1",
                "application_build_number": "7",
                "application_name": "App",
                "package": "com.a",
            }
        },
        {"$app_version_string": "1.0.1", "$app_build_number": "7", "app_name": "App", "app_package": "com.a"},
    ),
    (
        "an install's campaign is not this event's",
        {},
        {"application_info": {"install_referrer": "utm_source=google"}},
        {"utm_source": None},
    ),
    (
        "what the app was opened from",
        {"launch_referral": "https://a.example/?utm_source=adwords&utm_medium=cpc&utm_campaign=a%20b&gclid=x"},
        {},
        {"utm_source": "adwords", "utm_medium": "cpc", "utm_campaign": "a b", "gclid": None},
    ),
    (
        "something that is no address",
        {"launch_referral": "http://[utm_source=1"},
        {},
        {"launch_referral": "http://[utm_source=1"},
    ),
    (
        "wifi",
        {"device_current_state": {"data_connection_type": "wifi", "cpu": "4"}},
        {},
        {"$wifi": True, "device_current_state": None},
    ),
    ("no wifi", {"device_current_state": {"data_connection_type": "mobile"}}, {}, {"$wifi": False}),
    (
        "attributes",
        {"custom_attributes": {"a": "1", "b": "true", "c": "False", "d": None}},
        {},
        {"a": "1", "b": True, "c": False, "d": None},
    ),
    (
        "attributes that are called as data is",
        {"custom_attributes": {"location": "shop", "event_name": "x"}},
        {},
        {"location": "shop", "event_name": "x"},
    ),
    (
        "attributes that do harm",
        {
            "custom_attributes": {
                "$ignore": "true",
                "bucket": "a",
                "token": "t",
                "ip": "1.1.1.1",
                "time": "5",
                "distinct_id": "x",
            }
        },
        {},
        {
            "$ignore": None,
            "bucket": None,
            "token": None,
            "ip": None,
            "time": TIME,
            "distinct_id": "$device:-7636538281262557000",
        },
    ),
    (
        "a session's id stays exact",
        {"session_id": -4957918240501247982, "session_uuid": "s"},
        {},
        {"session_id": "-4957918240501247982", "session_uuid": "s"},
    ),
    (
        "the rest",
        {"custom_event_type": "navigation", "currency_code": "USD"},
        {},
        {"custom_event_type": "navigation", "currency_code": "USD"},
    ),
    (
        "a purchase",
        {
            "product_action": {
                "action": "purchase",
                "transaction_id": "t",
                "total_amount": 9.5,
                "products": [{"id": "7", "price": 9.5}],
            }
        },
        {},
        {
            "transaction_id": "t",
            "total_amount": 9.5,
            "products": [{"id": "7", "price": 9.5}],
            "action": None,
            "product_action": None,
        },
    ),
    (
        "what is for others",
        {"custom_flags": {"a": 1}, "registration_token": "x"},
        {},
        {"custom_flags": None, "registration_token": None},
    ),
    ("where it ran", {}, {"environment": "development"}, {"environment": "development"}),
    ("what is known of the user", {}, {}, {"user_attributes": None, "$gender": None}),
]


@pytest.mark.parametrize(("data", "fields", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_field_becomes_what_mixpanel_calls_it(
    data: dict[str, Any], fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = properties(to_mixpanel, batch(data, **fields))
    assert {name: found.get(name) for name in expected} == expected


def test_a_batch_gives_an_outcome_for_each_event_and_a_bad_one_costs_itself_alone() -> None:
    events = [
        {"event_type": "session_start", "data": {"timestamp_unixtime_ms": TIME}},
        {"event_type": "user_attribute_change", "data": {"timestamp_unixtime_ms": TIME}},
        {"event_type": "custom_event", "data": {"timestamp_unixtime_ms": TIME}},
        "nothing",
        {"event_type": "session_end", "data": {"timestamp_unixtime_ms": TIME + 1, "session_duration_ms": 1}},
    ]
    first, second, third, fourth, fifth = to_mixpanel(json.dumps(BATCH | {"events": events}).encode())
    assert isinstance(first, dict)
    assert first["properties"]["time"] == TIME
    assert second == Dropped("user attribute change")
    assert isinstance(third, InvalidRecord)
    assert third.field == "events[2].data.event_name"
    assert isinstance(fourth, InvalidRecord)
    assert fourth.field == "events[3].event_type"
    assert isinstance(fifth, dict)
    assert fifth["properties"]["session_duration_ms"] == 1
    assert "session_duration_ms" not in first["properties"]


DROPPED = {
    "user_attribute_change": "user attribute change",
    "user_identity_change": "user identity change",
    "breadcrumb": "breadcrumb",
    "network_performance": "network performance",
    "crash_report": "crash report",
    "push_registration": "push registration",
    "opt_out": "opt-out",
    "profile": "profile",
}


@pytest.mark.parametrize(("type_", "kind"), DROPPED.items())
def test_what_is_no_event_is_dropped(type_: str, kind: str) -> None:
    assert dropped(to_mixpanel, batch(kind=type_)) == kind


WITHOUT_EVENTS = {
    "no events": (BATCH, "batch without events"),
    "no list of them": ({"mpid": 1, "message_type": "events"}, "batch without events"),
    "an alias": ({"request_type": "alias", "source_mpid": 1, "destination_mpid": 2}, "alias request"),
}


@pytest.mark.parametrize(("record", "kind"), WITHOUT_EVENTS.values(), ids=WITHOUT_EVENTS)
def test_a_batch_without_events_is_dropped(record: dict[str, Any], kind: str) -> None:
    assert dropped(to_mixpanel, record) == kind


REJECTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no batch": ({"a": 1}, "is no batch of mParticle's: it has no list of events", "events"),
    "events that are none": (BATCH | {"events": {"a": 1}}, "is no batch of mParticle's: it has no list", "events"),
    "no type": (
        BATCH | {"events": [{"data": DATA}]},
        "has no event name: events[0].event_type",
        "events[0].event_type",
    ),
    "no name": (batch({"event_name": ""}), "has no event name: events[0].data.event_name", "events[0].data.event_name"),
    "no time": (
        batch({"timestamp_unixtime_ms": None}),
        "has no usable time: events[0].data.",
        "events[0].data.timestamp_unixtime_ms",
    ),
    "seconds": (
        batch({"timestamp_unixtime_ms": TIME // 1000}),
        "has no usable time",
        "events[0].data.timestamp_unixtime_ms",
    ),
    "nobody": (batch(mpid=0), "has no user: no usable id is in user_identities or mp_deviceid or", "user_identities"),
    "too deep": (batch({"custom_attributes": {"a": {"b": {"c": {"d": {}}}}}}), "has a property", "properties.a"),
    "too many": (batch({"custom_attributes": {str(n): "" for n in range(255)}}), "has 260 properties", "properties"),
}


@pytest.mark.parametrize(("record", "reason", "field"), REJECTS.values(), ids=REJECTS)
def test_what_cannot_be_mapped_is_a_reject_with_a_reason(record: dict[str, Any], reason: str, field: str) -> None:
    found = rejected(to_mixpanel, record)
    assert found.reason.startswith(reason)
    assert found.field == field


def test_made_up_batches_give_all_their_events() -> None:
    held = list(happenings(20))
    record = made_up.batch(held, held[0])
    assert matches(record)
    assert matches(made_up.batch([], held[0]))
    encoded = json.dumps(record).encode()
    assert mparticle.outcomes(record) == to_mixpanel(encoded)
    assert [json.loads(line)["properties"]["time"] for line in judge(to_mixpanel, encoded)] == [h.time for h in held]


MATCHES = {
    "a batch": (batch(), True),
    "one without events": (BATCH, True),
    "another tool's events": ({"events": [{"event": "a"}]}, False),
    "events that are none": ({"events": "a", "mpid": 1}, False),
    "nothing": ({}, False),
}


@pytest.mark.parametrize(("record", "does"), MATCHES.values(), ids=MATCHES)
def test_a_batch_is_recognised_by_its_keys(record: dict[str, Any], does: bool) -> None:
    assert matches(record) == does


HELD = list(happenings(40, 7))


@given(spoiled([batch(), *(made_up.batch(HELD[n : n + 4], HELD[n]) for n in range(0, 40, 4))]))
def test_whatever_a_batch_holds_keeps_the_rules_or_is_a_reject(record: bytes) -> None:
    assert judge(to_mixpanel, record) == judge(to_mixpanel, record)
