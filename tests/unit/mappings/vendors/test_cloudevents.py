"""CloudEvents in JSON, as the specification has them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given

from importer.mappings.vendors.cloudevents import matches, to_mixpanel
from sandbox.vendors import cloudevents as made_up
from sandbox.vendors.shop import happenings
from tests.unit.mappings.judged import dropped, encode, event, judge, properties, rejected, spoiled

CLOUD_EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "com.example.someevent",
    "source": "/mycontext",
    "id": "A234-1234-1234",
    "time": "2018-04-05T17:31:00Z",
    "comexampleextension1": "value",
    "comexampleothervalue": 5,
}
TIME = 1_522_949_460_000


def encoded(content: bytes, kind: object = "application/json") -> dict[str, Any]:
    return {"data_base64": base64.b64encode(content).decode(), "datacontenttype": kind}


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a time", {}, {"time": TIME}),
    ("a time with a zone", {"time": "2018-04-05T19:31:00.5+02:00"}, {"time": TIME + 500}),
    ("nobody", {}, {"distinct_id": "", "$user_id": None}),
    ("a user", {"data": {"user_id": "u1"}}, {"distinct_id": "u1", "$user_id": "u1", "user_id": None}),
    ("a device", {"data": {"anonymousId": "d1"}}, {"distinct_id": "$device:d1", "$device_id": "d1"}),
    (
        "both, by Mixpanel's names",
        {"data": {"$user_id": "u1", "$device_id": "d1"}},
        {"distinct_id": "u1", "$device_id": "d1"},
    ),
    ("a distinct id", {"data": {"distinct_id": "$device:d1"}}, {"distinct_id": "$device:d1", "$device_id": "d1"}),
    ("data", {"data": {"price": 1.5, "page": {"url": "https://a"}}}, {"price": 1.5, "page": {"url": "https://a"}}),
    ("data that is no object", {"data": [1, 2]}, {"data": [1, 2]}),
    ("data that is a text", {"data": "much wow"}, {"data": "much wow"}),
    ("no data", {"data": None}, {"data": None}),
    ("encoded data", encoded(b'{"price":1.5}'), {"price": 1.5, "data_base64": None}),
    ("encoded data of no named kind", encoded(b'{"price":1.5}', None), {"price": 1.5}),
    (
        "encoded data of a kind of JSON",
        encoded(b'{"price":1.5}', "application/vnd.shop+json; charset=utf-8"),
        {"price": 1.5},
    ),
    ("an encoded text", encoded("wörld".encode(), "text/plain"), {"data": "wörld"}),
    ("extensions", {}, {"comexampleextension1": "value", "comexampleothervalue": 5}),
    ("its source and subject", {"subject": "123"}, {"source": "/mycontext", "subject": "123"}),
    ("data counts more than attributes", {"data": {"source": "newsletter"}}, {"source": "newsletter"}),
    (
        "what is of the protocol",
        {"dataschema": "a", "datacontenttype": "b"},
        {"dataschema": None, "datacontenttype": None, "specversion": None, "id": None, "type": None},
    ),
    (
        "what does harm",
        {"data": {"$ignore": True, "bucket": 1, "token": "t", "ip": "1.1.1.1", "time": 5}},
        {"$ignore": None, "bucket": None, "token": None, "ip": None, "time": TIME},
    ),
]


@pytest.mark.parametrize(("fields", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_an_attribute_becomes_what_mixpanel_calls_it(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = properties(to_mixpanel, CLOUD_EVENT | fields)
    assert {name: found.get(name) for name in expected} == expected


def test_its_name_is_its_type() -> None:
    assert event(to_mixpanel, CLOUD_EVENT)["event"] == "com.example.someevent"


def test_source_and_id_together_tell_it_from_all_others() -> None:
    others: list[dict[str, Any]] = [
        {},
        {"id": "A234"},
        {"source": "/other"},
        {"source": "/mycontextA", "id": "234-1234-1234"},
    ]
    ids = [properties(to_mixpanel, CLOUD_EVENT | fields)["$insert_id"] for fields in others]
    assert len(set(ids)) == 4
    assert properties(to_mixpanel, CLOUD_EVENT | {"data": {"delivered": "again"}})["$insert_id"] == ids[0]


def test_a_storages_notification_is_dropped() -> None:
    assert (
        dropped(to_mixpanel, CLOUD_EVENT | {"type": "google.cloud.storage.object.v1.finalized"})
        == "storage notification"
    )


REJECTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no type": ({"type": None}, "has no event name: type must be a text and is missing", "type"),
    "a blank type": ({"type": " "}, "has no event name: type must be a text and is empty", "type"),
    "no id": ({"id": ""}, "is no CloudEvent: id must be a text, and is none or empty", "id"),
    "no source": ({"source": 5}, "is no CloudEvent: source must be a text, and is none or empty", "source"),
    "no time": ({"time": None}, "has no usable time: time must be in ISO 8601", "time"),
    "bytes": (encoded(b"\xff", "image/png"), "has data that is neither JSON nor text: datacontent", "data_base64"),
    "bytes that are no text": (encoded(b"\xff", "text/plain"), "has data_base64 that is not the base64", "data_base64"),
    "no base64": ({"data_base64": "?"}, "has data_base64 that is not the base64 of a text in UTF-8", "data_base64"),
    "base64 that is none": ({"data_base64": 5}, "has data_base64 that is not the base64 of a text", "data_base64"),
    "too deep": ({"data": {"a": {"b": {"c": {"d": {}}}}}}, "has a property that Mixpanel would", "properties.a"),
}


@pytest.mark.parametrize(("fields", "reason", "field"), REJECTS.values(), ids=REJECTS)
def test_what_cannot_be_mapped_is_a_reject_with_a_reason(fields: dict[str, Any], reason: str, field: str) -> None:
    found = rejected(to_mixpanel, CLOUD_EVENT | fields)
    assert found.reason.startswith(reason)
    assert found.field == field


def test_made_up_events_are_all_imported_but_notifications() -> None:
    for happening in happenings(400):
        made = made_up.event(happening)
        assert matches(made)
        assert len(judge(to_mixpanel, encode(made))) == (happening.number % 200 != 0)


MATCHES = {
    "an event": (CLOUD_EVENT, True),
    "without an id": ({name: value for name, value in CLOUD_EVENT.items() if name != "id"}, False),
    "a version that is a number": (CLOUD_EVENT | {"specversion": 1.0}, False),
}


@pytest.mark.parametrize(("record", "does"), MATCHES.values(), ids=MATCHES)
def test_an_event_is_recognised_by_its_attributes(record: dict[str, Any], does: bool) -> None:
    assert matches(record) == does


@given(spoiled([CLOUD_EVENT, CLOUD_EVENT | encoded(b'{"a":1}'), *map(made_up.event, happenings(60, 7))]))
def test_whatever_an_event_holds_keeps_the_rules_or_is_a_reject(record: bytes) -> None:
    assert judge(to_mixpanel, record) == judge(to_mixpanel, record)
