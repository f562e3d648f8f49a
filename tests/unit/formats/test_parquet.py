"""Parquet: each row becomes one event, value by value, whoever wrote the file and however."""

from __future__ import annotations

import base64
import io
import json
import math
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from importer.errors import SourceGone, Unreadable
from importer.formats.content import Content
from importer.formats.held import Held, Stream
from importer.formats.parquet.random_access import File, Pieces
from importer.records import Block, Malformed
from sandbox.processes import ROOT

TIME = 1_748_736_000_123


def table(**columns: list[Any]) -> pa.Table:
    rows = len(next(iter(columns.values()), [0]))
    return pa.table({"event": ["Signup"] * rows, "time": [TIME] * rows, "distinct_id": ["u"] * rows, **columns})


def parquet(rows: pa.Table, **options: Any) -> bytes:
    written = io.BytesIO()
    pq.write_table(rows, written, **options)
    return written.getvalue()


def blocks(content: bytes, **options: Any) -> list[Block]:
    return list(Content(Held(content, "t.parquet"), **options).blocks())


def objects(content: bytes, **options: Any) -> list[dict[str, Any]]:
    return [json.loads(record) for block in blocks(content, **options) for record in block.records]


def properties(rows: pa.Table, **options: Any) -> list[dict[str, Any]]:
    return [one["properties"] for one in objects(parquet(rows, **options))]


def value(column: pa.Array) -> Any:
    return properties(table(x=column))[0].get("x")


def test_a_row_becomes_an_event_whose_other_columns_are_properties() -> None:
    rows = pa.table(
        {"event": ["Signup"], "time": [TIME], "distinct_id": ["u-1"], "$insert_id": ["i-1"], "plan": ["pro"], "n": [3]}
    )
    assert objects(parquet(rows)) == [
        {
            "event": "Signup",
            "properties": {"time": TIME, "distinct_id": "u-1", "$insert_id": "i-1", "plan": "pro", "n": 3},
        }
    ]


def test_a_column_insert_id_is_the_insert_id_unless_there_is_one_by_its_own_name() -> None:
    assert properties(table(insert_id=["i"]))[0]["$insert_id"] == "i"
    both = properties(table(**{"insert_id": ["plain"], "$insert_id": ["own"]}))[0]
    assert (both["$insert_id"], both["insert_id"]) == ("own", "plain")


def test_for_a_mapping_a_row_is_an_object_of_its_columns() -> None:
    rows = pa.table({"event_name": ["x"], "event": ["y"], "nested": [{"a": [1, 2]}]})
    assert objects(parquet(rows), rows="records") == [{"event_name": "x", "event": "y", "nested": {"a": [1, 2]}}]


def test_a_nested_column_of_properties_gives_its_fields() -> None:
    rows = pa.table({"event": ["x"], "properties": [{"time": datetime(2025, 1, 2, tzinfo=UTC), "a": 1}], "b": [2]})
    assert objects(parquet(rows)) == [{"event": "x", "properties": {"time": 1_735_776_000_000, "a": 1, "b": 2}}]


def test_properties_in_a_map_are_taken_as_they_are() -> None:
    kind = pa.map_(pa.string(), pa.int64())
    rows = pa.table({"event": ["x"], "properties": pa.array([[("time", 5), ("n", 1)]], kind)})
    assert objects(parquet(rows)) == [{"event": "x", "properties": {"time": 5, "n": 1}}]


def test_a_table_without_events_is_told_what_to_set() -> None:
    with pytest.raises(Unreadable, match=r"no column `event`.*set IMPORT_MAPPING.*columns are name, ts"):
        blocks(parquet(pa.table({"name": ["x"], "ts": [1]})))


MOMENT = datetime(2025, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)
NAIVE = MOMENT.replace(tzinfo=None)
VALUES: list[tuple[str, pa.Array, Any]] = [
    ("int64 beyond 2^53", pa.array([9_007_199_254_740_993], pa.int64()), 9_007_199_254_740_993),
    ("the least int64", pa.array([-(2**63)], pa.int64()), -(2**63)),
    ("uint64", pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
    ("int8", pa.array([-128], pa.int8()), -128),
    ("double", pa.array([0.1], pa.float64()), 0.1),
    ("a very large double", pa.array([1.7e308], pa.float64()), 1.7e308),
    ("bool", pa.array([True]), True),
    ("text", pa.array(['ünï "quoted"\\ \n\t\x00 \U0001f600']), 'ünï "quoted"\\ \n\t\x00 \U0001f600'),
    ("empty text", pa.array([""]), ""),
    ("large text", pa.array(["x"], pa.large_string()), "x"),
    ("dictionary", pa.array(["a"]).dictionary_encode(), "a"),
    ("decimal", pa.array([Decimal("12345.670")], pa.decimal128(18, 3)), 12345.67),
    ("decimal of 38 digits", pa.array([Decimal(10**37)], pa.decimal128(38, 0)), 10**37),
    ("date", pa.array([date(2025, 6, 1)]), "2025-06-01"),
    ("time of day", pa.array([time(1, 2, 3, 4)], pa.time64("us")), "01:02:03.000004"),
    ("timestamp in s", pa.array([NAIVE], pa.timestamp("s")), "2025-06-01T12:30:15Z"),
    ("timestamp in ms", pa.array([NAIVE], pa.timestamp("ms")), "2025-06-01T12:30:15.123Z"),
    ("timestamp in µs", pa.array([NAIVE], pa.timestamp("us")), "2025-06-01T12:30:15.123456Z"),
    ("timestamp in ns", pa.array([1_748_781_015_123_456_789], pa.timestamp("ns")), "2025-06-01T12:30:15.123456789Z"),
    ("timestamp in µs, UTC", pa.array([MOMENT], pa.timestamp("us", "UTC")), "2025-06-01T12:30:15.123456Z"),
    (
        "timestamp with a zone",
        pa.array([MOMENT.astimezone(timezone(timedelta(hours=2)))], pa.timestamp("ms", "Europe/Berlin")),
        "2025-06-01T12:30:15.123Z",
    ),
    ("binary", pa.array([b"\x00\xffab"]), base64.b64encode(b"\x00\xffab").decode()),
    ("fixed binary", pa.array([b"ab"], pa.binary(2)), "YWI="),
    ("null", pa.array([None], pa.string()), None),
    ("a column of nulls", pa.nulls(1), None),
    ("NaN", pa.array([math.nan]), None),
    ("infinity", pa.array([math.inf]), None),
    ("list", pa.array([[1, None, 3]]), [1, None, 3]),
    ("an empty list", pa.array([[]], pa.list_(pa.int64())), []),
    ("list of timestamps", pa.array([[NAIVE]], pa.list_(pa.timestamp("ms"))), ["2025-06-01T12:30:15.123Z"]),
    ("list with NaN", pa.array([[1.5, math.nan]]), [1.5, None]),
    ("struct", pa.array([{"a": 1, "b": "x"}]), {"a": 1, "b": "x"}),
    ("struct of a date", pa.array([{"d": date(2025, 6, 1), "b": b"a"}]), {"d": "2025-06-01", "b": "YQ=="}),
    ("a null struct", pa.array([None], pa.struct([("d", pa.timestamp("ms"))])), None),
    (
        "nested deeply",
        pa.array(
            [[{"k": [{"t": MOMENT}]}]], pa.list_(pa.struct([("k", pa.list_(pa.struct([("t", pa.timestamp("us"))])))]))
        ),
        [{"k": [{"t": "2025-06-01T12:30:15.123456Z"}]}],
    ),
    ("map", pa.array([[("a", 1), ("b", None)]], pa.map_(pa.string(), pa.int64())), {"a": 1, "b": None}),
    (
        "map of times",
        pa.array([[("a", NAIVE)]], pa.map_(pa.string(), pa.timestamp("s"))),
        {"a": "2025-06-01T12:30:15Z"},
    ),
    ("map by numbers", pa.array([[(7, 1.5)]], pa.map_(pa.int32(), pa.float64())), {"7": 1.5}),
]


@pytest.mark.parametrize(("column", "expected"), [case[1:] for case in VALUES], ids=[case[0] for case in VALUES])
def test_a_value_stays_what_it_is(column: pa.Array, expected: Any) -> None:
    found = value(column)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([datetime(2025, 6, 1, 0, 0, 0, 123_000, UTC)], pa.timestamp("ms")),
        pa.array([datetime(2025, 6, 1, 0, 0, 0, 123_999, UTC)], pa.timestamp("us")),
        pa.array([datetime(2025, 6, 1, 0, 0, 0, 123_000, UTC)], pa.timestamp("us", "America/New_York")),
        pa.array([1_748_736_000_123_000_001], pa.timestamp("ns")),
        pa.array([TIME]),
    ],
    ids=["ms", "us", "a zone", "ns", "a number"],
)
def test_a_timestamp_as_time_is_epoch_milliseconds(column: pa.Array) -> None:
    assert properties(table().drop(["time"]).append_column("time", column))[0]["time"] == TIME


def test_a_date_as_time_is_its_midnight() -> None:
    rows = pa.table({"event": ["x"], "time": [date(2025, 6, 1)]})
    assert properties(rows)[0]["time"] == 1_748_736_000_000


def test_names_and_ids_that_are_said_to_be_bytes_are_texts() -> None:
    rows = pa.table({"event": [b"Signup"], "time": [1], "distinct_id": [b"\xc3\xbc"], "$insert_id": [b"i"]})
    assert objects(parquet(rows)) == [
        {"event": "Signup", "properties": {"time": 1, "distinct_id": "ü", "$insert_id": "i"}}
    ]


def test_a_row_without_an_event_name_is_still_a_record() -> None:
    assert objects(parquet(pa.table({"event": pa.array([None, "x"]), "a": [1, 2]}))) == [
        {"properties": {"a": 1}},
        {"event": "x", "properties": {"a": 2}},
    ]


def test_awkward_column_names_stay_as_they_are() -> None:
    names = ['a"b', "a'b", "a\\b", "ü", "each0", "a b", "properties.x", "$city"]
    rows = table(**{name: [number] for number, name in enumerate(names)})
    found = properties(rows)[0]
    assert {name: found[name] for name in names} == {name: number for number, name in enumerate(names)}


@pytest.mark.parametrize("codec", ["NONE", "SNAPPY", "GZIP", "ZSTD", "BROTLI", "LZ4"])
@pytest.mark.parametrize("version", ["1.0", "2.6"])
def test_every_codec_can_be_read(codec: str, version: str) -> None:
    rows = table(x=[f"text {n}" for n in range(5000)])
    found = properties(rows, compression=codec, version=version, data_page_version=version[:1] + ".0")
    assert [one["x"] for one in found] == [f"text {n}" for n in range(5000)]


def made(rows: int = 10_000) -> pa.Table:
    numbers = range(rows)
    return pa.table(
        {
            "event": [f"event {n % 7}" for n in numbers],
            "time": [TIME + n for n in numbers],
            "distinct_id": [f"user {n % 100}" for n in numbers],
            "$insert_id": [f"id-{n}" for n in numbers],
            "maybe": [n if n % 3 else None for n in numbers],
            "list": [[n] * (n % 4) for n in numbers],
        }
    )


def test_a_place_is_the_number_of_the_row() -> None:
    found = [place for block in blocks(parquet(made(), row_group_size=3000)) for place in block]
    assert [(line, offset) for line, offset, _ in found] == [(n + 1, n) for n in range(10_000)]
    assert [json.loads(record)["properties"]["$insert_id"] for _, _, record in found] == [
        f"id-{n}" for n in range(10_000)
    ]


def test_what_another_wrote_is_the_same(tmp_path: Path) -> None:
    source, copy = tmp_path / "a.parquet", tmp_path / "b.parquet"
    source.write_bytes(parquet(made()))
    duckdb.execute(f"COPY (FROM '{source}') TO '{copy}' (FORMAT parquet, CODEC 'zstd', ROW_GROUP_SIZE 2048)")
    assert objects(copy.read_bytes()) == objects(source.read_bytes())


@pytest.mark.parametrize("first", [0, 1, 2047, 2048, 2999, 3000, 9_998, 9_999])
def test_reading_goes_on_from_any_row(first: int) -> None:
    content = parquet(made(), row_group_size=3000)
    reading = Content(Held(content))
    next(iter(reading.blocks()))
    position = msgspec.json.decode(msgspec.json.encode(reading.mark(first + 1, first)), type=type(reading.mark(1, 0)))
    rest = [one for block in Content(Held(content), position).blocks() for one in block]
    assert [offset for _, offset, _ in rest] == [*range(first, 10_000)]
    assert json.loads(rest[0][2])["properties"]["$insert_id"] == f"id-{first}"


class Watched:
    """Something stored, and how many bytes of it were read."""

    name = "gs://b/watched.parquet"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.ranges: list[tuple[int, int]] = []
        self.fails: Exception | None = None
        self.heads = 1

    def range(self, start: int, count: int) -> bytes:
        if self.fails:
            raise self.fails
        self.ranges.append((start, count))
        return self.data[start : start + count]

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        yield self.data[start : start + 262_144]


def test_a_range_is_read_about_once_and_going_on_reads_little_again() -> None:
    noise = random.Random(1)
    rows = table(x=[noise.randbytes(500).hex() for _ in range(20_000)])
    stored = Watched(parquet(rows, row_group_size=2_000, compression="NONE"))
    reading = Content(stored)
    assert sum(len(block.records) for block in reading.blocks()) == 20_000
    assert sum(count for _, count in stored.ranges) < 1.1 * stored.size
    stored.ranges.clear()
    list(Content(stored, reading.mark(18_001, 18_000)).blocks())
    assert sum(count for _, count in stored.ranges) < 0.15 * stored.size


def test_trouble_on_the_way_is_told_as_it_is() -> None:
    stored = Watched(parquet(made(), row_group_size=1000))
    stored.fails = SourceGone("it was overwritten")
    with pytest.raises(SourceGone, match="it was overwritten"):
        list(Content(stored).blocks())


def test_an_empty_table_has_no_records() -> None:
    assert blocks(parquet(table().slice(0, 0))) == []


def test_parquet_within_gzip_and_in_a_stream_say_what_to_do() -> None:
    import gzip

    content = parquet(made(10))
    with pytest.raises(Unreadable, match=r"Parquet within gzip.*decompress"):
        blocks(gzip.compress(content))
    with pytest.raises(Unreadable, match="read from its end"):
        list(Content(Stream([content])).blocks())


def damaged(content: bytes, at: float, count: int = 64) -> bytes:
    start = int(len(content) * at)
    return content[:start] + bytes(byte ^ 0x5A for byte in content[start : start + count]) + content[start + count :]


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.995, 0.9999])
def test_a_damaged_file_ends_in_a_sentence_or_gives_rows(at: float) -> None:
    content = damaged(parquet(made(), row_group_size=2_000, compression="SNAPPY"), at)
    found = 0
    with suppress(Unreadable):
        for block in Content(Held(content)).blocks():
            found += len(block.records)
    assert found <= 10_000


@pytest.mark.parametrize("length", [4, 8, 12, 100, -1, -4, -8, -9, -1000])
def test_a_file_that_is_cut_off_ends_in_a_sentence(length: int) -> None:
    with pytest.raises(Unreadable, match="Parquet"):
        blocks(parquet(made(100))[:length])


def test_one_row_that_cannot_be_decoded_costs_itself_alone() -> None:
    texts = [f"text {n:05}" for n in range(5_000)]
    content = parquet(table(x=texts), compression="NONE", use_dictionary=False, row_group_size=5_000)
    assert content.count(b"text 03333") >= 1
    content = content.replace(b"text 03333", b"text \xff3333")
    rows = [one for block in blocks(content) for one in block]
    bad = [(line, record) for line, _, record in rows if isinstance(record, Malformed)]
    assert [line for line, _ in bad] == [3_334]
    assert "cannot be decoded" in bad[0][1].reason
    assert [offset for _, offset, _ in rows] == [*range(5_000)]


def test_a_file_reads_what_a_file_reads() -> None:
    data = random.Random(2).randbytes(100_000)
    pieces = Pieces(Held(data))
    pieces.share(300)
    file, model = File(pieces), io.BytesIO(data)
    choose = random.Random(3)
    for _ in range(300):
        at, count = choose.randrange(110_000), choose.choice([0, 1, 10, 20_000, -1])
        assert file.seek(at) == model.seek(at)
        assert file.read(count) == model.read(count)
        assert file.tell() == model.tell()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory's peak in /proc")
@pytest.mark.parametrize(("rows", "size"), [(300, 500_000), (2_500, 60_000)])
def test_few_bytes_that_are_long_rows_take_no_more_memory_than_some_rows(rows: int, size: int, tmp_path: Path) -> None:
    """A dictionary has a text once: 2,048 rows of it are more than a gigabyte."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * size]))
    path = tmp_path / "t.parquet"
    path.write_bytes(parquet(table(x=texts)))
    assert path.stat().st_size < 2_000_000
    assert child(path) == {"rows": rows, "malformed": [], "is_small": True}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory's peak in /proc")
@pytest.mark.parametrize("codec", ["snappy", "gzip", "zstd", "brotli", "lz4", "none"])
def test_a_page_of_far_too_much_costs_its_rows_alone(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rows = pa.concat_tables([table(x=["x" * 300_000_000, "b"]), table(x=["c"] * 5)])
    pq.write_table(rows, path, compression=codec, use_dictionary=False, row_group_size=2)
    found = child(path)
    assert found["rows"] == 7
    assert found["is_small"]
    assert 1 <= len(found["malformed"]) <= 2
    assert all("too long" in reason or "column 'x'" in reason for reason in found["malformed"])


def child(path: Path) -> dict[str, Any]:
    """What another process reads of a file, and whether it stayed within 400 MB."""
    code = """
import json, sys
from pathlib import Path
from importer.formats.content import Content
from importer.records import Malformed
from importer.storage.local import LocalFile
rows, malformed = 0, []
for block in Content(LocalFile(Path(sys.argv[1]))).blocks():
    rows += len(block.records)
    malformed += [one.reason for one in block.records if isinstance(one, Malformed)]
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"rows": rows, "malformed": malformed, "is_small": peak < 400_000}))
"""
    said = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, check=True, timeout=120)
    return dict(json.loads(said.stdout))


def test_a_bad_row_names_its_column_and_the_file() -> None:
    content = parquet(
        table(y=["plain"] * 9, x=[f"text {n}" for n in range(9)]), compression="NONE", use_dictionary=False
    )
    rows = [one for block in blocks(content.replace(b"text 3", b"text \xff")) for one in block]
    (bad,) = [record for _, _, record in rows if isinstance(record, Malformed)]
    assert "cannot be decoded: column 'x'" in bad.reason
    assert "t.parquet" in bad.reason
    assert "stored:" not in bad.reason


def nested(kind: str, depth: int) -> pa.Array:
    """A time, so deep in lists, structs or maps."""
    value: Any = NAIVE
    of = pa.timestamp("us")
    for _ in range(depth):
        if kind == "list":
            value, of = [value], pa.list_(of)
        elif kind == "struct":
            value, of = {"a": value}, pa.struct([("a", of)])
        else:
            value, of = [("a", value)], pa.map_(pa.string(), of)
    return pa.array([value], of)


@pytest.mark.parametrize("kind", ["list", "struct", "map"])
def test_what_is_nested_very_deep_takes_no_more_time(kind: str) -> None:
    """Each level doubled the statement that reads it."""
    shallow = value(nested(kind, 3))
    assert (shallow[0][0][0] if kind == "list" else shallow["a"]["a"]["a"]) == "2025-06-01T12:30:15.123456Z"
    assert "2025-06-01" in json.dumps(value(nested(kind, 40)))


def test_names_that_differ_in_case_alone_stay_what_they_are() -> None:
    rows = pa.table({"event": ["x"], "Event": ["y"], "a": [{"b": 1}], "A": [[3]], "é": [4]})
    assert objects(parquet(rows)) == [{"event": "x", "properties": {"Event": "y", "a": {"b": 1}, "A": [3], "é": 4}}]


@pytest.mark.parametrize("names", [["event", "x", "x"], ["event", "", "y"]])
def test_columns_without_a_name_or_with_one_twice_are_told(names: list[str]) -> None:
    rows = pa.Table.from_arrays([pa.array(["e"]), pa.array([1]), pa.array([2])], names=names)
    with pytest.raises(Unreadable, match="columns without a name, or of the same name: event, "):
        blocks(parquet(rows))


def test_a_column_of_the_readers_own_name_is_told() -> None:
    with pytest.raises(Unreadable, match="has a column file_row_number"):
        blocks(parquet(table(file_row_number=[1])))
