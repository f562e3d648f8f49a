"""Spark itself, on a local cluster whose executors are processes of their own; the stand-in says what came of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from importer.engines.spark import MixpanelDataSource, events, for_each_batch, send
from sandbox.clients import Standin
from sandbox.events import Events
from sandbox.processes import ROOT

FAULTS = {"503": 0.1, "429": 0.05, "cut_after": 0.05, "seed": 18}
NO_FAULTS = {"503": 0, "429": 0, "cut_after": 0}


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local-cluster[2,1,1024]")
        .appName("tests")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.executorEnv.PYTHONPATH", str(ROOT))
        .getOrCreate()
    )
    session.dataSource.register(MixpanelDataSource)
    yield session
    session.stop()


@pytest.fixture
def settings(standin: Standin) -> dict[str, str]:
    return {"MIXPANEL_API_URL": standin.url, "MIXPANEL_PROJECT_TOKEN": "demo", "IMPORT_LOG_REJECTS": "0"}


def lines(folder: Path, made: Events, files: int = 4) -> str:
    """The events as lines of JSON, in some files."""
    records = list(made.records())
    for number in range(files):
        (folder / f"{number}.jsonl").write_bytes(b"\n".join(records[number::files]) + b"\n")
    return str(folder)


def test_lines_with_bad_ones_among_them_while_mixpanel_fails_and_an_executor_is_killed(
    spark: SparkSession, standin: Standin, settings: dict[str, str], tmp_path: Path
) -> None:
    made = Events(100_000, "small", seed=1, bad_share=0.01)
    path = lines(tmp_path, made)
    standin.faults(**FAULTS)
    killed = []

    def kill() -> None:
        while len(standin.ids()) < 20_000:
            time.sleep(0.1)
        killed.append(_kill_an_executor())

    threading.Thread(target=kill, daemon=True).start()
    report = send(spark.read.text(path), {**settings, "IMPORT_EVENTS_PER_SECOND": "15000"})
    standin.faults(**NO_FAULTS)
    bad = sum(1 for _ in made.bad())
    assert killed
    assert set(standin.ids()) == set(made.ids())
    assert (report.imported, report.rejected, report.dropped) == (100_000 - bad, bad, 0)
    assert report.read == 100_000


def _kill_an_executor() -> int:
    """Kills the Java process of one executor, and its Python workers with it."""
    found = subprocess.run(["pgrep", "-f", "CoarseGrainedExecutorBackend"], capture_output=True, text=True, check=True)
    ours = [int(pid) for pid in found.stdout.split() if _is_ours(int(pid))]
    os.kill(ours[0], signal.SIGKILL)
    return ours[0]


def _is_ours(pid: int) -> bool:
    """Whether the process descends from this one."""
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
    return False


def test_a_table_becomes_events_value_by_value(
    spark: SparkSession, standin: Standin, settings: dict[str, str], tmp_path: Path
) -> None:
    count = 10_000
    table = pa.table(
        {
            "event": [f"e{n % 7}" for n in range(count)],
            "time": pa.array([1_748_779_200_123 + n for n in range(count)], pa.timestamp("ms", "UTC")),
            "distinct_id": [f"u{n % 100}" for n in range(count)],
            "insert_id": [f"row-{n}" for n in range(count)],
            "big": pa.array([2**60 + n for n in range(count)], pa.int64()),
            "nested": [{"a": n, "b": None} for n in range(count)],
            "nothing": pa.array([None] * count, pa.string()),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    df = spark.read.parquet(str(tmp_path))
    report = send(df, settings)
    assert report.imported == count
    assert standin.ids() == {f"row-{n}": 1 for n in range(count)}
    first = events(df).first()
    assert first is not None
    assert '"time":1748779200123' in first["value"]
    assert '"big":1152921504606846976' in first["value"]
    assert "nothing" not in first["value"]


def test_the_data_source_writes_a_batch_of_any_table(
    spark: SparkSession, standin: Standin, settings: dict[str, str]
) -> None:
    rows = [("a", 1_748_779_200_000 + n, "u", f"s{n}", 1.5) for n in range(5_000)]
    df = spark.createDataFrame(rows, "event string, time long, distinct_id string, insert_id string, price double")
    for which in (df, events(df)):
        which.coalesce(4).write.format("mixpanel").options(**settings).mode("append").save()
    assert standin.ids() == {f"s{n}": 2 for n in range(5_000)}


def test_a_stream_goes_on_from_its_checkpoint(
    spark: SparkSession, standin: Standin, settings: dict[str, str], tmp_path: Path
) -> None:
    made = Events(20_000, "small", seed=3)
    source, state = tmp_path / "in", str(tmp_path / "state")
    source.mkdir()
    lines(source, made, files=4)
    stream = spark.readStream.text(str(source), wholetext=False)

    def run(seconds: float | None = None) -> None:
        query = (
            stream.writeStream.format("mixpanel")
            .options(**settings)
            .option("checkpointLocation", state)
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()

    run()
    assert standin.ids() == dict.fromkeys(made.ids(), 1)
    more = Events(5_000, "small", seed=4)
    (source / "more.jsonl").write_bytes(b"\n".join(more.records()) + b"\n")
    run()
    assert standin.ids() == dict.fromkeys([*made.ids(), *more.ids()], 1)


def test_for_each_batch_sends_before_it_is_committed(
    spark: SparkSession, standin: Standin, settings: dict[str, str], tmp_path: Path
) -> None:
    made = Events(5_000, "small", seed=5)
    source = tmp_path / "in"
    source.mkdir()
    lines(source, made)
    query = (
        spark.readStream.text(str(source))
        .writeStream.foreachBatch(for_each_batch(settings))
        .option("checkpointLocation", str(tmp_path / "state"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    assert standin.ids() == dict.fromkeys(made.ids(), 1)


def test_at_most_four_send_at_a_time_whatever_the_partitions(
    spark: SparkSession, standin: Standin, settings: dict[str, str]
) -> None:
    df = spark.range(32_000, numPartitions=16).selectExpr(
        "'a' as event", "1748779200000 + id as time", "'u' as distinct_id", "concat('p', id) as insert_id"
    )
    assert send(df, settings).imported == 32_000
    assert events(df).coalesce(4).rdd.getNumPartitions() == 4
    assert len(standin.ids()) == 32_000


def test_what_mixpanel_does_not_take_fails_the_job(
    spark: SparkSession, standin: Standin, settings: dict[str, str]
) -> None:
    standin.faults(unauthorized=True)
    df = spark.createDataFrame([('{"event":"a","properties":{"time":1748779200,"distinct_id":""}}',)], "value string")
    with pytest.raises(Exception, match="MIXPANEL_PROJECT_TOKEN"):
        send(df, settings)
    assert standin.ids() == {}
