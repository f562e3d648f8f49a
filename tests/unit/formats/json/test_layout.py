"""JSON as people write it: however it lies in a file, every event is a record, and what is bad costs itself alone."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from importer.errors import StalePosition, Unreadable
from importer.formats.content import Content, records_of_message
from importer.formats.held import Held, Stream
from importer.limits import CHUNK_BYTES, MAX_EVENT_BYTES
from importer.records import Block, Position, Record
from sandbox.events import Events

Value = dict[str, Any]

EVENTS: list[Value] = [
    {"event": "A", "properties": {"items": [{"sku": "a"}, {"sku": "b"}], "text": '},{ ]\\ " {'}},
    {"event": "B", "properties": {"a": {"b": [{}, [], [[{"c": 1}]]]}, "n": -1.5e3}},
    {"event": "C", "properties": {"list": [{}], "name": "\u00e9\u6771"}},
]


def records(content: bytes | Iterable[bytes]) -> list[Record]:
    stored = Held(content) if isinstance(content, bytes) else Stream(content)
    return [record for record in Content(stored).records() if record[2].strip()]


def of_message(data: bytes) -> list[Record]:
    return [record for record in records_of_message(data, 10_000_000) if record[2].strip()]


def read(content: bytes) -> tuple[list[Record], str | None]:
    found: list[Record] = []
    try:
        for record in Content(Held(content)).records():
            if record[2].strip():
                found.append(record)  # noqa: PERF401 (what came before the exception counts)
    except Unreadable as error:
        return found, str(error)
    return found, None


def texts(found: Iterable[Record]) -> list[bytes]:
    return [record for _, _, record in found]


def values(found: Iterable[Record]) -> list[Any]:
    return [json.loads(record) for _, _, record in found]


def at(content: bytes, offset: int) -> Any:
    """What stands there."""
    return json.JSONDecoder().raw_decode(content[offset : offset + 5_000].decode(errors="ignore"))[0]


def compact(events: Iterable[Value]) -> list[str]:
    return [json.dumps(event, separators=(",", ":"), ensure_ascii=False) for event in events]


def pretty(events: Iterable[Value], indent: int | str = 2) -> list[str]:
    return [json.dumps(event, indent=indent, ensure_ascii=False) for event in events]


def inline_brackets(events: Iterable[Value]) -> str:
    """As many editors lay out an array of objects."""
    return "[" + ", ".join(pretty(events)) + "]"


def half_pretty(events: Iterable[Value]) -> str:
    """An array whose elements hold small objects on lines of their own, with no comma after the last."""
    return json.dumps(list(events), indent=2).replace('{\n          "sku": "b"\n        }', '{ "sku": "b" }')


LAYOUTS: dict[str, Callable[[list[Value]], str]] = {
    "lines": lambda events: "\n".join(compact(events)),
    "lines that end with returns": lambda events: "\r".join(compact(events)) + "\r",
    "an array on one line": lambda events: "[" + ",".join(compact(events)) + "]",
    "an array on one line, spaced": json.dumps,
    "an array of lines": lambda events: "[\n" + ",\n".join(compact(events)) + "\n]\n",
    "an array of lines, commas first": lambda events: "[" + "\n,".join(compact(events)) + "\n]\n",
    "an array, pretty-printed": lambda events: json.dumps(events, indent=2),
    "an array, pretty-printed with tabs": lambda events: json.dumps(events, indent="\t"),
    "an array, pretty-printed without indentation": lambda events: json.dumps(events, indent=0),
    "an array, pretty-printed, with CRLF": lambda events: json.dumps(events, indent=2).replace("\n", "\r\n"),
    "an array, its brackets beside the elements'": inline_brackets,
    "an array with small objects on lines": half_pretty,
    "arrays, one a line": lambda events: "\n".join(f"[{one}]" for one in compact(events)),
    "arrays, one a line, the first empty": lambda events: "[]\n[" + ",".join(compact(events)) + "]\n[]",
    "arrays, pretty-printed, in a row": lambda events: "\n".join(json.dumps([one], indent=2) for one in events),
    "objects, pretty-printed": lambda events: "\n".join(pretty(events)),
    "objects, pretty-printed, with CRLF": lambda events: "\n".join(pretty(events)).replace("\n", "\r\n"),
    "objects, pretty-printed, with returns alone": lambda events: "\n".join(pretty(events)).replace("\n", "\r"),
    "an array, pretty-printed, with returns alone": lambda events: json.dumps(events, indent=2).replace("\n", "\r"),
    "objects, pretty-printed, blank lines between": lambda events: "\n\n".join(pretty(events)),
    "objects, pretty-printed, commas between": lambda events: ",\n".join(pretty(events)),
    "objects, pretty-printed, nothing between": lambda events: "".join(pretty(events)),
    "objects with nothing between": lambda events: "".join(compact(events)),
    "objects with spaces between": lambda events: " ".join(compact(events)),
    "objects with commas between": lambda events: ",".join(compact(events)),
    "objects, two a line": lambda events: "\n".join(one * 2 for one in compact(events)),
    "wrapped": lambda events: json.dumps({"events": events}),
    "wrapped, pretty-printed": lambda events: json.dumps({"data": events}, indent=2),
    "wrapped among other keys": lambda events: json.dumps(
        {"count": 3, "page": {"next": None, "data": [1]}, "batch": events, "sentAt": "2025-06-01", "data": []}
    ),
    "wrapped, one after the other": lambda events: "\n".join(json.dumps({"data": [one]}, indent=1) for one in events),
    "a bad line, then an array": lambda events: "# exported\n" + json.dumps(events, indent=2),
    "a bad line, then objects": lambda events: "# exported\n" + "\n".join(pretty(events)),
    "a bad line, then a wrapper": lambda events: "# exported\n" + json.dumps({"data": events}, indent=2),
}
ONE_BY_ONE = {"arrays, one a line", "arrays, pretty-printed, in a row", "wrapped, one after the other"}
"""Layouts in which each event has a frame of its own, so that many at once are of no use."""

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "gzip in members": lambda content: b"".join(
        gzip.compress(content[n : n + 999]) for n in range(0, len(content), 999)
    ),
}


def written(layout: str, events: list[Value]) -> tuple[bytes, list[Value]]:
    """A file of the events, and the events that are in it."""
    content = LAYOUTS[layout](events).encode()
    return content, [one for one in events for _ in range(2)] if "two a line" in layout else events


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "with a byte order mark"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_event_is_a_record_on_one_line_at_its_place(layout: str, mark: bytes) -> None:
    content, expected = written(layout, EVENTS)
    found = records(mark + content)
    if layout.startswith("a bad line"):
        assert found.pop(0) == (1, len(mark), b"# exported")
    assert values(found) == expected
    line_end = b"\n" if b"\n" in content else b"\r"
    for line, offset, record in found:
        assert b"\n" not in record
        assert b"\r" not in record
        assert at(mark + content, offset) == json.loads(record)
        assert line == 1 + (mark + content).count(line_end, 0, offset)


def many(count: int) -> list[Value]:
    return [json.loads(record) for record in Events(count, "dense", seed=5).records()]


MANY = many(1_500)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_many_chunks_holds_them_all(layout: str) -> None:
    content, expected = written(layout, MANY)
    assert len(content) > 4 * CHUNK_BYTES
    found = records(content)
    if layout.startswith("a bad line"):
        del found[0]
    assert values(found) == expected
    assert all(at(content, offset) == json.loads(record) for _, offset, record in found)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if not name.startswith("a bad line")])
def test_a_message_is_read_as_a_file_is(layout: str) -> None:
    content, expected = written(layout, EVENTS)
    assert values(of_message(content)) == expected
    assert of_message(content) == records(content)


def test_a_message_of_one_object_on_several_lines_is_the_record_that_it_is_in_a_file() -> None:
    """So the `$insert_id` that is made from it is the same."""
    content = pretty(EVENTS)[0].encode()
    assert of_message(content) == records(content) == [(1, 0, compact(EVENTS)[0].encode())]


# Where reading goes on


def positions(content: Content) -> list[tuple[int, Position]]:
    """How many records come before each block, and the position there; of the first and last record, too."""
    found: list[tuple[int, Position]] = []
    before = 0
    for block in content.blocks():
        if any(record.strip() for record in block.records):
            found.append((before, content.mark(*block.place(0))))
            found.append((before + len(block.records) - 1, content.mark(*block.place(-1))))
            before += sum(1 for record in block.records if record.strip())
    return found


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_reading_goes_on_from_every_block_as_if_it_had_never_stopped(layout: str, packed: str) -> None:
    stored = PACKED[packed](written(layout, MANY[: 50 if layout in ONE_BY_ONE else 700])[0])
    whole = records(stored)
    found = positions(Content(Held(stored)))
    assert found
    for before, position in found:
        again = msgspec.json.decode(msgspec.json.encode(position), type=Position)
        rest = Content(Held(stored), again)
        assert [one for one in rest.records() if one[2].strip()] == whole[before:]
        assert rest.mark(*whole[-1][:2]).format == position.format


DEEP = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a"\\[]{},:\n\r é'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='a"[{,'), inner, max_size=3),
    max_leaves=8,
)
ANY_EVENTS = st.lists(
    st.dictionaries(st.sampled_from(["e", "f", "event"]), DEEP, min_size=1, max_size=3), min_size=1, max_size=9
)


@settings(deadline=None)
@given(ANY_EVENTS, st.sampled_from([name for name in LAYOUTS if "two a line" not in name]), st.data())
def test_any_events_in_any_layout_and_any_pieces_are_records_from_any_of_which_reading_goes_on(
    events: list[Value], layout: str, data: st.DataObject
) -> None:
    content = LAYOUTS[layout](events).encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    found = Content(Stream(content[a:b] for a, b in pairwise([0, *places, len(content)])))
    whole = [one for one in found.records() if one[2].strip()]
    assert values(whole[layout.startswith("a bad line") :]) == events
    n = data.draw(st.integers(0, len(whole) - 1))
    position = found.mark(*whole[n][:2])
    assert [one for one in Content(Held(content), position).records() if one[2].strip()] == whole[n:]


@pytest.mark.parametrize(
    "state", [None, b"", b"array", b'{"layout":"lines"}', b'{"layout":"of tomorrow"}', b'{"layout":1}', b"\xff"]
)
def test_a_position_that_makes_no_sense_is_no_place_to_go_on_from(state: bytes | None) -> None:
    with pytest.raises(StalePosition):
        Content(Held(b"[{}]"), Position(1, 1, "json", state=state))


# What is bad


LONG = b'{"event":"long","properties":{"text":"' + b"x" * 1_100_000 + b'"}}'


@pytest.mark.parametrize("first", [b"garbage", b"<html>", b"2025-06-01 12:00 export", b"x" * 300_000, b"event,time"])
def test_one_bad_first_line_loses_no_file(first: bytes) -> None:
    """What cannot be told by the first 256 kB is not "no event data"."""
    good = [record.encode() for record in compact(EVENTS)] * 21
    for rows in ([first, LONG, *good], [first, *good]):
        found, reason = read(b"\n".join(rows))
        assert reason is None
        assert [one for one in texts(found) if len(one) < MAX_EVENT_BYTES] == [first, *good]
        assert len(found) == len(rows)


def test_an_array_of_lines_whose_first_line_is_bad_is_an_array() -> None:
    rows = [b'{"event":"cut off', *(record.encode() for record in compact(EVENTS))]
    assert texts(records(b"[\n" + b",\n".join(rows) + b"\n]")) == rows


def spoiled(layout: str, nth: int, how: str) -> tuple[bytes, list[Value]]:
    """A file with one bad event, and the good ones in it."""
    events = [dict(one, n=n) for n, one in enumerate(MANY[:600])]
    content = LAYOUTS[layout](events)
    bad = f'"n": {nth}' if f'"n": {nth}' in content else f'"n":{nth}'
    spoil = {"no value": '"n":', "a quote": bad + '"', "a brace": bad + "}", "no end": bad + "["}[how]
    return content.replace(bad, spoil, 1).encode(), events[:nth] + events[nth + 1 :]


@pytest.mark.parametrize("how", ["no value", "a quote", "no end", "a brace"])
@pytest.mark.parametrize("nth", [0, 1, 300, 599], ids=["first", "second", "middle", "last"])
@pytest.mark.parametrize(
    "layout",
    [
        "lines",
        "an array of lines",
        "an array, pretty-printed",
        "an array, pretty-printed with tabs",
        "an array, its brackets beside the elements'",
        "objects, pretty-printed",
        "wrapped, pretty-printed",
    ],
)
def test_a_broken_event_costs_itself_alone(layout: str, nth: int, how: str) -> None:
    content, good = spoiled(layout, nth, how)
    found, _ = read(content)
    if layout.startswith("objects") and how == "a brace":
        good.insert(nth, {**MANY[nth], "n": nth})  # which it ends well before that brace
    readable = [json.loads(record) for record in texts(found) if _is_json(record)]
    assert [one for one in readable if isinstance(one, dict) and "event" in one] == good
    assert len(found) <= len(good) + (1 if how != "a brace" else 3)


def _is_json(record: bytes) -> bool:
    try:
        msgspec.json.decode(record, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def test_an_event_that_is_too_long_and_spread_over_lines_costs_itself_alone() -> None:
    long = {"event": "long", "properties": {"list": ["x" * 100 for _ in range(60_000)]}}
    for layout in ("an array, pretty-printed", "objects, pretty-printed"):
        content = LAYOUTS[layout]([*EVENTS, long, *EVENTS]).encode()
        found = records(content)
        assert [len(record) >= MAX_EVENT_BYTES for record in texts(found)] == [False] * 3 + [True] + [False] * 3
        assert values(found[:3]) + values(found[4:]) == EVENTS * 2


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    for layout in ("an array, pretty-printed", "objects, pretty-printed", "wrapped, pretty-printed"):
        content = LAYOUTS[layout](MANY[:900]).encode()
        found, reason = read(content[: len(content) * 2 // 3])
        assert values(found[:-1]) == MANY[: len(found) - 1]
        assert len(found) > 580
        assert (reason is None) == layout.startswith("objects")


# What is a record, though it holds an array


RECORDS: dict[str, Value] = {
    "an event": {"event": "A", "properties": {}, "data": [{"x": 1}]},
    "a call of Segment's": {"type": "track", "event": "A", "data": [{"x": 1}]},
    "an event of Amplitude's": {"event_type": "A", "user_id": "u", "data": [{"x": 1}]},
    "a batch of mParticle's": {
        "events": [{"data": {"event_name": "A"}, "event_type": "custom_event"}],
        "mpid": "1",
        "user_identities": [],
    },
    "a batch of mParticle's of nobody": {"events": [{"data": {"event_name": "A"}, "event_type": "custom_event"}]},
    "a call of GA4's Measurement Protocol": {"client_id": "c", "events": [{"name": "A"}]},
    "an object of numbers": {"data": [1, 2, 3]},
    "an object that wraps deeper": {"export": {"events": [{"event": "A"}]}},
}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_an_object_that_is_itself_a_record_stays_one(record: Value, indent: int | None) -> None:
    content = json.dumps(record, indent=indent).encode()
    assert values(records(content)) == values(of_message(content)) == [record]


def test_objects_on_lines_are_records_each_whatever_they_hold() -> None:
    rows = [json.dumps({"session": n, "events": [{"event": "A"}]}).encode() for n in range(3)]
    assert texts(records(b"\n".join(rows))) == rows


def test_an_object_without_an_array_among_those_that_wrap_one_is_a_record() -> None:
    content = "\n".join(json.dumps(one, indent=1) for one in ({"data": EVENTS}, {"error": "none"}, {"data": EVENTS}))
    assert values(records(content.encode())) == [*EVENTS, {"error": "none"}, *EVENTS]


def test_an_empty_wrapper_holds_nothing() -> None:
    assert records(b'{"data": [], "next": null}') == []


def snowplow(number: int) -> bytes:
    fields = [""] * 131
    fields[0], fields[5], fields[6] = "shop", "page_view", f"c6ef3124-b53a-4b13-a233-{number:012x}"
    return "\t".join(fields).encode()


def test_lines_of_snowplow_are_records_as_they_are() -> None:
    rows = [snowplow(n) for n in range(3)]
    assert texts(records(b"\n".join(rows))) == rows
    assert texts(of_message(rows[0])) == rows[:1]
    for other in (rows[0] + b"\t", rows[0][1:-1].replace(b"c6ef3124", b"not-uuid")):
        assert read(other)[0] == []


# How records come


def blocks(content: bytes) -> Iterator[Block]:
    return (block for block in Content(Held(content)).blocks() if any(block.records))


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if not name.startswith(("a bad line", "lines that"))])
def test_records_come_many_at_a_time_ready_to_be_sent(layout: str) -> None:
    content, _ = written(layout, many(3_000))
    found = [*blocks(content)]
    are_lines = sum(len(block.records) for block in found if block.are_lines)
    if layout not in ONE_BY_ONE | {"objects, two a line"}:
        assert are_lines > 2_900
        assert len(found) < 300
    for block in found:
        assert block.size == sum(len(record) + 1 for record in block.records)
        assert [*block] == [(*block.place(n), record) for n, record in enumerate(block.records)]


def test_blank_lines_leave_blocks_whole() -> None:
    rows = [b"{}"] * 5_000
    for every in (1, 3, 200):
        content = b"\n".join(row + b"\n" * (n % every == 0) for n, row in enumerate(rows))
        found = [*blocks(content)]
        assert [record for block in found for record in block.records if record] == rows
        assert len(found) <= 60
        places = [place for block in found for place in block]
        assert all(
            content[offset : offset + 2] == b"{}" and line == 1 + content[:offset].count(b"\n")
            for line, offset, _ in places
        )


@pytest.mark.parametrize("seed", range(3))
def test_line_ends_of_any_kind_in_one_file(seed: int) -> None:
    rng = random.Random(seed)
    ends = [rng.choice([b"\n", b"\r\n", b"\n\n", b"\r\n\r\n"]) for _ in range(20_000)]
    content = b"".join(b'{"n":%d}%b' % (n, end) for n, end in enumerate(ends))
    assert texts(records(content)) == [b'{"n":%d}' % n for n in range(20_000)]
    for size in (1, 1_000, 77_777):
        assert records(content[n : n + size] for n in range(0, len(content), size)) == records(content)
