"""Cells of CSV to JSON: a text becomes a number or a boolean only where that changes nothing.

`12`, `-1.5` and `true` do; `007`, `1e5`, `+49…`, `1.50`, `TRUE` and more than 15 digits stay texts. So a cell's JSON is
the cell itself, with quotes around it or without, and no value is ever made of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_MAY_BE_PLAIN = frozenset("-0123456789tf")
_number = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d*[1-9])?|-?(?:0|[1-9]\d{0,14})\.0", re.ASCII).fullmatch
_whole = re.compile(r"-?(?:0|[1-9]\d{0,18})", re.ASCII).fullmatch
_quoted = json.encoder.encode_basestring
_CONTROLS = bytes(byte for byte in range(0x20) if byte not in b"\t\r\n")
_FEW = 4
"""Columns with this many times more cells than different ones are worked on by the latter."""

_MAX_DIGITS = 15
_TEXTS = frozenset({"event", "distinct_id", "$insert_id", "$user_id", "$device_id"})
"""Columns that stay texts whatever is in them: names and ids."""


def members(column: str, cells: Sequence[str], *, are_plain: bool) -> list[str]:
    """The members of JSON objects that the cells of a column are, such as `,"plan":"pro"`; empty for an empty cell.

    Args:
        column: its name.
        cells: as they are, without the quotes around them.
        are_plain: whether it is known that there is no backslash and no control character in any of them.
    """
    different = set(cells)
    if len(different) * _FEW < len(cells):
        known = dict(zip(different, _members(column, list(different), are_plain=are_plain), strict=True))
        return [known[cell] for cell in cells]
    return _members(column, cells, are_plain=are_plain)


def are_plain(rows: bytes, delimiter: str) -> bool:
    """Whether there is no character in any cell that JSON writes in another way, but for quotes.

    Args:
        rows: whole rows as they are stored, each on a line of its own.
        delimiter: what stands between their cells.
    """
    if b"\\" in rows or len(rows.translate(None, _CONTROLS)) != len(rows):
        return False
    return b"\t" not in rows or (delimiter == "\t" and b'"' not in rows)


def _members(column: str, cells: Sequence[str], *, are_plain: bool) -> list[str]:
    name = f",{_quoted(column)}:"
    opening = name + '"'
    is_text = column in _TEXTS
    is_value = _is_whole if column == "time" else is_plain_value
    if not are_plain or '"' in "".join(cells):
        return [name + (cell if not is_text and is_value(cell) else _quoted(cell)) if cell else "" for cell in cells]
    if is_text:
        return [f'{opening}{cell}"' if cell else "" for cell in cells]
    may_be = _MAY_BE_PLAIN
    # Most that begin with a digit are ids: what they are not is looked at first, since that takes no call in Python.
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


def is_plain_value(cell: str) -> bool:
    """Whether a cell is JSON as it is: a number that stays the same to its last digit, or a boolean."""
    if not _number(cell) or cell in {"-0", "-0.0"}:
        return cell in {"true", "false"}
    return len(cell) <= _MAX_DIGITS or ("." not in cell and len(cell) == _MAX_DIGITS + 1 and cell[0] == "-")


def _is_whole(cell: str) -> bool:
    """Whether a cell is a time in whole seconds, milliseconds or less; all of its digits count."""
    return is_plain_value(cell) or (_whole(cell) is not None and cell != "-0")
