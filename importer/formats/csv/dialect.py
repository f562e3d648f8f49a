"""CSV: what separates its cells, and what its columns are called."""

from __future__ import annotations

import csv
import re
from collections import Counter

from msgspec import Struct

from importer.errors import Unreadable
from importer.formats.csv.lines import line_end
from importer.formats.detect import is_object, is_snowplow, known_by_its_start
from importer.formats.reader import Head

_DELIMITERS = ",\t;|"
_LOOKED_AT = 20
"""Rows that are looked at."""

_name = re.compile(r"\.(csv|tsv|tab|psv)(\.[a-z0-9]+)?$", re.IGNORECASE).search
_separator = re.compile(r"sep=(.)", re.IGNORECASE).fullmatch
_NO_CSV = (b"{", b"[", b"<", b"#!")


class Table(Struct, frozen=True):
    """What the first line of a file says.

    Attributes:
        delimiter: what stands between two cells.
        columns: their names.
        line_end: what ends a line: a line feed, or a carriage return where there is no line feed at all.
    """

    delimiter: str
    columns: tuple[str, ...]
    line_end: str = "\n"


def matches(head: Head) -> bool:
    """Whether this is CSV: by its content where that can tell, else by its name."""
    if known_by_its_start(head.content) or head.content.lstrip().startswith(_NO_CSV):
        return False
    rows = _first_rows(head)
    if not rows or is_snowplow(rows[0].encode()) or _holds_objects(head, rows):
        return False
    delimiter = _delimiter(rows)
    if delimiter is None:
        return bool(_name(head.name))
    columns = _cells(rows[0], delimiter)
    is_header = all(columns) and len(set(columns)) == len(columns) and not any(map(_is_number, columns))
    widths = Counter(len(_cells(row, delimiter)) for row in rows)
    is_even = widths.most_common(1)[0][0] == len(columns) > 1 and widths[len(columns)] * 2 > len(rows)
    return (is_header and is_even) or bool(_name(head.name))


def _holds_objects(head: Head, rows: list[str]) -> bool:
    """Whether there is JSON after the first row, or what may become JSON after the head."""
    last = head.content.rpartition(line_end(head.content))[2]
    return last.startswith(b"{") or any(is_object(row.encode()) for row in rows[1:])


def separator(line: str) -> str | None:
    """What a line before the header says that separates cells, as Excel wants to be told: `sep=;`."""
    found = _separator(line.strip())
    return found[1] if found else None


def table(lines: list[str], end: bytes, delimiter: str | None = None) -> Table:
    """What the first of these lines says, the header; the others show what separates cells, where that is not known.

    Raises:
        Unreadable: it names a column twice, or one without a name.
    """
    rows = [line.rstrip("\r") for line in lines if line.strip()] or [""]
    delimiter = delimiter or _delimiter(rows) or ","
    columns = _cells(rows[0], delimiter)
    if len(columns) > 1 and not columns[-1]:
        columns.pop()  # a delimiter at the end of each line
    empty = [str(number) for number, name in enumerate(columns, 1) if not name]
    if empty:
        raise Unreadable(f"the header of this CSV has no name for column {', '.join(empty[:10])}")
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise Unreadable(
            f"the header of this CSV names {', '.join(map(repr, twice[:10]))} more than once: give each column a name "
            "of its own"
        )
    return Table(delimiter, tuple(columns), end.decode())


def _first_rows(head: Head) -> list[str]:
    end = line_end(head.content)
    content = head.content if head.is_all else head.content[: head.content.rfind(end) + 1]
    lines = content.decode(errors="replace").split(end.decode())
    return [line.rstrip("\r") for line in lines if line.strip()][:_LOOKED_AT]


def _delimiter(rows: list[str]) -> str | None:
    """The one that cuts the first row into several cells, and most rows into as many."""
    best, most = None, 0.0
    for delimiter in _DELIMITERS:
        widths = [len(_cells(row, delimiter)) for row in rows]
        if widths[0] > 1 and (score := widths.count(widths[0]) / len(widths) + widths[0] / 1_000) > most:
            best, most = delimiter, score
    return best


def _cells(row: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([row], delimiter=delimiter), [])]
    except csv.Error:
        return [row]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
