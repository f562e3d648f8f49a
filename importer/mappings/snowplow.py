"""Snowplow's enriched events: a line of 131 tab-separated fields, or the JSON that its analytics SDKs make of one.

What Mixpanel's names are for its fields is Snowplow's own mapping for event forwarding, and more where it leaves out
what the fields say: https://docs.snowplow.io/docs/destinations/forwarding-events/integrations/mixpanel/. Both forms of
one event give the same Mixpanel event.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Any

from importer.errors import InvalidRecord
from importer.mappings import decoding, reasons
from importer.mappings.addresses import client_ip
from importer.mappings.countries import country_code
from importer.mappings.decoding import as_object
from importer.mappings.identity import as_id, identify
from importer.mappings.insert_ids import insert_id
from importer.mappings.outcome import Dropped, Outcome
from importer.mappings.properties import add, beyond_limits, too_many
from importer.mappings.snowplow_lines import COLUMNS, DOUBLES, decode_line, double_of, is_line, read_line
from importer.mappings.user_agents import client
from importer.times import from_iso

_NAMES = {
    "geo_city": "$city",
    "page_url": "$current_url",
    "page_referrer": "$referrer",
    "refr_urlhost": "$referring_domain",
    **{f"mkt_{part}": f"utm_{part}" for part in ("medium", "source", "term", "content", "campaign")},
    "os_name": "$os",
    "br_family": "$browser",
    "br_version": "$browser_version",
    "dvce_screenwidth": "$screen_width",
    "dvce_screenheight": "$screen_height",
    "v_tracker": "$lib_version",
    "domain_sessionid": "session_id",
    "domain_sessionidx": "session_index",
}
_AS_THEY_ARE = """
    app_id platform page_title page_urlhost page_urlpath refr_medium refr_source refr_term geo_zipcode geo_latitude
    geo_longitude geo_timezone ip_isp ip_organization ip_domain ip_netspeed se_category se_action se_label se_property
    se_value tr_orderid tr_affiliation tr_total tr_tax tr_shipping tr_city tr_state tr_country tr_currency
    tr_total_base tr_tax_base tr_shipping_base ti_orderid ti_sku ti_name ti_category ti_price ti_quantity ti_currency
    ti_price_base base_currency pp_xoffset_min pp_xoffset_max pp_yoffset_min pp_yoffset_max br_lang br_viewwidth
    br_viewheight doc_width doc_height os_timezone dvce_type dvce_ismobile mkt_clickid mkt_network
"""
_PROPERTIES = {name: name for name in _AS_THEY_ARE.split()} | _NAMES
"""Which property a field becomes. The other fields are looked at one by one, or left out."""
_KEPT_DOUBLES = tuple(sorted(DOUBLES & _PROPERTIES.keys()))

_target = _PROPERTIES.get
_TARGETS = tuple(_PROPERTIES.values())
_kept_of = itemgetter(*map(COLUMNS.index, _PROPERTIES))
_TIMES = ("true_tstamp", "derived_tstamp", "collector_tstamp")
_LOOKED_AT = (
    *("event", "event_name", "se_action", *_TIMES, "event_id", "user_id", "domain_userid", "network_userid"),
    *("user_ipaddress", "geo_country", "geo_region", "geo_region_name", "os_name", "useragent"),
)
_looked_at_of = itemgetter(*map(COLUMNS.index, _LOOKED_AT))
_LEFT_OUT = frozenset((*COLUMNS, "geo_location", "refr_device_tstamp")) - _PROPERTIES.keys()
"""Other keys of the JSON form are contexts and the self-describing event."""
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
_NO_SESSION: dict[str, Any] = {}
_SCALARS = frozenset((str, int, float, bool))
_NOTHING_KNOWN = frozenset(("", "Unknown", "??", "Other"))
"""What the user agent enrichments say where they do not know."""

_BAD_ROW = "iglu:com.snowplowanalytics.snowplow.badrows/"
_opening = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]").match
_resolution = re.compile(r"(\d{1,6})x(\d{1,6})", re.ASCII).fullmatch


def matches(record: dict[str, Any]) -> bool:
    """Whether it is an enriched event, or a bad row."""
    schema = record.get("schema")
    return {"collector_tstamp", "v_collector", "event_id"} <= record.keys() or (
        isinstance(schema, str) and schema.startswith(_BAD_ROW)
    )


def decode(record: bytes) -> dict[str, Any] | InvalidRecord:
    """The record as the analytics SDKs' JSON form, from either form."""
    is_json = _opening(record) and not is_line(record)
    return decoding.decode(record) if is_json else decode_line(record)


def outcomes(row: dict[str, Any]) -> list[Outcome]:
    """What an enriched event in its JSON form gives."""
    schema = row.get("schema")
    if schema.__class__ is str and schema.startswith(_BAD_ROW):
        return [Dropped("bad row")]
    properties: dict[str, Any] = {}
    entities = {}
    for column, value in row.items():
        if target := _target(column):
            if value is not None and value != "":
                properties[target] = value
        elif column not in _LEFT_OUT:
            entities[column] = value
    for column in _KEPT_DOUBLES:
        if column in properties and (problem := _to_double(properties, column)):
            return [problem]
    return [beyond_limits(properties) or _outcome(row, properties, entities)]


def to_mixpanel(record: bytes) -> list[Outcome]:
    """What a record in either form gives."""
    if _opening(record) and not is_line(record):
        row = decoding.decode(record)
        return [row] if isinstance(row, InvalidRecord) else outcomes(row)
    line = read_line(record)
    if isinstance(line, InvalidRecord):
        return [line]
    properties = {target: value for target, value in zip(_TARGETS, _kept_of(line.fields), strict=True) if value != ""}
    row = dict(zip(_LOOKED_AT, _looked_at_of(line.fields), strict=True))
    return [_outcome(row, properties, line.entities)]


def _outcome(row: dict[str, Any], properties: dict[str, Any], entities: dict[str, Any]) -> Outcome:
    """The event.

    Args:
        row: the fields that are looked at one by one.
        properties: those that become one each. The event's others are added to them.
        entities: contexts and the self-describing event.
    """
    name = _name(row)
    if name.__class__ is InvalidRecord:
        return name
    time = _time(row)
    if time is None:
        return reasons.no_time("collector_tstamp", row.get("collector_tstamp") or None)
    session = _NO_SESSION
    if entities:
        session, problem = _put_entities(entities, properties)
        if problem:
            return problem
    if system := row.get("os_name"):
        properties["$os"] = system
    _put_place(row, properties)
    if tracker := properties.get("$lib_version"):
        properties["mp_lib"] = f"Snowplow: {tracker}"
    if "$browser" not in properties and "$os" not in properties:
        properties |= client(row.get("useragent"))
    user, device = row.get("user_id"), as_id(row.get("domain_userid")) or session.get("userId")
    if not identify(properties, user, device) and not identify(properties, None, row.get("network_userid")):
        properties["distinct_id"] = ""
    properties["time"] = time
    if identifier := insert_id(row.get("event_id")):
        properties["$insert_id"] = identifier
    return too_many(properties) or {"event": name, "properties": properties}


def _time(row: dict[str, Any]) -> int | None:
    for column in _TIMES:
        if (value := row.get(column)) and (time := from_iso(value)):
            return time
    return None


def _name(row: dict[str, Any]) -> Any:
    """A structured event's name is its action: what Snowplow calls it is the same for all of them."""
    kind, name, field = row.get("event"), row.get("event_name"), "event_name"
    if kind == "struct" or (name in ("event", "struct") and row.get("se_action")):
        name, field = row.get("se_action"), "se_action"
    elif not name and kind != "unstruct":
        name = kind
    if name.__class__ is str and name and not name.isspace():
        return name
    return reasons.no_name(field, name or None)


def _put_entities(entities: dict[str, Any], properties: dict[str, Any]) -> tuple[dict[str, Any], InvalidRecord | None]:
    """Adds what the contexts and the self-describing event hold.

    Returns:
        The session of a mobile tracker, empty where there is none; and what of it is beyond Mixpanel's limits.
    """
    known: dict[str, dict[str, Any]] = {}
    rest: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name in sorted(entities):
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
    problem = add(properties, rest) or add(properties, own)
    return known.get(_SESSION, _NO_SESSION), problem


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


def _put_place(row: dict[str, Any], properties: dict[str, Any]) -> None:
    """The address may be anonymized (`1.2.x.x`): then what Snowplow found by it stands alone."""
    if address := client_ip(row.get("user_ipaddress")):
        properties["ip"] = address
    if country := row.get("geo_country"):
        code = country_code(country)
        properties["mp_country_code" if code else "geo_country"] = code or country
    if region := row.get("geo_region_name") or row.get("geo_region"):
        properties["$region"] = region


def _to_double(properties: dict[str, Any], column: str) -> InvalidRecord | None:
    """Makes the property a float, whichever SDK wrote it: one has integers, another texts."""
    value = properties[column]
    if value.__class__ is float:
        return None
    try:
        properties[column] = double_of(str(value))
    except ValueError as error:
        return InvalidRecord(f"is no enriched event: {column} {error}", column)
    return None
