"""Spark: a data source for batches and streams (Spark 4), and a function that sends a frame (3.5 as well).

    spark.dataSource.register(MixpanelDataSource)
    events(df).coalesce(4).write.format("mixpanel").options(**settings).mode("append").save()

    report = send(df, settings)                                          # at most four senders, whatever df has
    df.writeStream.foreachBatch(for_each_batch(settings)).start()

Rows become events as all tables do: the columns `event`, `time`, `distinct_id` and `insert_id` are an event's own,
every other one is a property; with IMPORT_MAPPING a row is a record of its columns. They are made JSON in the JVM,
which makes the same bytes each time: a task that is tried again, or a batch that is replayed, counts once. A batch that
Mixpanel does not take fails its task, which Spark tries again: nothing is committed that is not imported.

Settings are the importer's, by name; what is not given comes from the executors' environment, where credentials belong.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (what everybody calls it)
from pyspark.sql.datasource import DataSource, DataSourceArrowWriter, DataSourceStreamArrowWriter, WriterCommitMessage
from pyspark.sql.types import StructType, TimestampType

from importer import library, log
from importer.core.report import Report
from importer.formats.rows import as_event
from importer.variables import ours

SENDERS = 4
"""Tasks that send at a time: one core sends seven times what a project may take."""

_VALUE = "value"
_OWN = ("event", "time", "distinct_id", "$insert_id", "insert_id")
_JSON = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "timeZone": "UTC"}
_COUNTS = ("read", "imported", "rejected", "dropped", "requests", "retried")
_SCHEMA = ", ".join(f"{name} long" for name in _COUNTS)


def events(df: DataFrame, mapping: str | None = None) -> DataFrame:
    """The rows as records, one JSON object each in the column `value`, made in the JVM.

    Args:
        df: any table; one that has the column `value` alone, of texts or bytes, has records already.
        mapping: whether one is set: then a row is an object of its columns.
    """
    if df.columns == [_VALUE]:
        return df
    if mapping:
        return df.select(F.to_json(F.struct("*"), _JSON).alias(_VALUE))
    own = [name for name in _OWN if name in df.columns]
    others = [F.col(f"`{name}`") for name in df.columns if name not in own]
    properties = [_own(df, name) for name in own if name != "event"] + others
    parts = [F.struct(*properties).alias("properties")]
    if "event" in own:
        parts.insert(0, F.col("event"))
    return df.select(F.to_json(F.struct(*parts), _JSON).alias(_VALUE))


def send(df: DataFrame, settings: Mapping[str, str], *, senders: int = SENDERS, source: str = "spark") -> Report:
    """Imports a frame.

    Args:
        df: see `events`.
        settings: the importer's, by name.
        senders: tasks that send at a time.
        source: what rejects say they came from, before the partition.

    Returns:
        The counts of all of it.

    Raises:
        Exception: Spark's, where a task failed as often as it may be tried.
    """
    variables = dict(settings)

    def imported(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        report = _import(batches, variables, source)
        yield pa.RecordBatch.from_pylist([{name: getattr(report, name) for name in _COUNTS}])

    lines = events(df, variables.get("IMPORT_MAPPING")).coalesce(senders)
    rows = lines.mapInArrow(imported, _SCHEMA).collect()
    report = sum((_report(row.asDict()) for row in rows), Report())
    _tell(source, report)
    return report


def for_each_batch(settings: Mapping[str, str], *, senders: int = SENDERS) -> Callable[[DataFrame, int], None]:
    """What `foreachBatch` takes: each micro-batch is sent before it is committed. See `send`."""

    def import_batch(df: DataFrame, number: int) -> None:
        send(df, settings, senders=senders, source=f"spark-batch-{number}")

    return import_batch


class MixpanelDataSource(DataSource):
    """The format `mixpanel`, to write to. Its options are the importer's settings.

    Write `events(df)`: then rows are JSON before Python sees them. Any other table is taken too, ten times as slowly.
    `df.coalesce(4)` bounds the senders.
    """

    @classmethod
    def name(cls) -> str:
        return "mixpanel"

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceArrowWriter:
        _append_only(overwrite)
        return _Writer(self._variables())

    def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamArrowWriter:  # noqa: N802 (Spark's)
        return _StreamWriter(self._variables())

    def _variables(self) -> dict[str, str]:
        """Spark writes options in small letters."""
        return ours({name.upper(): value for name, value in self.options.items()})


@dataclass
class _Committed(WriterCommitMessage):
    """What a task did."""

    counts: dict[str, int]


class _Writing:
    """What both writers do."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WriterCommitMessage:
        report = _import(iterator, self._variables, "spark")
        return _Committed({name: getattr(report, name) for name in _COUNTS})

    def _told(self, messages: Iterable[Any], source: str) -> None:
        _tell(source, sum((_report(one.counts) for one in messages if one is not None), Report()))


class _Writer(_Writing, DataSourceArrowWriter):
    def commit(self, messages: list[Any]) -> None:
        self._told(messages, "spark")

    def abort(self, messages: list[Any]) -> None:
        """What was imported stays; doing it again is safe."""


class _StreamWriter(_Writing, DataSourceStreamArrowWriter):
    def commit(self, messages: list[Any], batchId: int) -> None:  # noqa: N803 (Spark's interface)
        self._told(messages, f"spark-batch-{batchId}")

    def abort(self, messages: list[Any], batchId: int) -> None:  # noqa: N803 (the same)
        """What was imported stays; the batch is replayed, and counts once."""


def _append_only(overwrite: bool) -> None:
    if overwrite:
        raise ValueError('events cannot be overwritten in Mixpanel: use mode("append").')


def _own(df: DataFrame, name: str) -> Column:
    """A column that is an event's own, by Mixpanel's name; a timestamp as epoch milliseconds."""
    column = F.col(f"`{name}`")
    if name == "time" and isinstance(df.schema[name].dataType, TimestampType):
        column = F.unix_millis(column)
    return column.alias("$insert_id" if name == "insert_id" and "$insert_id" not in df.columns else name)


def _import(batches: Iterable[pa.RecordBatch], variables: Mapping[str, str], source: str) -> Report:
    """Imports what a task has."""
    context = TaskContext.get()
    settings = library.settings_from({**os.environ, **variables})
    return library.import_records(
        (record for batch in batches for record in _records(batch)),
        source=f"{source}/{context.partitionId() if context else 0}",
        settings=settings,
    )


def _records(batch: pa.RecordBatch) -> Iterator[bytes]:
    if batch.schema.names == [_VALUE]:
        # As bytes: a line of a file may be no UTF-8, and is a reject then.
        yield from (value for value in batch.column(0).cast(pa.large_binary()).to_pylist() if value is not None)
        return
    for row in batch.to_pylist():
        if isinstance(time := row.get("time"), datetime):
            row["time"] = round(time.timestamp() * 1000)
        yield msgspec.json.encode(as_event(row))


def _report(counts: Mapping[str, int]) -> Report:
    report = Report()
    for name in _COUNTS:
        setattr(report, name, counts[name])
    return report


def _tell(source: str, report: Report) -> None:
    log.get().info(
        f"{source}: read {report.read}, imported {report.imported}, rejected {report.rejected}, "
        f"dropped {report.dropped}",
        kind="import",
        source=source,
        outcome="done",
        **report.counts(),
    )


def main() -> None:
    """The ready job: `spark-submit importer/engines/spark.py --input … --format parquet`."""
    parser = argparse.ArgumentParser(description="A table to Mixpanel.")
    parser.add_argument("--input", nargs="+", required=True, help="what Spark reads")
    parser.add_argument("--format", default="parquet", help="how it is written (parquet, json, csv, text, avro …)")
    parser.add_argument("--senders", type=int, default=SENDERS)
    given = parser.parse_args()
    spark = SparkSession.builder.appName("mixpanel-importer").getOrCreate()
    df = spark.read.format(given.format).load(given.input)
    report = send(df, ours(os.environ), senders=given.senders, source=given.input[0])
    print(msgspec.json.encode(report.counts()).decode())


if __name__ == "__main__":
    main()
