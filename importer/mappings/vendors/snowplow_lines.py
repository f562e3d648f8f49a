"""A line of Snowplow's enriched stream, 131 fields with tabs between, as the JSON that its analytics SDKs make of it.

https://docs.snowplow.io/docs/pipeline/enriched-tsv-format/ has the fields; their types, and how contexts and
self-describing events are named, are those of the Scala SDK (`Event.scala`, `SnowplowEvent.scala`).
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from importer.errors import InvalidRecord

_FIELDS = """
    app_id platform etl_tstamp collector_tstamp dvce_created_tstamp event event_id txn_id name_tracker v_tracker
    v_collector v_etl user_id user_ipaddress user_fingerprint domain_userid domain_sessionidx network_userid geo_country
    geo_region geo_city geo_zipcode geo_latitude geo_longitude geo_region_name ip_isp ip_organization ip_domain
    ip_netspeed page_url page_title page_referrer page_urlscheme page_urlhost page_urlport page_urlpath page_urlquery
    page_urlfragment refr_urlscheme refr_urlhost refr_urlport refr_urlpath refr_urlquery refr_urlfragment refr_medium
    refr_source refr_term mkt_medium mkt_source mkt_term mkt_content mkt_campaign contexts se_category se_action
    se_label se_property se_value unstruct_event tr_orderid tr_affiliation tr_total tr_tax tr_shipping tr_city tr_state
    tr_country ti_orderid ti_sku ti_name ti_category ti_price ti_quantity pp_xoffset_min pp_xoffset_max pp_yoffset_min
    pp_yoffset_max useragent br_name br_family br_version br_type br_renderengine br_lang br_features_pdf
    br_features_flash br_features_java br_features_director br_features_quicktime br_features_realplayer
    br_features_windowsmedia br_features_gears br_features_silverlight br_cookies br_colordepth br_viewwidth
    br_viewheight os_name os_family os_manufacturer os_timezone dvce_type dvce_ismobile dvce_screenwidth
    dvce_screenheight doc_charset doc_width doc_height tr_currency tr_total_base tr_tax_base tr_shipping_base
    ti_currency ti_price_base base_currency geo_timezone mkt_clickid mkt_network etl_tags dvce_sent_tstamp
    refr_domain_userid refr_dvce_tstamp derived_contexts domain_sessionid derived_tstamp event_vendor event_name
    event_format event_version event_fingerprint true_tstamp
"""
COLUMNS = tuple(_FIELDS.split())
"""The fields of a line, in order."""

_WHOLE = """
    txn_id domain_sessionidx page_urlport refr_urlport ti_quantity pp_xoffset_min pp_xoffset_max pp_yoffset_min
    pp_yoffset_max br_viewwidth br_viewheight dvce_screenwidth dvce_screenheight doc_width doc_height
"""
_FRACTIONAL = """
    geo_latitude geo_longitude se_value tr_total tr_tax tr_shipping ti_price tr_total_base tr_tax_base tr_shipping_base
    ti_price_base
"""
INTEGERS = frozenset(_WHOLE.split())
DOUBLES = frozenset(_FRACTIONAL.split())
BOOLEANS = frozenset(name for name in COLUMNS if name.startswith("br_features_")) | {"br_cookies", "dvce_ismobile"}

_integer = re.compile(r"-?\d{1,18}", re.ASCII).fullmatch
_double = re.compile(r"-?\d{1,300}(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII).fullmatch
_schema = re.compile(r"iglu:([\w.-]+)/([\w.-]+)/[\w.-]+/(\d+)(-\d+)*", re.ASCII).fullmatch
_hump = re.compile("([^A-Z_])([A-Z])").sub


class _Entity(Struct, gc=False):
    schema: str
    data: Any = None


class _Contexts(Struct, gc=False):
    data: list[_Entity]


class _SelfDescribing(Struct, gc=False):
    data: _Entity


_decode_contexts = msgspec.json.Decoder(_Contexts).decode
_decode_event = msgspec.json.Decoder(_SelfDescribing).decode


def is_line(record: bytes) -> bool:
    """Whether it has as many fields as a line has; its last one is usually empty, so that it ends with a tab."""
    return record.count(b"\t") == len(COLUMNS) - 1


class Line(Struct, gc=False):
    """A line, taken apart.

    Attributes:
        fields: what stands in it, numbers and booleans as such; "" where nothing does.
        entities: contexts and the self-describing event, by the names that the JSON form has for them.
    """

    fields: list[Any]
    entities: dict[str, Any]


def read_line(record: bytes) -> Line | InvalidRecord:
    """The line, or the reason why it is none."""
    try:
        fields: list[Any] = record.decode().removesuffix("\r").split("\t")
    except UnicodeDecodeError as error:
        return InvalidRecord(f"is not UTF-8: byte 0x{record[error.start]:02x} at position {error.start}")
    if len(fields) != len(COLUMNS):
        return InvalidRecord(f"is no enriched event: it has {len(fields)} tab-separated fields, not {len(COLUMNS)}")
    entities: dict[str, Any] = {}
    index = 0
    try:
        for index, convert in _CONVERTERS:
            if value := fields[index]:
                fields[index] = convert(value)
        for index in _CONTEXTS:
            if value := fields[index]:
                for entity in _decode_contexts(value).data:
                    entities.setdefault(_json_name("contexts", entity.schema), []).append(entity.data)
        index = _SELF_DESCRIBING
        if value := fields[index]:
            event = _decode_event(value).data
            entities[_json_name("unstruct_event", event.schema)] = event.data
    except (msgspec.MsgspecError, RecursionError):
        return InvalidRecord(f"is no enriched event: {COLUMNS[index]} is not self-describing JSON", COLUMNS[index])
    except ValueError as error:
        return InvalidRecord(f"is no enriched event: {COLUMNS[index]} {error}", COLUMNS[index])
    return Line(fields, entities)


def decode_line(record: bytes) -> dict[str, Any] | InvalidRecord:
    """The line's event in its JSON form: empty fields are left out, and times stay as they are written."""
    line = read_line(record)
    if isinstance(line, InvalidRecord):
        return line
    row = {name: value for name, value in zip(COLUMNS, line.fields, strict=True) if value != ""}
    for index in (*_CONTEXTS, _SELF_DESCRIBING):
        row.pop(COLUMNS[index], None)
    return row | line.entities


def _integer_of(text: str) -> int:
    if (text.isdecimal() and text.isascii() and len(text) < 19) or _integer(text):
        return int(text)
    raise ValueError("is no integer")


def double_of(text: str) -> float:
    """The number.

    Raises:
        ValueError: it is none.
    """
    if not _double(text) or math.isinf(number := float(text)):
        raise ValueError("is no number")
    return number


def _boolean_of(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("is neither 1 nor 0")
    return text == "1"


@lru_cache(maxsize=4096)
def _json_name(prefix: str, schema: str) -> str:
    """`iglu:com.acme/linkClick/jsonschema/1-0-2` is `contexts_com_acme_link_click_1`."""
    found = _schema(schema)
    if found is None:
        raise ValueError("has a schema that is no Iglu URI")
    vendor, name = (re.sub("[.-]", "_", part) for part in (found[1], found[2]))
    snake_case = _hump(r"\1_\2", name)
    return f"{prefix}_{vendor}_{snake_case}_{found[3]}".lower()


_CONVERTERS = tuple(
    (COLUMNS.index(name), convert)
    for names, convert in ((INTEGERS, _integer_of), (DOUBLES, double_of), (BOOLEANS, _boolean_of))
    for name in sorted(names)
)
_CONTEXTS = (COLUMNS.index("contexts"), COLUMNS.index("derived_contexts"))
_SELF_DESCRIBING = COLUMNS.index("unstruct_event")
