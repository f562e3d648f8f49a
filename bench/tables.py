"""The same events as tables: CSV, Parquet and Avro files, written by libraries that the importer does not read with."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from bench.files import CACHE, Sample

Kind = Literal["csv", "parquet", "avro"]

_ROWS_OF_A_GROUP = 150_000
"""About 128 MB of 850 bytes each, where nothing is compressed."""


class Table(Struct, frozen=True):
    """A file of `count` dense events as rows, as often as `times` says.

    What is nested stays so in Parquet and Avro; in CSV an object's fields are columns, and an array is one text. More
    than once, Parquet is not compressed, in row groups of about 128 MB: so the file is as long as its columns.
    """

    kind: Kind
    count: int
    times: int = 1
    bad_share: float = 0.0

    @property
    def events(self) -> int:
        """How many there are."""
        return self.count * self.times

    def path(self) -> Path:
        """The file, made if it is not there yet."""
        CACHE.mkdir(parents=True, exist_ok=True)
        path = CACHE / f"table-{self.count}-{self.times}.{self.kind}"
        if not path.exists():
            unfinished = path.with_name(f"{path.name}.{os.getpid()}")
            with unfinished.open("wb") as file:
                _WRITERS[self.kind](self, file)
            unfinished.replace(path)
        return path

    def bytes(self) -> int:
        """The size of the same events as lines of JSON."""
        return self.lines().bytes() * self.times

    def lines(self) -> Sample:
        """The same events, once, as lines of JSON."""
        return Sample(self.count)


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    with table.lines().path().open("rb") as file:
        for line in file:
            event = msgspec.json.decode(line)
            yield {"event": event["event"], **event["properties"]}


def _csv(table: Table, file: BinaryIO) -> None:
    rows = [_flat(row) for row in _rows(table)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    written = io.StringIO()
    csv.DictWriter(written, columns, lineterminator="\n").writerows(rows)
    content = written.getvalue().encode()
    file.write(",".join(columns).encode() + b"\n")
    for _ in range(table.times):
        file.write(content)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    cart = {f"cart_{name}": value for name, value in row.pop("cart").items()}
    return {**row, "tags": "|".join(row["tags"]), **cart}


def _parquet(table: Table, file: BinaryIO) -> None:
    rows = pa.Table.from_pylist(list(_rows(table)))
    codec = "snappy" if table.times == 1 else "none"
    group = 50_000 if table.times == 1 else _ROWS_OF_A_GROUP
    with pq.ParquetWriter(file, rows.schema, compression=codec, use_dictionary=table.times == 1) as writer:
        for first in range(0, table.events, group):
            count = min(group, table.events - first)
            repeats = (first % table.count + count - 1) // table.count + 1
            some = pa.concat_tables([rows] * repeats).slice(first % table.count, count)
            writer.write_table(some, row_group_size=group)


def _avro(table: Table, file: BinaryIO) -> None:
    rows = [{_avro_name(name): value for name, value in row.items()} for row in _rows(table)]
    examples = {name: value for row in rows for name, value in row.items()}
    fields = [{"name": name, "type": ["null", _avro_type(name, value)]} for name, value in examples.items()]
    written = io.BytesIO()
    fastavro.writer(written, {"type": "record", "name": "event", "fields": fields}, rows, codec="deflate")
    content = written.getvalue()
    end = content.index(content[-16:]) + 16  # the header ends with what every block ends with
    file.write(content[:end])
    for _ in range(table.times):
        file.write(content[end:])


def _avro_name(name: str) -> str:
    return name.replace("$", "")  # which Avro's names may not have


def _avro_type(name: str, value: object) -> Any:
    if isinstance(value, dict):
        fields = [{"name": key, "type": _avro_type(key, one)} for key, one in value.items()]
        return {"type": "record", "name": name, "fields": fields}
    if isinstance(value, list):
        return {"type": "array", "items": "string"}
    if isinstance(value, float) or name == "scroll_depth":
        return "double"
    return "long" if isinstance(value, int) else "string"


_WRITERS: dict[Kind, Callable[[Table, BinaryIO], None]] = {"csv": _csv, "parquet": _parquet, "avro": _avro}
