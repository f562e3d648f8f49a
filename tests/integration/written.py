"""Made-up events as tables with columns of every type, written by two libraries for each format, and what each is to be
in Mixpanel."""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import avro.datafile
import avro.io
import avro.schema
import duckdb
import fastavro
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

Row = dict[str, Any]

FIRST = datetime(2025, 6, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXTS = (
    "",
    "plain",
    'say "hi"',
    "a,b;c|d\te",
    "line\nbreak",
    "back\\slash",
    "ünï, 東京 🛋️",
    "\x01\x1f",
    "007",
    " x ",
    "null",
)
PLANS = ("free", "pro", "größer")


def rows(count: int, seed: int) -> list[Row]:
    """Rows with a value of each type, or none."""
    chance = random.Random(seed)
    return [_row(chance, seed * 1_000_000 + number) for number in range(count)]


def _row(chance: random.Random, number: int) -> Row:
    def maybe(value: Any) -> Any:
        return value if chance.random() < 0.8 else None

    moment = datetime.fromtimestamp(chance.randrange(-(10**9), 4 * 10**9), UTC) + timedelta(
        microseconds=chance.randrange(10**6)
    )
    at = FIRST + timedelta(milliseconds=number % 10**8)
    return {
        "event": chance.choice(("Signup", "Order Completed", "Größe gewählt")),
        "time": at,
        "distinct_id": f"u-{chance.randrange(10**6)}",
        "insert_id": f"id-{number}",
        "text": maybe(chance.choice(TEXTS) * chance.randrange(1, 30)),
        "plan": maybe(chance.choice(PLANS)),
        "big": maybe(chance.randrange(-(2**63), 2**63)),
        "unsigned": maybe(chance.randrange(2**64)),
        "small": maybe(chance.randrange(-(2**31), 2**31)),
        "ratio": maybe(chance.uniform(-1, 1) * 10.0 ** chance.randrange(-20, 20)),
        "flag": maybe(chance.random() < 0.5),
        "price": maybe(Decimal(chance.randrange(-(10**17), 10**17)).scaleb(-4)),
        "day": maybe(date(1900, 1, 1) + timedelta(days=chance.randrange(90_000))),
        "clock": maybe(time(chance.randrange(24), chance.randrange(60), 1, chance.randrange(10**6))),
        "seen": maybe(moment),
        "millis": maybe(moment.replace(microsecond=moment.microsecond // 1000 * 1000)),
        "nanos": maybe(chance.randrange(-(10**18), 4 * 10**18)),
        "blob": maybe(chance.randbytes(chance.randrange(20))),
        "id": maybe(UUID(int=chance.getrandbits(128))),
        "tags": maybe([maybe(chance.choice(TEXTS)) for _ in range(chance.randrange(4))]),
        "cart": maybe({"items": maybe(chance.randrange(9)), "value": chance.random(), "at": maybe(moment)}),
        "lines": maybe([{"sku": f"s{n}", "n": maybe(n)} for n in range(chance.randrange(3))]),
        "extra": maybe({f"k{n}": chance.randrange(2**40) for n in range(chance.randrange(3))}),
        "nothing": None,
    }  # fmt: skip


def in_mixpanel(row: Row) -> Row:
    """The event that a row of Parquet or Avro is to be; decimals stay decimals."""
    row = {name: _value(name, value) for name, value in row.items() if value is not None}
    row["$insert_id"] = row.pop("insert_id")
    return {"event": row.pop("event"), "properties": row}


def _value(name: str, value: Any) -> Any:  # noqa: PLR0911 (a type a line)
    if name == "time":
        return (value - EPOCH) // timedelta(milliseconds=1)
    if name == "nanos":
        seconds, rest = divmod(value, 10**9)
        return _text(EPOCH + timedelta(seconds=seconds), f".{rest:09}" if rest else "")
    if isinstance(value, datetime):
        digits = f"{value.microsecond:06}" if name != "millis" else f"{value.microsecond // 1000:03}"
        return _text(value, f".{digits}" if value.microsecond else "")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        return {key: _value(key, one) for key, one in value.items()}
    return [_value("", one) for one in value] if isinstance(value, list) else value


def _text(moment: datetime, digits: str) -> str:
    return moment.replace(tzinfo=None, microsecond=0).isoformat() + digits + "Z"


_MICROS = pa.timestamp("us", "UTC")
_ARROW = pa.schema(
    {
        "event": pa.string(), "time": pa.timestamp("ms", "UTC"), "distinct_id": pa.string(), "insert_id": pa.string(),
        "text": pa.large_string(), "plan": pa.dictionary(pa.int32(), pa.string()), "big": pa.int64(),
        "unsigned": pa.uint64(), "small": pa.int32(), "ratio": pa.float64(), "flag": pa.bool_(),
        "price": pa.decimal128(18, 4), "day": pa.date32(), "clock": pa.time64("us"), "seen": _MICROS,
        "millis": pa.timestamp("ms"), "nanos": pa.timestamp("ns"), "blob": pa.binary(), "id": pa.string(),
        "tags": pa.list_(pa.string()),
        "cart": pa.struct({"items": pa.int8(), "value": pa.float64(), "at": _MICROS}),
        "lines": pa.list_(pa.struct({"sku": pa.string(), "n": pa.int64()})),
        "extra": pa.map_(pa.string(), pa.int64()), "nothing": pa.string(),
    }
)  # fmt: skip


def _arrow(table: list[Row]) -> pa.Table:
    plain = [
        {
            **row,
            "millis": row["millis"] and row["millis"].replace(tzinfo=None),
            "id": row["id"] and str(row["id"]),
            "extra": row["extra"] if row["extra"] is None else list(row["extra"].items()),
        }
        for row in table
    ]
    return pa.Table.from_pylist(plain, _ARROW)


def parquet_by_pyarrow(table: list[Row]) -> bytes:
    """In small row groups and pages, so that there are several."""
    written = io.BytesIO()
    pq.write_table(_arrow(table), written, row_group_size=700, data_page_size=4_096, compression="zstd")
    return written.getvalue()


def parquet_by_duckdb(table: list[Row]) -> bytes:
    """By another library, with another codec."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        path = Path(folder, "t.parquet")
        database.register("made", _arrow(table))
        database.execute(f"COPY (FROM made) TO '{path}' (FORMAT parquet, CODEC 'snappy')")
        return path.read_bytes()


def _logical(kind: str, name: str, **more: Any) -> Row:
    return {"type": kind, "logicalType": name, **more}


_AT = _logical("long", "timestamp-micros")
_AVRO: dict[str, Any] = {
    "text": "string", "plan": {"type": "enum", "name": "plan", "symbols": ["free", "pro", "other"]}, "big": "long",
    "small": "int", "ratio": "double", "flag": "boolean", "price": _logical("bytes", "decimal", precision=18, scale=4),
    "day": _logical("int", "date"), "clock": _logical("long", "time-micros"), "seen": _AT,
    "millis": _logical("long", "timestamp-millis"), "blob": "bytes", "id": _logical("string", "uuid"),
    "tags": {"type": "array", "items": ["null", "string"]},
    "cart": {"type": "record", "name": "cart", "fields": [
        {"name": "items", "type": ["null", "int"]}, {"name": "value", "type": "double"},
        {"name": "at", "type": ["null", _AT]},
    ]},
    "lines": {"type": "array", "items": {"type": "record", "name": "line", "fields": [
        {"name": "sku", "type": "string"}, {"name": "n", "type": ["null", "long"]},
    ]}},
    "extra": {"type": "map", "values": "long"}, "nothing": "string",
}  # fmt: skip
_AVRO_SCHEMA = {
    "type": "record",
    "name": "row",
    "fields": [
        {"name": "event", "type": "string"},
        {"name": "time", "type": _logical("long", "timestamp-millis")},
        *({"name": name, "type": "string"} for name in ("distinct_id", "insert_id")),
        *({"name": name, "type": ["null", of]} for name, of in _AVRO.items()),
    ],
}


def for_avro(table: list[Row]) -> list[Row]:
    """The rows without what Avro has no type for."""
    names = {"event", "time", "distinct_id", "insert_id", *_AVRO}
    return [
        {name: value for name, value in row.items() if name in names}
        | {"plan": "other" if row["plan"] == PLANS[2] else row["plan"], "id": row["id"] and str(row["id"])}
        for row in table
    ]


def avro_by_fastavro(table: list[Row]) -> bytes:
    """In small blocks."""
    written = io.BytesIO()
    fastavro.writer(written, _AVRO_SCHEMA, for_avro(table), codec="zstandard", sync_interval=20_000)
    return written.getvalue()


def avro_by_apache(table: list[Row]) -> bytes:
    """By the Avro project's own library."""
    schema = avro.schema.parse(json.dumps(_AVRO_SCHEMA))
    written = io.BytesIO()
    writer = avro.datafile.DataFileWriter(written, avro.io.DatumWriter(), schema, codec="deflate")
    for row in for_avro(table):
        writer.append(row)
    writer.flush()
    return written.getvalue()


_FOR_CSV = ("event", "time", "distinct_id", "insert_id", "text", "plan", "big", "small", "ratio", "flag", "day")


def for_csv(table: list[Row]) -> list[dict[str, str]]:
    """The rows' cells."""
    return [{name: _cell(name, row[name]) for name in _FOR_CSV} for row in table]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_value(name, value))


def in_mixpanel_of_csv(cells: dict[str, str]) -> Row:
    """The event that a row of CSV is to be: texts become numbers only where that changes nothing."""
    row: Row = {name: cell for name, cell in cells.items() if cell}
    row["time"] = int(row["time"])
    row["$insert_id"] = row.pop("insert_id")
    for name in {"text", "plan", "big", "small", "ratio", "flag"} & row.keys():
        cell = row[name]
        if cell in {"true", "false"}:
            row[name] = cell == "true"
        elif len(cell.lstrip("-")) <= 15 and len(cell) <= 15 + ("." not in cell) and _is_same_as_number(cell):
            row[name] = json.loads(cell)
    return {"event": row.pop("event"), "properties": row}


def _is_same_as_number(cell: str) -> bool:
    try:
        value = json.loads(cell)
    except ValueError:
        return False
    return type(value) in {int, float} and str(value) == cell


def csv_by_csv(table: list[Row]) -> bytes:
    """With quotes only where there have to be any."""
    written = io.StringIO()
    writer = csv.DictWriter(written, _FOR_CSV, lineterminator="\n")
    writer.writeheader()
    writer.writerows(for_csv(table))
    return written.getvalue().encode()


def csv_by_pyarrow(table: list[Row]) -> bytes:
    """With quotes around every text."""
    written = io.BytesIO()
    cells = for_csv(table)
    texts = {name: [row[name] or None for row in cells] for name in _FOR_CSV}
    columns: dict[str, Any] = {
        **texts,
        **{name: [row[name] for row in table] for name in ("big", "small", "flag", "day")},
    }
    pyarrow.csv.write_csv(pa.table({name: columns[name] for name in _FOR_CSV}), written)
    return written.getvalue()


Wanted = Callable[[list[Row]], list[Row]]


def _as_they_are(table: list[Row]) -> list[Row]:
    return [in_mixpanel(row) for row in table]


def _as_avro(table: list[Row]) -> list[Row]:
    return [in_mixpanel(row) for row in for_avro(table)]


def _as_csv(table: list[Row]) -> list[Row]:
    return [in_mixpanel_of_csv(cells) for cells in for_csv(table)]


WRITERS: dict[str, tuple[Callable[[list[Row]], bytes], Wanted]] = {
    "by-pyarrow.parquet": (parquet_by_pyarrow, _as_they_are),
    "by-duckdb.parquet": (parquet_by_duckdb, _as_they_are),
    "by-fastavro.avro": (avro_by_fastavro, _as_avro),
    "by-apache.avro": (avro_by_apache, _as_avro),
    "by-csv.csv": (csv_by_csv, _as_csv),
    "by-pyarrow.csv": (csv_by_pyarrow, _as_csv),
}
"""What writes each file, by its name, and what its rows are to be in Mixpanel."""
