"""What comes with a Snowplow event beside its fields: contexts (entities), and a self-describing event's own data.

They have the names that the SDKs' JSON form gives them: `contexts_<vendor>_<name>_<model>` is a list of objects,
`unstruct_event_<vendor>_<name>_<model>` one object. Their schemas are at https://github.com/snowplow/iglu-central.
"""

from __future__ import annotations

import re
from typing import Any

from importer.errors import InvalidRecord
from importer.mappings.decoding import as_object
from importer.mappings.fields.properties import add

_SNOWPLOW = "contexts_com_snowplowanalytics"
_SESSION = f"{_SNOWPLOW}_snowplow_client_session_1"
_MOBILE = f"{_SNOWPLOW}_snowplow_mobile_context_1"
_APPLICATION = f"{_SNOWPLOW}_mobile_application_1"
_UA_PARSER = f"{_SNOWPLOW}_snowplow_ua_parser_context_1"
_WEB_PAGE = f"{_SNOWPLOW}_snowplow_web_page_1"
_YAUAA = "contexts_nl_basjes_yauaa_context_1"
_ENTITIES: dict[str, tuple[tuple[str, str], ...]] = {
    _SESSION: (("sessionId", "session_id"), ("sessionIndex", "session_index")),
    _APPLICATION: (("version", "$app_version_string"), ("build", "$app_build_number")),
    _WEB_PAGE: (("id", "page_view_id"),),
    _UA_PARSER: (("useragentFamily", "$browser"), ("osFamily", "$os"), ("deviceFamily", "$device")),
    _YAUAA: (
        ("agentName", "$browser"),
        ("agentVersion", "$browser_version"),
        ("operatingSystemName", "$os"),
        ("operatingSystemVersion", "$os_version"),
        ("deviceName", "$device"),
        ("deviceName", "$model"),
        ("deviceBrand", "$manufacturer"),
        ("carrier", "$carrier"),
    ),
    _MOBILE: (
        ("osVersion", "$os_version"),
        ("deviceManufacturer", "$manufacturer"),
        ("deviceModel", "$model"),
        ("carrier", "$carrier"),
        ("networkTechnology", "$radio"),
    ),
}
"""Entities that have Mixpanel's properties in them: what a later one says counts more. No more is kept of these."""
_ENTITY_ORDER = list(_ENTITIES).index
_OS_NAMES = {"ios": "iOS", "android": "Android", "tvos": "tvOS", "watchos": "watchOS", "osx": "Mac OS X"}
NO_SESSION: dict[str, Any] = {}
_SCALARS = frozenset((str, int, float, bool))
_NOTHING_KNOWN = frozenset(("", "Unknown", "??", "Other"))
"""What the user agent enrichments say where they do not know."""
_resolution = re.compile(r"(\d{1,6})x(\d{1,6})", re.ASCII).fullmatch


def put_entities(entities: dict[str, Any], properties: dict[str, Any]) -> tuple[dict[str, Any], InvalidRecord | None]:
    """Adds what the contexts and the self-describing event hold.

    Returns:
        The session of a mobile tracker, empty where there is none; and what of it is beyond Mixpanel's limits.
    """
    known: dict[str, dict[str, Any]] = {}
    rest: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name in sorted(entities) if len(entities) > 1 else entities:
        value = entities[name]
        if name in _ENTITIES:
            known[name] = as_object(value[0]) if value.__class__ is list and value else {}
        elif name.startswith("unstruct_event_"):
            own |= value if value.__class__ is dict else {name: value}
        elif name.startswith("contexts_") and value:
            rest[name] = [_without_version(one) for one in value] if value.__class__ is list else value
    for name in sorted(known, key=_ENTITY_ORDER) if len(known) > 1 else known:
        if entity := known[name]:
            for field, target in _ENTITIES[name]:
                value = entity.get(field)
                if value.__class__ in _SCALARS and value not in _NOTHING_KNOWN:
                    properties[target] = value
    if mobile := known.get(_MOBILE):
        _put_mobile(mobile, properties)
    problem = (add(properties, rest) if rest else None) or (add(properties, own) if own else None)
    return known.get(_SESSION, NO_SESSION), problem


def _put_mobile(entity: dict[str, Any], properties: dict[str, Any]) -> None:
    system, network, resolution = entity.get("osType"), entity.get("networkType"), entity.get("resolution")
    if system.__class__ is str and system:
        properties["$os"] = _OS_NAMES.get(system, system)
    if network:
        properties["$wifi"] = network == "wifi"
    if "$screen_width" not in properties and resolution.__class__ is str and (found := _resolution(resolution)):
        properties["$screen_width"], properties["$screen_height"] = int(found[1]), int(found[2])


def _without_version(entity: Any) -> Any:
    """A context without what the Scala SDK adds to it and the others do not."""
    if entity.__class__ is dict and "_schema_version" in entity:
        return {name: value for name, value in entity.items() if name != "_schema_version"}
    return entity
