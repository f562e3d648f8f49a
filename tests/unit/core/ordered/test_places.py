"""Places: which line and offset a record had, told again from what a batch holds."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.core.ordered.places import Cursor, Place
from importer.records import Block

RECORDS = [b"a", b"bb", b"ccc", b"", b"ddddd"]
OFFSETS = [100, 102, 105, 109, 110]
PLACES = [(7, 1_000), (7, 1_010), (9, 1_020), (10, 1_033), (10, 1_050)]


def block(places: Sequence[tuple[int, int]] | None = None, *, are_lines: bool = False) -> Block:
    size = sum(map(len, RECORDS)) + len(RECORDS)
    return Block(RECORDS, 10, 100, size, are_lines=are_lines, places=places)


def size(events: Sequence[bytes]) -> int:
    return sum(map(len, events)) + len(events)


@pytest.mark.parametrize("way", [range(5), [0, 0, 2, 2, 4], [1, 4], [3], [2, 3]], ids=str)
def test_a_cursor_goes_forwards_by_one_or_by_many_and_stays(way: Sequence[int]) -> None:
    cursor = Cursor(block())
    assert [cursor.place(nth) for nth in way] == [(10 + nth, OFFSETS[nth]) for nth in way]
    placed = Cursor(block(PLACES))
    assert [placed.place(nth) for nth in way] == [PLACES[nth] for nth in way]


@given(st.lists(st.binary(max_size=5), min_size=1), st.data())
def test_a_cursor_knows_the_place_of_any_record(records: list[bytes], data: st.DataObject) -> None:
    way = sorted(data.draw(st.lists(st.integers(0, len(records) - 1), min_size=1)))
    made = Block(records, 3, 17, size(records))
    cursor = Cursor(made)
    there = [(line, offset) for line, offset, _ in made]
    assert [cursor.place(nth) for nth in way] == [there[nth] for nth in way]
    assert [made.place(nth) for nth in way] == [there[nth] for nth in way]
    assert made.place(-1) == there[-1]


FILLED = [one + b'"ip":0' for one in RECORDS]

STRETCHES: list[tuple[str, Cursor, list[bytes], bool, bool]] = [
    ("as they came", Cursor(block()), RECORDS, False, False),
    ("made of them", Cursor(block(), makes_events=True), FILLED, True, False),
    ("with something put in", Cursor(block(are_lines=True)), FILLED, False, True),
]
"""What was made of records, and whether the place holds the records, or their lengths."""


@pytest.mark.parametrize(
    ("cursor", "events", "holds", "lengths"), [row[1:] for row in STRETCHES], ids=[r[0] for r in STRETCHES]
)
def test_a_stretch_holds_what_is_needed_to_find_its_records_again(
    cursor: Cursor, events: list[bytes], holds: bool, lengths: bool
) -> None:
    place, bytes_ = cursor.stretch(0, events)
    assert (place.line, place.offset, bytes_) == (10, 100, 16)
    assert (place.records is not None, place.lengths is not None) == (holds, lengths)
    for count in range(5):
        after = place.after(count, size(events[:count]))
        assert (after.line, after.offset, after.first) == (10 + count, OFFSETS[count], count)
        if not lengths:
            assert after.record(events[count]) == RECORDS[count]
        further = after.after(4 - count, size(events[count:4]))
        assert (further.line, further.offset, further.first) == (14, 110, 4)


def test_a_part_of_a_block_is_a_stretch_too() -> None:
    for makes_events in (False, True):
        place, bytes_ = Cursor(block(), makes_events=makes_events).stretch(1, RECORDS[1:3])
        assert (place.line, place.offset, bytes_) == (11, 102, 7)
        assert place.after(1, 3).offset == 105
        assert place.after(1, 3).record(b"ccc") == b"ccc"
    place, _ = Cursor(block(PLACES), makes_events=True).stretch(2, [b"x", b"y"])
    assert [(one.line, one.offset) for one in (place, place.after(1, 99))] == PLACES[2:4]
    assert place.places == PLACES[2:4]


def test_where_a_record_has_line_breaks_it_is_held_itself() -> None:
    """What was put in an event can be taken out again of one line only."""
    for broken in (b"a\nb", b"a\rb"):
        made = Block([broken, b"c"], 1, 0, 6)
        place, _ = Cursor(made).stretch(0, [b"a b", b"c!"])
        assert (place.records, place.lengths) == ([broken, b"c"], None)
    place, _ = Cursor(Block([b"a", b"c"], 1, 0, 4)).stretch(0, [b"a!", b"c!"])
    assert place.lengths == array("I", [1, 1])


def test_what_was_put_in_is_taken_out_of_a_reject_again() -> None:
    record = b'{"event":"e","properties":{"time":1}}'
    event = b'{"event":"e","properties":{"ip":0,"time":1}}'
    place = Place(1, 0, lengths=array("I", [3, len(record)]), first=1)
    assert place.record(event) == record
    assert place.after(0, 0).offset == 0
    assert Place(1, 5, lengths=array("I", [3, 4, 5]), first=1).after(2, 999) == Place(
        3, 5 + 4 + 5 + 2, lengths=array("I", [3, 4, 5]), first=3
    )


@pytest.mark.parametrize("most", [1, 3, 5, 9])
def test_the_first_of_a_block(most: int) -> None:
    for places in (None, PLACES):
        first = block(places).first(most)
        assert first.records == RECORDS[:most]
        assert first.size == size(RECORDS[:most])
        assert [*first] == [*block(places)][:most]
