"""Which tool wrote a record, told by its keys: for `IMPORT_MAPPING=auto`, and for a reject's reason without a mapping.

No two vendors' shapes are the same record's: each module's `matches` leaves to
the others what is theirs, so that it does not matter what came before a record.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from importer.errors import InvalidRecord
from importer.mappings import decoding, ready
from importer.mappings.outcome import Outcome

_SNOWPLOW_TABS = 130
_KEYS = frozenset(sign for vendor in ready.VENDORS.values() for sign in vendor.signs) - {"properties"} | {"event_name"}
_EXPORTED = b'"mp_processing_time_ms"'
"""Keys of which a vendor's record has one. Mixpanel's own export has `properties`, as any event, and with them one of
these two."""

_ROW = frozenset(("time", "distinct_id"))
_NOT_PROPERTIES = frozenset(("event", "properties"))
"""A row of a table that is an event by its columns has one of the former, and all but the latter are properties."""

_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_is_snowplow_line = re.compile(rb"(?:[^\t]*\t){6}[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\t").match


def recognise(record: bytes) -> str | None:
    """The name of the ready mapping whose shape this is; None where it is none's, or Mixpanel's own event."""
    if _is_snowplow(record):
        return "snowplow"
    decoded = decoding.decode(record)
    return None if isinstance(decoded, InvalidRecord) else recognise_object(decoded)


def recognise_object(record: dict[str, Any]) -> str | None:
    """The same for a record that is decoded already."""
    for name, vendor in ready.VENDORS.items():
        if any(sign in record for sign in vendor.signs) and ready.module(name).matches(record):
            return name
    return None


def hint(record: bytes) -> str | None:
    """For a record that was rejected without a mapping: what it looks like, and the setting to use; else None."""
    try:
        if _KEYS.isdisjoint(_decode_keys(record)) and _EXPORTED not in record:
            return None  # what nearly all of them are: its values are not even looked at
    except msgspec.MsgspecError:
        pass
    name = recognise(record)
    return f"looks like {ready.VENDORS[name].title}: set IMPORT_MAPPING={name} (or auto)" if name else None


class Auto:
    """The mapping that recognises each record by itself. What is Mixpanel's own event passes unchanged; a
    table's row is one by its columns, as it is without a mapping."""

    def __init__(self) -> None:
        self._last: ready.Ready | None = None

    def matches(self, _: dict[str, Any]) -> bool:
        """Any record may be its own."""
        return True

    def to_mixpanel(self, record: bytes) -> list[Outcome]:
        """What the record's own mapping gives."""
        if _is_snowplow(record, as_whole=False):
            return ready.module("snowplow").to_mixpanel(record)
        decoded = decoding.decode(record)
        return [decoded] if isinstance(decoded, InvalidRecord) else self.outcomes(decoded)

    def decode(self, record: bytes) -> dict[str, Any] | InvalidRecord:
        """The record as its own mapping takes it when it is decoded."""
        return (ready.decoder("snowplow") if _is_snowplow(record, as_whole=False) else decoding.decode)(record)

    def outcomes(self, decoded: dict[str, Any]) -> list[Outcome]:
        """The same of a decoded record; the last one's mapping is tried first."""
        if self._last is None or not self._last.matches(decoded):
            name = recognise_object(decoded)
            if name is None:
                return [_own(decoded)]
            self._last = ready.module(name)
        return self._last.outcomes(decoded)


def _is_snowplow(record: bytes, *, as_whole: bool = True) -> bool:
    """Whether it is a line of Snowplow's enriched events: 131 fields, the seventh a UUID. Not `as_whole` is one that
    lost some, or has too many, too: the mapping can say what is wrong with it."""
    if record[:1] == b"{" or (as_whole and record.count(b"\t") != _SNOWPLOW_TABS):
        return False
    return _is_snowplow_line(record) is not None


def _own(record: dict[str, Any]) -> Outcome:
    """Mixpanel's own event: as it is, or a table's row, whose columns are its fields and properties."""
    properties = record.get("properties")
    if "event" not in record or ("properties" not in record and not _ROW.intersection(record)):
        return _unknown()
    if "properties" in record and (not isinstance(properties, dict) or "time" in properties or "time" not in record):
        return record
    found = {name: value for name, value in record.items() if name not in _NOT_PROPERTIES and value is not None}
    if "insert_id" in found and "$insert_id" not in found:
        found["$insert_id"] = found.pop("insert_id")
    return {"event": record["event"], "properties": {**(properties or {}), **found}}


def _unknown() -> InvalidRecord:
    return InvalidRecord(f"is of no shape that auto knows: IMPORT_MAPPING may be {', '.join(ready.VENDORS)}")
