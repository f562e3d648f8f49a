"""What is broken costs itself alone: in every layout, wherever it is cut, and whatever else happens to one event."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from importer.errors import Unreadable
from importer.formats.content import Content
from importer.formats.held import Held, Stream
from importer.records import Record

Value = dict[str, Any]
Written = list[str]

PROPERTIES: list[Value] = [
    {},
    {"items": [{"sku": "a"}, {"sku": "b", "q": 2}]},
    {"text": '},{ ]\\ " {', "name": "\u00e9\u6771[it's]"},
    {"deep": {"a": {"b": [{}, [], [[{"c": 1}]]]}}},
    {"list": [{}], "n": -1.5e3},
]
EVENTS: list[Value] = [
    {"event": "ABC"[n % 3], "properties": {"time": 1_700_000_000 + n, **PROPERTIES[n % 5]}, "id": n} for n in range(7)
]


def compact(event: Value) -> str:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)


def pretty(event: Value, margin: int = 2) -> str:
    return "\n".join(" " * margin + line for line in json.dumps(event, indent=2).split("\n"))


def mixed(event: Value) -> str:
    return pretty(event) if event["id"] % 2 else "  " + compact(event)


LAYOUTS: dict[str, tuple[Any, str, str, str]] = {
    "lines": (compact, "", "\n", "\n"),
    "minified": (compact, "[", ",", "]"),
    "minified, with a line's end": (compact, "[", ",", "]\n"),
    "spaced": (json.dumps, "[", ", ", "]"),
    "one a line": (compact, "[\n", ",\n", "\n]\n"),
    "one a line, indented": (lambda event: "  " + compact(event), "[\n", ",\n", "\n]\n"),
    "commas first": (compact, "[", "\n,", "\n]\n"),
    "pretty-printed": (pretty, "[\n", ",\n", "\n]"),
    "pretty-printed, with CRLF": (lambda event: pretty(event).replace("\n", "\r\n"), "[\r\n", ",\r\n", "\r\n]"),
    "pretty-printed here and there": (mixed, "[\n", ",\n", "\n]"),
    "brackets beside each other": (lambda event: pretty(event, 0), "[", ", ", "]"),
    "arrays, one a line": (lambda event: f"[{compact(event)}]", "", "\n", "\n"),
    "objects": (lambda event: pretty(event, 0), "", "\n", ""),
    "objects, with returns alone": (lambda event: pretty(event, 0).replace("\n", "\r"), "", "\r", "\r"),
    "objects with nothing between": (compact, "", "", ""),
    "objects with spaces between": (compact, "", " ", ""),
    "objects with commas between": (compact, "", ",", ""),
    "pretty-printed objects with nothing between": (lambda event: pretty(event, 0), "", "", ""),
    "wrapped": (compact, '{"events":[', ",", "]}"),
    "wrapped, pretty-printed": (lambda event: pretty(event, 4), '{\n  "data": [\n', ",\n", '\n  ],\n  "next": null\n}'),
}
"""How an event is written, what stands before all, between two, and after all."""

ARE_EVENTS_LINES = {"lines", "one a line", "one a line, indented"}


def parts(layout: str) -> Written:
    return [LAYOUTS[layout][0](event) for event in EVENTS]


def joined(layout: str, written: Written, *, without_comma_after: int | None = None) -> bytes:
    _, before, between, after = LAYOUTS[layout]
    text = before
    for n, part in enumerate(written):
        gap = between if n != without_comma_after else between.replace(",", "")
        text += part + (gap if n < len(written) - 1 else "")
    return (text + after).encode("utf-8", "surrogatepass")


def read(chunks: Iterable[bytes]) -> tuple[list[Record], str | None]:
    return records(Content(Stream(chunks)))


def records(content: Content) -> tuple[list[Record], str | None]:
    found: list[Record] = []
    try:
        for record in content.records():
            if record[2].strip():
                found.append(record)  # noqa: PERF401 (what came before the exception counts)
    except Unreadable as error:
        return found, str(error)
    return found, None


def ids(found: Iterable[Record]) -> list[int]:
    """Those of the events that can be read."""
    read = []
    for _, _, record in found:
        try:
            event = json.loads(record)
        except ValueError:
            continue
        if event in EVENTS:
            read.append(event["id"])
    return read


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(list(LAYOUTS)), st.integers(0, len(EVENTS) - 1), st.floats(0, 0.999), st.booleans())
def test_an_event_that_is_cut_short_costs_itself_alone(layout: str, nth: int, where: float, has_comma: bool) -> None:
    written = parts(layout)
    event = written[nth].lstrip("[ ")
    before = len(written[nth]) - len(event)
    written[nth] = written[nth][: before + max(1, int(where * len(event)))]
    found, _ = read([joined(layout, written, without_comma_after=None if has_comma else nth)])
    assert [one for one in ids(found) if one != nth] == [n for n in range(len(EVENTS)) if n != nth]
    if layout in ARE_EVENTS_LINES:
        assert len(found) == len(EVENTS)


PUT_IN = ['"', "{", "}", "[", "]", ",", ":", "\\", "x", "\0", "}}", "]}", '"}', "},{", "//", "[{", "}]", " "]


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(list(LAYOUTS)),
    st.integers(1, len(EVENTS) - 1),
    st.floats(0.2, 0.999),
    st.sampled_from(PUT_IN),
    st.booleans(),
)
def test_an_event_in_which_something_else_stands_costs_itself_alone(
    layout: str, nth: int, where: float, what: str, in_place: bool
) -> None:
    written = parts(layout)
    event = written[nth].strip("[ ]")
    at = written[nth].index(event) + int(where * len(event))
    written[nth] = written[nth][:at] + what + written[nth][at + in_place :]
    found, _ = read([joined(layout, written)])
    assert [one for one in ids(found) if one != nth] == [n for n in range(len(EVENTS)) if n != nth]


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(list(LAYOUTS)), st.data())
def test_what_is_broken_is_cut_the_same_in_any_pieces_and_from_any_record_on(layout: str, data: st.DataObject) -> None:
    written = parts(layout)
    for _ in range(data.draw(st.integers(1, 3))):
        nth = data.draw(st.integers(0, len(written) - 1))
        start = data.draw(st.integers(0, len(written[nth])))
        end = data.draw(st.integers(start, min(start + 30, len(written[nth]))))
        written[nth] = written[nth][:start] + data.draw(st.sampled_from(["", *PUT_IN])) + written[nth][end:]
    content = joined(layout, written)
    whole = read([content])
    places = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=5)))
    assert read(content[a:b] for a, b in pairwise([0, *places, len(content)])) == whole
    found, reason = whole
    if not found:
        return
    n = data.draw(st.integers(0, len(found) - 1))
    marking = Content(Held(content))
    with suppress(Unreadable):
        list(marking.records())
    assert records(Content(Held(content), marking.mark(*found[n][:2]))) == (found[n:], reason)
