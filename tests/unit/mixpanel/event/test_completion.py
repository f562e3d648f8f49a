"""What is completed is what Mixpanel takes, by its published rules; and many at once are as one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.errors import InvalidRecord
from importer.limits import DISALLOWED_IDS, IDENTITY_CALLS, MAX_EVENT_BYTES
from importer.mixpanel import rules
from importer.mixpanel.event.completer import Completer, insert_id
from sandbox.events import Events
from tests.unit.mixpanel import at_once

NOW = 4_102_444_799.0
"""The end of 2099: what a time in a text may be is for the importer to say up to there, later ones for Mixpanel."""

TIME = 1_700_000_000
MISSING = object()
IP, ID, USER = b'"ip":"203.0.113.9"', b'"$insert_id":"id-1"', b'"distinct_id":"user-1"'
LOCATED = b'{"event":"Signup","properties":{"time":1700000000,"distinct_id":"user-1","$insert_id":"id-1","ip":0}}'


def event(name: object = "Signup", **properties: object) -> bytes:
    known = {"time": TIME, "distinct_id": "user-1", "insert_id": "id-1", "ip": 0} | properties
    renamed = {
        f"${key}" if key in ("insert_id", "user_id", "device_id") else key: value for key, value in known.items()
    }
    present = {key: value for key, value in renamed.items() if value is not MISSING}
    return json.dumps({"event": name, "properties": present}, separators=(",", ":")).encode()


def completed(record: bytes, default_ip: str | None = "0") -> dict[str, Any]:
    """The properties of the event that a record becomes, alone and among others, which have to agree."""
    completer = Completer(default_ip)
    alone = completer.complete(record)
    assert at_once.all_of(completer, [LOCATED, record, LOCATED]) in (None, [LOCATED, alone, LOCATED])
    assert completer.complete(alone) == alone
    assert at_once.are_unchanged(completer, [alone])
    properties: dict[str, Any] = json.loads(alone)["properties"]
    return properties


def rejection(record: bytes) -> InvalidRecord:
    completer = Completer("0")
    assert at_once.all_of(completer, [LOCATED, record]) is None
    assert at_once.leading(completer, [LOCATED, record, LOCATED]) == [LOCATED]
    with pytest.raises(InvalidRecord) as raised:
        completer.complete(record)
    return raised.value


def test_the_location_of_an_event_without_ip_is_not_guessed() -> None:
    """As Mixpanel says it: `ip` 0."""
    assert completed(event(ip=MISSING))["ip"] == 0
    assert isinstance(completed(event(ip=MISSING))["ip"], int)
    assert completed(event(ip=MISSING), "198.51.100.1")["ip"] == "198.51.100.1"
    assert "ip" not in completed(event(ip=MISSING), None)


@pytest.mark.parametrize(
    "ip", ["203.0.113.9", "2001:db8::1", "0", 0, 3_405_803_785, 1.5, True, {"v4": "203.0.113.9"}, [0]]
)
def test_an_ip_that_is_there_stays_whatever_it_is(ip: object) -> None:
    completer = Completer("0")
    assert completer.complete(event(ip=ip)) == event(ip=ip)
    assert json.loads(completer.complete(event(ip=ip, insert_id=MISSING)))["properties"]["ip"] == ip


def test_ids_are_completed_as_mixpanel_derives_them() -> None:
    assert completed(event(distinct_id=MISSING, user_id="u"))["distinct_id"] == "u"
    assert completed(event(distinct_id=None, device_id="d"))["distinct_id"] == "$device:d"
    properties = completed(event(distinct_id=MISSING, user_id='"u"\u00fc\U0001f600', device_id="d"))
    assert (properties["distinct_id"], properties["$device_id"]) == ('"u"\u00fc\U0001f600', "d")
    assert completed(event(distinct_id="x", user_id="u", device_id="d"))["distinct_id"] == "x"
    assert completed(event(distinct_id="", user_id="u"))["distinct_id"] == ""


def test_an_event_of_nobody_is_rejected_with_the_way_to_say_so() -> None:
    for ids in ({}, {"user_id": None, "device_id": ""}, {"user_id": " "}):
        for value, state in ((MISSING, "missing"), (None, "null")):
            invalid = rejection(event(distinct_id=value, **ids))
            assert invalid.reason == f'has no usable distinct_id: it must be a text ("" for no user) and is {state}'
            assert invalid.field == "properties.distinct_id"


def test_an_event_whose_user_is_none_that_mixpanel_allows_is_rejected() -> None:
    invalid = rejection(event(distinct_id=MISSING, user_id="undefined", device_id="d"))
    assert invalid.reason == "has no distinct_id, and a $user_id that Mixpanel does not allow"
    assert invalid.field == "properties.$user_id"


@pytest.mark.parametrize("number", ["1e400", "9" * 5_000], ids=["beyond doubles", "of 5,000 digits"])
def test_a_number_that_nothing_can_hold_is_no_id_and_does_no_harm_elsewhere(number: str) -> None:
    def spelled(**properties: object) -> bytes:
        return event(**properties).replace(b'"@"', number.encode())

    for name in ("ip", "user_id", "device_id"):
        assert Completer("0").complete(spelled(**{name: "@"})) == spelled(**{name: "@"})
        assert insert_id(Completer("0").complete(spelled(**{name: "@", "insert_id": MISSING})))
    invalid = rejection(spelled(distinct_id=MISSING, user_id="@"))
    assert invalid.reason == "has no distinct_id, and a $user_id that is no text"
    for name, wanted in (("distinct_id", "distinct_id"), ("time", "time"), ("insert_id", "$insert_id")):
        assert rejection(spelled(**{name: "@"})).field == f"properties.{wanted}"


@pytest.mark.parametrize("call", sorted(IDENTITY_CALLS))
@pytest.mark.parametrize("written", ["{}", "\\u0024{}"])
def test_an_identity_call_is_rejected_alone(call: str, written: str) -> None:
    record = LOCATED.replace(b"Signup", written.format(call if written == "{}" else call[1:]).encode())
    invalid = rejection(record)
    assert invalid.reason == (
        f"is a call of {call}, and Mixpanel rejects the whole batch for it in a project with the simplified identity "
        "merge: if yours has the original one, send it to Mixpanel by other means"
    )
    assert invalid.field == "event"
    assert not at_once.are_unchanged(Completer("0"), [LOCATED, record, LOCATED])
    assert rejection(event(call, ip=MISSING)).field == "event"
    assert completed(event(call + "d")) == completed(event())


@pytest.mark.parametrize("call", sorted(IDENTITY_CALLS))
def test_an_identity_call_is_noticed_among_more_names_than_are_kept(call: str) -> None:
    completer = Completer("0")
    many = [event(f"name {n}") for n in range(1_000)]
    for block in (many[:100], many, many):
        assert at_once.are_unchanged(completer, block)
        assert not at_once.are_unchanged(completer, [*block, event(call)])
        assert at_once.leading(completer, [*block, event(call), *block]) == block


def test_times_and_ids_as_warehouses_write_them_are_taken() -> None:
    assert completed(event(time="2024-01-02 03:04:05.678 UTC"))["time"] == 1_704_164_645_678
    assert completed(event(time="1704164645"))["time"] == 1_704_164_645
    assert completed(event(insert_id=2**63 + 1))["$insert_id"] == "9223372036854775809"
    assert completed(event(insert_id=12.0))["$insert_id"] == "12"
    both = completed(event(time="1704164645", insert_id=17, ip=MISSING, distinct_id=MISSING, user_id=5))
    assert both == {"time": 1_704_164_645, "$insert_id": "17", "ip": 0, "$user_id": 5, "distinct_id": "5"}


def test_what_is_repaired_keeps_all_else_as_it_is_written() -> None:
    record = event(time="1704164645")[:-2] + b',"exact":1.10,"large":1e400,"many":' + b"9" * 5_000 + b"}}"
    assert Completer("0").complete(record) == record.replace(b'"1704164645"', b"1704164645")


@pytest.mark.parametrize(
    ("time", "state"),
    [("now", "a text"), ("", "empty"), (None, "null"), (True, "true or false"), ([], "an array"), (MISSING, "missing")],
)
def test_a_time_that_is_none_is_rejected_with_what_it_may_be(time: object, state: str) -> None:
    invalid = rejection(event(time=time))
    assert invalid.reason == (
        "has no usable time: it must be a number (epoch seconds or milliseconds), or a text of one or of ISO 8601, "
        f"1971 or later, and is {state}"
    )
    assert invalid.field == "properties.time"


@pytest.mark.parametrize(
    ("identifier", "state"),
    [(0, "a number"), (1.5, "a number"), (10**36, "a number"), (True, "true or false"), ({}, "an object")],
)
def test_an_insert_id_that_is_none_is_rejected_with_what_it_may_be(identifier: object, state: str) -> None:
    invalid = rejection(event(insert_id=identifier))
    assert invalid.reason == (
        f"has no usable $insert_id: it must be a text of 1 to 36 characters, or an exact number, and is {state}"
    )
    assert invalid.field == "properties.$insert_id"


SHAPES: dict[str, Callable[..., bytes]] = {
    "in one line": event,
    "with spaces": lambda **more: json.dumps(json.loads(event(**more))).encode(),
    "properties first": lambda **more: json.dumps(dict(reversed(json.loads(event(**more)).items()))).encode(),
    "with more beside": lambda **more: event(**more)[:-1] + b',"source":{"properties":{}}}',
    "with more before": lambda **more: b'{"context":{"properties":{"a":1}},' + event(**more)[1:],
    "properties twice": lambda **more: event(**more)[:-1] + b"," + event(**more)[18:],
    "an escaped key": lambda **more: event(**more).replace(b'"properties"', rb'"\u0070roperties"'),
    "a key like it": lambda **more: event(**more).replace(b'"time"', b'"a \\"properties":{},"time"'),
    "a brace after a space": lambda **more: event(**more).replace(b'"properties":', b'"properties": '),
    "a tab before": lambda **more: b"\t" + event(**more),
    "spaces at the end": lambda **more: event(**more) + b"  ",
    "pretty": lambda **more: json.dumps(json.loads(event(**more)), indent=1).encode(),
    "carriage return": lambda **more: event(**more) + b"\r",
    "beyond ASCII": lambda **more: event("Z\u00fcrich", **more).decode("unicode-escape").encode(),
}
LACKS: dict[str, dict[str, object]] = {
    "nothing": {},
    "ip": {"ip": MISSING},
    "$insert_id": {"insert_id": MISSING},
    "distinct_id": {"distinct_id": MISSING, "device_id": "d"},
    "all": {"ip": MISSING, "insert_id": MISSING, "distinct_id": MISSING, "user_id": "u"},
    "ip, which is null": {"ip": None},
    "$insert_id, which is empty": {"insert_id": ""},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lacks", LACKS)
def test_completing_changes_nothing_else_however_an_event_is_written(shape: str, lacks: str) -> None:
    record = SHAPES[shape](**LACKS[lacks])
    before = json.loads(record)
    after = completed(record)
    assert after["ip"] == 0
    assert re.fullmatch("id-1" if before["properties"].get("$insert_id") else "[0-9a-f]{32}", after["$insert_id"])
    added = {"ip", "$insert_id", "distinct_id"}
    assert {k: v for k, v in after.items() if k not in added} == {
        k: v for k, v in before["properties"].items() if k not in added
    }
    whole = json.loads(Completer("0").complete(record))
    assert {**whole, "properties": 0} == {**before, "properties": 0}
    if lacks == "nothing" and shape not in ("pretty", "carriage return"):
        assert Completer("0").complete(record) == record


@pytest.mark.parametrize("shape", ["in one line", "with spaces", "a brace after a space", "beyond ASCII"])
@pytest.mark.parametrize("lacks", ["ip", "$insert_id", "distinct_id", "all"])
def test_what_programs_write_is_completed_at_once(shape: str, lacks: str) -> None:
    records = [SHAPES[shape](text=f"{n}", **LACKS[lacks]) for n in range(10)]
    assert at_once.all_of(Completer("0"), records) == [Completer("0").complete(record) for record in records]


def test_a_property_is_there_once_after_it_was_completed() -> None:
    for lacks in LACKS.values():
        made = Completer("0").complete(event(**lacks))
        assert [made.count(b'"%b":' % name) for name in (b"ip", b"$insert_id", b"distinct_id")] == [1, 1, 1]


@pytest.mark.parametrize("lacking", ["ip", "insert_id"])
def test_an_event_that_grows_to_1_mb_as_it_is_completed_is_rejected(lacking: str) -> None:
    completer = Completer("0")
    room = MAX_EVENT_BYTES - len(completer.complete(event(text="", **{lacking: MISSING})))
    fine, long = (event(text="x" * (room - less), **{lacking: MISSING}) for less in (1, 0))
    assert len(completer.complete(fine)) == MAX_EVENT_BYTES - 1
    assert at_once.all_of(completer, [fine]) == [completer.complete(fine)]
    invalid = rejection(long)
    assert invalid.reason == "is too long once it is complete: Mixpanel takes events under 1 MB"


@pytest.mark.parametrize("shape", ["dense", "small"])
@pytest.mark.parametrize("insert_ids", [True, False])
def test_events_of_a_file_are_completed_at_once(shape: Any, insert_ids: bool) -> None:
    records = list(Events(2_000, shape, insert_ids=insert_ids).records())
    completer = Completer("0")
    events = at_once.all_of(completer, records)
    assert events == [completer.complete(record) for record in records]
    assert at_once.are_unchanged(completer, events or [])
    assert len({insert_id(one) for one in events or []}) == 2_000


@given(
    st.lists(
        st.sampled_from([SHAPES[s](**LACKS[k]) for s in SHAPES for k in LACKS] + [b"{}", b"", LOCATED]), max_size=9
    )
)
def test_many_at_once_are_as_one_by_one_up_to_the_first_that_is_not(records: list[bytes]) -> None:
    completer = Completer("0")
    start = 0
    while start < len(records):
        some = at_once.leading(completer, records[start:])
        assert some == [completer.complete(record) for record in records[start : start + len(some)]]
        start += len(some) + 1
    if records:
        assert at_once.are_unchanged(completer, records) == all(map(unchanged, records))


def unchanged(record: bytes) -> bool:
    try:
        return Completer("0").complete(record) == record
    except InvalidRecord:
        return False


IDS = st.sampled_from([MISSING, None, "", " ", 0, 17, 1.5, 2.0**60, True, [], "x", "$device:x", "a b", "x" * 40])
IDS |= st.sampled_from(sorted(DISALLOWED_IDS)) | st.integers() | st.text(max_size=3)
TIMES = (
    st.integers(-(10**6), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([MISSING, None])
)
TIMES |= st.integers(0, 10**20).map(str) | st.datetimes().map(str) | st.dates().map(str) | st.text(max_size=8)
ANY_EVENT = st.builds(
    event,
    st.sampled_from(["Signup", "\u00fc", " ", "", None, "$merge", "$mp_web_page_view"]),
    time=TIMES,
    distinct_id=IDS,
    user_id=IDS,
    device_id=IDS,
    insert_id=IDS,
    ip=st.sampled_from([MISSING, None, "", 0, "203.0.113.9", []]),
)


@given(ANY_EVENT)
def test_what_is_ours_to_complete_is_as_the_published_rules_want_it(record: bytes) -> None:
    try:
        made = json.loads(Completer("0").complete(record))
    except InvalidRecord:
        return
    given_ = json.loads(record)["properties"]
    ours = (
        {"properties.$insert_id"}
        if not isinstance(given_.get("$insert_id"), str) or not given_["$insert_id"]
        else set()
    )
    ours |= {"properties.distinct_id"} if given_.get("distinct_id") is None else set()
    ours |= {"properties.time"} if isinstance(given_["time"], str) else set()
    late = isinstance(given_["time"], str) and made["properties"]["time"] > NOW * 1000
    assert [
        one for one in rules.check(made, NOW) if one.field in ours and not (late and one.field.endswith("time"))
    ] == []
    assert made["properties"]["ip"] not in (None, "")
    assert made["event"] not in IDENTITY_CALLS
