"""Tables whose import is killed in the middle, or that are made to do harm: nothing is lost, and memory is bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import signal
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cramjam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from bench.measuring import peak_memory
from sandbox import processes
from sandbox.clients import Bucket, Standin
from tests.faults.test_kills import importing, is_done, kill
from tests.faults.trouble import KEEPING, SEED, objects, twice, workers
from tests.integration.written import WRITERS, rows
from tests.unit.formats.test_avro import file as avro_file
from tests.unit.formats.test_avro import raw_deflate, schema

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")

KILLS = 4
MEMORY = 300_000_000


@pytest.mark.parametrize("name", ["by-csv.csv", "by-pyarrow.parquet", "by-fastavro.avro"])
def test_the_import_of_a_table_survives_kills(
    name: str, standin: Standin, bucket: Bucket, environment: dict[str, str], figure: Callable[[str], None]
) -> None:
    """Invariant 2: going on within a table leaves no row out."""
    chance = random.Random(SEED)
    table = rows(6_000, seed=1)
    settings = {
        **environment,
        "IMPORT_BATCH_EVENTS": "100",
        "IMPORT_CONCURRENCY": "4",
        "WORKERS": "3",
        "IMPORT_REJECTS": "gs://events/rejects",
        "IMPORT_CHECKPOINTS": "gs://events/checkpoints",
    }
    standin.faults(latency=0.15)
    bucket.put(name, WRITERS[name][0](table))
    source = Path(__file__).with_name("quick_checkpoints.py")
    kills = arrived = 0
    with processes.function("gcs_import", environment=settings, source=source) as function:
        bucket.send_events_to(function.url)
        while kills < KILLS and not is_done(bucket):
            received = standin.summary()["received"]
            if received > arrived and (busy := importing(function.process.pid)) is not None:
                time.sleep(chance.uniform(0, 0.2))
                kill(busy, signal.SIGKILL)
                kills, arrived = kills + 1, received
            time.sleep(0.01)
        deliveries = bucket.wait_until_delivered(timeout=60)
    assert kills >= KILLS // 2
    assert standin.ids().keys() == {row["insert_id"] for row in table}
    assert not objects(bucket, "rejects/")
    figure(f"{kills} kills, {deliveries[0]['attempts']} deliveries, {twice(standin):,} of {len(table):,} came twice")


ZEROS = bytes(150 << 20)
ROW = b"b,1748736000001,u,%s\n" % (b"p" * 1_000)
HEADER = b"event,time,distinct_id,plan\n"
SELF: dict[str, Any] = {
    "type": "record",
    "name": "node",
    "fields": [{"name": "event", "type": "string"}, {"name": "next", "type": ["null", "node"]}],
}


def bomb(codec: str) -> bytes:
    """A block of 150 MB of zeros."""
    return avro_file(schema(), codec, 5, _COMPRESSED[codec](ZEROS))


def snappy(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data)) + zlib.crc32(data).to_bytes(4, "big")


_COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "deflate": raw_deflate,
    "snappy": snappy,
    "zstandard": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
}


def parquet(codec: str) -> bytes:
    """Three rows, of which one is 300 MB."""
    written = io.BytesIO()
    columns = {"event": ["a", "b", "c"], "time": [1, 2, 3], "x": ["1", "2" * 300_000_000, "3"]}
    pq.write_table(pa.table(columns), written, compression=codec, use_dictionary=False)
    return written.getvalue()


def lying_footer() -> bytes:
    """It says that it has 2**60 rows, and so does its row group."""
    written = io.BytesIO()
    pq.write_table(pa.table({"event": ["e"] * 77_777, "time": [1_748_736_000] * 77_777}), written)
    rows, many = varint(77_777), varint(1 << 60)
    head, footer = written.getvalue()[:-8], written.getvalue()[-8:]
    start = len(head) - int.from_bytes(footer[:4], "little")
    lying = head[start:].replace(rows, many)
    return head[:start] + lying + len(lying).to_bytes(4, "little") + b"PAR1"


def varint(value: int) -> bytes:
    value <<= 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    # name: (content, what the log is to say)
    "an unclosed quote.csv": (lambda: HEADER + b'a,1,u,"p\n' + ROW * 60_000, "has a quote that nothing closes"),
    "zeros.csv": (lambda: gzip.compress(HEADER + ZEROS, 1), "is one line of more than 1048576 bytes"),
    "quotes.csv": (lambda: gzip.compress(HEADER + b'"' * (20 << 20), 1), "is one line of more than 1048576 bytes"),
    "a schema that recurses.avro": (lambda: avro_file(SELF, "null", 1, b"\x02x" * 9), "has a type that holds itself"),
    **{f"{codec}.avro": (partial(bomb, codec), "has more than 67108864 bytes") for codec in _COMPRESSED},
    **{f"{codec}.parquet": (partial(parquet, codec), "cannot be decoded") for codec in ("snappy", "zstd")},
    "a footer that lies.parquet": (lying_footer, "the Parquet data is damaged after row"),
}


@pytest.fixture(scope="module")
def gcs_import(environment: dict[str, str]) -> Iterator[processes.Function]:
    with processes.function("gcs_import", environment={**environment, **KEEPING}) as function:
        yield function


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_made_to_do_harm_takes_little_and_is_told(
    name: str, standin: Standin, bucket: Bucket, gcs_import: processes.Function, figure: Callable[[str], None]
) -> None:
    """Invariants 3 and 5."""
    make, told = HOSTILE[name]
    before = len(gcs_import.lines)
    bucket.send_events_to(gcs_import.url)
    started = time.monotonic()
    bucket.put(name, make())
    bucket.wait_until_delivered()
    gcs_import.process.wait_until(lambda: any(told in line for line in list(gcs_import.lines)[before:]) or None)
    (worker,) = workers(gcs_import.process.pid)
    figure(f"{peak_memory(worker) / 1e6:.0f} MB, {time.monotonic() - started:.1f} s")
    assert peak_memory(worker) < MEMORY
