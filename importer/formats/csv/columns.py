"""Lines of CSV to columns, where each line is a row as the header says: no object is made of a row on the way.

Each byte of the text is a character here, for all that CSV means anything by is ASCII.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

HIDDEN = "\x01"
"""What stands in a cell for a delimiter: a control character, looked for where nobody else's can be."""

_CONTROLS = bytes(byte for byte in range(0x20) if byte not in b"\t\r\n")
_LOOKED_AT = 4_096
_FEW_QUOTES = 80
"""Quotes in as many bytes, with which the standard library's reader, which takes the same time without any, is slower
than to look for them: eight on a line."""

_MAX_IN_VAIN = 3
_first, _last = itemgetter(0), itemgetter(-1)


class Cells(NamedTuple):
    """The cells of some rows.

    Attributes:
        columns: those of each column, without the quotes around them.
        are_plain: whether it is known that JSON writes no character in any of them in another way, but for quotes.
        have_quotes: whether there may be quotes in them.
        hidden: what `HIDDEN` stands for in them; empty where it is nothing but itself.
        may_be_known: whether cells that are the same mean the same as in other rows of the file.
    """

    columns: Sequence[Sequence[str]]
    are_plain: bool = False
    have_quotes: bool = True
    hidden: str = ""
    may_be_known: bool = True


class Splitter:
    """Splits lines into columns.

    Args:
        delimiter: what stands between two cells.
        end: what ends a line.
    """

    def __init__(self, delimiter: str, end: str) -> None:
        self._delimiter = delimiter
        self._end = end
        self._in_vain = 0

    def cells(self, content: bytes, count: int) -> Cells | None:
        """The cells of so many whole lines; None unless each is a row, all of them with as many cells."""
        delimiter, end = self._delimiter, self._end
        text = content.decode("latin-1")
        is_plain = b"\\" not in content and len(content.translate(None, _CONTROLS)) == len(content)
        if b"\r" in content and end == "\n":
            text = text.replace("\r\n", end)
            is_plain = is_plain and "\r" not in text
        unquoted = ""
        have_quotes = b'"' in content
        if have_quotes and is_plain and self._in_vain < _MAX_IN_VAIN and _has_few_quotes(content):
            unquoted = self._without_quotes(text)
            self._in_vain += not unquoted
        columns = self._parsed(text, count) if have_quotes and not unquoted else self._split(unquoted or text, count)
        if not columns:
            return None
        if b"\t" in content:
            is_plain = is_plain and delimiter == "\t" and content.count(b"\t") == (len(columns) - 1) * count
        hidden = delimiter if unquoted else ""
        return Cells(columns, is_plain, have_quotes and not unquoted, hidden, is_plain or HIDDEN not in text)

    def _split(self, text: str, count: int) -> list[Sequence[str]]:
        """The columns of lines without quotes; none where the lines differ."""
        delimiter, end = self._delimiter, self._end
        cells = text.replace(end, f"{delimiter}{end}{delimiter}").split(delimiter)
        cells.pop()
        width = cells.index(end)
        if cells[width :: width + 1] != [end] * count:
            return []
        columns: list[Sequence[str]] = [cells[nth :: width + 1] for nth in range(width)]
        return [] if width == 1 and not all(columns[0]) else columns  # a blank line is no row

    def _without_quotes(self, text: str) -> str:
        """The text without the quotes around cells, and with delimiters hidden that are in them; empty where quotes are
        anything else but around a cell, and where one holds a line break."""
        delimiter, end = self._delimiter, self._end
        pieces = (end + text).split('"')
        try:
            around = {*map(_last, pieces[:-1:2]), *map(_first, pieces[2::2])}
        except IndexError:  # nothing between two of them: one that is doubled
            return ""
        if len(pieces) % 2 == 0 or not around <= {delimiter, end}:
            return ""
        quoted = "\0".join(pieces[1::2])
        if end in quoted:
            return ""
        if delimiter in quoted:
            pieces[1::2] = quoted.replace(delimiter, HIDDEN).split("\0")
        return "".join(pieces)[len(end) :]

    def _parsed(self, text: str, count: int) -> list[Sequence[str]]:
        """The columns of any lines; none where not each is a row, or they differ."""
        try:
            rows = list(csv.reader(text.split(self._end)[:-1], delimiter=self._delimiter, strict=True))
        except csv.Error:
            return []
        return list(zip(*rows, strict=True)) if len(rows) == count and len(set(map(len, rows))) == 1 else []


def _has_few_quotes(content: bytes) -> bool:
    looked_at = content[:_LOOKED_AT]
    return looked_at.count(b'"') * _LOOKED_AT <= _FEW_QUOTES * len(looked_at)
