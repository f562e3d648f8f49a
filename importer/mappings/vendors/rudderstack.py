"""RudderStack: the calls of its spec, as its object storage destinations keep them (gzipped NDJSON) or stream them.

The spec is Segment's with some differences: https://www.rudderstack.com/docs/event-spec/standard-events/. What becomes
what follows RudderStack's own Mixpanel destination in simplified mode (https://github.com/rudderlabs/rudder-transformer,
src/v0/destinations/mp), except that

- a `messageId` that Mixpanel would not take is hashed whole, not cut to its last 36 characters;
- `context.traits` are not copied into each event;
- page and screen calls become one event each, `Loaded a Page` and `Loaded a Screen`.
"""

from __future__ import annotations

from typing import Any

from importer.errors import InvalidRecord
from importer.mappings.fields.addresses import client_ip
from importer.mappings.fields.properties import add, is_scalar
from importer.mappings.outcome import Dropped, Event, Outcome
from importer.mappings.vendors.calls import (
    CALL,
    NO_CONTEXT,
    NOT_EVENTS,
    Call,
    describe,
    finish,
    is_call,
    is_rudderstacks,
    link,
)

_LOADED = {"page": "Loaded a Page", "screen": "Loaded a Screen"}
_NOT_EVENTS = {**NOT_EVENTS, "record": "record call"}


def matches(record: dict[str, Any]) -> bool:
    """Whether it is a call of the family that RudderStack has seen."""
    return is_call(record) and is_rudderstacks(record)


def identified(record: dict[str, Any], name: str) -> Event | None:
    """The event that links a call's two ids; see `calls.link`."""
    return link(CALL.convert(record), name)


def _outcome(call: Call) -> Outcome:
    kind = call.type
    properties: dict[str, Any] = {}
    if kind == "track":
        name = call.event
    elif kind.__class__ is str and kind in _LOADED:
        name = _LOADED[kind]
        if is_scalar(call.name):
            properties["name"] = call.name
    else:
        return _no_event(kind)
    if call.properties and (reject := add(properties, call.properties)):
        return reject
    context = call.context or NO_CONTEXT
    describe(properties, context)
    if call.request_ip and "ip" not in properties and (ip := client_ip(call.request_ip)):
        properties["ip"] = ip
    if is_scalar(context.sessionId):
        properties["$session_id"] = context.sessionId
    if context.screen and (density := context.screen.density) and 0 < density < 10_000:
        properties["$screen_dpi"] = density
    return finish(name, call, properties)


def _no_event(kind: object) -> Outcome:
    if isinstance(kind, str) and kind in _NOT_EVENTS:
        return Dropped(_NOT_EVENTS[kind])
    return InvalidRecord("is no call of RudderStack's: its type is none of track, page, screen, identify …", "type")


outcomes = CALL.of_objects(_outcome)
"""One event for a track, page or screen call; the others are dropped."""

to_mixpanel = CALL.of_bytes(_outcome)
"""The same of a record in bytes."""
