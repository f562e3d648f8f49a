"""Rows of a table, as objects of their columns, to the events they are where there is no mapping."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from importer.errors import Unreadable
from importer.limits import MAX_EVENT_BYTES
from importer.records import Block, Malformed

_MAX_NAMED = 10


def as_event(row: dict[str, Any]) -> dict[str, Any]:
    """The event that a row is: the columns `event`, `time`, `distinct_id` and `$insert_id` (or `insert_id`) are its own
    fields, every other one is a property, and so are the fields of a column `properties` that is nested. An empty cell
    (None) is no property. Takes the row apart."""
    name = row.pop("event", None)
    if "insert_id" in row and "$insert_id" not in row:
        row["$insert_id"] = row.pop("insert_id")
    nested = row.get("properties")
    if isinstance(nested, dict):
        del row["properties"]
        row = nested | row
    properties = {key: value for key, value in row.items() if value is not None}
    return {"properties": properties} if name is None else {"event": name, "properties": properties}


def without_events(columns: Iterable[str]) -> Unreadable:
    """What to say of a table whose rows are no events, where no mapping says what they mean."""
    names = list(columns)
    named = ", ".join(names[:_MAX_NAMED]) + (", …" if len(names) > _MAX_NAMED else "")
    return Unreadable(
        "this table has no column `event`, and no mapping says what its rows mean: set IMPORT_MAPPING. Its columns are "
        f"{named}"
    )


def row_block(records: list[bytes], first: int) -> Block:
    """Rows that follow each other, each on one line; their places are their numbers: `first` is how many go before."""
    count = len(records)
    places = list(zip(range(first + 1, first + count + 1), range(first, first + count), strict=True))
    are_lines = Malformed not in map(type, records) and max(map(len, records), default=0) < MAX_EVENT_BYTES
    return Block(records, first + 1, first, sum(map(len, records)) + count, are_lines, places)
