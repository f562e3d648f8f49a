"""Cells of CSV to JSON: a text becomes a number or a boolean only where that changes nothing.

`12`, `-1.5` and `true` do; `007`, `1e5`, `+49…`, `1.50`, `TRUE` and more than 15 digits stay texts. So a cell's JSON is
the cell itself, with quotes around it or without, and no value is ever made of it: the cells of a column are decided on
together, and put between what stands around them. Each byte of a text is a character here (`as_bytes`): what is JSON's
own is ASCII, and the rest comes out as it went in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import NamedTuple

from importer.formats.csv.columns import HIDDEN, Cells
from importer.times import from_iso

_NUMBER = r"-?(?:0|[1-9]\d{0,14})(?:\.(?:\d*[1-9]|0))?"
_MAY_BE_PLAIN = frozenset("-0123456789tf")
_number = re.compile(_NUMBER, re.ASCII).fullmatch
_numbers = re.compile(rf"(?:(?:{_NUMBER})?\n)*", re.ASCII).fullmatch
_negative_zero = re.compile(r"^-0(?:\.0)?$", re.MULTILINE).search
_whole = re.compile(r"-?(?:0|[1-9]\d{0,18})", re.ASCII).fullmatch
_quoted = json.encoder.encode_basestring
_has_escapes = re.compile(r'[\x00-\x1f"\\]').search
_OF_WHOLE = b"0123456789\n"
_OF_NUMBERS = b"0123456789\n.-"

_MAX_DIGITS = 15
_MAX_TIME_LENGTH = 20
_TEXTS = frozenset({"event", "distinct_id", "$insert_id", "$user_id", "$device_id"})
"""Columns that stay texts whatever is in them: names and ids."""

_MAX_KNOWN = 65_536
"""Cells whose JSON is kept, of all columns together: most columns of events have few different ones."""
_MAX_KNOWN_LENGTH = 64
_MIN_UNKNOWN = 64
_FEW = 4
"""A column of whose cells more than one in so many is new, and more than that at once, is no longer asked for them."""


class Members(NamedTuple):
    """The members of JSON objects that the cells of a column are, such as `,"plan":"pro"`; empty for an empty cell.

    Attributes:
        before: what stands before each.
        texts: one for each row.
        after: what stands after each.
    """

    before: str
    texts: Sequence[str]
    after: str


class Column:
    """A column, whose cells it makes members of, block after block.

    Args:
        name: its name.
        columns: how many there are in its table.
        is_time: whether it is the time of events: a text that says one becomes milliseconds since the epoch.
    """

    def __init__(self, name: str, columns: int, *, is_time: bool = False) -> None:
        self._name = f",{_quoted(as_bytes(name))}:"
        self._opening = self._name + '"'
        self._is_text = name in _TEXTS
        self._is_time = is_time
        self._is_whole = name == "time"
        self._is_value = _is_whole if self._is_whole else is_plain_value
        self._known: _Known | None = _Known(self._member, _MAX_KNOWN // columns)

    def members(self, nth: int, cells: Cells) -> Members:
        """The members that its cells are, which are column `nth` of these."""
        column = cells.columns[nth]
        if self._known is not None and cells.may_be_known:
            return Members("", self._looked_up(self._known, column, cells.hidden), "")
        is_plain = cells.are_plain and not cells.have_quotes
        if not is_plain and _has_escapes("".join(column)):
            return Members("", list(map(self._member, column, repeat(cells.hidden))), "")
        return self._together(column)

    def _looked_up(self, known: _Known, cells: Sequence[str], hidden: str) -> list[str]:
        """The members of cells, of which most came before."""
        known.missed, known.hidden = 0, hidden
        texts = list(map(known.__getitem__, cells))
        if known.missed > max(len(cells) // _FEW, _MIN_UNKNOWN):
            self._known = None
        return texts

    def _together(self, cells: Sequence[str]) -> Members:
        """The members of cells that JSON writes as they are."""
        lengths = set(map(len, cells))
        have_empty = 0 in lengths
        lengths.discard(0)
        are_texts = self._is_text or (not self._is_time and self._are_texts(cells, lengths))
        if not are_texts and not self._are_numbers(cells, lengths):
            return Members("", list(map(self._member, cells)) if self._is_time else self._each(cells), "")
        before, after = (self._opening, '"') if are_texts else (self._name, "")
        if not have_empty:
            return Members(before, cells, after)
        return Members("", [f"{before}{cell}{after}" if cell else "" for cell in cells], "")

    def _are_texts(self, cells: Sequence[str], lengths: set[int]) -> bool:
        """Whether it can be told by their lengths that none is a number or a boolean."""
        shortest = min(lengths, default=0)
        if shortest > _MAX_TIME_LENGTH or not shortest:
            return True
        return shortest > _MAX_DIGITS and not self._is_whole and "\n-" not in "\n" + "\n".join(cells)

    def _are_numbers(self, cells: Sequence[str], lengths: set[int]) -> bool:
        """Whether all of them are numbers that stay the same to their last digit, or empty."""
        if max(lengths, default=0) > _MAX_DIGITS:
            return False
        lines = "\n".join([*cells, ""])
        content = lines.encode("latin-1")
        if not content.translate(None, _OF_WHOLE) and not content.startswith(b"0") and b"\n0" not in content:
            return True
        if content.translate(None, _OF_NUMBERS) or not _numbers(lines):
            return False
        return "-0" not in lines or not _negative_zero(lines)

    def _each(self, cells: Sequence[str]) -> list[str]:
        """Decides on each by itself. Most that begin with a digit are ids: what they are not is looked at first, since
        that takes no call in Python."""
        name, opening, may_be, is_value = self._name, self._opening, _MAY_BE_PLAIN, self._is_value
        return [
            (
                name + cell
                if cell[0] in may_be and (cell.isdigit() or "." in cell or cell[0] in "-tf") and is_value(cell)
                else f'{opening}{cell}"'
            )
            if cell
            else ""
            for cell in cells
        ]

    def _member(self, cell: str, hidden: str = "") -> str:
        """The member that any cell is."""
        if not cell:
            return ""
        if hidden:
            cell = cell.replace(HIDDEN, hidden)
        if not self._is_text and self._is_value(cell):
            return self._name + cell
        if self._is_time and (milliseconds := _time(cell)) is not None:
            return f"{self._name}{milliseconds}"
        return self._name + _quoted(cell)


class _Known(dict[str, str]):
    """The members of cells that came before.

    Attributes:
        missed: cells that were not known, since it was set.
        hidden: what `HIDDEN` stands for in cells.
    """

    def __init__(self, make: Callable[[str, str], str], most: int) -> None:
        super().__init__()
        self._make = make
        self._most = most
        self.missed = 0
        self.hidden = ""

    def __missing__(self, cell: str) -> str:
        self.missed += 1
        member = self._make(cell, self.hidden)
        if len(self) < self._most and len(cell) <= _MAX_KNOWN_LENGTH:
            self[cell] = member
        return member


def as_bytes(text: str) -> str:
    """A text of which each character is a byte of its UTF-8."""
    return text.encode().decode("latin-1")


def is_plain_value(cell: str) -> bool:
    """Whether a cell is JSON as it is: a number that stays the same to its last digit, or a boolean."""
    if not _number(cell) or cell in {"-0", "-0.0"}:
        return cell in {"true", "false"}
    return len(cell) <= _MAX_DIGITS or ("." not in cell and len(cell) == _MAX_DIGITS + 1 and cell[0] == "-")


def _is_whole(cell: str) -> bool:
    """Whether a cell is a time in whole seconds, milliseconds or less; all of its digits count."""
    return is_plain_value(cell) or (_whole(cell) is not None and cell != "-0")


def _time(cell: str) -> int | None:
    """The milliseconds that a text says as ISO 8601; BigQuery and Snowflake write ` UTC`."""
    return from_iso(f"{cell[:-4]}Z" if cell.endswith(" UTC") else cell.strip(" "))
