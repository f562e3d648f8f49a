"""How deep a record may be nested is the same on every interpreter, and found without delay whatever the record."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.errors import InvalidRecord
from importer.limits import MAX_NESTING
from importer.mixpanel.event.completer import Completer
from importer.mixpanel.event.repair import read_object
from importer.mixpanel.nesting import MIN_LENGTH, nests_too_deep
from tests.unit.mixpanel import at_once

OPENINGS = {"arrays": (b"[", b"]"), "objects": (b'{"a":', b"}"), "both": (b'[{"a":', b"}]")}
EVENT = b'{"event":"e","properties":{"time":1700000000,"distinct_id":"","$insert_id":"a","deep":%b}}'


def nested(levels: int, kind: str = "arrays") -> bytes:
    opening, closing = OPENINGS[kind]
    step = len(opening.translate(None, b'"a:'))
    return opening * (levels // step) + b"1" + closing * (levels // step)


@pytest.mark.parametrize("kind", OPENINGS)
def test_the_bound_itself_is_allowed_and_not_a_level_more(kind: str) -> None:
    assert not nests_too_deep(nested(MAX_NESTING, kind))
    assert nests_too_deep(nested(MAX_NESTING + 2, kind))


def test_the_shortest_that_is_too_deep_is_as_long_as_is_said() -> None:
    shortest = b"[" * (MAX_NESTING + 1) + b"]" * (MAX_NESTING + 1)
    assert len(shortest) == MIN_LENGTH
    assert nests_too_deep(shortest)
    assert not nests_too_deep(shortest[1:])


def test_brackets_side_by_side_do_not_nest() -> None:
    assert not nests_too_deep(b"[" + b",".join([b"[[{}]]"] * 5_000) + b"]")


@pytest.mark.parametrize("text", [b"[" * 5_000, b'\\"' + b"[" * 5_000, b"\\\\\\" + b'"' + b"{" * 5_000, b"[\n" * 5_000])
def test_brackets_within_a_text_do_not_count(text: bytes) -> None:
    assert not nests_too_deep(b'["' + text + b'"]')
    assert nests_too_deep(b'["' + text + b'",' + nested(MAX_NESTING) + b"]")


@pytest.mark.parametrize("kind", OPENINGS)
def test_an_event_as_deep_as_that_goes_out_and_a_deeper_one_is_rejected(kind: str) -> None:
    fine, deep = EVENT % nested(MAX_NESTING - 2, kind), EVENT % nested(MAX_NESTING, kind)
    completer = Completer(None)
    assert completer.complete(fine) == fine
    assert at_once.are_unchanged(completer, [fine])
    assert read_object(fine)["event"] == "e"
    assert not at_once.are_unchanged(completer, [fine, deep, fine])
    assert at_once.all_of(completer, [deep]) is None
    assert at_once.leading(completer, [fine, deep, fine]) == [fine]
    for reading in (completer.complete, read_object):
        with pytest.raises(InvalidRecord, match=r"^is nested too deeply$"):
            reading(deep)


def test_what_a_transform_nests_too_deep_is_rejected() -> None:
    made: dict[str, Any] = {"event": "e", "properties": {"time": 1_700_000_000, "distinct_id": "", "deep": 1}}
    for _ in range(MAX_NESTING - 2):
        made["properties"]["deep"] = [made["properties"]["deep"]]
    assert Completer(None).complete_made(made, b"", 0)
    made["properties"]["deep"] = [made["properties"]["deep"]]
    with pytest.raises(InvalidRecord, match=r"^is nested too deeply$"):
        Completer(None).complete_made(made, b"", 0)


HOSTILE = {
    "a text that does not end": b'"' + b'\\"' * 499_000,
    "backslashes without end": b'"\\' * 333_000,
    "many texts, and deep": b'"",' * 330_000 + b"[" * 1_000,
    "a megabyte of brackets": b"[" * 999_999,
    "nothing but quotes": b'"' * 999_999,
}


@pytest.mark.parametrize("record", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_megabyte_takes_long_to_be_judged(record: bytes) -> None:
    before = time.process_time()
    nests_too_deep(record)
    assert time.process_time() - before < 0.5


def depth(text: str) -> int:
    """The same, by a reading one character at a time."""
    deepest = level = 0
    in_string = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif in_string and character == "\\":
            escaped = True
        elif character == '"':
            in_string = not in_string
        elif not in_string and character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif not in_string and character in "]}":
            level -= 1
    return deepest


PIECES = st.sampled_from(
    ["[", "{", "]", "}", '"', "\\", '\\"', "a", "[" * 300, "{" * 299, "]" * 200, '"' + "[" * 9 + '"']
)


@given(st.lists(PIECES, max_size=20).map("".join))
def test_it_is_what_counting_character_by_character_finds(text: str) -> None:
    assert nests_too_deep((text + " " * MIN_LENGTH).encode()) == (depth(text) > MAX_NESTING)
