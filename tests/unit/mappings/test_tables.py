"""Rows of real Parquet and Avro files, through the formats: they give the events that the same rows as JSON give."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from importer.formats.content import Content
from importer.formats.held import Held
from importer.mappings.vendors import ga4, heap, posthog
from sandbox.vendors import ga4 as made_ga4
from sandbox.vendors import heap as made_heap
from sandbox.vendors import posthog as made_posthog
from sandbox.vendors.shop import happenings

HAPPENINGS = list(happenings(120))

# A schema: a type, an object of its fields, or a list with what is in it.

_VALUE = {"string_value": str, "int_value": int, "float_value": float, "double_value": float}
_PARAMS = [{"key": str, "value": _VALUE}]
GA4: dict[str, Any] = {
    **dict.fromkeys(("event_timestamp", "event_previous_timestamp", "event_bundle_sequence_id"), int),
    **dict.fromkeys(("user_first_touch_timestamp", "batch_event_index", "batch_page_id", "batch_ordering_id"), int),
    **dict.fromkeys(("event_date", "event_name", "user_id", "user_pseudo_id", "stream_id", "platform"), str),
    "event_params": _PARAMS,
    "event_value_in_usd": float,
    "user_properties": _PARAMS,
    "device": {
        **dict.fromkeys(("category", "mobile_brand_name", "mobile_model_name", "language"), str),
        **dict.fromkeys(("operating_system", "operating_system_version", "is_limited_ad_tracking"), str),
        "web_info": {"browser": str, "browser_version": str, "hostname": str},
    },
    "geo": dict.fromkeys(("city", "country", "continent", "region", "sub_continent", "metro"), str),
    "app_info": {"id": str, "version": str, "install_source": str},
    "items": [
        {
            **dict.fromkeys(("item_id", "item_name", "item_brand", "item_variant"), str),
            "price": float,
            "quantity": int,
            "item_params": _PARAMS,
        }
    ],
    "collected_traffic_source": dict.fromkeys(("manual_source", "manual_medium", "manual_campaign_name", "gclid"), str),
}
POSTHOG: dict[str, Any] = {
    **dict.fromkeys(("uuid", "event", "distinct_id", "person_id", "properties", "person_properties"), str),
    "elements_chain": str,
    "timestamp": datetime,
    "created_at": datetime,
    "_inserted_at": datetime,
}
HEAP: dict[str, Any] = {
    **dict.fromkeys(("event_id", "user_id", "session_id", "position"), int),
    **dict.fromkeys(("library", "platform", "device_type", "country", "region", "city", "ip", "referrer"), str),
    **dict.fromkeys(("landing_page", "browser", "domain", "path", "query", "hash", "title", "identity"), str),
    **dict.fromkeys(("heap_device_id", "utm_source", "utm_medium", "utm_campaign", "sku", "product"), str),
    **dict.fromkeys(("variant", "currency", "order_id"), str),
    "time": datetime,
    "price": float,
    "revenue": float,
    "in_stock": bool,
}


def arrow(schema: Any) -> Any:
    """The schema as Arrow's type."""
    if isinstance(schema, dict):
        return pa.struct([(name, arrow(inner)) for name, inner in schema.items()])
    if isinstance(schema, list):
        return pa.list_(arrow(schema[0]))
    types = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        datetime: pa.timestamp("us", "UTC"),
    }
    return types[schema]


def avro(schema: Any, name: str = "row") -> Any:
    """The schema as Avro's, in which everything may be null."""
    if isinstance(schema, dict):
        fields = [
            {
                "name": key,
                "type": avro(inner, f"{name}_{key}")
                if isinstance(inner, list)
                else ["null", avro(inner, f"{name}_{key}")],
            }
            for key, inner in schema.items()
        ]
        return {"type": "record", "name": name, "fields": fields}
    if isinstance(schema, list):
        return {"type": "array", "items": avro(schema[0], f"{name}_one")}
    if schema is datetime:
        return {"type": "long", "logicalType": "timestamp-micros"}
    return {str: "string", int: "long", float: "double", bool: "boolean"}[schema]


def fitted(schema: Any, value: Any) -> Any:
    """The value with what the schema has, null where it lacks it."""
    if isinstance(schema, list):
        return [fitted(schema[0], one) for one in value or ()]
    if isinstance(schema, dict):
        return None if value is None else {name: fitted(inner, value.get(name)) for name, inner in schema.items()}
    return datetime.fromisoformat(value) if schema is datetime else value


def as_parquet(schema: dict[str, Any], rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    type_ = arrow(schema)
    table = pa.Table.from_pylist([fitted(schema, row) for row in rows], pa.schema(list(type_)))
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def as_avro(schema: dict[str, Any], rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(avro(schema)), [fitted(schema, row) for row in rows])
    return file.getvalue()


def records(data: bytes) -> list[bytes]:
    """The records that the file holds, where there is a mapping."""
    return [record for block in Content(Held(data), rows="records").blocks() for record in block.records if record]


Write = Callable[[dict[str, Any], list[dict[str, Any]]], bytes]


@pytest.mark.parametrize("write", [as_parquet, as_avro])
def test_rows_of_ga4_give_what_their_json_gives(write: Write) -> None:
    rows = [made_ga4.row(happening) for happening in HAPPENINGS]
    made = [ga4.to_mixpanel(record) for record in records(write(GA4, rows))]
    assert made == [ga4.to_mixpanel(json.dumps(made_ga4.extracted(row)).encode()) for row in rows]


def test_rows_of_posthog_give_what_its_json_lines_give() -> None:
    rows = [made_posthog.row(happening) for happening in HAPPENINGS]
    table = as_parquet(POSTHOG, [made_posthog.of_table(row) for row in rows])
    made = [posthog.to_mixpanel(record) for record in records(table)]
    assert made == [posthog.to_mixpanel(json.dumps(row).encode()) for row in rows]


@pytest.mark.parametrize("write", [as_parquet, as_avro])
def test_rows_of_a_table_of_heaps_are_its_events(write: Write) -> None:
    rows = [{name: value for name, value in made_heap.row(one).items() if name in HEAP} for one in HAPPENINGS]
    for row in rows:
        row["time"] += "+00:00"
    mapping = heap.of_table("purchase")
    made = [mapping(record) for record in records(write(HEAP, rows))]
    assert made == [mapping(json.dumps(row).encode()) for row in rows]
