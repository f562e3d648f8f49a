"""Many records at once: the same events as one by one, and every record's own bytes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from importer.errors import InvalidRecord
from importer.limits import MAX_EVENT_BYTES
from importer.mixpanel.event.completer import Completer
from importer.mixpanel.event.stretches import restored
from sandbox.events import BAD_KINDS, Events
from tests.unit.mixpanel import at_once

OPENING = b'"properties":{'
COMPLETE = b'{"event":"e","properties":{"ip":0,"time":1700000000,"distinct_id":"u","$insert_id":"id-1"}}'
NO_IP = COMPLETE.replace(b'"ip":0,', b"")
NO_ID = COMPLETE.replace(b',"$insert_id":"id-1"', b"")
NEITHER = NO_IP.replace(b',"$insert_id":"id-1"', b"")
SPACED = json.dumps(json.loads(NEITHER)).encode()

Stretches = list[tuple[int, list[bytes] | None]]


def stretches(records: list[bytes], default_ip: str | None = "0", *, are_lines: bool = False) -> Stretches:
    return [(start, events or None) for start, events in Completer(default_ip).stretches(records, are_lines=are_lines)]


def completed(record: bytes, default_ip: str | None = "0") -> bytes | None:
    try:
        return Completer(default_ip).complete_odd(record)
    except InvalidRecord:
        return None


def with_property(text: bytes, record: bytes = COMPLETE) -> bytes:
    return record[:-2] + b',"more":' + text + b"}}"


def test_complete_records_are_the_events_themselves() -> None:
    records = [with_property(b"%d" % n) for n in range(1_000)]
    ((start, events),) = stretches(records, are_lines=True)
    assert events is not None
    assert (start, len(events)) == (0, 1_000)
    assert all(event is record for event, record in zip(events, records, strict=True))


@pytest.mark.parametrize("record", [COMPLETE, NO_IP, NO_ID, NEITHER, SPACED])
@pytest.mark.parametrize("default_ip", [None, "0", "203.0.113.7"])
def test_records_that_lack_the_same_are_completed_together(record: bytes, default_ip: str | None) -> None:
    records = [with_property(b"%d" % n, record) for n in range(1_000)]
    ((start, events),) = stretches(records, default_ip)
    assert events == [completed(record, default_ip) for record in records]
    assert start == 0


@pytest.mark.parametrize("insert_ids", [True, False])
def test_one_bad_record_in_a_hundred_leaves_the_others_together(insert_ids: bool) -> None:
    records = list(Events(2_000, "small", bad_share=0.01, insert_ids=insert_ids).records())
    found = stretches(records, are_lines=True)
    bad = [start for start, events in found if events is None]
    assert {n for n, record in enumerate(records) if completed(record) is None} == set(bad)
    assert len(found) <= 4 * len(bad)


def test_each_record_of_many_bad_ones_is_left_out_alone() -> None:
    records = [make(next(Events(1, "small").records())) for make in BAD_KINDS.values()]
    alone = [start for start, events in stretches(records) if events is None]
    assert alone == [n for n, record in enumerate(records) if completed(record) is None]


def test_records_of_several_kinds_in_turn_make_few_stretches() -> None:
    records = [with_property(b"%d" % n, [COMPLETE, NO_IP, NEITHER, NO_ID][n % 4]) for n in range(2_400)]
    found = stretches(records, are_lines=True)
    assert [event for _, events in found for event in events or ()] == list(map(completed, records))
    assert len(found) < 40


# What must not be taken for what it is not

ODD = {
    "an ip of null": with_property(b'1,"ip":null'),
    "an empty ip": with_property(b'1,"ip":""'),
    "an ip that is a list": with_property(b'1,"ip":[]'),
    "an insert id of null": with_property(b'1,"$insert_id":null'),
    "an empty insert id": with_property(b'1,"$insert_id":""'),
    "an ip twice": with_property(b'1,"ip":"203.0.113.9","ip":7'),
    "an ip whose name is escaped": with_property(rb'1,"\u0069p":7', NO_IP),
    "an insert id whose name is escaped": with_property(rb'1,"\u0024insert_id":"id"', NEITHER),
    "properties of something else first": NEITHER.replace(b'"event"', b'"context":{"properties":{"a":1}},"event"'),
    "properties twice": NEITHER[:-1] + b',"properties":{"time":1700000000,"distinct_id":"other"}}',
    "properties twice, once escaped": NEITHER[:-1] + rb',"\u0070roperties":{"time":1700000000,"distinct_id":"other"}}',
    "properties twice, once spaced": NEITHER[:-1] + b',"properties" : {"time":1700000000,"distinct_id":"other"}}',
    "properties in a text": NEITHER.replace(b'"e"', rb'"\"properties\":{"'),
    "properties in a list first": NEITHER.replace(b'"event"', b'"list":["properties"],"event"'),
    "no properties, but some of something else": b'{"event":"e","context":{"properties":{"time":1,"distinct_id":"u"}}}',
    "empty properties": b'{"event":"e","properties":{}}',
    "spaces everywhere": json.dumps(json.loads(NEITHER), separators=(" , ", " : ")).encode(),
    "a line break within": json.dumps(json.loads(NEITHER), indent=1).encode(),
    "a carriage return after": COMPLETE + b"\r",
    "white space around": b" \t" + NEITHER + b" ",
    "a byte order mark": b"\xef\xbb\xbf" + NEITHER,
    "not UTF-8": with_property(b'"Jos\xe9"'),
    "not UTF-8, and lacking": with_property(b'"Jos\xe9"', NEITHER),
    "UTF-8": with_property('"José"'.encode(), NEITHER),
    "half an emoji": with_property(rb'"\ud83d"'),
    "nested deeply": with_property(b"[" * 5_000 + b"]" * 5_000),
    "two objects": COMPLETE + b" " + COMPLETE,
    "too long": with_property(b'"' + b"x" * MAX_EVENT_BYTES + b'"'),
    "too long once it is complete": with_property(
        b'"' + b"x" * (MAX_EVENT_BYTES - len(with_property(b'""', NEITHER)) - 3) + b'"', NEITHER
    ),
    "as long as can be": with_property(b'"' + b"x" * (MAX_EVENT_BYTES - len(with_property(b'""')) - 1) + b'"'),
    "blank": b" ",
    "nothing": b"",
}


def check(records: list[bytes], default_ip: str | None, *, are_lines: bool = False) -> None:
    """What is completed at once is what is completed one by one, each record once; and it can be taken out again."""
    seen = 0
    for start, events in stretches(records, default_ip, are_lines=are_lines):
        assert start == seen
        seen += 1 if events is None else len(events)
        for record, event in zip(records[start:], events or (), strict=False):
            assert event == completed(record, default_ip)
            if b"\n" not in record and b"\r" not in record:
                assert restored(event, len(record)) == record
    assert seen == len(records)


@pytest.mark.parametrize("record", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("default_ip", [None, "0"])
def test_an_odd_record_among_others_is_completed_as_it_is_alone(record: bytes, default_ip: str | None) -> None:
    for usual in (COMPLETE, NO_IP, NO_ID, NEITHER):
        check([usual, record, usual, *[usual] * 20, record, record, usual], default_ip)
        check([record], default_ip)


@given(
    st.lists(st.sampled_from([COMPLETE, NO_IP, NO_ID, NEITHER, SPACED, b"null", *ODD.values()]), max_size=40),
    st.sampled_from([None, "0"]),
)
@example([], "0")
def test_any_mix_of_records_gives_what_they_give_one_by_one(records: list[bytes], default_ip: str | None) -> None:
    check(records, default_ip)


@given(
    st.lists(st.sampled_from([COMPLETE, NO_IP, NO_ID, NEITHER, SPACED, b"null", *ODD.values()]), max_size=12),
    st.sampled_from([None, "0", "203.0.113.7"]),
)
@example([COMPLETE, NEITHER, NO_IP, NO_ID, SPACED, *ODD.values(), COMPLETE], "0")
def test_what_came_before_a_record_changes_nothing_about_it(records: list[bytes], default_ip: str | None) -> None:
    completer = Completer(default_ip)
    for record in records:
        list(completer.stretches([record]))
        try:
            event = completer.complete(record)
        except InvalidRecord:
            assert completed(record, default_ip) is None
        else:
            assert event == completed(record, default_ip)


KEYS = st.text(max_size=3) | st.sampled_from(["properties", "ip", "$insert_id", "event", "time", '"properties":{'])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(KEYS, JSON, max_size=4),
    st.fixed_dictionaries(
        {"time": st.integers(0, 1 << 40), "distinct_id": st.text(max_size=3)},
        optional={"$insert_id": JSON, "ip": JSON, "properties": JSON},
    ),
    st.booleans(),
    st.sampled_from([None, (",", ":"), (" ,", " : ")]),
)
def test_any_event_gives_at_once_what_it_gives_alone(
    more: dict[str, Any], properties: dict[str, Any], ensure_ascii: bool, separators: tuple[str, str] | None
) -> None:
    event = {**more, "event": "e", "properties": {**properties, **more}}
    record = json.dumps(event, ensure_ascii=ensure_ascii, separators=separators).encode(errors="replace")
    check([record, NEITHER, record, record, COMPLETE], "0")


def test_where_it_is_known_that_records_are_lines_none_is_looked_through_again() -> None:
    check([COMPLETE, *[NO_IP] * 10, with_property(b'"Jos\xe9"', NO_IP), *[NEITHER] * 10], "0", are_lines=True)
    ((_, events),) = stretches([COMPLETE + b"\r"], are_lines=True)
    assert events == [COMPLETE + b"\r"]


@pytest.mark.parametrize("record", [NO_IP, NO_ID, NEITHER, SPACED, COMPLETE])
def test_a_record_is_restored_from_its_event(record: bytes) -> None:
    for default_ip in (None, "0", "203.0.113.7"):
        event = completed(record, default_ip)
        assert event is not None
        assert restored(event, len(record)) == record


@pytest.mark.parametrize("name", ["", "e"])
def test_a_name_of_one_letter_is_one_and_of_none_is_none(name: str) -> None:
    records = [json.dumps({"event": "e", "properties": {"time": 1_700_000_000, "distinct_id": "u"}}).encode()] * 99
    odd = records[0].replace(b'"event": "e"', b'"event": "%b"' % name.encode())
    for some in ([*records, odd], [odd, *records]):
        assert (at_once.all_of(Completer("0"), some) is not None) == bool(name)
