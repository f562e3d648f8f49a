"""What mapping files make of records: each test is a file and what it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from importer.errors import InvalidRecord
from importer.mappings.loading import load_mapping
from importer.mappings.outcome import Dropped, Mapping, Outcome
from importer.mappings.vendors import segment
from sandbox.vendors.segment import records

ORDER: dict[str, Any] = {
    "kind": "Order Completed",
    "at": 1_748_779_200,
    "user": {"id": 17, "mail": " A@Example.com ", "names": ["Ada", "L."]},
    "cookie": "c-1",
    "order": {"id": "o-1", "total": "12.50", "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]},
    "page": "https://shop.example:8443/cart/pay?step=2&x=%20y#top",
    "nothing": None,
    "token": "secret",
    "note": "hello",
}
HEAD = """\
event = "kind"
time = { path = "at", unit = "s" }
user_id = "user.id"
device_id = "cookie"
"""
OTHERS = {
    "user": ORDER["user"],
    "order": ORDER["order"],
    "page": ORDER["page"],
    "note": "hello",
}
WHOSE = {"time": 1_748_779_200_000, "$user_id": "17", "$device_id": "c-1", "distinct_id": "17"}


@pytest.fixture
def mapping(tmp_path: Path) -> Any:
    def make(text: str) -> Mapping:
        (tmp_path / "shop.toml").write_text(text)
        found = load_mapping(str(tmp_path / "shop.toml"), {}).mapping
        assert found is not None
        return found

    return make


def outcomes(mapping: Mapping, record: dict[str, Any] | None = None, **changes: Any) -> list[Outcome]:
    return mapping(json.dumps({**ORDER, **(record or {}), **changes}).encode())


def event(mapping: Mapping, **changes: Any) -> dict[str, Any]:
    (found,) = outcomes(mapping, **changes)
    assert isinstance(found, dict), found
    return found


def test_all_else_is_kept_but_nothing_that_is_dangerous_or_null(mapping: Any) -> None:
    assert event(mapping(HEAD)) == {"event": "Order Completed", "properties": {**OTHERS, **WHOSE}}


def test_all_else_can_be_left_out(mapping: Any) -> None:
    made = event(mapping('others = "leave out"\n' + HEAD + '[properties]\n"Order" = "order.id"\n'))
    assert made["properties"] == {"Order": "o-1", **WHOSE}


def test_what_of_all_else_is_left_out_is_named_by_glob(mapping: Any) -> None:
    made = event(mapping('leave_out = ["note", "or*", "pag?"]\n' + HEAD))
    assert made["properties"] == {"user": ORDER["user"], **WHOSE}


def test_a_field_that_becomes_a_property_of_another_name_is_not_kept_twice(mapping: Any) -> None:
    made = event(mapping(HEAD + '[properties]\nremark = "note"\n[rename]\npage = "$current_url"\n'))
    assert made["properties"]["remark"] == "hello"
    assert made["properties"]["$current_url"] == ORDER["page"]
    assert not {"note", "page"} & made["properties"].keys()


def test_an_objects_fields_can_be_properties_by_their_own_names(mapping: Any) -> None:
    made = event(mapping('others = "leave out"\nspread = ["order", "user", "nothing"]\n' + HEAD))
    assert made["properties"] == {**ORDER["order"], **ORDER["user"], **WHOSE}


def test_objects_can_be_flattened(mapping: Any) -> None:
    made = event(mapping('flatten = "."\n' + HEAD), deep={"a": {"b": {"c": {"d": {"e": 1}}}}})
    assert made["properties"]["order.total"] == "12.50"
    assert made["properties"]["deep.a.b.c.d.e"] == 1
    assert "order" not in made["properties"]


def test_flattening_makes_no_reserved_name(mapping: Any) -> None:
    made = event(mapping('flatten = "_"\n' + HEAD), distinct={"id": "someone else"}, _file={"": 1})
    assert made["properties"]["distinct_id"] == "17"


COMPUTED: list[tuple[str, str, Any]] = [
    ("a constant", '{ value = "web" }', "web"),
    ("a constant number", "{ value = 7 }", 7),
    ("a constant false", "{ value = false }", False),
    ("an element", '"user.names[1]"', "L."),
    ("an element that is not there", '"user.names[2]"', ...),
    ("what is no list", '"order[0]"', ...),
    ("what is no object", '"note.length"', ...),
    ("an object", '"order.lines[0]"', {"sku": "a", "n": 1}),
    ("the first that there is", '["nothing", "user.nick", "note"]', "hello"),
    ("none that there is", '["nothing", "user.nick"]', ...),
    ("a default", '["nothing", { value = "none given" }]', "none given"),
    ("functions, one after the other", '{ path = "user.mail", do = ["trim", "lower"] }', "a@example.com"),
    ("a domain", '{ path = "user.mail", do = ["trim", { split = "@", at = 1 }, "lower"] }', "example.com"),
    ("capitals", '{ path = "note", do = ["upper"] }', "HELLO"),
    ("a number", '{ path = "order.total", do = ["number"] }', 12.5),
    ("no number", '{ path = "note", do = ["number"] }', ...),
    ("a text", '{ path = "user.id", do = ["text"] }', "17"),
    ("a list of parts", '{ path = "note", do = [{ split = "l" }] }', ["he", "", "o"]),
    ("a part that is not there", '{ path = "note", do = [{ split = "l", at = 3 }] }', ...),
    ("the last part", '{ path = "note", do = [{ split = "l", at = -1 }] }', "o"),
    ("a list joined", '{ path = "user.names", do = [{ join = " " }] }', "Ada L."),
    ("texts joined", '{ join = ["user.id", "nothing", "note"], with = "/" }', "17/hello"),
    ("nothing joined", '{ join = ["nothing", "user.nick"] }', ...),
    ("joined, then changed", '{ join = ["kind", "note"], with = "-", do = ["lower"] }', "order completed-hello"),
    ("a host", '{ path = "page", do = [{ url = "host" }] }', "shop.example"),
    ("a port", '{ path = "page", do = [{ url = "port" }] }', 8443),
    ("a url's path", '{ path = "page", do = [{ url = "path" }] }', "/cart/pay"),
    ("a url's query", '{ path = "page", do = [{ url = "query" }] }', "step=2&x=%20y"),
    ("a parameter", '{ path = "page", do = [{ url = "query.x" }] }', " y"),
    ("a parameter that is not there", '{ path = "page", do = [{ url = "query.z" }] }', ...),
    ("a url that is none", '{ path = "note", do = [{ url = "host" }] }', ...),
    ("a country", '{ value = "Germany", do = ["country"] }', "DE"),
    ("a function of what it cannot take", '{ path = "order", do = ["lower"] }', ...),
    ("the first, then changed", '{ first = ["nothing", "note"], do = ["upper"] }', "HELLO"),
]


@pytest.mark.parametrize(("value", "expected"), [row[1:] for row in COMPUTED], ids=[row[0] for row in COMPUTED])
def test_a_property_is_computed(mapping: Any, value: str, expected: Any) -> None:
    made = event(mapping(f'others = "leave out"\n{HEAD}[properties]\nx = {value}\n'))
    assert made["properties"] == {**WHOSE, **({} if expected is ... else {"x": expected})}


TIMES: list[tuple[str, str, Any, int | None]] = [
    ("seconds", '{ path = "at", unit = "s" }', 1_748_779_200, 1_748_779_200_000),
    ("seconds in a text", '{ path = "at", unit = "s" }', "1748779200.123", 1_748_779_200_123),
    ("milliseconds", '{ path = "at", unit = "ms" }', 1_748_779_200_123, 1_748_779_200_123),
    ("microseconds", '{ path = "at", unit = "us" }', "1748779200123456", 1_748_779_200_123),
    ("ISO 8601", '"at"', "2025-06-01T14:00:00.123+02:00", 1_748_779_200_123),
    ("ISO 8601, no zone", '"at"', "2025-06-01 12:00:00.123", 1_748_779_200_123),
    ("a zone", '{ path = "at", zone = "Europe/Berlin" }', "2025-06-01 14:00:00.123", 1_748_779_200_123),
    ("a zone in winter", '{ path = "at", zone = "Europe/Berlin" }', "2025-01-01 01:00:00", 1_735_689_600_000),
    (
        "a zone, and one of its own",
        '{ path = "at", zone = "Europe/Berlin" }',
        "2025-06-01T12:00:00Z",
        1_748_779_200_000,
    ),
    (
        "a format and a zone",
        '{ path = "at", format = "%d.%m.%Y %H:%M", zone = "Europe/Berlin" }',
        "01.06.2025 14:00",
        1_748_779_200_000,
    ),
    ("the first of several", '["updated", "at"]', "2025-06-01T12:00:00Z", 1_748_779_200_000),
    ("a number without a unit", '"at"', 1_748_779_200, None),
    ("a text with a unit", '{ path = "at", unit = "s" }', "soon", None),
    ("another format", '{ path = "at", format = "%d.%m.%Y" }', "2025-06-01", None),
    ("nothing", '"at"', None, None),
    ("before 1971", '"at"', "1970-06-01T00:00:00Z", None),
]


@pytest.mark.parametrize(("time", "at", "expected"), [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
def test_the_time_is_exact_or_the_record_is_rejected(mapping: Any, time: str, at: Any, expected: int | None) -> None:
    (found,) = outcomes(mapping(f'event = "kind"\nuser_id = "user.id"\ntime = {time}\n'), at=at)
    if expected is None:
        assert isinstance(found, InvalidRecord)
        assert found.reason.startswith("has no usable time: ")
    else:
        assert isinstance(found, dict)
        assert found["properties"]["time"] == expected


BOTH = 'user_id = "user.id"\ndevice_id = "cookie"'
USER_OR_NOBODY = 'user_id = "user.id"\ndistinct_id = { value = "" }'
KNOWN = {"$user_id": "17", "distinct_id": "17"}
IDENTITIES: list[tuple[str, str, dict[str, Any], dict[str, str] | None]] = [
    ("user and device", BOTH, {}, {**KNOWN, "$device_id": "c-1"}),
    ("a device", BOTH, {"user": None}, {"$device_id": "c-1", "distinct_id": "$device:c-1"}),
    ("nobody", BOTH, {"user": None, "cookie": ""}, None),
    ("nobody, and that is allowed", USER_OR_NOBODY, {"user": None}, {"distinct_id": ""}),
    ("somebody, where nobody is allowed", USER_OR_NOBODY, {}, KNOWN),
    ("a distinct_id", 'distinct_id = "cookie"', {}, {"distinct_id": "c-1"}),
    ("one or nobody", 'distinct_id = ["cookie", { value = "" }]', {"cookie": "undefined"}, {"distinct_id": ""}),
    ("one before nobody", 'distinct_id = ["cookie", { value = "" }]', {"cookie": "c-1"}, {"distinct_id": "c-1"}),
    ("nobody in a list", 'distinct_id = [{ value = "" }]', {"cookie": "c-1"}, {"distinct_id": ""}),
    ("a distinct_id that is none", 'distinct_id = "cookie"', {"cookie": "null"}, None),
    (
        "a distinct_id beside a device",
        'distinct_id = "user.id"\ndevice_id = "cookie"',
        {},
        {"$device_id": "c-1", "distinct_id": "17"},
    ),
]


@pytest.mark.parametrize(
    ("keys", "changes", "expected"), [row[1:] for row in IDENTITIES], ids=[r[0] for r in IDENTITIES]
)
def test_whose_an_event_is(mapping: Any, keys: str, changes: dict[str, Any], expected: dict[str, str] | None) -> None:
    made = mapping(f'event = "kind"\ntime = {{ path = "at", unit = "s" }}\nothers = "leave out"\n{keys}\n')
    (found,) = outcomes(made, **changes)
    if expected is None:
        assert isinstance(found, InvalidRecord)
        assert found.reason.startswith("has no user: no usable id is in ")
    else:
        assert isinstance(found, dict)
        assert found["properties"] == {"time": WHOSE["time"], **expected}


def test_the_insert_id_is_a_field_or_a_hash_of_fields(mapping: Any) -> None:
    assert event(mapping(HEAD + 'insert_id = "order.id"\n'))["properties"]["$insert_id"] == "o-1"
    plain = mapping(HEAD + 'insert_id = "hash"\n')
    assert event(plain, hash="h-1")["properties"]["$insert_id"] == "h-1"
    way = mapping(HEAD + 'insert_id = { path = "order.id", do = "upper" }\n')
    assert event(way)["properties"]["$insert_id"] == "O-1"
    hashed = mapping(HEAD + 'insert_id = { hash = ["order.id", "at", "user.nick"] }\n')
    one, same, other = event(hashed), event(hashed, note="else"), event(hashed, at=1_748_779_201)
    assert one["properties"]["$insert_id"] == same["properties"]["$insert_id"] != other["properties"]["$insert_id"]
    assert len(one["properties"]["$insert_id"]) == 32
    assert "$insert_id" not in event(mapping(HEAD + 'insert_id = { hash = ["a", "b"] }\n'))["properties"]
    assert "$insert_id" not in event(mapping(HEAD + 'insert_id = "order.nr"\n'))["properties"]


def test_the_ip_is_an_address_or_left_to_the_default(mapping: Any) -> None:
    made = mapping(HEAD + 'ip = "client"\n')
    assert event(made, client="203.0.113.7:80")["properties"]["ip"] == "203.0.113.7"
    assert "ip" not in event(made, client="somewhere")["properties"]


def test_a_records_list_is_exploded_each_element_in_its_place(mapping: Any) -> None:
    made = mapping('explode = "order.lines"\nothers = "leave out"\n' + HEAD + '[properties]\nsku = "order.lines.sku"\n')
    first, second = outcomes(made)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (first["properties"]["sku"], second["properties"]["sku"]) == ("a", "b")
    assert outcomes(made, order={"lines": []}) == [Dropped("nothing in order.lines")]
    (reject,) = outcomes(made, order={"lines": 7})
    assert isinstance(reject, InvalidRecord)
    assert reject.field == "order.lines"


def test_a_bad_element_costs_itself_alone(mapping: Any) -> None:
    made = mapping('explode = "events"\nevent = "events.name"\ntime = "events.at"\nuser_id = "id"\n')
    events = [{"name": "A", "at": "2025-06-01"}, {"name": "B"}, 7]
    good, bad, worse = made(json.dumps({"id": "u", "events": events}).encode())
    assert good["event"] == "A"
    assert isinstance(bad, InvalidRecord)
    assert isinstance(worse, InvalidRecord)


CONDITIONS: list[tuple[str, str, bool]] = [
    ("is", 'path = "kind"\nis = "Order Completed"', True),
    ("is another", 'path = "kind"\nis = "Order"', False),
    ("is, of nothing", 'path = "nothing"\nis = "x"', False),
    ("is not", 'path = "kind"\nis_not = "Order"', True),
    ("is not, of nothing", 'path = "nothing"\nis_not = "x"', True),
    ("true is not 1", 'path = "order.lines[0].n"\nis = true', False),
    ("1 is 1", 'path = "order.lines[0].n"\nis = 1', True),
    ("in", 'path = "note"\nin = ["hi", "hello"]', True),
    ("not in", 'path = "note"\nnot_in = ["hi", "hello"]', False),
    ("in, of an object", 'path = "order"\nin = ["x"]', False),
    ("like", 'path = "kind"\nlike = ["Order *"]', True),
    ("like, of a number", 'path = "at"\nlike = "*"', False),
    ("not like", 'path = "kind"\nnot_like = "Order *"', False),
    ("at least", 'path = "at"\nat_least = 1748779200', True),
    ("at most", 'path = "at"\nat_most = 1748779199', False),
    ("at most, of a text", 'path = "note"\nat_most = 7', False),
    ("exists", 'path = "order.id"\nexists = true', True),
    ("exists, null", 'path = "nothing"\nexists = true', False),
    ("does not exist", 'path = "nothing"\nexists = false', True),
    ("computed", 'path = "note"\ndo = ["upper"]\nis = "HELLO"', True),
    ("all of them", 'path = "note"\nis = "hello"\n[[where]]\npath = "kind"\nis = "x"', False),
]


@pytest.mark.parametrize(("condition", "holds"), [row[1:] for row in CONDITIONS], ids=[row[0] for row in CONDITIONS])
def test_records_that_are_not_what_they_have_to_be_are_dropped(mapping: Any, condition: str, holds: bool) -> None:
    (found,) = outcomes(mapping(f"{HEAD}[[where]]\n{condition}\n"))
    assert isinstance(found, dict) == holds
    assert holds or (isinstance(found, Dropped) and found.kind.startswith("where: "))


def test_a_condition_is_counted_by_what_it_says(mapping: Any) -> None:
    made = mapping(HEAD + '[[where]]\npath = "integrations.Mixpanel"\nis_not = false\n')
    assert outcomes(made, integrations={"Mixpanel": False}) == [Dropped("where: integrations.Mixpanel is not false")]


REJECTS: list[tuple[str, dict[str, Any], str]] = [
    ("no name", {"kind": None}, "has no event name: kind must be a text and is missing"),
    ("a name that is a number", {"kind": 7}, "has no event name: kind must be a text and is a number"),
    ("too deep", {"x": {"a": {"b": {"c": {"d": 1}}}}}, "has a property that Mixpanel would reject: x holds"),
    ("too many", {str(n): n for n in range(260)}, "has 2"),
]


@pytest.mark.parametrize(("changes", "reason"), [row[1:] for row in REJECTS], ids=[row[0] for row in REJECTS])
def test_what_cannot_be_mapped_is_rejected(mapping: Any, changes: dict[str, Any], reason: str) -> None:
    (found,) = outcomes(mapping(HEAD), changes)
    assert isinstance(found, InvalidRecord)
    assert found.reason.startswith(reason)


CALL: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m-1",
    "anonymousId": "anon-1",
    "userId": "user-1",
    "timestamp": "2025-06-01T12:00:00.123Z",
    "context": {"traits": {"plan": "pro"}, "page": {"title": "Pay"}, "locale": "de-DE"},
    "properties": {"total": 9.5},
}


def call(mapping: Mapping, **changes: Any) -> Outcome:
    (found,) = mapping(json.dumps({**CALL, **changes}).encode())
    return found


def called(mapping: Mapping, **changes: Any) -> dict[str, Any]:
    found = call(mapping, **changes)
    assert isinstance(found, dict)
    return found


BASE: Any = segment.outcomes(CALL)[0]


def test_a_ready_mapping_is_adjusted(mapping: Any) -> None:
    made = mapping(
        'use = "segment"\nleave_out = ["loc*"]\n[rename]\npage_title = "title"\n'
        '[properties]\nplan = "context.traits.plan"\n'
    )
    given = {name: value for name, value in BASE["properties"].items() if name not in {"locale", "page_title"}}
    assert called(made) == {"event": "Order Completed", "properties": {**given, "title": "Pay", "plan": "pro"}}


def test_a_ready_mapping_alone_is_itself(mapping: Any) -> None:
    made = mapping('use = "segment"\n')
    for record in records(50):
        assert repr(made(record)) == repr(segment.to_mixpanel(record))


def test_of_a_ready_mapping_all_else_can_be_left_out(mapping: Any) -> None:
    made = called(mapping('use = "segment"\nothers = "leave out"\n[rename]\ntotal = "Total"\n'))
    whose = {name: BASE["properties"][name] for name in ("time", "$user_id", "$device_id", "distinct_id", "$insert_id")}
    assert made["properties"] == {**whose, "Total": 9.5}


def test_what_a_file_says_goes_before_what_a_ready_mapping_does(mapping: Any) -> None:
    made = mapping(
        'use = "segment"\nevent = { join = ["type", "event"] }\nuser_id = "context.traits.plan"\n'
        'time = "receivedAt"\ninsert_id = "id"\nspread = ["context.traits"]\n'
    )
    found = called(made, id="own", receivedAt="2025-06-01T00:00:00Z")
    assert found["event"] == "track Order Completed"
    expected = {"$user_id": "pro", "distinct_id": "pro", "$device_id": "anon-1", "$insert_id": "own", "plan": "pro"}
    assert {name: found["properties"][name] for name in expected} == expected
    assert found["properties"]["time"] == 1_748_736_000_000
    assert called(made)["properties"]["time"] == BASE["properties"]["time"]
    assert isinstance(call(made, receivedAt="soon"), InvalidRecord)


def test_a_ready_mappings_rejects_and_drops_stay(mapping: Any) -> None:
    made = mapping('use = "segment"\n[rename]\na = "b"\n[[where]]\npath = "integrations.Mixpanel"\nis_not = false\n')
    assert call(made, type="group") == Dropped("group call")
    assert isinstance(call(made, timestamp=None), InvalidRecord)
    assert call(made, integrations={"Mixpanel": False}) == Dropped("where: integrations.Mixpanel is not false")
    assert made(b"[]")[0].reason == "is not a JSON object"


def test_identify_calls_can_become_events_that_link_two_ids(mapping: Any) -> None:
    made = mapping('use = "segment"\nidentify = "Identified"\n')
    expected = {
        name: BASE["properties"][name] for name in ("time", "$user_id", "$device_id", "distinct_id", "$insert_id")
    }
    assert call(made, type="identify") == {"event": "Identified", "properties": expected}
    assert call(made, type="identify", anonymousId=None) == Dropped("identify call")
    assert call(made, type="group") == Dropped("group call")
    assert called(made)["event"] == "Order Completed"


def test_auto_can_be_adjusted_too(mapping: Any) -> None:
    made = mapping('use = "auto"\n[rename]\ntotal = "Total"\n')
    assert called(made)["properties"]["Total"] == 9.5
    (own,) = made(b'{"event":"A","properties":{"time":1,"total":2}}')
    assert own == {"event": "A", "properties": {"time": 1, "Total": 2}}


def test_nothing_of_a_file_gets_into_the_code_it_becomes(mapping: Any) -> None:
    name = 'x\'];raise SystemExit(1)#\\n"""'
    made = mapping(HEAD + f"[properties]\n{json.dumps(name)} = {json.dumps(json.dumps(name))}\n")
    assert event(made, **{name: 7})["properties"][name] == 7
