"""Segment's calls, held against its spec and its own Mixpanel destination: a row is a field or an edge case."""

from __future__ import annotations

import json
from typing import Any

import pytest

from importer.errors import InvalidRecord
from importer.mappings.outcome import Dropped, Outcome
from importer.mappings.vendors import rudderstack, segment
from sandbox.vendors.segment import records

AJS = "ajs-next-1730000000000-d4504d5e-8f8e-4c3a-9d2f-0a1b2c3d4e5f"
CALL: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "8ec2c1d2-9a2b-4a9c-9d3e-1c2b3a4d5e6f",
    "anonymousId": "anon-1",
    "userId": "user-1",
    "timestamp": "2025-06-01T12:00:00.123Z",
    "originalTimestamp": "2025-06-01T11:58:00.000Z",
    "receivedAt": "2025-06-01T12:00:01.000Z",
    "properties": {"total": 9.5},
}
IDENTITY = {"$device_id": "anon-1", "$user_id": "user-1", "distinct_id": "user-1"}
REST = {"time": 1_748_779_200_123, "$insert_id": CALL["messageId"], **IDENTITY}


def outcome(**changes: Any) -> Outcome:
    """What the call gives with these changes; a None takes the field away."""
    record = {name: value for name, value in {**CALL, **changes}.items() if value is not ...}
    (found,) = segment.to_mixpanel(json.dumps(record).encode())
    assert repr(segment.outcomes(record)) == repr([found])
    return found


def event(**changes: Any) -> dict[str, Any]:
    found = outcome(**changes)
    assert isinstance(found, dict), found
    return found


def properties(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = event(**changes)["properties"]
    return found


def test_a_track_call_is_an_event_with_its_properties_its_time_and_its_user() -> None:
    assert event() == {"event": "Order Completed", "properties": {"total": 9.5, **REST}}


NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "page": ({"type": "page", "name": "Docs"}, "Viewed Docs"),
    "page, its name among the properties": ({"type": "page", "properties": {"name": "Docs"}}, "Viewed Docs"),
    "page without a name": ({"type": "page", "name": None}, "Viewed Page"),
    "page with an empty name": ({"type": "page", "name": ""}, "Viewed Page"),
    "screen": ({"type": "screen", "name": "Cart"}, "Viewed Cart"),
    "screen without a name": ({"type": "screen"}, "Viewed Screen"),
}


@pytest.mark.parametrize(("changes", "name"), NAMES.values(), ids=NAMES)
def test_a_page_or_screen_call_is_named_by_what_was_viewed(changes: dict[str, Any], name: str) -> None:
    assert event(event=..., **changes)["event"] == name


CONTEXT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("ip", {"ip": "203.0.113.7"}, {"ip": "203.0.113.7"}),
    ("ip that is none", {"ip": "1.2.x.x"}, {}),
    ("page.url", {"page": {"url": "https://shop.example/a?b=1"}}, {"$current_url": "https://shop.example/a?b=1"}),
    (
        "page.referrer",
        {"page": {"referrer": "https://www.google.com:443/search?q=x"}},
        {"$referrer": "https://www.google.com:443/search?q=x", "$referring_domain": "www.google.com"},
    ),
    ("page.referrer of an app", {"page": {"referrer": "android-app://x"}}, {"$referrer": "android-app://x"}),
    ("page.referrer on a direct visit", {"page": {"referrer": ""}}, {}),
    ("page.title", {"page": {"title": "A"}}, {"page_title": "A"}),
    (
        "campaign",
        {"campaign": {"source": "s", "medium": "m", "name": "n", "term": "t", "content": "c", "id": ""}},
        {"utm_source": "s", "utm_medium": "m", "utm_campaign": "n", "utm_term": "t", "utm_content": "c"},
    ),
    ("os", {"os": {"name": "iOS", "version": "18.4"}}, {"$os": "iOS", "$os_version": "18.4"}),
    ("os that is empty", {"os": {"name": "", "version": None}}, {}),
    (
        "app",
        {"app": {"name": "Shop", "version": "1.2", "build": 77, "namespace": "com.shop"}},
        {"$app_version_string": "1.2", "$app_build_number": 77, "app_name": "Shop", "app_namespace": "com.shop"},
    ),
    (
        "device",
        {"device": {"id": "x", "manufacturer": "Apple", "model": "iPhone17,1", "name": "maguro", "type": "ios"}},
        {"$manufacturer": "Apple", "$model": "iPhone17,1", "device_name": "maguro", "device_type": "ios"},
    ),
    (
        "network",
        {"network": {"carrier": "T-Mobile", "wifi": False, "bluetooth": True, "cellular": True}},
        {"$carrier": "T-Mobile", "$wifi": False, "$bluetooth_enabled": True, "cellular": True},
    ),
    (
        "screen",
        {"screen": {"width": 390, "height": 844, "density": 3}},
        {"$screen_width": 390, "$screen_height": 844},
    ),
    (
        "library",
        {"library": {"name": "analytics.js", "version": "next-1.70.0"}},
        {"mp_lib": "Segment: analytics.js", "$lib_version": "next-1.70.0"},
    ),
    (
        "location with a country's name",
        {"location": {"country": "United States", "city": "San Francisco", "region": "CA"}},
        {"mp_country_code": "US", "$city": "San Francisco", "$region": "CA"},
    ),
    ("location with three letters", {"location": {"country": "DEU"}}, {"mp_country_code": "DE"}),
    ("location that is no country", {"location": {"country": "Atlantis"}}, {"country": "Atlantis"}),
    (
        "locale and timezone",
        {"locale": "de-DE", "timezone": "Europe/Berlin"},
        {"locale": "de-DE", "timezone": "Europe/Berlin"},
    ),
    ("groupId", {"groupId": "g-1"}, {"$group_id": "g-1"}),
    (
        "userAgent",
        {"userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/137.0.0.0 Safari/537.36"},
        {"$browser": "Chrome", "$browser_version": 137, "$os": "Windows"},
    ),
    (
        "os beats userAgent",
        {
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
            "os": {"name": "Ubuntu"},
        },
        {"$browser": "Firefox", "$browser_version": 139, "$os": "Ubuntu"},
    ),
    ("traits", {"traits": {"email": "a@example.com"}}, {}),
    ("parts that are no objects", {"page": "x", "os": 1, "library": [], "campaign": "c", "userAgent": 7}, {}),
    ("values that are no texts", {"page": {"url": {"a": 1}}, "ip": 7, "locale": [], "os": {"name": {"b": 1}}}, {}),
]


@pytest.mark.parametrize(("context", "expected"), [row[1:] for row in CONTEXT], ids=[row[0] for row in CONTEXT])
def test_the_context_becomes_properties_by_mixpanels_names(context: Any, expected: dict[str, Any]) -> None:
    assert properties(context=context) == {"total": 9.5, **expected, **REST}


@pytest.mark.parametrize("context", [None, "x", 7, []])
def test_a_context_that_is_no_object_is_none(context: Any) -> None:
    assert properties(context=context) == properties()


def test_the_calls_own_properties_win_over_its_context() -> None:
    assert properties(context={"os": {"name": "iOS"}}, properties={"$os": "mine"})["$os"] == "mine"


def test_what_is_dangerous_to_pass_on_is_left_out() -> None:
    given = {"$ignore": True, "bucket": "b", "token": "t", "ip": "9.9.9.9", "time": 1, "distinct_id": "x", "alias": "y"}
    assert properties(properties={**given, "none": None, "kept": 0}) == {"kept": 0, **REST}


IDENTITIES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("anonymous", {"userId": None}, {"$device_id": "anon-1", "distinct_id": "$device:anon-1"}),
    ("empty", {"userId": ""}, {"$device_id": "anon-1", "distinct_id": "$device:anon-1"}),
    ("a server's", {"anonymousId": ...}, {"$user_id": "user-1", "distinct_id": "user-1"}),
    (
        "a number",
        {"userId": 12345678901234567, "anonymousId": ...},
        {"$user_id": "12345678901234567", "distinct_id": "12345678901234567"},
    ),
    (
        "a value that betrays a mistake",
        {"userId": "undefined"},
        {"$device_id": "anon-1", "distinct_id": "$device:anon-1"},
    ),
]


@pytest.mark.parametrize(("changes", "expected"), [row[1:] for row in IDENTITIES], ids=[row[0] for row in IDENTITIES])
def test_user_and_device_are_told_apart(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = properties(**changes)
    assert {name: found[name] for name in IDENTITY if name in found} == expected


TIMES: list[tuple[str, dict[str, Any], int]] = [
    ("an offset", {"timestamp": "2025-06-01T14:00:00.123+02:00"}, 1_748_779_200_123),
    ("no zone is UTC", {"timestamp": "2025-06-01T12:00:00.123"}, 1_748_779_200_123),
    ("no timestamp", {"timestamp": ...}, 1_748_779_080_000),
]


@pytest.mark.parametrize(("changes", "time"), [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
def test_the_time_is_exact(changes: dict[str, Any], time: int) -> None:
    assert properties(**changes)["time"] == time


def test_a_message_id_that_mixpanel_would_not_take_is_hashed_whole() -> None:
    made = {properties(messageId=one)["$insert_id"] for one in (AJS, AJS[:-1] + "e", "a:1", "a1:")}
    assert len(made) == 4
    assert all(len(one) == 32 and one.isalnum() for one in made)
    assert properties(messageId="ajs-" + "0a" * 16)["$insert_id"] == "ajs-" + "0a" * 16


def test_without_a_message_id_there_is_no_insert_id_yet() -> None:
    assert "$insert_id" not in properties(messageId=None)


@pytest.mark.parametrize("kind", ["identify", "group", "alias"])
def test_calls_that_are_no_events_are_dropped_by_kind(kind: str) -> None:
    assert outcome(type=kind) == Dropped(f"{kind} call")


REJECTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("no type", {"type": ...}, "is no call of Segment's", "type"),
    ("another type", {"type": "delete"}, "is no call of Segment's", "type"),
    ("a type that is no text", {"type": ["track"]}, "is no call of Segment's", "type"),
    ("no name", {"event": ...}, "has no event name: event must be a text and is missing", "event"),
    ("a blank name", {"event": " "}, "has no event name: event must be a text and is empty", "event"),
    ("a name that is a number", {"event": 7}, "has no event name: event must be a text and is a number", "event"),
    ("no time", {"timestamp": ..., "originalTimestamp": ...}, "has no usable time: timestamp", "timestamp"),
    (
        "a time that is none, whatever else there is",
        {"timestamp": "soon"},
        "has no usable time: timestamp",
        "timestamp",
    ),
    ("nobody", {"userId": None, "anonymousId": ...}, "has no user: no usable id is in userId or anonymousId", "userId"),
    ("too deep", {"properties": {"a": {"b": {"c": {"d": {}}}}}}, "has a property that Mixpanel would", "properties.a"),
    ("too many", {"properties": {str(n): n for n in range(260)}}, "has 266 properties", "properties"),
]


@pytest.mark.parametrize(("changes", "reason", "field"), [row[1:] for row in REJECTS], ids=[row[0] for row in REJECTS])
def test_what_cannot_be_mapped_is_rejected_with_a_reason(changes: dict[str, Any], reason: str, field: str) -> None:
    found = outcome(**changes)
    assert isinstance(found, InvalidRecord)
    assert found.reason.startswith(reason)
    assert found.field == field


def test_what_is_no_object_is_rejected() -> None:
    for record in (b"[]", b"{", b"\xff", b'{"a":' * 100_000):
        (found,) = segment.to_mixpanel(record)
        assert isinstance(found, InvalidRecord)


MATCHES: list[tuple[str, dict[str, Any], bool]] = [
    ("a call", {}, True),
    ("an identify call", {"type": "identify"}, True),
    ("a server's call", {"anonymousId": ...}, True),
    ("no message id", {"messageId": ...}, False),
    ("nobody", {"userId": ..., "anonymousId": ...}, False),
    ("another type", {"type": "pageview"}, False),
    ("a type that is no text", {"type": {}}, False),
]


@pytest.mark.parametrize(("changes", "does"), [row[1:] for row in MATCHES], ids=[row[0] for row in MATCHES])
def test_a_call_is_recognised_by_its_keys(changes: dict[str, Any], does: bool) -> None:
    assert segment.matches({name: value for name, value in {**CALL, **changes}.items() if value is not ...}) == does


def test_made_up_calls_are_segments_and_not_rudderstacks() -> None:
    for record in records(300):
        call = json.loads(record)
        assert segment.matches(call)
        assert not rudderstack.matches(call)
        (found,) = segment.to_mixpanel(record)
        assert isinstance(found, dict) or found == Dropped("identify call")
