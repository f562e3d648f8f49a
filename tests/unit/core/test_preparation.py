"""One record: mapped, transformed, checked and completed, each of its events with an outcome of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from importer.core.preparation import Prepared, Preparer
from importer.errors import InvalidRecord
from importer.limits import MAX_EVENT_BYTES
from importer.mappings.loading import Mapped
from importer.mappings.outcome import Dropped, Mapping, Outcome
from importer.mixpanel.event.completer import insert_id
from importer.records import Block, Malformed

GOOD = b'{"event":"Signup","properties":{"time":1700000000,"distinct_id":"user-1","$insert_id":"id-1"}}'
NO_ID = GOOD.replace(b',"$insert_id":"id-1"', b"")
Change = Callable[[dict[str, Any]], Any]


def prepare(
    record: bytes, transform: Change | None = None, mapping: Mapping | None = None, filters: Any = None
) -> Prepared:
    return Preparer(None, Mapped(mapping, filters), transform).prepare(record)


def with_property(text: bytes) -> bytes:
    return GOOD[:-2] + b',"more":' + text + b"}}"


def reason(prepared: Prepared) -> str:
    (invalid,) = prepared.rejected
    assert (prepared.events, prepared.dropped, prepared.read) == ((), (), 1) or not prepared.events
    return invalid.reason


def test_a_record_that_needs_no_change_becomes_one_event_as_it_came() -> None:
    assert prepare(GOOD) == Prepared(events=(GOOD,))
    assert prepare(GOOD).read == 1


def test_a_record_that_cannot_be_imported_has_a_reason_that_holds_nothing_of_it() -> None:
    (invalid,) = prepare(b'{"event":"Signup"}').rejected
    assert (invalid.reason, invalid.field) == (
        "has no properties: they must be an object and are null",
        "properties",
    )
    assert (invalid.__traceback__, invalid.__context__) == (None, None)


@pytest.mark.parametrize("transform", [None, dict[str, Any]])
def test_a_record_too_long_or_too_deep_is_rejected_before_anything_is_made_of_it(transform: Change | None) -> None:
    longest = with_property(b'"' + b"x" * (MAX_EVENT_BYTES - len(with_property(b'""')) - 1) + b'"')
    assert len(prepare(longest, transform).events) == 1
    assert reason(prepare(longest + b" ", transform)) == "is too long: Mixpanel takes events under 1 MB"
    assert reason(prepare(with_property(b"[" * 5_000 + b"]" * 5_000), transform)) == "is nested too deeply"


# The user's transform


def test_a_transform_maps_drops_and_fans_out() -> None:
    raw = b'{"name":"Signup","at":1700000000,"who":"user-1"}'

    def mapped(record: dict[str, Any]) -> dict[str, Any]:
        return {"event": record["name"], "properties": {"time": record["at"], "distinct_id": record["who"]}}

    (event,) = prepare(raw, mapped).events
    assert json.loads(event)["event"] == "Signup"
    assert prepare(raw, lambda _: None) == prepare(raw, lambda _: []) == Prepared([], [Dropped("transform")], [], [])
    assert prepare(raw, lambda _: None).read == 1
    tripled = prepare(raw, lambda record: [mapped(record)] * 3)
    assert tripled.read == len({insert_id(each) for each in tripled.events}) == 3
    assert prepare(raw, lambda record: [mapped(record)] * 3) == tripled
    assert tripled.events[0] == event


def test_of_what_a_transform_makes_of_a_record_a_bad_event_costs_itself_alone() -> None:
    def split(record: dict[str, Any]) -> list[Any]:
        return [record, {**record, "event": ""}, "text", {**record, "event": "Third"}]

    prepared = prepare(NO_ID, split)
    assert [json.loads(event)["event"] for event in prepared.events] == ["Signup", "Third"]
    assert [invalid.reason for invalid in prepared.rejected] == [
        "has no event name: it must be a text and is empty",
        "the transform returned str: it may return a dict, a list of dicts, or None",
    ]
    assert prepared.read == 4
    assert prepared.events == [prepare(NO_ID, split).events[0], prepare(NO_ID, split).events[1]]


def raising(_: dict[str, Any]) -> Any:
    raise KeyError("customer")


def cyclic(record: dict[str, Any]) -> Any:
    record["self"] = record
    return record


class Untold(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def raising_untold(_: dict[str, Any]) -> Any:
    raise Untold


def raising_anything(_: dict[str, Any]) -> Any:
    raise ValueError("\ud83d" + "x" * 100_000)


BUILT_IN: Change = int  # type: ignore[assignment]

MISMAPPED: dict[str, tuple[Change, str]] = {
    "raises": (raising, r"the transform raised KeyError: 'customer' \(test_preparation\.py, line \d+\)$"),
    "raises what has no text": (raising_untold, r"the transform raised Untold: \(its text cannot be had\)"),
    "raises half an emoji and much else": (raising_anything, r"the transform raised ValueError: \?x{499} \("),
    "fails in a function of another file": (
        lambda r: json.loads(r["event"]),
        r"the transform raised JSONDecodeError: .* \(test_preparation\.py, line \d+\)$",
    ),
    "is a built-in function that raises": (BUILT_IN, r"the transform raised TypeError: [^()]*\(\)[^()]*$"),
    "returns a text": (lambda _: "event", "the transform returned str: it may return a dict, a list of dicts, or None"),
    "returns a list of texts": (lambda _: ["event"], "the transform returned str"),
    "returns nothing of use": (lambda _: {}, "has no event name"),
    "returns what is no JSON": (lambda r: {**r, "event": object()}, "the transform returned what is no JSON"),
    "returns half an emoji": (lambda r: {**r, "event": "\ud83d"}, "the transform returned what is no JSON"),
    "returns what holds itself": (cyclic, "the transform returned what is no JSON|is nested too deeply"),
    "returns too much": (lambda r: {**r, "more": "x" * MAX_EVENT_BYTES}, "is too long after the transform"),
}


@pytest.mark.parametrize(("transform", "why"), MISMAPPED.values(), ids=MISMAPPED.keys())
def test_what_a_transform_does_wrong_costs_that_record_alone(transform: Change, why: str) -> None:
    assert re.search(why, reason(prepare(GOOD, transform)))


@pytest.mark.parametrize("record", [b"null", b"[1]", b"{", b"\xff", b"[" * 5000, GOOD[:-2] + b',"x":NaN}}'])
def test_a_transform_sees_objects_only(record: bytes) -> None:
    assert "transform" not in reason(prepare(record, raising))


@pytest.mark.parametrize("record", [GOOD, with_property(rb'"\ud83d"'), with_property(b"9" * 40)])
def test_a_transform_that_changes_nothing_changes_nothing(record: bytes) -> None:
    (with_transform,), (without,) = prepare(record, dict).events, prepare(record).events
    assert json.loads(with_transform) == json.loads(without)


@pytest.mark.parametrize("depth", range(300, 1100, 50))
def test_a_transformed_event_at_the_edge_of_what_can_be_decoded_is_completed_or_rejected(depth: int) -> None:
    prepared = prepare(NO_ID[:-2] + b',"more":' + b"[" * depth + b"]" * depth + b"}}", dict)
    assert prepared.read == 1
    assert reason(prepared) == "is nested too deeply" if prepared.rejected else insert_id(prepared.events[0])


# Mappings


def batch(record: bytes) -> list[Outcome]:
    """A mapping of records that hold several events."""
    outcomes: list[Outcome] = []
    for each in json.loads(record):
        if each == "identify":
            outcomes.append(Dropped("identify call"))
        elif each == "broken":
            outcomes.append(InvalidRecord("has no type", "type"))
        else:
            outcomes.append({"event": each, "properties": {"time": 1_700_000_000, "distinct_id": ""}})
    return outcomes


def test_each_event_that_a_mapping_finds_in_a_record_has_an_outcome_of_its_own() -> None:
    prepared = prepare(b'["a","identify","broken","","b"]', mapping=batch)
    assert [json.loads(event)["event"] for event in prepared.events] == ["a", "b"]
    assert prepared.dropped == [Dropped("identify call")]
    assert [(invalid.reason, invalid.field) for invalid in prepared.rejected] == [
        ("has no type", "type"),
        ("has no event name: it must be a text and is empty", "event"),
    ]
    assert prepared.read == 5


def test_an_event_keeps_its_insert_id_when_another_of_its_record_is_dropped_from_now_on() -> None:
    def without_a(event: dict[str, Any]) -> Any:
        return None if event["event"] == "a" else event

    record = b'["a","b","b"]'
    assert prepare(record, without_a, batch).events == prepare(record, mapping=batch).events[1:]
    assert len({insert_id(event) for event in prepare(record, mapping=batch).events}) == 3


def test_the_transform_gets_what_the_mapping_made_and_nothing_else() -> None:
    seen: list[Any] = []

    def see(event: dict[str, Any]) -> Any:
        seen.append(event["event"])
        return [event, event]

    prepared = prepare(b'["a","identify","broken","b"]', see, batch)
    assert seen == ["a", "b"]
    assert (len(prepared.events), len(prepared.dropped), len(prepared.rejected), prepared.read) == (4, 1, 1, 6)
    assert len({insert_id(event) for event in prepared.events}) == 4


# Filters


class Deny:
    """Filters that drop what is called "b", and cut the others' name."""

    def apply(self, event: dict[str, Any], changed: list[str]) -> dict[str, Any] | Dropped:
        if event["event"] == "b":
            return Dropped("filter: deny b")
        changed.append("shorten")
        return {**event, "event": event["event"][:1]}


def test_filters_come_after_the_mapping_and_before_the_transform() -> None:
    seen: list[str] = []

    def see(event: dict[str, Any]) -> Any:
        seen.append(event["event"])
        return event

    prepared = prepare(b'["apple","b","identify","broken","cherry"]', see, batch, Deny())
    assert seen == ["a", "c"]
    assert [json.loads(event)["event"] for event in prepared.events] == ["a", "c"]
    assert prepared.dropped == [Dropped("filter: deny b"), Dropped("identify call")]
    assert prepared.changed == ["shorten", "shorten"]
    assert prepared.read == 5


def test_filters_alone_apply_to_mixpanels_own_events() -> None:
    prepared = prepare(GOOD, filters=Deny())
    assert [json.loads(event)["event"] for event in prepared.events] == ["S"]
    assert prepare(GOOD.replace(b"Signup", b"b"), filters=Deny()).dropped == [Dropped("filter: deny b")]


# What belongs to a mapping that is not set

SEGMENT = b'{"type":"track","messageId":"m","anonymousId":"a","event":"Signup","timestamp":"2025-06-01T00:00:00Z"}'


def test_a_rejected_record_of_a_known_vendor_says_which_mapping_it_is_of() -> None:
    (invalid,) = prepare(SEGMENT).rejected
    assert (invalid.reason, invalid.field) == ("looks like Segment: set IMPORT_MAPPING=segment (or auto)", None)


@pytest.mark.parametrize("own", [{"transform": lambda _: {}}, {"mapping": lambda _: [InvalidRecord("is not ours")]}])
def test_where_a_mapping_or_transform_is_set_its_own_reasons_stay(own: dict[str, Any]) -> None:
    assert "looks like" not in reason(prepare(SEGMENT, **own))


# Blocks


def block(*records: bytes, are_lines: bool = False) -> Block:
    return Block(list(records), 1, 0, sum(map(len, records)) + len(records), are_lines)


def test_the_records_of_a_block_that_become_an_event_each_come_together() -> None:
    preparer = Preparer(None)
    found = list(preparer.prepare_block(block(GOOD, NO_ID, b" ", b"{}", b"", GOOD, GOOD, are_lines=True)))
    (alone,) = [(nth, made) for nth, made in found if isinstance(made, Prepared)]
    assert (alone[0], alone[1].read, len(alone[1].rejected)) == (3, 1, 1)
    events = {nth + n: event for nth, made in found if isinstance(made, list) for n, event in enumerate(made)}
    assert events == {0: GOOD, 1: prepare(NO_ID).events[0], 5: GOOD, 6: GOOD}


def test_with_a_transform_each_record_of_a_block_comes_alone() -> None:
    preparer = Preparer(None, transform=dict)
    found = list(preparer.prepare_block(block(GOOD, b"", NO_ID)))
    assert [(nth, isinstance(made, Prepared)) for nth, made in found] == [(0, True), (2, True)]


@pytest.mark.parametrize("content", [b"", b" ", GOOD])
def test_what_no_record_can_be_made_of_is_rejected_whatever_its_bytes(content: bytes) -> None:
    malformed = Malformed(content, "has too few cells")
    (good, bad) = Preparer(None).prepare_block(block(GOOD, malformed))
    assert isinstance(good[1], Prepared)
    assert isinstance(bad[1], Prepared)
    assert (good[1].events, reason(bad[1])) == ((GOOD,), "has too few cells")


def counting(record: bytes) -> list[Outcome]:
    """One event for a digit, none for another character, two for two of them."""
    if not record.isdigit():
        return [Dropped("no digit")]
    properties = {"time": 1_700_000_000, "distinct_id": "u", "$insert_id": "i"}
    return [{"event": chr(each), "properties": properties} for each in record]


def test_what_a_mapping_makes_one_event_each_of_goes_together_and_what_it_does_not_alone() -> None:
    preparer = Preparer(None, Mapped(counting, None))
    records = [b"1", b"2", b"x", b" ", b"3", b"45", b"6"]
    found = dict(preparer.prepare_block(block(*records)))
    assert found == {
        0: [*preparer.prepare(b"1").events, *preparer.prepare(b"2").events],
        2: preparer.prepare(b"x"),
        4: [*preparer.prepare(b"3").events],
        5: preparer.prepare(b"45"),
        6: [*preparer.prepare(b"6").events],
    }


def test_what_a_transform_may_take_its_time_for_goes_alone() -> None:
    preparer = Preparer(None, None, lambda record: record)
    assert list(preparer.prepare_block(block(GOOD, GOOD))) == [(0, preparer.prepare(GOOD)), (1, preparer.prepare(GOOD))]


def test_a_record_of_which_too_much_would_be_made_is_one_reject() -> None:
    made = {"event": "e", "properties": {"time": 1_700_000_000, "distinct_id": "u", "text": "x" * 990_000}}
    assert len(prepare(b"{}", mapping=lambda _: [made] * 60).events) == 60
    assert reason(prepare(b"{}", mapping=lambda _: [made] * 80)) == "would make more than 64 MB of events"
