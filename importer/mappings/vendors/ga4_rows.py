"""Rows of GA4's BigQuery export as typed structs, whichever format they were extracted in.

The schema is https://support.google.com/firebase/answer/7029846. BigQuery writes integers as texts in JSON
(https://docs.cloud.google.com/bigquery/docs/exporting-data); they are exact integers here.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from importer.errors import InvalidRecord
from importer.mappings import decoding


class Value(Struct, gc=False):
    string_value: str | None = None
    int_value: int | None = None
    double_value: float | None = None
    float_value: float | None = None


class Param(Struct, gc=False):
    key: str
    value: Value | None = None


class WebInfo(Struct, gc=False):
    browser: Any = None
    browser_version: Any = None
    hostname: Any = None


class Device(Struct, gc=False):
    category: Any = None
    mobile_brand_name: Any = None
    mobile_model_name: Any = None
    mobile_marketing_name: Any = None
    operating_system: Any = None
    operating_system_version: Any = None
    language: Any = None
    browser: Any = None
    browser_version: Any = None
    web_info: WebInfo | None = None


class Geo(Struct, gc=False):
    city: Any = None
    region: Any = None
    country: Any = None
    metro: Any = None


class App(Struct, gc=False):
    id: Any = None
    version: Any = None
    install_source: Any = None
    install_store: Any = None


class Traffic(Struct, gc=False):
    manual_source: Any = None
    manual_medium: Any = None
    manual_campaign_name: Any = None
    manual_term: Any = None
    manual_content: Any = None
    manual_campaign_id: Any = None
    gclid: Any = None
    dclid: Any = None
    srsltid: Any = None


class Commerce(Struct, gc=False):
    transaction_id: Any = None
    total_item_quantity: int | None = None
    unique_items: int | None = None
    purchase_revenue: float | None = None
    purchase_revenue_in_usd: float | None = None
    refund_value: float | None = None
    refund_value_in_usd: float | None = None
    shipping_value: float | None = None
    shipping_value_in_usd: float | None = None
    tax_value: float | None = None
    tax_value_in_usd: float | None = None


class Row(Struct, gc=False):
    """The columns that are looked at; the others are attribution by user or session, or Google's own."""

    event_name: Any = None
    event_timestamp: Any = None
    event_params: list[Param] | None = None
    event_value_in_usd: float | None = None
    event_bundle_sequence_id: Any = None
    batch_page_id: Any = None
    batch_ordering_id: Any = None
    batch_event_index: Any = None
    user_id: Any = None
    user_pseudo_id: Any = None
    user_properties: list[Param] | None = None
    platform: Any = None
    geo: Geo | None = None
    device: Device | None = None
    app_info: App | None = None
    collected_traffic_source: Traffic | None = None
    ecommerce: Commerce | None = None
    items: list[dict[str, Any]] | None = None


_decode = msgspec.json.Decoder(Row, strict=False).decode
_ITEM_INTEGERS = frozenset(("quantity",))
_ITEM_FLOATS = frozenset(
    f"{name}{currency}" for name in ("price", "item_revenue", "item_refund") for currency in ("", "_in_usd")
)


def read(record: bytes) -> Row | InvalidRecord:
    """The row, or the reason why the record is none."""
    try:
        return _decode(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        decoded = decoding.decode(record)
        return decoded if isinstance(decoded, InvalidRecord) else convert(decoded)


def convert(record: dict[str, Any]) -> Row | InvalidRecord:
    """The same of a record that is decoded already."""
    try:
        return msgspec.convert(_without_wrappings(record), Row, strict=False)
    except msgspec.ValidationError as error:
        return misshapen(error)


def typed_item(item: dict[str, Any]) -> dict[str, Any]:
    """An item, its numbers as numbers and its parameters as `Param`s.

    Raises:
        msgspec.ValidationError: it has something else there.
    """
    found: dict[str, Any] = {}
    for name, value in item.items():
        if name in _ITEM_INTEGERS:
            found[name] = msgspec.convert(value, int | None, strict=False)
        elif name in _ITEM_FLOATS:
            found[name] = msgspec.convert(value, float | None, strict=False)
        elif name == "item_params":
            found[name] = msgspec.convert(value, list[Param] | None, strict=False)
        else:
            found[name] = value
    return found


def misshapen(error: msgspec.ValidationError) -> InvalidRecord:
    """What the decoder says, with the field where it names one: `Expected `int`, got `str` - at `$.a[0].b``."""
    said, _, at = str(error).partition(" - at `")
    field = at.rstrip("`").removeprefix("$").removeprefix(".") or None
    return InvalidRecord(f"is no row of GA4's export: {said.replace('`', '')}", field)


def _without_wrappings(value: Any, depth: int = 0) -> Any:
    """Lists as lists: Parquet's own layout of one is `{"list": [{"element": …}]}`, which some readers show."""
    if depth > 8:
        return value
    if isinstance(value, dict):
        if value.keys() == {"list"} and isinstance(value["list"], list):
            value = [_unwrapped(one) for one in value["list"]]
        else:
            return {name: _without_wrappings(inner, depth + 1) for name, inner in value.items()}
    return [_without_wrappings(inner, depth + 1) for inner in value] if isinstance(value, list) else value


def _unwrapped(one: Any) -> Any:
    return (
        next(iter(one.values()))
        if isinstance(one, dict) and len(one) == 1 and {"element", "item"} & one.keys()
        else one
    )
