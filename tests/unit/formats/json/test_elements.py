"""Arrays cut into elements: any array in any pieces, and what a broken element costs."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import pairwise, repeat
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importer.formats.json.elements import elements
from importer.formats.json.frames import BrokenArray
from importer.limits import MAX_EVENT_BYTES

Element = tuple[int, int, bytes]

GOOD = rb'{"event":"[it\"s]","properties":{"tags":["a","},{"],"deep":{"a":[{}]},"n":1}}'


def pieces(text: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


def sliced(text: bytes, size: int) -> Iterator[bytes]:
    return (text[n : n + size] for n in range(0, len(text), size))


def cut(text: bytes, *cuts: int) -> list[Element]:
    return elements_of(pieces(text, cuts))


def elements_of(chunks: Iterable[bytes], offset: int = 0, line: int = 1, *, opened: bool = False) -> list[Element]:
    return [element for element in elements(chunks, offset, line, opened=opened) if element[2]]


def texts(text: bytes) -> list[bytes]:
    return [element for _, _, element in cut(text)]


def cut_or_broken(chunks: Iterable[bytes]) -> tuple[list[Element], str | None]:
    found: list[Element] = []
    try:
        for element in elements(chunks):
            if element[2]:
                found.append(element)  # noqa: PERF401 (what came before the exception counts)
    except BrokenArray as error:
        return found, str(error)
    return found, None


ARRAYS = {
    "empty": (b"[]", []),
    "empty, with white space": (b" \r\n[ \t\n ] \n", []),
    "on one line": (b'[{"a":1},{"b":[2,3]}]', [(1, 1, b'{"a":1}'), (1, 9, b'{"b":[2,3]}')]),
    "one element a line": (b'[\n{"a":1},\n{"b":2}\n]\n', [(2, 2, b'{"a":1}'), (3, 11, b'{"b":2}')]),
    "with Windows' line ends": (b'[\r\n{"a":1},\r\n{"b":2}\r\n]', [(2, 3, b'{"a":1}'), (3, 13, b'{"b":2}')]),
    "commas first": (b'[{"a":1}\n,{"b":2}\n]', [(1, 1, b'{"a":1}'), (2, 10, b'{"b":2}')]),
    "spread out": (b'[\n  {\n    "a": 1\n  },\n  {}\n]', [(2, 4, b'{\n    "a": 1\n  }'), (5, 24, b"{}")]),
    "what is no object": (b'[1, "a,]", null, [2], true]', None),
    "a comma too many at the end": (b'[\n{"a":1},\n]', [(2, 2, b'{"a":1}')]),
    "a comma too many in the middle": (b'[{"a":1},,{"b":2}]', [(1, 1, b'{"a":1}'), (1, 10, b'{"b":2}')]),
    "no comma at a line's end": (b'[\n{"a":1}\n{"b":2}]', [(2, 2, b'{"a":1}'), (3, 10, b'{"b":2}')]),
    "several in a row": (b'[{"a":1}]\n[]\n[\n{"b":2}]', [(1, 1, b'{"a":1}'), (4, 15, b'{"b":2}')]),
}


@pytest.mark.parametrize(("text", "expected"), ARRAYS.values(), ids=ARRAYS.keys())
def test_elements_come_with_their_line_and_offset(text: bytes, expected: list[Element] | None) -> None:
    if expected is None:
        assert [json.loads(element) for element in texts(text)] == json.loads(text)
    else:
        assert cut(text) == expected


BROKEN_LINES = {
    "a quote that nothing closes": b'{"event":"Signup,"properties":{}}',
    "a brace that nothing closes": b'{"event":"Signup","properties":{}',
    "a bracket that nothing closes": b'{"event":"Signup","tags":["a","b"',
    "an inner brace that nothing closes": b'{"event":"Signup","properties":{"a":1',
    "cut after a colon": b'{"event":"Signup","properties":',
    "cut after a comma": b'{"event":"Signup",',
    "cut after a backslash": b'{"event":"Sign\\',
    "cut in a text": b'{"event":"Sign',
    "a brace that closes nothing": b'{"event":"Signup"}}',
    "the wrong bracket": b'{"tags":["a"}',
    "words": b"not JSON at all",
    "HTML": b'<!DOCTYPE html><a href="/[">',
    "single quotes": b"{'event':'it\"s'}",
    "two objects": b'{"a":1} {"b":2}',
    "an array": b"[[1,2]]",
    "5,000 deep": b"[" * 5000 + b"]" * 5000,
    "5,000 deep and never closed": b"[" * 5000,
    "a quote alone": b'"',
    "not UTF-8": b'{"name":"Jos\xe9"}',
    "NUL": b"\0",
}


@pytest.mark.parametrize("comma", [b",", b""], ids=["its comma kept", "its comma lost"])
@pytest.mark.parametrize("at", [0, 1, 3], ids=["first", "second", "last"])
@pytest.mark.parametrize("line", BROKEN_LINES.values(), ids=BROKEN_LINES.keys())
def test_a_broken_element_on_its_own_line_costs_itself_alone(line: bytes, at: int, comma: bytes) -> None:
    good = [b'{"id":%d,"more":%b}' % (n, GOOD) for n in range(3)]
    rows = [*(each + b"," for each in good[:at]), line + comma, *(each + b"," for each in good[at:])]
    text = b"[\n" + b"\n".join(rows) + b"\n]"
    found = cut(text)
    assert [element for _, _, element in found] == [*good[:at], (line + comma).removesuffix(b","), *good[at:]]
    assert [number for number, _, _ in found] == [2, 3, 4, 5]
    assert all(text[offset:].startswith(element) for _, offset, element in found)


@given(st.integers(1, len(GOOD) - 1), st.integers(0, 4), st.booleans(), st.sampled_from([b"", b"  "]))
def test_an_element_cut_short_anywhere_costs_itself_alone(place: int, at: int, comma: bool, indent: bytes) -> None:
    good = [b'{"id":%d,"more":%b}' % (n, GOOD) for n in range(4)]
    rows = [*(each + b"," for each in good[:at]), GOOD[:place] + b"," * comma, *(each + b"," for each in good[at:])]
    found = texts(b"[\n" + b"".join(indent + row + b"\n" for row in rows) + b"]")
    assert [element for element in found if element in good] == good
    assert len(found) == 5


@pytest.mark.parametrize("line", [b']{"n":1},', b'{"n":1}],', b"],", b"]", b'{"n":1}]'])
def test_a_bracket_that_closes_too_early_is_a_bad_record_of_its_own(line: bytes) -> None:
    text = b'[\n{"a":1},\n' + line + b'\n{"b":2}\n]'
    found = cut(text)
    assert [element for _, _, element in found if element != b'{"n":1}'] == [b'{"a":1}', b"]", b'{"b":2}'] or [
        element for _, _, element in found
    ] == [b'{"a":1}', b'{"n":1}', b"]", b'{"b":2}']
    assert (3, 11 + line.index(b"]"), b"]") in found


UNFINISHED = {
    "nothing but the bracket": (b"[", [], "breaks off"),
    "broken off after an element": (b'[{"a":1}', [b'{"a":1}'], "breaks off"),
    "broken off after a comma": (b'[{"a":1},\n', [b'{"a":1}'], "breaks off"),
    "broken off in an element": (b'[{"a":1},\n{"b":', [b'{"a":1}', b'{"b":'], "breaks off"),
    "broken off in a text": (b'[{"a":1},\n{"b":"', [b'{"a":1}', b'{"b":"'], "breaks off"),
    "words after it": (b'[{"a":1}] and more', [b'{"a":1}'], "something follows the array's end on line 1"),
}


@pytest.mark.parametrize(("text", "expected", "reason"), UNFINISHED.values(), ids=UNFINISHED.keys())
def test_an_array_without_its_end_is_read_as_far_as_it_goes(text: bytes, expected: list[bytes], reason: str) -> None:
    found, broken = cut_or_broken([text])
    assert [element for _, _, element in found] == expected
    assert reason in str(broken)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a"\\[]{},:\n é'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='a"[{,'), inner, max_size=3),
    max_leaves=10,
)
CUTS = st.lists(st.integers(0, 200), max_size=20)


@given(st.lists(JSON, max_size=8), st.sampled_from([None, 0, 2]), st.booleans(), CUTS)
def test_any_array_in_any_pieces_is_cut_into_its_elements(
    values: list[Any], indent: int | None, ensure_ascii: bool, cuts: list[int]
) -> None:
    text = b"\n" + json.dumps(values, indent=indent, ensure_ascii=ensure_ascii).encode() + b"\n"
    found = cut(text, *(place for place in cuts if place < len(text)))
    assert [json.loads(element) for _, _, element in found] == values
    for line, offset, element in found:
        assert text[offset : offset + len(element)] == element
        assert line == 1 + text.count(b"\n", 0, offset)


@given(st.text(alphabet='a"\\[]{},:\n 1'), st.lists(st.integers(0, 60), max_size=8))
def test_any_text_in_any_pieces_gives_the_same_records_and_the_same_error(rest: str, cuts: list[int]) -> None:
    text = b"[" + rest.encode()
    in_pieces = cut_or_broken(pieces(text, [place for place in cuts if place < len(text)]))
    assert in_pieces == cut_or_broken([text]) == cut_or_broken(text[n : n + 1] for n in range(len(text)))


@given(st.lists(JSON, min_size=1, max_size=6), st.data())
def test_reading_goes_on_from_any_element_as_if_it_had_never_stopped(values: list[Any], data: st.DataObject) -> None:
    text = b" " + json.dumps(values, indent=1).encode()
    whole = cut(text)
    n = data.draw(st.integers(0, len(whole) - 1))
    line, offset, _ = whole[n]
    assert elements_of([text[offset:]], offset, line, opened=True) == whole[n:]


def test_an_element_too_long_to_be_an_event_is_passed_over_and_shown_in_part() -> None:
    long = b'{"a":"' + b"x" * 3 * MAX_EVENT_BYTES + b'"}'
    text = b"[" + long + b',{"b":2},\n' + long + b',\n{"c":3}]'
    found = elements_of(sliced(text, 100_000))
    assert [(line, len(element)) for line, _, element in found] == [
        (1, MAX_EVENT_BYTES),
        (1, 7),
        (2, MAX_EVENT_BYTES),
        (3, 7),
    ]


def test_a_line_longer_than_memory_should_hold_costs_itself_alone() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'[\n{"a":1},\n{"b":"'
        yield from repeat(b"x" * 250_000, 80)
        yield b'"},\n{"c":3}\n]'

    assert [(line, len(element)) for line, _, element in elements_of(chunks())] == [
        (2, 7),
        (3, MAX_EVENT_BYTES),
        (4, 7),
    ]


@pytest.mark.parametrize("size", [100_000, 1 << 30])
@pytest.mark.parametrize(
    "long",
    [b'{"b":"' + rb"[\"{\\" * 900_000 + b'"}', b'{"b":[' + b'{"c":"],[ in a text"},' * 200_000 + b"{}]}"],
    ids=["one text", "many elements"],
)
def test_an_element_longer_than_memory_should_hold_costs_itself_alone_on_a_line_of_many(long: bytes, size: int) -> None:
    text = b'[{"a":1}, ' + long + b' ,{"c":3},' + long + b"]"
    assert [(line, offset, len(element)) for line, offset, element in elements_of(sliced(text, size))] == [
        (1, 1, 7),
        (1, 10, MAX_EVENT_BYTES),
        (1, 12 + len(long), 7),
        (1, 20 + len(long), MAX_EVENT_BYTES),
    ]


def test_white_space_longer_than_memory_should_hold_costs_no_element() -> None:
    text = b'[{"a":1},' + b" " * 5_000_000 + b'{"b":2},{"c":3}\n]'
    assert [element for _, _, element in elements_of(sliced(text, 100_000))] == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JSON, max_size=8), CUTS)
def test_any_array_on_one_line_is_cut_into_its_elements_however_little_is_held(
    monkeypatch: pytest.MonkeyPatch, values: list[Any], cuts: list[int]
) -> None:
    monkeypatch.setattr("importer.formats.json.cutter._MAX_HELD", 12)
    monkeypatch.setattr("importer.formats.json.cutter.MAX_EVENT_BYTES", 4)
    monkeypatch.setattr("importer.formats.json.bulk._MAX_BULK", 3)
    whole = [json.dumps(value).encode() for value in values]
    text = b"[" + b", ".join(whole) + b"]"
    found = cut(text, *(place for place in cuts if place < len(text)))
    assert [element for _, _, element in found] == [element[:4] for element in whole]
    assert all(text[offset:].startswith(element) for _, offset, element in found)


@pytest.mark.parametrize("filler", [b"x", b" ", b","], ids=["text", "white space", "commas"])
def test_whoever_reads_can_look_at_the_clock_however_long_no_element_comes(filler: bytes) -> None:
    start = b'["' if filler == b"x" else b"["
    found: list[Element] = []
    with contextlib.suppress(BrokenArray):
        found.extend(elements([start, *repeat(filler * 100_000, 60)]))
    assert sum(not element for _, _, element in found) >= 60


ENDLESS = {
    "white space before": (b"[", b" \n" * 50_000, b"1]"),
    "white space between": (b"[1,", b" \n" * 50_000, b"1]"),
    "white space after": (b"[1]", b" \n" * 50_000, b""),
    "a text": (b'["', b"x" * 100_000, b'"]'),
    "a line": (b"[", b"x" * 100_000, b"]"),
    "arrays": (b"", b"[1]" + b" " * 100_000, b""),
}


@pytest.mark.parametrize(("start", "chunk", "end"), ENDLESS.values(), ids=ENDLESS.keys())
def test_nothing_makes_memory_grow_with_the_length_of_the_text(start: bytes, chunk: bytes, end: bytes) -> None:
    def most_held(chunks: int) -> int:
        tracemalloc.start()
        with contextlib.suppress(BrokenArray):
            for _ in elements([start, *repeat(chunk, chunks), end]):
                pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert most_held(200) < most_held(60) * 1.1 + 100_000 < 20_000_000


@pytest.mark.parametrize("line", [b'{"a":"x",\n', b'{"a":["x",\n', b'{"a":"x"},\n', b'{"a":"\n', b"}\n", b"<,\n"])
def test_a_file_of_nothing_but_broken_lines_is_one_record_a_line(line: bytes) -> None:
    """Were the rest of the text looked at for each of them, this would not end."""
    found, _ = cut_or_broken([b"[\n" + line * 50_000 + b"]"])
    assert len(found) == 50_000


@pytest.mark.parametrize("between", [b"\n", b" ", b",", b"\r\n,"])
def test_any_amount_of_white_space_and_commas_may_stand_between_elements(between: bytes) -> None:
    many = between * (5_000_000 // len(between))
    chunks = [b'[{"a":1},', *repeat(many, 2), b'{"b":2}]']
    assert [element for _, _, element in elements_of(chunks)] == [b'{"a":1}', b'{"b":2}']
