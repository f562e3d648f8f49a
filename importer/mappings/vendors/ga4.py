"""Google Analytics 4 and Firebase: rows of BigQuery's export, extracted as JSON, Parquet or Avro.

The schema is https://support.google.com/firebase/answer/7029846, and that integers are texts in JSON
https://docs.cloud.google.com/bigquery/docs/exporting-data. Extracts leave out what is null, the console writes it, and
rows of Parquet and Avro have integers as such: all give the same event.
"""

from __future__ import annotations

import math
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import Struct

from importer.errors import InvalidRecord
from importer.mappings import reasons
from importer.mappings.fields.countries import country_code
from importer.mappings.fields.identity import identify
from importer.mappings.fields.insert_ids import hashed
from importer.mappings.fields.properties import RESERVED, beyond_limits
from importer.mappings.outcome import Outcome
from importer.mappings.vendors.ga4_rows import Commerce, Param, Row, Traffic, convert, misshapen, read, typed_item
from importer.times import from_epoch

_NOTHING_SET = frozenset(("", "(not set)", "(none)", "(direct)", "(data deleted)", "<Other>"))
"""What Google writes where it has no value."""
_PARAMS = {"page_location": "$current_url", "page_referrer": "$referrer", **dict.fromkeys(RESERVED, "")}
_AS_TEXT = frozenset(("firebase_screen_id", "firebase_previous_id"))
"""Identifiers of 64 bits: as numbers, reports would round them."""
_GEO = (("city", "$city"), ("region", "$region"), ("metro", "metro"))
_DEVICE = (
    ("category", "device_category"),
    ("mobile_brand_name", "$manufacturer"),
    ("mobile_model_name", "$model"),
    ("mobile_marketing_name", "$brand"),
    ("operating_system", "$os"),
    ("operating_system_version", "$os_version"),
    ("language", "language"),
    ("browser", "$browser"),
    ("browser_version", "$browser_version"),
)
_WEB_INFO = (("browser", "$browser"), ("browser_version", "$browser_version"), ("hostname", "hostname"))
_APP = (
    ("id", "app_id"),
    ("version", "$app_version_string"),
    ("install_source", "install_source"),
    ("install_store", "install_store"),
)
_TRAFFIC = (
    ("manual_source", "utm_source"),
    ("manual_medium", "utm_medium"),
    ("manual_campaign_name", "utm_campaign"),
    ("manual_term", "utm_term"),
    ("manual_content", "utm_content"),
    ("manual_campaign_id", "utm_id"),
    *((name, name) for name in ("gclid", "dclid", "srsltid")),
)
_COMMERCE = tuple((name, name) for name in Commerce.__struct_fields__)
_CAMPAIGN = ("source", "medium", "campaign", "term", "content")
_UTM = frozenset(f"utm_{name}" for name in _CAMPAIGN)
_SCALARS = frozenset((str, int, float, bool))
_key = itemgetter(0)


def matches(record: dict[str, Any]) -> bool:
    """Whether it is a row of the export. An extract of a part of its columns may have no more than these."""
    params = record.get("event_params")
    return isinstance(params, list | dict | None) and {"event_params", "event_timestamp", "event_name"} <= record.keys()


def outcomes(record: dict[str, Any]) -> list[Outcome]:
    """One event for a row."""
    row = convert(record)
    return [row if isinstance(row, InvalidRecord) else _outcome(row)]


def to_mixpanel(record: bytes) -> list[Outcome]:
    """The same of a row in bytes."""
    row = read(record)
    return [row if isinstance(row, InvalidRecord) else _outcome(row)]


def _outcome(row: Row) -> Outcome:
    name = row.event_name
    if name.__class__ is not str or not name or name.isspace():
        return reasons.no_name("event_name", name)
    time = from_epoch(row.event_timestamp, "us")
    if time is None:
        return reasons.no_time("event_timestamp", row.event_timestamp, "microseconds since the epoch")
    pairs = _values(row.event_params)
    properties: dict[str, Any] = {}
    for key, value in pairs:
        if value not in _NOTHING_SET and (target := _PARAMS.get(key, key)):
            properties[target] = value
    for key in _AS_TEXT & properties.keys():
        properties[key] = str(properties[key])
    _put_traffic(properties, row.collected_traffic_source)
    _put_client(properties, row)
    if row.user_properties:
        properties["user_properties"] = {key: value for key, value in _values(row.user_properties) if _is_set(value)}
    if row.ecommerce:
        _put(properties, row.ecommerce, _COMMERCE)
    if row.items:
        try:
            properties["items"] = [_item(typed_item(item)) for item in row.items]
        except msgspec.ValidationError as error:
            return misshapen(error)
    if _is_set(row.event_value_in_usd):
        properties["event_value_in_usd"] = row.event_value_in_usd
    properties["time"] = time
    properties["$insert_id"] = _insert_id(row, name, pairs)
    if not identify(properties, row.user_id, row.user_pseudo_id):
        properties["distinct_id"] = ""
    return beyond_limits(properties) or {"event": name, "properties": properties}


def _values(params: list[Param] | None) -> list[tuple[str, Any]]:
    """The parameters that have a value; which of its fields it is in tells its type."""
    found: list[tuple[str, Any]] = []
    for param in params or ():
        held = param.value
        if held is None:
            continue
        value: Any = held.string_value
        if value is None:
            value = held.int_value
            if value is None:
                value = held.double_value if held.double_value is not None else held.float_value
                if value is None or not math.isfinite(value):
                    continue
        found.append((param.key, value))
    return found


def _insert_id(row: Row, name: str, pairs: list[tuple[str, Any]]) -> str:
    """GA4 has no id for an event: one of what tells two apart, which the intraday and the daily table agree in.

    Not of the whole row: the daily one has attribution that the intraday one lacks. Its bundle's number alone is not
    enough either, since an upload holds many events.
    """
    numbers = (
        row.event_timestamp,
        row.event_bundle_sequence_id,
        row.batch_page_id,
        row.batch_ordering_id,
        row.batch_event_index,
    )
    return hashed(name, row.user_pseudo_id, *map(str, numbers), sorted(pairs, key=_key))


def _put(properties: dict[str, Any], section: Struct, names: tuple[tuple[str, str], ...]) -> None:
    for name, target in names:
        value = getattr(section, name)
        if value is not None and _is_set(value):
            properties[target] = value


def _put_traffic(properties: dict[str, Any], traffic: Traffic | None) -> None:
    """What brought this visit; `traffic_source` is what once brought the user."""
    if traffic is not None:
        _put(properties, traffic, _TRAFFIC)
    if _UTM.isdisjoint(properties):
        for name in _CAMPAIGN:
            if name in properties:
                properties[f"utm_{name}"] = properties.pop(name)


def _put_client(properties: dict[str, Any], row: Row) -> None:
    if geo := row.geo:
        _put(properties, geo, _GEO)
        if _is_set(geo.country):
            code = country_code(geo.country)
            properties["mp_country_code" if code else "country"] = code or geo.country
    if device := row.device:
        _put(properties, device, _DEVICE)
        if web := device.web_info:
            _put(properties, web, _WEB_INFO)
        _mend_system(properties)
    if row.app_info:
        _put(properties, row.app_info, _APP)
    if row.platform.__class__ is str:
        properties["platform"] = row.platform
    if "$current_url" in properties:
        properties.pop("hostname", None)


def _mend_system(properties: dict[str, Any]) -> None:
    """`Web` is no system, and `Android 12` no version."""
    system, version = properties.get("$os"), properties.get("$os_version")
    if system == "Web":
        del properties["$os"]
    elif isinstance(system, str) and isinstance(version, str) and version.startswith(f"{system} "):
        properties["$os_version"] = version[len(system) + 1 :]


def _item(item: dict[str, Any]) -> dict[str, Any]:
    """An item with what has a value, its parameters among the rest."""
    params = item.pop("item_params", None)
    found = {name: value for name, value in item.items() if value.__class__ not in _SCALARS or _is_set(value)}
    found |= {key: value for key, value in _values(params) if _is_set(value)}
    return {name: value for name, value in found.items() if value is not None}


def _is_set(value: Any) -> bool:
    """Whether a text, a number or a boolean is there and is not a placeholder; False for all else."""
    kind = value.__class__
    return kind in _SCALARS and value not in _NOTHING_SET and (kind is not float or math.isfinite(value))
