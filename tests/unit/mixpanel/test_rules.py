"""The stand-in judges an event by Mixpanel's published rules, one row a rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.limits import DISALLOWED_IDS
from importer.mixpanel import judge, rules

NOW = 1_750_000_000.0
GOOD: dict[str, Any] = {"time": 1_700_000_000, "distinct_id": "user-1", "$insert_id": "a-1"}


def event(name: object = "Signup", **properties: Any) -> dict[str, Any]:
    return {"event": name, "properties": {**GOOD, **properties}}


def without(field: str) -> dict[str, Any]:
    return {"event": "Signup", "properties": {key: value for key, value in GOOD.items() if key != field}}


def nested(depth: int) -> Any:
    return {"in": nested(depth - 1)} if depth else 1


def keys(count: int) -> dict[str, int]:
    return {f"key {n}": n for n in range(count)}


FINE = {
    "the least there can be": event(),
    "a time in milliseconds": event(time=1_700_000_000_000),
    "a time with a fraction": event(time=1_700_000_000.25),
    "the first time allowed, in seconds": event(time=31_536_000),
    "the first time allowed, in milliseconds": event(time=31_536_000_000),
    "an hour ahead": event(time=NOW + 3600),
    "an hour ahead, in milliseconds": event(time=(NOW + 3600) * 1000),
    "an event of no user": event(distinct_id=""),
    "an insert id of 36 bytes": event(**{"$insert_id": "ABCDEFGHIJKLMNOPQRSTUVWXYZ-123456789"}),
    "a disallowed id within a longer one": event(distinct_id="null-1", **{"$insert_id": "anonymous-1"}),
    "a disallowed id in capitals": event(distinct_id="NULL"),
    "254 properties": event(**keys(251)),
    "254 keys in an object": event(cart=keys(254)),
    "254 elements in an array": event(tags=[0] * 254),
    "objects three deep": event(cart=nested(3)),
    "arrays between objects": event(cart=[{"in": [{"in": [[{"last": 1}]]}]}]),
    "many commas in a text": event(text="," * 300),
    "many braces in a text": event(text="{" * 300),
    "text in any script": event("購入", distinct_id="søren", city="Zürich 😀"),
    "a number near the end of doubles": event(value=1.7e308),
    "an id that looks like a number": event(trace="3e4567", other="12e999, 5e400,"),
    "999,000 bytes": event(text="x" * 998_900),
}

WRONG = {
    "not an object": (5, "", "event is invalid: must be a JSON object"),
    "null": (None, "", "event is invalid: must be a JSON object"),
    "an array": ([event()], "", "event is invalid: must be a JSON object"),
    "no event name": ({"properties": GOOD}, "event", "'event' must not be missing or blank"),
    "an empty event name": (event(""), "event", "'event' must not be missing or blank"),
    "a blank event name": (event("  "), "event", "'event' must not be missing or blank"),
    "a number for an event name": (event(7), "event", "'event' must not be missing or blank"),
    "no properties": ({"event": "Signup"}, "properties", "'properties' must not be missing and must be a JSON object"),
    "an array for properties": (
        {"event": "Signup", "properties": []},
        "properties",
        "'properties' must not be missing and must be a JSON object",
    ),
    "no time": (without("time"), "properties.time", "must be specified as seconds since epoch"),
    "a text for a time": (event(time="1700000000"), "properties.time", "must be specified as seconds since epoch"),
    "a date for a time": (event(time="2025-06-01"), "properties.time", "must be specified as seconds since epoch"),
    "true for a time": (event(time=True), "properties.time", "must be specified as seconds since epoch"),
    "null for a time": (event(time=None), "properties.time", "must be specified as seconds since epoch"),
    "a time before 1971": (event(time=31_535_999), "properties.time", "must be 1971-01-01 or later"),
    "a time of 0": (event(time=0), "properties.time", "must be 1971-01-01 or later"),
    "a negative time": (event(time=-1_700_000_000), "properties.time", "must be 1971-01-01 or later"),
    "more than an hour ahead": (event(time=NOW + 3601), "properties.time", "at most one hour in the future"),
    "more than an hour ahead, in milliseconds": (
        event(time=(NOW + 3601) * 1000),
        "properties.time",
        "at most one hour in the future",
    ),
    "a time in microseconds": (event(time=NOW * 1e6), "properties.time", "at most one hour in the future"),
    "no distinct_id": (without("distinct_id"), "properties.distinct_id", "must be a string"),
    "a number for distinct_id": (event(distinct_id=17), "properties.distinct_id", "must be a string"),
    "null for distinct_id": (event(distinct_id=None), "properties.distinct_id", "must be a string"),
    "no $insert_id": (without("$insert_id"), "properties.$insert_id", "must not be missing or blank"),
    "an empty $insert_id": (event(**{"$insert_id": ""}), "properties.$insert_id", "must not be missing or blank"),
    "a number for $insert_id": (event(**{"$insert_id": 28096095}), "properties.$insert_id", "must not be missing"),
    "an $insert_id of 37 bytes": (event(**{"$insert_id": "x" * 37}), "properties.$insert_id", "at most 36 bytes"),
    "an underscore in $insert_id": (event(**{"$insert_id": "a_1"}), "properties.$insert_id", "alphanumeric"),
    "an umlaut in $insert_id": (event(**{"$insert_id": "ä"}), "properties.$insert_id", "alphanumeric"),
    "a line break in $insert_id": (event(**{"$insert_id": "a\n"}), "properties.$insert_id", "alphanumeric"),
    "255 properties": (event(**keys(252)), "properties", "must have fewer than 255 keys"),
    "255 keys in an object": (event(cart=keys(255)), "properties.cart", "object must have fewer than 255 keys"),
    "255 keys in an object in an array": (event(carts=[keys(255)]), "properties.carts", "fewer than 255 keys"),
    "255 elements in an array": (event(tags=[0] * 255), "properties.tags", "array must have fewer than 255 elements"),
    "255 elements in an array within": (event(a={"b": [[0] * 255]}), "properties.a.b", "fewer than 255 elements"),
    "objects four deep": (event(cart=nested(4)), "properties.cart.in.in.in", "objects must nest at most 3 deep"),
    "1,000,000 bytes": (event(text="x" * 1_000_000), "", "must be smaller than 1000000 bytes"),
    **{
        f"{disallowed} for distinct_id": (event(distinct_id=disallowed), "properties.distinct_id", "is not allowed")
        for disallowed in sorted(DISALLOWED_IDS)
    },
    **{
        f"{disallowed} for $insert_id": (event(**{"$insert_id": disallowed}), "properties.$insert_id", "is not allowed")
        for disallowed in sorted(DISALLOWED_IDS)
        if disallowed.replace("-", "").isalnum()
    },
}

NOT_JSON = {
    "cut short": b'{"event": "Signup", "properties": {"time": 17',
    "two on a line": b"{} {}",
    "a trailing comma": b'{"event": "Signup",}',
    "single quotes": b"{'event': 'Signup'}",
    "NaN": json.dumps(event(value=float("nan"))).encode(),
    "Infinity": json.dumps(event(value=float("inf"))).encode(),
    "a raw NUL in a text": json.dumps(event(text="@")).encode().replace(b"@", b"\0"),
    "a raw tab in a text": json.dumps(event(text="@")).encode().replace(b"@", b"\t"),
    "an unknown escape": json.dumps(event(text="@")).encode().replace(b"@", b"\\q"),
    "bytes that are no UTF-8": json.dumps(event(text="@")).encode().replace(b"@", b"\xff\xfe"),
    "half a character": json.dumps(event(text="@")).encode().replace(b"@", b"\xe2\x82"),
    "a number beyond doubles": json.dumps(event(value="@")).encode().replace(b'"@"', b"1e400"),
    "a number beyond doubles in an array": json.dumps(event(value="@")).encode().replace(b'"@"', b"[1, 1.5E+400]"),
    "a number far beyond doubles": json.dumps(event(value="@")).encode().replace(b'"@"', b"-1e99999"),
    "a number just beyond doubles": json.dumps(event(value="@")).encode().replace(b'"@"', b"17.98e307"),
    "leading zeros in an exponent": json.dumps(event(value="@")).encode().replace(b'"@"', b"1e0000400"),
    "many digits and a short exponent": json.dumps(event(value="@")).encode().replace(b'"@"', b"2" * 290 + b"e25"),
    "an integer beyond doubles": json.dumps(event(value="@")).encode().replace(b'"@"', b"9" * 400),
    "a number with a leading zero": json.dumps(event(value="@")).encode().replace(b'"@"', b"01"),
    "601 deep": json.dumps(event(value="@")).encode().replace(b'"@"', b"[" * 599 + b"]" * 599),
    "nesting without end": json.dumps(event(value="@")).encode().replace(b'"@"', b"[" * 5000 + b"]" * 5000),
}


def test_arrays_nest_as_deep_as_every_interpreter_decodes() -> None:
    line = json.dumps(event(value="@")).encode().replace(b'"@"', b"[" * 598 + b"]" * 598)
    assert judge.examine(line, [line], NOW).good_lines == [line]


@pytest.mark.parametrize("good", FINE.values(), ids=FINE.keys())
def test_an_event_that_keeps_the_rules_is_taken(good: dict[str, Any]) -> None:
    line = json.dumps(good, ensure_ascii=False).encode()
    assert rules.check(good, NOW) == []
    assert judge.examine(line, [line], NOW).good_lines == [line]


@pytest.mark.parametrize(("wrong", "field", "message"), WRONG.values(), ids=WRONG.keys())
def test_an_event_that_breaks_a_rule_is_refused_by_name_and_alone(wrong: Any, field: str, message: str) -> None:
    neighbour = json.dumps(event()).encode()
    lines = [neighbour, json.dumps(wrong).encode(), neighbour]
    verdict = judge.examine(b"\n".join(lines), lines, NOW)
    (refused,) = verdict.rejected
    assert (refused.index, refused.problem.field) == (1, field)
    assert message in refused.problem.message
    assert verdict.good_lines == [neighbour, neighbour]


@pytest.mark.parametrize("line", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_one_event_that_is_not_json_spoils_the_body(line: bytes) -> None:
    neighbour = json.dumps(event()).encode()
    for lines in ([line], [neighbour, line, neighbour]):
        with pytest.raises(rules.NotJsonError):
            judge.examine(b"\n".join(lines), lines, NOW)


def test_an_event_with_several_faults_is_refused_for_the_first() -> None:
    wrong = event("", time="x", distinct_id=5)
    assert [problem.field for problem in rules.check(wrong, NOW)] == [
        "event",
        "properties.time",
        "properties.distinct_id",
    ]


def test_a_refused_event_is_named_by_its_insert_id_if_it_has_one() -> None:
    lines = [json.dumps(each).encode() for each in (event(time=0), without("$insert_id"), 5)]
    assert [each.insert_id for each in judge.examine(b"\n".join(lines), lines, NOW).rejected] == ["a-1", "", ""]


def test_lines_of_nothing_are_no_events() -> None:
    line = json.dumps(event()).encode()
    assert judge.split_lines(b"\n" + line + b"\r\n \n\n" + line + b"\n") == [line + b"\r", line]
    assert judge.split_lines(b"") == []


def test_an_array_may_be_written_in_any_way() -> None:
    written = json.dumps([event(), event(text="]\n,[")], indent=2).encode()
    assert [json.loads(each) for each in judge.split_array(written)] == json.loads(written)


@pytest.mark.parametrize("body", [b"", b"{}", b"[{]", b"[1] 2", b"null"])
def test_a_body_that_is_no_array_is_not_taken_for_one(body: bytes) -> None:
    with pytest.raises(rules.NotJsonError):
        judge.split_array(body)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
small = [each for each in [*FINE.values(), *(wrong for wrong, _, _ in WRONG.values())] if len(str(each)) < 2000]
any_event = st.sampled_from(small) | st.fixed_dictionaries(
    {
        "event": st.sampled_from(["Signup", "", 5]),
        "properties": st.fixed_dictionaries(
            {},
            optional={
                "time": st.sampled_from([1_700_000_000, 0, "x", 1e10]),
                "distinct_id": st.sampled_from(["", "u", "null", 5]),
                "$insert_id": st.sampled_from(["a-1", "", "null", "a_1", 5]),
                "more": anything,
            },
        ),
    }
)


@given(st.lists(any_event, min_size=1, max_size=5))
def test_the_fast_judgement_of_a_batch_is_that_of_the_rules(events: list[Any]) -> None:
    lines = [json.dumps(each).encode() for each in events]
    bad = {n for n, each in enumerate(events) if rules.check(each, NOW)}
    verdict = judge.examine(b"\n".join(lines), lines, NOW)
    assert {each.index for each in verdict.rejected} == bad
    assert verdict.good_lines == [line for n, line in enumerate(lines) if n not in bad]
