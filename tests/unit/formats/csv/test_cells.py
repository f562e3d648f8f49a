"""Cells and columns by themselves: whichever way is taken for being faster, what comes out is the same."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.formats.csv.cells import Column, is_plain_value
from importer.formats.csv.columns import HIDDEN, Cells, Splitter

POOL = [
    "", "0", "5", "12", "-7", "-0", "-0.0", "1.5", "-1.5", "0.25", "1.50", ".5", "5.", "007", "1e5", "+4", "true",
    "false", "True", "t", "f", "-", "-x", "pro", "a b", "123456789012345", "-123456789012345", "1234567890123456",
    "12345678901234567", "12345678901234.5", "1748736000123", "2025-06-01T00:00:00Z", "2025-06-01 00:00:00 UTC",
    "a text that is longer than any time is", "-2345678901234567", "true story", "fine", "truee",
]  # fmt: skip
ODD = ['qu"ote', "back\\slash", "tab\t", "line\nbreak", "\x1f"]


def expected(name: str, cell: str) -> str:
    """The member that a cell is, by its own: no column is known."""
    if not cell:
        return ""
    digits = cell.lstrip("-")
    is_plain = is_plain_value(cell) and name not in {"event", "distinct_id"}
    if name == "time" and cell != "-0" and digits.isdigit() and len(digits) <= 19 and not (digits[0] == "0" < digits):
        is_plain = cell.count("-") <= 1
    value = cell if is_plain else json.dumps(cell, ensure_ascii=False)
    if name == "time" and cell.startswith("2025"):
        value = "1748736000000"
    return f',"{name}":{value}'


def members(
    name: str, cells: list[str], *, is_time: bool = False, known: bool = False, plain: bool = False
) -> list[str]:
    column = Column(name, 3, is_time=is_time)
    made = column.members(0, Cells([cells], are_plain=plain, have_quotes=not plain, may_be_known=known))
    return [f"{made.before}{one}{made.after}" if one else "" for one in made.texts]


@pytest.mark.parametrize("cell", [*POOL, *ODD], ids=repr)
@pytest.mark.parametrize("name", ["p", "event", "time"])
def test_a_cell_is_the_same_in_whatever_company(name: str, cell: str) -> None:
    is_time = name == "time"
    alone = expected(name, cell)
    for known in (True, False):
        assert members(name, [cell], is_time=is_time, known=known) == [alone]
    for company in ("5", "pro", "-7", "a text that is longer than any time is", ""):
        for cells in ([company, cell], [cell, company]):
            assert members(name, cells, is_time=is_time) == [expected(name, one) for one in cells]
            if cell not in ODD:
                assert members(name, cells, is_time=is_time, plain=True) == [expected(name, one) for one in cells]


@given(st.lists(st.sampled_from(POOL), min_size=1, max_size=8))
def test_a_column_is_its_cells_one_by_one(cells: list[str]) -> None:
    for name in ("p", "distinct_id"):
        for plain in (True, False):
            assert members(name, cells, plain=plain) == [expected(name, one) for one in cells]


@pytest.mark.parametrize(("new", "is_asked"), [(64, True), (65, False)])
def test_a_column_of_ever_new_cells_is_no_longer_asked_for_them(new: int, is_asked: bool) -> None:
    column = Column("p", 1)
    column.members(0, Cells([[f"v{nth}" for nth in range(new)]]))
    assert (column._known is not None) == is_asked


@pytest.mark.parametrize(("cells", "is_asked"), [(400, True), (396, False)])
def test_one_new_cell_in_four_is_not_too_many(cells: int, is_asked: bool) -> None:
    column = Column("p", 1)
    column.members(0, Cells([[f"v{nth}" for nth in range(100)] + ["v0"] * (cells - 100)]))
    assert (column._known is not None) == is_asked


@pytest.mark.parametrize(("length", "is_kept"), [(64, True), (65, False)])
def test_long_cells_are_not_kept(length: int, is_kept: bool) -> None:
    column = Column("p", 1)
    column.members(0, Cells([["x" * length]]))
    assert len(column._known or {}) == is_kept


def test_no_more_cells_are_kept_than_there_may_be() -> None:
    column = Column("p", 65_536 // 3)
    column.members(0, Cells([["a", "b", "c", "d"]]))
    assert len(column._known or {}) == 3


def test_what_is_hidden_comes_back() -> None:
    made = Column("p", 1).members(0, Cells([[f"a{HIDDEN}b", "c"]], hidden=","))
    assert [*made.texts] == [',"p":"a,b"', ',"p":"c"']
    plain = Column("p", 1).members(0, Cells([[f"a{HIDDEN}b"]], hidden=",", may_be_known=False))
    assert [*plain.texts] == [',"p":"a,b"']


CELLS = st.lists(st.text(st.sampled_from('ab1,"; \t'), max_size=6), min_size=2, max_size=3)


@given(st.lists(CELLS, min_size=1, max_size=12), st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]))
def test_lines_are_split_as_the_standard_library_does(rows: list[list[str]], delimiter: str, end: str) -> None:
    width = len(rows[0])
    rows = [[*row, "x"][:width] for row in rows]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    found = Splitter(delimiter, "\n").cells(out.getvalue().encode(), len(rows))
    if found is None:  # not each line is a row
        assert any("\n" in cell for row in rows for cell in row)
        return
    columns = [[cell.replace(HIDDEN, found.hidden) if found.hidden else cell for cell in one] for one in found.columns]
    assert [[*row] for row in zip(*columns, strict=True)] == rows


@pytest.mark.parametrize(
    ("content", "count"), [(b"a,b\nc\n", 2), (b"a,b\nc,d,e\n", 2), (b'a,"b\n', 1), (b"a,b\n\n", 2), (b"a\nb,c\n", 2)]
)
def test_lines_that_are_no_rows_of_one_width_are_left_to_another(content: bytes, count: int) -> None:
    assert Splitter(",", "\n").cells(content, count) is None
