"""Files that the Parquet, Arrow and Avro projects test themselves with: they open, or are told what they are not."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq
import pytest

from importer.errors import Unreadable
from importer.formats.content import Content
from importer.records import Malformed
from importer.storage.local import LocalFile

FOLDER = Path(__file__).with_name("others")
ROWS = {
    "test-append_1.parquet": 1_000,
    "test-empty-row-group_1.parquet": 0,
    "test-empty-row-group_2.parquet": 4,
    "test-empty-row-group_3.parquet": 5,
    "v0.7.1.parquet": 10,
    "v0.7.1.column-metadata-handling.parquet": 3,
    "weather.avro": 5,
    "weather-snappy.avro": 5,
    "interop-echo-request.avro": 1,
    "java-generated-uuid.avro": 151,
}
REASONS = {
    "recursive.avro": r"has a type that holds itself \(LongList\)",
    "error-type.avro": "is no record, and only records can be events",
    "no-fields.avro": "says that it has 1 rows in 0 bytes",
}


def rows(name: str, **options: Any) -> list[dict[str, Any]]:
    found = [one for block in Content(LocalFile(FOLDER / name), **options).blocks() for one in block.records]
    assert not any(isinstance(one, Malformed) for one in found)
    return [json.loads(one) for one in found]


def test_all_of_them_are_read_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*ROWS, *REASONS, "README.md"}


@pytest.mark.parametrize("name", ROWS)
def test_a_file_of_theirs_has_its_rows(name: str) -> None:
    found = rows(name, rows="records")
    assert len(found) == ROWS[name]
    with pytest.raises(Unreadable, match=r"no column `event`.*set IMPORT_MAPPING"):
        rows(name)


@pytest.mark.parametrize("name", [name for name in ROWS if name.endswith(".parquet") and "metadata" not in name])
def test_a_parquet_file_of_theirs_holds_what_another_reader_reads(name: str) -> None:
    assert rows(name, rows="records") == pq.read_table(FOLDER / name).to_pylist()


@pytest.mark.parametrize("name", ["weather.avro", "weather-snappy.avro"])
def test_an_avro_file_of_theirs_holds_what_another_reader_reads(name: str) -> None:
    assert rows(name, rows="records") == list(fastavro.reader(io.BytesIO((FOLDER / name).read_bytes())))


@pytest.mark.parametrize("name", REASONS)
def test_what_has_no_rows_that_can_be_events_is_told_why(name: str) -> None:
    with pytest.raises(Unreadable, match=REASONS[name]):
        rows(name, rows="records")
