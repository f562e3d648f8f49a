"""Snowplow's enriched events: a line of 131 tab-separated fields, or the JSON that its analytics SDKs make of one.

What Mixpanel's names are for its fields is Snowplow's own mapping for event forwarding, and more where it leaves out
what the fields say: https://docs.snowplow.io/docs/destinations/forwarding-events/integrations/mixpanel/. Both forms of
one event give the same Mixpanel event.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Any

from msgspec import Struct

from importer.errors import InvalidRecord
from importer.mappings import decoding, reasons
from importer.mappings.fields.addresses import client_ip
from importer.mappings.fields.countries import country_code
from importer.mappings.fields.identity import as_id, identify
from importer.mappings.fields.insert_ids import insert_id
from importer.mappings.fields.properties import beyond_limits, too_many
from importer.mappings.fields.user_agents import client
from importer.mappings.outcome import Dropped, Outcome
from importer.mappings.vendors.snowplow_entities import NO_SESSION, put_entities
from importer.mappings.vendors.snowplow_lines import COLUMNS, DOUBLES, decode_line, double_of, is_line, read_line
from importer.times import from_iso


class Fields(Struct, gc=False):
    """The fields that are looked at one by one: from a line "" where nothing stands, from JSON None."""

    event: Any = None
    event_name: Any = None
    se_action: Any = None
    true_tstamp: Any = None
    derived_tstamp: Any = None
    collector_tstamp: Any = None
    event_id: Any = None
    user_id: Any = None
    domain_userid: Any = None
    network_userid: Any = None
    user_ipaddress: Any = None
    geo_country: Any = None
    geo_region: Any = None
    geo_region_name: Any = None
    os_name: Any = None
    useragent: Any = None


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
_SELDOM = ("tr_", "ti_", "pp_", "se_", "ip_", "base_currency", "mkt_network", "mkt_clickid", "refr_term", "br_family")
_GROUPS = tuple(
    (itemgetter(*map(COLUMNS.index, names)), tuple(_PROPERTIES[name] for name in names), ("",) * len(names))
    for names in (
        [name for name in _PROPERTIES if not name.startswith(_SELDOM)],
        [name for name in _PROPERTIES if name.startswith(_SELDOM)],
    )
)
"""What picks a line's fields that become properties, the properties' names, and what it picks where there is nothing:
those that most events lack are passed over at once."""
_looked_at_of = itemgetter(*map(COLUMNS.index, Fields.__struct_fields__))
_LEFT_OUT = frozenset((*COLUMNS, "geo_location", "refr_device_tstamp")) - _PROPERTIES.keys()
"""Other keys of the JSON form are contexts and the self-describing event."""
_BAD_ROW = "iglu:com.snowplowanalytics.snowplow.badrows/"
_opening = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]").match


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
    fields = Fields(*map(row.get, Fields.__struct_fields__))
    return [beyond_limits(properties) or _outcome(fields, properties, entities)]


def to_mixpanel(record: bytes) -> list[Outcome]:
    """What a record in either form gives."""
    if _opening(record) and not is_line(record):
        row = decoding.decode(record)
        return [row] if isinstance(row, InvalidRecord) else outcomes(row)
    line = read_line(record)
    if isinstance(line, InvalidRecord):
        return [line]
    properties: dict[str, Any] = {}
    for pick, targets, nothing in _GROUPS:
        if (picked := pick(line.fields)) != nothing:
            properties |= {target: value for target, value in zip(targets, picked, strict=True) if value != ""}
    return [_outcome(Fields(*_looked_at_of(line.fields)), properties, line.entities)]


def _outcome(fields: Fields, properties: dict[str, Any], entities: dict[str, Any]) -> Outcome:
    """The event.

    Args:
        fields: those that are looked at one by one.
        properties: those that become one each. The event's others are added to them.
        entities: contexts and the self-describing event.
    """
    name = _name(fields)
    if name.__class__ is InvalidRecord:
        return name
    time = _time(fields)
    if time is None:
        return reasons.no_time("collector_tstamp", fields.collector_tstamp or None)
    session = NO_SESSION
    if entities:
        session, problem = put_entities(entities, properties)
        if problem:
            return problem
    if system := fields.os_name:
        properties["$os"] = system
    _put_place(fields, properties)
    if tracker := properties.get("$lib_version"):
        properties["mp_lib"] = f"Snowplow: {tracker}"
    if "$browser" not in properties and "$os" not in properties:
        properties |= client(fields.useragent)
    user, device = fields.user_id, as_id(fields.domain_userid) or session.get("userId")
    if not identify(properties, user, device) and not identify(properties, None, fields.network_userid):
        properties["distinct_id"] = ""
    properties["time"] = time
    if identifier := insert_id(fields.event_id):
        properties["$insert_id"] = identifier
    return too_many(properties) or {"event": name, "properties": properties}


def _time(fields: Fields) -> int | None:
    for value in (fields.true_tstamp, fields.derived_tstamp, fields.collector_tstamp):
        if value and (time := from_iso(value)):
            return time
    return None


def _name(fields: Fields) -> Any:
    """A structured event's name is its action: what Snowplow calls it is the same for all of them."""
    kind, name, field = fields.event, fields.event_name, "event_name"
    if kind == "struct" or (name in ("event", "struct") and fields.se_action):
        name, field = fields.se_action, "se_action"
    elif not name and kind != "unstruct":
        name = kind
    if name.__class__ is str and name and not name.isspace():
        return name
    return reasons.no_name(field, name or None)


def _put_place(fields: Fields, properties: dict[str, Any]) -> None:
    """The address may be anonymized (`1.2.x.x`): then what Snowplow found by it stands alone."""
    if address := client_ip(fields.user_ipaddress):
        properties["ip"] = address
    if country := fields.geo_country:
        code = country_code(country)
        properties["mp_country_code" if code else "geo_country"] = code or country
    if region := fields.geo_region_name or fields.geo_region:
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
