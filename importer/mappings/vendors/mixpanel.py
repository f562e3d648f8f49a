"""Mixpanel's own exports: the Raw Event Export API's lines, and the rows of its JSON pipelines.

https://developer.mixpanel.com/reference/raw-event-export, https://docs.mixpanel.com/docs/data-pipelines/json-pipelines.
What a project with the original identity merge exports is made safe for one with the simplified merge: its identity
calls would cost whole batches, and its `distinct_id` may be another than the one the event was sent with.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from importer.errors import InvalidRecord
from importer.limits import IDENTITY_CALLS
from importer.mappings import decoding, reasons
from importer.mappings.decoding import Shape
from importer.mappings.fields.identity import as_id, identify
from importer.mappings.fields.insert_ids import insert_id
from importer.mappings.fields.properties import add, too_many
from importer.mappings.outcome import Dropped, Outcome
from importer.times import MIN_TIME, from_epoch, from_iso


class Row(Struct, gc=False):
    """A line of the export has the first two fields, a row of a pipeline the others."""

    event: Any = None
    properties: dict[str, Any] | str | None = None
    event_name: Any = None
    time: Any = None
    distinct_id: Any = None
    insert_id: Any = None
    user_id: Any = None
    device_id: Any = None


IDENTIFIED = "Identify"
"""What a call of `$identify` is called here, which links a device to a user: the name itself is not one for events."""
_NOT_EVENTS = {"$create_alias": "alias call", "$merge": "merge call"}
_LEFT_OUT = (
    *("$distinct_id_before_identity", "$import", "$mp_api_timestamp_ms", "$had_persisted_distinct_id"),
    *("$is_reshuffled", "$failure_reason", "$failure_description"),
)
"""What Mixpanel noted when it took the event in."""
_SHAPE = Shape(Row)


def matches(record: dict[str, Any]) -> bool:
    """Whether it was exported: an event that was not lacks the time at which Mixpanel processed it."""
    properties = record.get("properties")
    if "event" in record:
        return isinstance(properties, dict) and "mp_processing_time_ms" in properties
    return {"event_name", "properties", "insert_id", "distinct_id"} <= record.keys()


def _outcome(row: Row) -> Outcome:
    given = _given(row.properties)
    if isinstance(given, InvalidRecord):
        return given
    name, written = (row.event_name, row.time) if row.event is None else (row.event, given.get("time"))
    if name.__class__ is not str or not name or name.isspace():
        return reasons.no_name("event" if row.event_name is None else "event_name", name)
    if name in _NOT_EVENTS:
        return Dropped(_NOT_EVENTS[name])
    time = _time(written)
    if time is None:
        must_be = "in ISO 8601, or a number of seconds or milliseconds since the epoch"
        return reasons.no_time("properties.time" if row.event_name is None else "time", written, must_be)
    properties: dict[str, Any] = {}
    reject = add(properties, given)
    for left_out in _LEFT_OUT:
        properties.pop(left_out, None)
    properties["time"] = time
    if identifier := insert_id(row.insert_id) or insert_id(given.get("$insert_id")):
        properties["$insert_id"] = identifier
    if name in IDENTITY_CALLS:
        return reject or _linked(given, properties)
    reject = reject or _identified(row, given, properties) or too_many(properties)
    return reject or {"event": name, "properties": properties}


def _given(properties: dict[str, Any] | str | None) -> dict[str, Any] | InvalidRecord:
    """The properties, which some formats have as a text of JSON."""
    if not isinstance(properties, str):
        return properties or {}
    decoded = decoding.decode(properties.encode())
    if isinstance(decoded, InvalidRecord):
        return InvalidRecord(f"has properties that cannot be read: the text {decoded.reason}", "properties")
    return decoded


def _time(value: Any) -> int | None:
    """The export has seconds, a pipeline a timestamp. Seconds and milliseconds have the years 1971 to 2969 to
    themselves, as Mixpanel's own rule for `time` has it.
    """
    if isinstance(value, str):
        return from_iso(value)
    return from_epoch(value, "s" if isinstance(value, int | float) and value < MIN_TIME else "ms")


def _linked(given: dict[str, Any], properties: dict[str, Any]) -> Outcome:
    """The event that a call of `$identify` becomes: both ids in one event link them, and so what was before."""
    user, device = as_id(given.get("$identified_id")), as_id(given.get("$anon_id"))
    if not user or not device or user == device:
        return Dropped("identify call")
    identify(properties, user, device)
    return too_many(properties) or {"event": IDENTIFIED, "properties": properties}


def _identified(row: Row, given: dict[str, Any], properties: dict[str, Any]) -> InvalidRecord | None:
    """Puts the ids in; gives the reason why there are none.

    With neither of the two, the event has the one it was sent with, which is a user's unless it says otherwise; the
    `distinct_id` of an export may be the one it was merged into.
    """
    user = as_id(row.user_id) or given.get("$user_id")
    device = as_id(row.device_id) or given.get("$device_id")
    if identify(properties, user, device):
        return None
    distinct = row.distinct_id if row.distinct_id is not None else given.get("distinct_id")
    if identify(properties, as_id(given.get("$distinct_id_before_identity")) or distinct, None):
        return None
    if distinct == "":
        properties["distinct_id"] = ""
        return None
    return reasons.no_user("distinct_id" if row.event is None else "properties.distinct_id")


outcomes = _SHAPE.of_objects(_outcome)
"""One event for a line or row."""

to_mixpanel = _SHAPE.of_bytes(_outcome)
"""The same of a record in bytes."""
