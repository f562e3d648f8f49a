"""Heap: rows of Heap Connect, which writes the events of each kind into a table of their own.

https://help.heap.io/hc/en-us/articles/18700033317020-Heap-Connect-Data-Schema. The event's name is its table's name,
and a row does not have it, unless it is of the table `all_events` (`event_table_name`) or a query put it there. So
`heap` reads it from a column, and `heap:<table>` (`of_table`) is for the files of one table.
"""

from __future__ import annotations

import re
from typing import Any

from importer.errors import InvalidRecord
from importer.mappings import decoding, reasons
from importer.mappings.fields.addresses import client_ip
from importer.mappings.fields.countries import country_code
from importer.mappings.fields.identity import as_id, identify
from importer.mappings.fields.insert_ids import hashed
from importer.mappings.fields.properties import RESERVED, beyond_limits
from importer.mappings.outcome import Dropped, Mapping, Outcome
from importer.times import from_epoch, from_iso

_TABLES = ("event_table_name", "event_name", "event", "table")
"""Columns that may hold the table's name, in this order."""
_NOT_EVENTS = {"users": "user", "sessions": "session", "user_migrations": "user migration"}
"""Tables of what is no event."""
_ALL_EVENTS = "all_events"
_NAMES = {
    "city": "$city",
    "region": "$region",
    "device": "$device",
    "carrier": "$carrier",
    "app_version": "$app_version_string",
    "referrer": "$referrer",
    "library": "mp_lib",
}
_HANDLED = """
    event_id user_id identity time ip country domain path query hash browser platform event_table_name event_name event
    table session_id
"""
_LEFT_OUT = RESERVED.union(_HANDLED.split())
_MICROSECONDS = 10**14
"""From here on, a number is no time in milliseconds (it would be the year 5138) but one in microseconds."""

_name_and_version = re.compile(r"(.{1,200}?) (\d[\d._]{0,30})", re.ASCII).fullmatch


def matches(record: dict[str, Any]) -> bool:
    """Whether it is a row of an event's table."""
    return {"event_id", "user_id", "session_id", "time", "library"} <= record.keys()


def outcomes(row: dict[str, Any], table: str | None = None) -> list[Outcome]:
    """One event for a row."""
    return [_outcome(row, table)]


def to_mixpanel(record: bytes) -> list[Outcome]:
    """The same of a row in bytes that has a column with its table's name."""
    return _of_record(record, None)


def of_table(table: str) -> Mapping:
    """The mapping of one table's rows."""
    return lambda record: _of_record(record, table)


def _of_record(record: bytes, table: str | None) -> list[Outcome]:
    row = decoding.decode(record)
    return [row] if isinstance(row, InvalidRecord) else outcomes(row, table)


def _outcome(row: dict[str, Any], table: str | None) -> Outcome:
    if table is None or table == _ALL_EVENTS:
        table = next((row[column] for column in _TABLES if row.get(column)), None)
    name: Any = table
    if isinstance(name, str) and name in _NOT_EVENTS:
        return Dropped(_NOT_EVENTS[name])
    event_id = as_id(row.get("event_id"))
    if not event_id:
        return _no_event(row)
    if name.__class__ is not str or not name or name.isspace():
        return InvalidRecord(
            "has no event name: Heap's is the name of the row's table; set IMPORT_MAPPING=heap:<table>, or have it in"
            " a column event_table_name",
            "event_table_name",
        )
    time = _time(row.get("time"))
    if time is None:
        return reasons.no_time("time", row.get("time"))
    properties = {
        _NAMES.get(column, column): value
        for column, value in row.items()
        if value is not None and value != "" and column not in _LEFT_OUT
    }
    _put_client(properties, row)
    properties["time"] = time
    properties["$insert_id"] = hashed(name, event_id)
    if not identify(properties, row.get("identity"), row.get("user_id")):
        return reasons.no_user("user_id", "identity")
    return beyond_limits(properties) or {"event": name, "properties": properties}


def _no_event(row: dict[str, Any]) -> Outcome:
    """Rows of the tables beside the events', told by their columns."""
    if {"from_user_id", "to_user_id"} <= row.keys():
        return Dropped("user migration")
    if "joindate" in row:
        return Dropped("user")
    return InvalidRecord("is no row of an event's table of Heap's: it has no event_id", "event_id")


def _time(value: Any) -> int | None:
    if isinstance(value, int):
        return from_epoch(value, "us" if value >= _MICROSECONDS else "ms")
    return from_iso(value)


def _put_client(properties: dict[str, Any], row: dict[str, Any]) -> None:
    for column, name in (("browser", "$browser"), ("platform", "$os")):
        value = row.get(column)
        if isinstance(value, str) and value:
            found = _name_and_version(value)
            properties[name] = found[1] if found else value
            if found:
                properties[f"{name}_version"] = found[2]
    page = [row.get(part) for part in ("domain", "path", "query", "hash")]
    if page[0]:
        properties["$current_url"] = "".join(part for part in page if isinstance(part, str))
    if address := client_ip(row.get("ip")):
        properties["ip"] = address
    if country := row.get("country"):
        code = country_code(country)
        properties["mp_country_code" if code else "country"] = code or country
    if session := as_id(row.get("session_id")):
        properties["session_id"] = session  # as a text: reports would round a number of 64 bits
