"""Segment: the calls of its spec, as its storage destinations archive them (NDJSON, one call a line) or publish them.

Facts: https://segment.com/docs/connections/spec/common/; what becomes what follows Segment's own Mixpanel destination
(https://github.com/segmentio/action-destinations, packages/destination-actions/src/destinations/mixpanel), except that

- the anonymous id is `$device_id` and never a bare `distinct_id`;
- a `messageId` that Mixpanel would not take (all of analytics.js 2's: 41 or 59 characters) is hashed whole;
- a time that is none is a reject, not the time of the import;
- `mp_country_code` is a country's two letters or not there.
"""

from __future__ import annotations

from typing import Any

from importer.errors import InvalidRecord
from importer.mappings.fields.properties import add
from importer.mappings.outcome import Dropped, Event, Outcome
from importer.mappings.vendors.calls import (
    CALL,
    NO_CONTEXT,
    NOT_EVENTS,
    TYPES,
    Call,
    describe,
    finish,
    is_call,
    is_rudderstacks,
    link,
)

_VIEWED = {"page": "Viewed Page", "screen": "Viewed Screen"}


def matches(record: dict[str, Any]) -> bool:
    """Whether it is a call of the family that RudderStack has not seen."""
    return is_call(record) and not is_rudderstacks(record)


def identified(record: dict[str, Any], name: str) -> Event | None:
    """The event that links a call's two ids; see `calls.link`."""
    return link(CALL.convert(record), name)


def _outcome(call: Call) -> Outcome:
    kind = call.type
    if kind == "track":
        name = call.event
    elif kind.__class__ is str and kind in _VIEWED:
        name = _viewed(call)
    else:
        return _no_event(kind)
    context = call.context or NO_CONTEXT
    properties: dict[str, Any] = {}
    describe(properties, context, "Segment: ")
    if group := context.groupId:
        properties["$group_id"] = group
    if call.properties and (reject := add(properties, call.properties)):
        return reject
    return finish(name, call, properties)


def _viewed(call: Call) -> str:
    name = call.name or (call.properties or {}).get("name")
    return f"Viewed {name}" if isinstance(name, str) and name.strip() else _VIEWED[call.type]


def _no_event(kind: object) -> Outcome:
    if isinstance(kind, str) and kind in NOT_EVENTS:
        return Dropped(NOT_EVENTS[kind])
    return InvalidRecord(f"is no call of Segment's: its type is none of {', '.join(sorted(TYPES))}", "type")


outcomes = CALL.of_objects(_outcome)
"""One event for a track, page or screen call; the others are dropped."""

to_mixpanel = CALL.of_bytes(_outcome)
"""The same of a record in bytes."""
