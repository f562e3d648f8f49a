"""Avro: each row becomes one event, value by value, and what lies about itself takes no memory and no time."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from importer.errors import Unreadable
from importer.formats.content import Content
from importer.formats.held import Held, Stream
from importer.records import Block, Malformed, Position

TIME = 1_748_736_000_123
EVENT = {"event": "Signup", "time": TIME, "distinct_id": "u"}
FIELDS = [
    {"name": "event", "type": "string"},
    {"name": "time", "type": "long"},
    {"name": "distinct_id", "type": ["null", "string"]},
]


def schema(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "e.vents", "fields": [*FIELDS, *fields]}


def avro(rows: list[dict[str, Any]], of: Any, codec: str = "null", sync: int = 16_000) -> bytes:
    written = io.BytesIO()
    fastavro.writer(written, of, rows, codec=codec, sync_interval=sync)
    return written.getvalue()


def blocks(content: bytes, **options: Any) -> list[Block]:
    return list(Content(Held(content, "t.avro"), **options).blocks())


def objects(content: bytes, **options: Any) -> list[dict[str, Any]]:
    return [json.loads(record) for block in blocks(content, **options) for record in block.records]


def value(of: Any, given: Any) -> Any:
    content = avro([{**EVENT, "x": given}], schema({"name": "x", "type": of}))
    return objects(content)[0]["properties"].get("x")


def test_a_row_becomes_an_event_whose_other_columns_are_properties() -> None:
    content = avro(
        [{**EVENT, "insert_id": "i", "plan": None}, {**EVENT, "distinct_id": None, "insert_id": "j", "plan": "p"}],
        schema({"name": "insert_id", "type": "string"}, {"name": "plan", "type": ["null", "string"]}),
    )
    assert objects(content) == [
        {"event": "Signup", "properties": {"time": TIME, "distinct_id": "u", "$insert_id": "i"}},
        {"event": "Signup", "properties": {"time": TIME, "$insert_id": "j", "plan": "p"}},
    ]
    assert objects(content, rows="records")[1] == {**EVENT, "distinct_id": None, "insert_id": "j", "plan": "p"}


def test_a_table_without_events_is_told_what_to_set() -> None:
    content = avro([{"a": 1}], {"type": "record", "name": "t", "fields": [{"name": "a", "type": "int"}]})
    with pytest.raises(Unreadable, match=r"no column `event`.*set IMPORT_MAPPING.*columns are a"):
        blocks(content)


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


MOMENT = datetime(2025, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)
MICROS = logical("long", "timestamp-micros")
POINT = {
    "type": "record",
    "name": "Point",
    "fields": [{"name": "t", "type": ["null", MICROS]}, {"name": "n", "type": "int"}],
}
VALUES: list[tuple[str, Any, Any, Any]] = [
    ("long beyond 2^53", "long", 9_007_199_254_740_993, 9_007_199_254_740_993),
    ("the least long", "long", -(2**63), -(2**63)),
    ("int", "int", -1, -1),
    ("double", "double", 0.1, 0.1),
    ("NaN", "double", math.nan, None),
    ("infinity", "float", -math.inf, None),
    ("boolean", "boolean", False, False),
    ("text", "string", 'ünï "q" \\ \n\x00\U0001f600', 'ünï "q" \\ \n\x00\U0001f600'),
    ("bytes", "bytes", b"\x00\xff", "AP8="),
    ("fixed", {"type": "fixed", "name": "f", "size": 2}, b"ab", "YWI="),
    ("enum", {"type": "enum", "name": "s", "symbols": ["A", "B"]}, "B", "B"),
    ("null", "null", None, None),
    ("date", logical("int", "date"), date(2025, 6, 1), "2025-06-01"),
    ("time in ms", logical("int", "time-millis"), time(1, 2, 3, 4_000), "01:02:03.004000"),
    ("time in µs", logical("long", "time-micros"), time(1, 2, 3, 4), "01:02:03.000004"),
    ("timestamp in ms", logical("long", "timestamp-millis"), MOMENT, "2025-06-01T12:30:15.123Z"),
    ("timestamp in µs", MICROS, MOMENT, "2025-06-01T12:30:15.123456Z"),
    ("timestamp on the second", MICROS, MOMENT.replace(microsecond=0), "2025-06-01T12:30:15Z"),
    ("local time", logical("long", "local-timestamp-millis"), MOMENT.replace(tzinfo=None), "2025-06-01T12:30:15.123Z"),
    ("in ns", logical("long", "timestamp-nanos"), 1_748_781_015_123_456_789, "2025-06-01T12:30:15.123456789Z"),
    ("before 1970", MICROS, datetime(1969, 12, 31, 23, 59, 59, 1, UTC), "1969-12-31T23:59:59.000001Z"),
    ("decimal", logical("bytes", "decimal", precision=9, scale=2), Decimal("-1234.50"), -1234.5),
    ("uuid", logical("string", "uuid"), UUID(int=5), str(UUID(int=5))),
    ("union", ["null", "string", "long"], 7, 7),
    ("union of a time", ["null", MICROS, "string"], MOMENT, "2025-06-01T12:30:15.123456Z"),
    ("union of a time, the other", ["null", MICROS, "string"], "later", "later"),
    ("array", {"type": "array", "items": ["null", "long"]}, [1, None], [1, None]),
    ("array of times", {"type": "array", "items": MICROS}, [MOMENT], ["2025-06-01T12:30:15.123456Z"]),
    ("map", {"type": "map", "values": "double"}, {"a": 1.5, "b": math.inf}, {"a": 1.5, "b": None}),
    ("record", POINT, {"t": MOMENT, "n": 1}, {"t": "2025-06-01T12:30:15.123456Z", "n": 1}),
    ("record without its time", POINT, {"t": None, "n": 1}, {"t": None, "n": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("of", "given", "expected"), [case[1:] for case in VALUES], ids=[case[0] for case in VALUES])
def test_a_value_stays_what_it_is(of: Any, given: Any, expected: Any) -> None:
    found = value(of, given)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("of", "given"),
    [
        (logical("long", "timestamp-millis"), TIME),
        (logical("long", "timestamp-micros"), TIME * 1_000 + 999),
        (logical("long", "timestamp-nanos"), TIME * 1_000_000 + 1),
        (logical("long", "local-timestamp-micros"), TIME * 1_000),
        ("long", TIME),
    ],
)
@pytest.mark.parametrize("in_union", [False, True], ids=["", "or null"])
def test_a_timestamp_as_time_is_epoch_milliseconds(of: Any, given: int, in_union: bool) -> None:
    kind = ["null", of] if in_union else of
    fields = [FIELDS[0], {"name": "time", "type": kind}]
    content = avro([{"event": "x", "time": given}], {"type": "record", "name": "e", "fields": fields})
    assert objects(content)[0]["properties"]["time"] == TIME


ROWS = [{**EVENT, "time": TIME + n, "n": n, "text": f"row {n} " * (n % 5)} for n in range(6_000)]
OF_ROWS = schema({"name": "n", "type": "int"}, {"name": "text", "type": "string"})


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard", "bzip2", "xz", "lz4"])
def test_every_codec_can_be_read(codec: str) -> None:
    assert [one["properties"]["n"] for one in objects(avro(ROWS, OF_ROWS, codec))] == [*range(6_000)]


def test_a_place_is_the_number_of_the_row_however_the_bytes_come() -> None:
    content = avro(ROWS, OF_ROWS, "deflate")
    for size in (1_000, 65_536):
        stream = Stream(content[n : n + size] for n in range(0, len(content), size))
        found = [one for block in Content(stream).blocks() for one in block]
        assert [(line, offset) for line, offset, _ in found] == [(n + 1, n) for n in range(6_000)]


@pytest.mark.parametrize("first", [0, 1, 499, 500, 501, 3_000, 5_999])
@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_reading_goes_on_from_any_row(first: int, gzipped: bool) -> None:
    content = avro(ROWS, OF_ROWS, "deflate")
    content = gzip.compress(content) if gzipped else content
    reading = Content(Held(content))
    assert sum(len(block.records) for block in reading.blocks()) == 6_000
    position = msgspec.json.decode(msgspec.json.encode(reading.mark(first + 1, first)), type=Position)
    rest = [one for block in Content(Held(content), position).blocks() for one in block]
    assert [(line, offset) for line, offset, _ in rest] == [(n + 1, n) for n in range(first, 6_000)]
    assert json.loads(rest[0][2])["properties"]["n"] == first


def test_going_on_reads_the_header_and_from_the_block_on() -> None:
    class Watched(Held):
        def chunks(self, start: int = 0) -> Iterator[bytes]:
            starts.append(start)
            return super().chunks(start)

    starts: list[int] = []
    stored = Watched(avro(ROWS, OF_ROWS))
    reading = Content(stored)
    list(reading.blocks())
    list(Content(stored, reading.mark(5_901, 5_900)).blocks())
    assert starts[0] == 0
    assert starts[1] > 0.9 * stored.size


def test_a_value_beyond_the_calendar_costs_its_row_alone() -> None:
    of = schema({"name": "at", "type": MICROS})
    content = avro([{**EVENT, "at": given} for given in (1, 2**62, 3)], of)
    rows = [one for block in blocks(content) for one in block]
    assert [type(record) is Malformed for _, _, record in rows] == [False, True, False]
    assert rows[1][2].reason.startswith("holds a value that is none of its type")  # type: ignore[attr-defined]


def test_a_text_that_is_not_utf8_costs_its_row_alone() -> None:
    content = avro([{**EVENT, "event": f"name{n}"} for n in range(3)], schema())
    rows = [one for block in blocks(content.replace(b"name1", b"nam\xff1")) for one in block]
    assert [type(record) is Malformed for _, _, record in rows] == [False, True, False]


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_a_file_that_breaks_off_gives_what_can_be_read(codec: str) -> None:
    content = avro(ROWS, OF_ROWS, codec)
    found = 0
    with pytest.raises(Unreadable, match="Avro"):  # noqa: PT012
        for block in Content(Held(content[: len(content) // 2])).blocks():
            found += len(block.records)
    assert 2_000 < found < 4_000


@pytest.mark.parametrize("at", [0.02, 0.2, 0.5, 0.8, 0.999])
@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"])
def test_a_damaged_file_ends_in_a_sentence_or_gives_rows(codec: str, at: float) -> None:
    content = avro(ROWS, OF_ROWS, codec)
    start = int(len(content) * at)
    content = content[:start] + bytes(byte ^ 0x5A for byte in content[start : start + 64]) + content[start + 64 :]
    found = 0
    with suppress(Unreadable):
        for block in Content(Held(content)).blocks():
            found += len(block.records)
    assert found <= 6_000


def file(of: Any, codec: str, rows: int, data: bytes, size: int | None = None) -> bytes:
    """A file of one block that says of itself what it likes."""

    def number(value: int) -> bytes:
        value = (value << 1) ^ (value >> 63)
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    def text(value: bytes) -> bytes:
        return number(len(value)) + value

    told = {b"avro.schema": json.dumps(of).encode(), b"avro.codec": codec.encode()}
    header = b"Obj\x01" + number(2) + b"".join(text(k) + text(v) for k, v in told.items()) + number(0) + b"s" * 16
    return header + number(rows) + number(len(data) if size is None else size) + data + b"s" * 16


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


ZEROS = bytes(200 << 20)
SELF = {
    "type": "record",
    "name": "node",
    "fields": [{"name": "event", "type": "string"}, {"name": "next", "type": ["null", "node"]}],
}
NESTED: Any = "string"
for _ in range(200):
    NESTED = {"type": "array", "items": NESTED}
HOSTILE = {
    "deflate bomb": (file(schema(), "deflate", 5, raw_deflate(ZEROS)), "more than 67108864 bytes"),
    "bzip2 bomb": (file(schema(), "bzip2", 5, bz2.compress(ZEROS)), "more than 67108864 bytes"),
    "snappy that lies": (file(schema(), "snappy", 5, b"\xff\xff\xff\xff\x0f" + bytes(8)), "more than 67108864 bytes"),
    "a block of a terabyte": (file(schema(), "null", 5, b"", 1 << 40), "more than 67108864 bytes"),
    "a block of less than nothing": (file(schema(), "null", 5, b"", -5), "5 rows in -5 bytes"),
    "rows without bytes": (file(schema(), "null", 1 << 60, b"ab"), "rows in 2 bytes"),
    "a type that holds itself": (file(SELF, "null", 1, b"\x02x" * 9), "holds itself"),
    "nested schema": (file(schema({"name": "x", "type": NESTED}), "null", 1, b""), "deep|cannot be read"),
    "an array of nothing": (
        file(schema({"name": "x", "type": {"type": "array", "items": "null"}}), "null", 1, b"\x02"), "take no bytes"
    ),
    "very many fields": (
        file(schema(*({"name": f"f{n}", "type": "int"} for n in range(4_000))), "null", 1, b""), "more than 4000 fields"
    ),
    "no record": (file("string", "null", 1, b"\x02x"), "is no record"),
    "no such type": (file(schema({"name": "x", "type": "strnig"}), "null", 1, b""), "cannot be read"),
    "no such codec": (file(schema(), "lzo", 1, b""), "compressed with 'lzo'"),
    "a text of a terabyte": (file(schema(), "null", 1, b"\x80" * 6 + b"\x40" + bytes(40)), "damaged after row 0"),
    "a header of a terabyte": (b"Obj\x01\x02" + b"\x80\x80\x80\x80\x80\x80\x40", "header is damaged"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "told"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_made_to_do_harm_is_a_sentence(content: bytes, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        blocks(content)


def test_bytes_of_another_kind_stay_what_they_were() -> None:
    assert base64.b64decode(value("bytes", b"\x01\x02")) == b"\x01\x02"


def schemas(depth: int = 2) -> st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]]:
    """Types, each with what its values can be."""
    plain: list[tuple[Any, st.SearchStrategy[Any]]] = [
        ("long", st.integers(-(2**63), 2**63 - 1)),
        ("int", st.integers(-(2**31), 2**31 - 1)),
        ("string", st.text(max_size=90)),
        ("bytes", st.binary(max_size=90)),
        ("boolean", st.booleans()),
        ("double", st.floats(allow_nan=False, allow_infinity=False)),
        ("null", st.none()),
    ]
    leaves = st.sampled_from(plain)
    if not depth:
        return leaves
    inner = schemas(depth - 1)
    solid = inner.filter(lambda pair: pair[0] != "null")
    return st.one_of(
        leaves,
        solid.map(lambda pair: ({"type": "array", "items": pair[0]}, st.lists(pair[1], max_size=4))),
        inner.map(
            lambda pair: ({"type": "map", "values": pair[0]}, st.dictionaries(st.text(max_size=5), pair[1], max_size=3))
        ),
        solid.filter(lambda pair: not isinstance(pair[0], list)).map(
            lambda pair: (["null", pair[0]], st.none() | pair[1])
        ),
    )


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    columns = draw(st.lists(schemas(), max_size=6))
    fields = [{"name": f"f{nth}", "type": of} for nth, (of, _) in enumerate(columns)]
    rows = draw(
        st.lists(st.fixed_dictionaries({f"f{nth}": values for nth, (_, values) in enumerate(columns)}), max_size=5)
    )
    return schema(*fields), [{**EVENT, **row} for row in rows]


@settings(max_examples=150, deadline=None)
@given(tables(), st.sampled_from(["null", "deflate"]))
def test_any_row_is_read_as_its_library_reads_it(
    table: tuple[dict[str, Any], list[dict[str, Any]]], codec: str
) -> None:
    of, rows = table
    content = avro(rows, of, codec)
    read = list(fastavro.reader(io.BytesIO(content)))
    assert objects(content, rows="records") == json.loads(msgspec.json.encode(read))
