"""One event: what is refused and why, and what an event that goes out looks like."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from importer.errors import InvalidRecord
from importer.limits import MAX_EVENT_BYTES
from importer.mixpanel.event.completer import Completer, insert_id
from importer.records import is_blank
from sandbox.events import Events
from tests.unit.mixpanel import at_once

GOOD = b'{"event":"Signup","properties":{"time":1700000000,"distinct_id":"user-1","$insert_id":"id-1"}}'
NO_ID = GOOD.replace(b',"$insert_id":"id-1"', b"")


def with_property(text: bytes, event: bytes = GOOD) -> bytes:
    return event[:-2] + b',"more":' + text + b"}}"


prepared = Completer(None).complete


def refusal(record: bytes) -> InvalidRecord:
    with pytest.raises(InvalidRecord) as raised:
        prepared(record)
    return raised.value


def prepared_or_refused(record: bytes) -> bytes | str:
    try:
        return prepared(record)
    except InvalidRecord as invalid:
        return invalid.reason


def test_an_event_that_needs_no_change_goes_out_as_it_came() -> None:
    for record in [GOOD, with_property(b"1.10"), with_property(b"1e5"), *Events(1_000).records()]:
        assert prepared(record) == record


NOT_AN_EVENT = {
    "nothing": (b"", "is not JSON: Expecting value at character 0", None),
    "a text without an end": (b'{"a": "b', "is not JSON: Unterminated string starting at character 6", None),
    "words": (b"hello", "is not JSON: Expecting value at character 0", None),
    "cut short": (GOOD[:60], "is not JSON: Unterminated string", None),
    "two on a line": (GOOD + b" " + GOOD, "is not JSON: Extra data at character 95", None),
    "trailing comma": (GOOD + b",", "is not JSON: Extra data", None),
    "single quotes": (GOOD.replace(b'"', b"'"), "is not JSON: Expecting property name", None),
    "NaN": (with_property(b"NaN"), "is not JSON: NaN is no JSON number", None),
    "-Infinity": (with_property(b"-Infinity"), "is not JSON: -Infinity is no JSON number", None),
    "a number with a leading zero": (with_property(b"01"), "is not JSON", None),
    "half a number": (with_property(b"1."), "is not JSON", None),
    "NUL in a text": (with_property(b'"a\0b"'), "is not JSON: Invalid control character", None),
    "a line break in a text": (with_property(b'"a\nb"'), "is not JSON: Invalid control character", None),
    "an escape that is none": (with_property(rb'"\x41"'), r"is not JSON: Invalid \\escape", None),
    "Latin-1": (with_property(b'"Jos\xe9"'), "is not UTF-8: byte 0xe9 at position 104", None),
    "an encoded surrogate": (with_property(b'"\xed\xa0\xbd"'), "is not UTF-8: byte 0xed", None),
    "5,000 deep": (with_property(b"[" * 5000 + b"]" * 5000), "is nested too deeply", None),
    "5,000 deep and nothing else": (b"[" * 5000 + b"]" * 5000, "is nested too deeply", None),
    "5,000 objects deep": (with_property(b'{"a":' * 5000 + b"1" + b"}" * 5000), "is nested too deeply", None),
    "null": (b"null", "is not a JSON object but null", None),
    "true": (b"true", "is not a JSON object but true or false", None),
    "a number": (b"42", "is not a JSON object but a number", None),
    "a text": (b'"Signup"', "is not a JSON object but a text", None),
    "an empty text": (b'""', "is not a JSON object but empty", None),
    "an array": (b"[" + GOOD + b"]", "is not a JSON object but an array", None),
    "1 MB": (with_property(b'"' + b"x" * MAX_EVENT_BYTES + b'"'), "is too long: .* under 1 MB", None),
    "no event": (b'{"properties":{}}', "has no event name: it must be a text and is null", "event"),
    "a null event": (GOOD.replace(b'"Signup"', b"null"), "has no event name: .* is null", "event"),
    "a number as event": (GOOD.replace(b'"Signup"', b"7"), "has no event name: .* is a number", "event"),
    "an empty event": (GOOD.replace(b"Signup", b""), "has no event name: .* is empty", "event"),
    "an event given twice": (b'{"event":"a","event":{},' + GOOD[1:].replace(b'"event":"Signup",', b""), "", "event"),
    "no properties": (b'{"event":"a"}', "has no properties: they must be an object and are null", "properties"),
    "an array of properties": (b'{"event":"a","properties":[1]}', "has no properties: .* an array", "properties"),
    "no time": (GOOD.replace(b'"time"', b'"at"'), "has no usable time: .* is missing", "properties.time"),
    "a null time": (GOOD.replace(b"1700000000", b"null"), "has no usable time: .* is null", "properties.time"),
    "a text as time": (GOOD.replace(b"1700000000", b'"now"'), "no usable time: .* is a text", "properties.time"),
    "true as time": (GOOD.replace(b"1700000000", b"true"), "no usable time: .* is true or", "properties.time"),
    "1e400 as time": (GOOD.replace(b"1700000000", b"1e400"), "no usable time: .* too large", "properties.time"),
    "no distinct_id": (GOOD.replace(b"distinct", b"x"), "no usable distinct_id: .* missing", "properties.distinct_id"),
    "a null distinct_id": (GOOD.replace(b'"user-1"', b"null"), "distinct_id: .* null", "properties.distinct_id"),
    "an object as distinct_id": (GOOD.replace(b'"user-1"', b"{}"), "is an object", "properties.distinct_id"),
    "a fraction as $insert_id": (GOOD.replace(b'"id-1"', b"1.5"), "no usable .insert_id", "properties.$insert_id"),
    "an array as $insert_id": (GOOD.replace(b'"id-1"', b"[]"), "no usable .insert_id", "properties.$insert_id"),
}


@pytest.mark.parametrize(("record", "reason", "field"), NOT_AN_EVENT.values(), ids=NOT_AN_EVENT.keys())
def test_what_would_spoil_a_batch_or_deduplication_is_refused_with_the_reason(
    record: bytes, reason: str, field: str | None
) -> None:
    invalid = refusal(record)
    assert re.search(reason, invalid.reason)
    assert invalid.field == field


LEFT_TO_MIXPANEL = {
    "a time long ago": GOOD.replace(b"1700000000", b"1"),
    "a time in fractions": GOOD.replace(b"1700000000", b"1.5"),
    "no user": GOOD.replace(b"user-1", b""),
    "a number as distinct_id": GOOD.replace(b'"user-1"', b"17"),
    "a disallowed distinct_id": GOOD.replace(b"user-1", b"anonymous"),
    "an odd $insert_id": GOOD.replace(b"id-1", b"no spaces, please"),
    "300 properties": GOOD[:-2] + b"".join(b',"p%d":%d' % (n, n) for n in range(300)) + b"}}",
    "900 deep": with_property(b"[" * 300 + b"]" * 300),
    "an integer of 5,000 digits": with_property(b"9" * 5000),
    "1e400": with_property(b"1e400"),
}


@pytest.mark.parametrize("record", LEFT_TO_MIXPANEL.values(), ids=LEFT_TO_MIXPANEL.keys())
def test_what_only_mixpanel_can_judge_goes_out_as_it_came(record: bytes) -> None:
    assert prepared(record) == record


WITHOUT_ID = {
    "none": NO_ID,
    "an empty one": GOOD.replace(b"id-1", b""),
    "null": GOOD.replace(b'"id-1"', b"null"),
    "one, then an empty one": with_property(b'1,"$insert_id":""'),
    "none, and an escaped key": NO_ID.replace(b"properties", rb"\u0070roperties"),
    "none, and properties twice": NO_ID[:-1] + b"," + NO_ID[18:],
    "none, and other properties before": b'{"context":{"properties":{"a":1}},' + NO_ID[1:],
    "none, and properties in a text": b'{"context":"\\"properties\\":{",' + NO_ID[1:],
    "none, and white space": NO_ID.replace(b":", b" : ").replace(b"{", b"{ "),
    "an empty one, and a number beyond doubles": with_property(b"1e400", GOOD.replace(b"id-1", b"")),
    "an empty one, and 5,000 digits": with_property(b"9" * 5000, GOOD.replace(b"id-1", b"")),
    "an empty one, and half an emoji": with_property(rb'"\ud83d"', GOOD.replace(b"id-1", b"")),
    "none, and an umlaut": with_property('"Zürich"'.encode(), NO_ID),
}


@pytest.mark.parametrize("record", WITHOUT_ID.values(), ids=WITHOUT_ID.keys())
def test_a_missing_insert_id_is_made_from_the_content_the_same_each_time(record: bytes) -> None:
    event = prepared(record)
    assert re.fullmatch("[0-9a-f]{32}", insert_id(event) or "")
    assert prepared(record) == event
    assert prepared(b" \t" + record + b"\r\n").strip() == event.strip()
    assert prepared(event) == event
    assert b"Infinity" not in event


def test_completing_an_event_changes_nothing_but_the_insert_id() -> None:
    for record in WITHOUT_ID.values():
        if rb"\ud83d" in record or b"9" * 5000 in record:
            continue
        before, after = json.loads(record), json.loads(prepared(record))
        del after["properties"]["$insert_id"]
        before["properties"].pop("$insert_id", None)
        assert after == before


def test_different_events_get_different_insert_ids() -> None:
    records = list(Events(5_000, "small", insert_ids=False).records())
    assert len({insert_id(prepared(record)) for record in records}) == 5_000


def test_an_event_at_the_edge_of_what_can_be_decoded_is_completed_or_refused() -> None:
    """Where that edge is depends on how deep the program's own calls are just then."""
    for depth in range(300, 1100, 3):
        for event in (NO_ID, WITHOUT_ID["an empty one"]):
            made = prepared_or_refused(with_property(b"[" * depth + b"]" * depth, event))
            assert made == "is nested too deeply" or insert_id(made)  # type: ignore[arg-type]


def unchanged(record: bytes) -> bool:
    return prepared_or_refused(record) == record


ODD = [*(record for record, *_ in NOT_AN_EVENT.values()), *LEFT_TO_MIXPANEL.values(), *WITHOUT_ID.values()]
ODD += [
    b"",
    b" ",
    GOOD + b"\r",
    b" " + GOOD,
    b"\xef\xbb\xbf" + GOOD,
    GOOD.replace(b",", b",\n"),
    with_property(rb'"\ud83d"'),
]


@pytest.mark.parametrize("record", ODD)
def test_records_are_complete_together_only_if_each_would_go_out_unchanged(record: bytes) -> None:
    """A number beyond doubles may be found either way."""
    completer = Completer(None)
    if b"1e400" not in record:
        assert at_once.are_unchanged(completer, [record]) == unchanged(record)
        assert at_once.are_unchanged(completer, [GOOD, record, GOOD]) == unchanged(record)


def test_half_an_emoji_is_shown_as_browsers_show_it() -> None:
    event = json.loads(prepared(with_property(rb'"cut \ud83d"')))
    assert event["properties"]["more"] == "cut \N{REPLACEMENT CHARACTER}"
    whole = with_property(rb'"not cut \ud83d\udecb"')
    assert prepared(whole) == whole


def test_an_event_that_grows_over_1_mb_with_its_insert_id_is_refused() -> None:
    room = MAX_EVENT_BYTES - 1 - len(with_property(b'""', NO_ID))
    assert len(prepared(with_property(b'"' + b"x" * (room - 100) + b'"', NO_ID))) < MAX_EVENT_BYTES
    assert "too long" in refusal(with_property(b'"' + b"x" * room + b'"', NO_ID)).reason
    assert len(prepared(with_property(b'"' + b"x" * (room - 20) + b'"'))) == MAX_EVENT_BYTES - 1


def test_line_breaks_between_tokens_become_spaces() -> None:
    pretty = json.dumps(json.loads(GOOD), indent=2).replace("\n", "\r\n").encode()
    event = prepared(pretty)
    assert b"\n" not in event
    assert b"\r" not in event
    assert json.loads(event) == json.loads(GOOD)


def test_a_byte_order_mark_in_the_middle_of_joined_files_does_no_harm() -> None:
    assert json.loads(prepared(b"\xef\xbb\xbf" + GOOD)) == json.loads(GOOD)


@pytest.mark.parametrize(("record", "blank"), [(b"", True), (b" \t\r", True), (b"{}", False), (b"\0", False)])
def test_a_line_of_white_space_is_no_record(record: bytes, blank: bool) -> None:
    assert is_blank(record) == blank


def test_the_insert_id_of_what_cannot_be_read_is_none() -> None:
    assert [insert_id(record) for record in (GOOD, NO_ID, b"[]", b"\xff", b"[" * 5000)] == ["id-1", *[None] * 4]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
IDS = st.text(max_size=40) | st.sampled_from([None, "", 17])


def mostly(wanted: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda n: wanted if n else JSON)


PROPERTIES = st.builds(
    lambda more, known: {**more, **known},
    st.dictionaries(st.text(), JSON, max_size=3),
    st.fixed_dictionaries(
        {"time": mostly(st.integers() | st.floats(allow_nan=False)), "distinct_id": mostly(IDS)},
        optional={"$insert_id": IDS, "properties": JSON},
    ),
)
EVENTS = st.builds(
    lambda before, known: {**before, **known},
    st.fixed_dictionaries({}, optional={"context": st.fixed_dictionaries({"properties": JSON}), "more": JSON}),
    st.fixed_dictionaries({"event": mostly(st.text(max_size=5)), "properties": mostly(PROPERTIES)}),
)


@given(EVENTS | JSON, st.booleans(), st.sampled_from([None, 0, "\t"]))
@example({"event": "e", "properties": {"time": float("inf"), "distinct_id": ""}}, True, None)
def test_any_json_is_refused_or_becomes_one_line_with_an_insert_id(
    value: Any, ensure_ascii: bool, indent: int | str | None
) -> None:
    text = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)
    record = text.encode(errors="surrogatepass")
    event = prepared_or_refused(record)
    if isinstance(event, str):
        assert event
        return
    assert json.loads(event)["properties"]["$insert_id"] == insert_id(event) != ""
    assert b"\n" not in event
    assert b"\r" not in event
    assert prepared(event) == event == prepared(record)
    if given_id := value["properties"].get("$insert_id"):
        assert insert_id(event) == str(given_id).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(st.binary(max_size=60) | st.builds(lambda a, b: GOOD[:a] + b + GOOD[a:], st.integers(0, 94), st.binary()))
def test_any_bytes_are_refused_or_become_an_event(record: bytes) -> None:
    event = prepared_or_refused(record)
    assert event if isinstance(event, str) else json.loads(event)["properties"]["$insert_id"]
    assert at_once.are_unchanged(Completer(None), [record]) <= (event == record)


def without_ip(record: bytes, default_ip: str | None = "0") -> dict[str, Any]:
    properties: dict[str, Any] = json.loads(Completer(default_ip).complete(record))["properties"]
    return properties


@pytest.mark.parametrize(
    "record", [GOOD, *WITHOUT_ID.values(), with_property(b'1,"ip":null'), with_property(b'1,"ip":""')]
)
def test_an_event_without_ip_gets_the_default_and_keeps_all_else(record: bytes) -> None:
    if b"9" * 5000 in record:
        return
    assert without_ip(record) == {**without_ip(record, None), "ip": 0}
    assert without_ip(record, "203.0.113.7") == {**without_ip(record, None), "ip": "203.0.113.7"}
    assert not at_once.are_unchanged(Completer("0"), [GOOD, record])


def test_an_ip_of_its_own_stays() -> None:
    for ip in (b'"203.0.113.9"', b"0", b'"0"', b"167772161"):
        record = with_property(b'1,"ip":' + ip)
        assert Completer("0").complete(record) == record
        assert at_once.are_unchanged(Completer("0"), [record, record])
        assert at_once.all_of(Completer("0"), [record, record]) == [record, record]


def test_records_are_completed_together_only_if_none_is_rejected() -> None:
    records = [GOOD, NO_ID, with_property(b'1,"ip":0')]
    assert at_once.all_of(Completer("0"), records) == [Completer("0").complete(record) for record in records]
    assert at_once.all_of(Completer("0"), [GOOD, b"{}"]) is None


def test_what_was_made_of_a_record_is_completed_from_that_record() -> None:
    made = json.loads(NO_ID)
    first, second, third = (
        Completer("0").complete_made(made, origin, nth) for origin, nth in [(NO_ID, 0), (NO_ID, 1), (GOOD, 0)]
    )
    assert json.loads(first) == json.loads(Completer("0").complete(NO_ID))
    assert len({insert_id(each) for each in (first, second, third)}) == 3
    assert json.loads(third)["properties"]["ip"] == 0


@pytest.mark.parametrize("ip", [..., None, "", "203.0.113.9", 0])
@pytest.mark.parametrize("default_ip", ["0", "198.51.100.1", None])
def test_what_was_made_whole_is_completed_as_the_same_event_in_bytes_is(ip: Any, default_ip: str | None) -> None:
    made = json.loads(GOOD)
    if ip is not ...:
        made["properties"]["ip"] = ip
    as_made = json.dumps(made)
    completed = Completer(default_ip).complete_made(made, b"a record", 0)
    assert json.loads(completed) == json.loads(Completer(default_ip).complete(as_made.encode()))
    assert json.dumps(made) == as_made, "what was made is left as it was"


def test_what_was_made_whole_may_still_not_be_an_identity_call_or_too_long() -> None:
    made = json.loads(GOOD)
    for changes in ({"event": "$identify"}, {"properties": made["properties"] | {"text": "x" * MAX_EVENT_BYTES}}):
        with pytest.raises(InvalidRecord):
            Completer("0").complete_made(made | changes, GOOD, 0)
