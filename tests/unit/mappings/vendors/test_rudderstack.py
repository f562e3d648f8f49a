"""RudderStack's calls, held against its spec and its own Mixpanel destination, where they differ from Segment's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from importer.errors import InvalidRecord
from importer.mappings.outcome import Dropped, Outcome
from importer.mappings.vendors import rudderstack
from sandbox.vendors.rudderstack import records

CALL: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "8ec2c1d2-9a2b-4a9c-9d3e-1c2b3a4d5e6f",
    "anonymousId": "anon-1",
    "userId": "user-1",
    "rudderId": "r-1",
    "channel": "web",
    "timestamp": "2020-01-24T11:59:02.402+05:30",
    "originalTimestamp": "2020-01-24T06:29:02.358Z",
    "properties": {"total": 9.5},
}
REST = {
    "time": 1_579_847_342_402,
    "$insert_id": CALL["messageId"],
    "$device_id": "anon-1",
    "$user_id": "user-1",
    "distinct_id": "user-1",
}


def outcome(**changes: Any) -> Outcome:
    record = {name: value for name, value in {**CALL, **changes}.items() if value is not ...}
    (found,) = rudderstack.to_mixpanel(json.dumps(record).encode())
    assert repr(rudderstack.outcomes(record)) == repr([found])
    return found


def event(**changes: Any) -> dict[str, Any]:
    found = outcome(**changes)
    assert isinstance(found, dict), found
    return found


ROWS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("track, its time with an offset", {}, "Order Completed", {"total": 9.5}),
    ("page", {"type": "page", "name": "Home", "event": ...}, "Loaded a Page", {"total": 9.5, "name": "Home"}),
    (
        "page named by its properties",
        {"type": "page", "properties": {"name": "Cart"}},
        "Loaded a Page",
        {"name": "Cart"},
    ),
    ("screen", {"type": "screen", "name": "Cart", "properties": ...}, "Loaded a Screen", {"name": "Cart"}),
    (
        "context wins over properties",
        {"properties": {"$os": "mine"}, "context": {"os": {"name": "Android", "version": "15"}}},
        "Order Completed",
        {"$os": "Android", "$os_version": "15"},
    ),
    ("os that is empty", {"properties": {}, "context": {"os": {"name": "", "version": ""}}}, "Order Completed", {}),
    (
        "ip of the request, with a port",
        {"properties": {}, "request_ip": "[::1]:53708"},
        "Order Completed",
        {"ip": "::1"},
    ),
    (
        "ip of the context first",
        {"properties": {}, "request_ip": "203.0.113.9", "context": {"ip": "203.0.113.7"}},
        "Order Completed",
        {"ip": "203.0.113.7"},
    ),
    (
        "campaign, all of it",
        {"properties": {}, "context": {"campaign": {"name": "n", "source": "s", "id": "i"}}},
        "Order Completed",
        {"utm_campaign": "n", "utm_source": "s", "utm_id": "i"},
    ),
    (
        "screen",
        {"properties": {}, "context": {"screen": {"width": 1080, "height": 2400, "density": 420}}},
        "Order Completed",
        {"$screen_width": 1080, "$screen_height": 2400, "$screen_dpi": 420},
    ),
    (
        "library",
        {"properties": {}, "context": {"library": {"name": "RudderLabs JavaScript SDK", "version": "3"}}},
        "Order Completed",
        {"mp_lib": "RudderLabs JavaScript SDK", "$lib_version": "3"},
    ),
    ("session", {"properties": {}, "context": {"sessionId": 1748736}}, "Order Completed", {"$session_id": 1748736}),
    ("traits", {"properties": {}, "context": {"traits": {"email": "a@example.com"}}}, "Order Completed", {}),
    ("dangerous names", {"properties": {"$ignore": 1, "token": "t", "bucket": 2, "time": 3}}, "Order Completed", {}),
]


@pytest.mark.parametrize(("changes", "name", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_call_is_an_event(changes: dict[str, Any], name: str, expected: dict[str, Any]) -> None:
    assert event(**changes) == {"event": name, "properties": {**expected, **REST}}


def test_an_anonymous_call_is_the_devices() -> None:
    found = event(userId="")["properties"]
    assert found["distinct_id"] == "$device:anon-1"
    assert "$user_id" not in found


def test_without_a_timestamp_the_original_one_counts() -> None:
    assert event(timestamp=...)["properties"]["time"] == 1_579_847_342_358


@pytest.mark.parametrize("kind", ["identify", "group", "alias", "record"])
def test_calls_that_are_no_events_are_dropped_by_kind(kind: str) -> None:
    assert outcome(type=kind) == Dropped(f"{kind} call")


REJECTS: list[tuple[str, dict[str, Any], str]] = [
    ("another type", {"type": "dance"}, "type"),
    ("no name", {"event": None}, "event"),
    ("no time", {"timestamp": "never"}, "timestamp"),
    ("nobody", {"userId": ..., "anonymousId": "null"}, "userId"),
    ("too deep", {"properties": {"a": [{"b": {"c": {"d": {}}}}]}}, "properties.a"),
]


@pytest.mark.parametrize(("changes", "field"), [row[1:] for row in REJECTS], ids=[row[0] for row in REJECTS])
def test_what_cannot_be_mapped_is_rejected_with_a_reason(changes: dict[str, Any], field: str) -> None:
    found = outcome(**changes)
    assert isinstance(found, InvalidRecord)
    assert found.field == field


MATCHES: list[tuple[str, dict[str, Any], bool]] = [
    ("rudderId", {}, True),
    ("request_ip", {"rudderId": ..., "request_ip": "203.0.113.7"}, True),
    ("its library", {"rudderId": ..., "context": {"library": {"name": "rudder-go"}}}, True),
    ("Segment's library", {"rudderId": ..., "context": {"library": {"name": "analytics.js"}}}, False),
    ("nothing of its own", {"rudderId": ...}, False),
    ("a context that is none", {"rudderId": ..., "context": {"library": 7}}, False),
    ("no call at all", {"type": "x"}, False),
]


@pytest.mark.parametrize(("changes", "does"), [row[1:] for row in MATCHES], ids=[row[0] for row in MATCHES])
def test_rudderstack_is_told_from_segment(changes: dict[str, Any], does: bool) -> None:
    assert rudderstack.matches({name: value for name, value in {**CALL, **changes}.items() if value is not ...}) == does


def test_made_up_calls_are_rudderstacks() -> None:
    for record in records(300):
        assert rudderstack.matches(json.loads(record))
        (found,) = rudderstack.to_mixpanel(record)
        assert isinstance(found, dict) or found == Dropped("identify call")
