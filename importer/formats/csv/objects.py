"""Columns of CSV to JSON objects, one for each row: put together in passes of the interpreter's own functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat

from importer.formats.csv.cells import Members
from importer.formats.csv.columns import HIDDEN


def objects(columns: Sequence[Members], event: Members | None = None, hidden: str = "") -> list[bytes]:
    """Rows as JSON objects.

    Args:
        columns: their members.
        event: where it is given, rows become events of that name, whose properties the columns are.
        hidden: what `HIDDEN` stands for, if it stands for anything.
    """
    columns = _without_comma(columns)
    if event is None:
        first, *others = columns
        text = _joined([Members("{" + first.before, first.texts, first.after), *others], "}\n")
    elif event.before:
        named = Members("{" + event.before[1:], event.texts, event.after + ',"properties":{')
        text = _joined([named, *columns], "}}\n")
    else:
        named = Members("{", [f"{text[1:]}," if text else "" for text in event.texts], '"properties":{')
        text = _joined([named, *columns], "}}\n")
    encoded = (text.replace(HIDDEN, hidden) if hidden else text).encode("latin-1")
    return encoded.split(b"\n")[:-1]


def _without_comma(columns: Sequence[Members]) -> Sequence[Members]:
    """The same without the comma before the first member that a row has."""
    if not columns:
        return columns
    first, *others = columns
    if first.before:
        return [Members(first.before[1:], first.texts, first.after), *others]
    if not all(first.texts):
        first, others = Members("", _joined(columns, "\n").split("\n")[:-1], ""), []
    return [Members("", [text[1:] for text in first.texts], ""), *others]


def _joined(parts: Sequence[Members], closing: str) -> str:
    """Each row's texts with what stands around them."""
    pieces: list[Iterable[str]] = []
    between = ""
    for before, texts, after in parts:
        if between or before:
            pieces.append(repeat(between + before))
        pieces.append(texts)
        between = after
    return "".join(chain.from_iterable(zip(*pieces, repeat(between + closing), strict=False)))
