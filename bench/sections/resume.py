"""A file too large for one delivery: how it is finished over several, and how much of it is read again.

    python -m bench.sections.resume --megabytes 500 --limit 20 --formats ndjson csv

The stand-in takes no more than `--rate` events a second, the function's time limit is `--limit` seconds, and the local
bucket delivers again what was handed back. What was read is counted by the bucket.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.tables import Kind, Table
from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.events import Events

_TABLES: dict[str, Kind] = {"csv": "csv", "parquet": "parquet", "avro": "avro"}
_FORMATS = ("ndjson", "ndjson.gz", "array", "array.gz", *_TABLES)

EVENT_BYTES = 850
"""A dense event, about."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What became of one file.

    Attributes:
        missing: events that are not in the stand-in.
        twice: events that it got again.
        stored: the object's size, bytes.
        read: bytes of it that were read.
        settled_before: for each delivery, how many events had been settled before it.
    """

    kind: str
    events: int
    missing: int
    twice: int
    stored: int
    read: int
    deliveries: int
    settled_before: list[int]

    @property
    def again(self) -> float:
        """The share of the file that was read again."""
        return self.read / self.stored - 1


def resume(
    standin: Standin,
    bucket: Bucket,
    events: Events,
    *,
    gzipped: bool = False,
    table: str | None = None,
    limit: int,
    rate: int,
    **settings: str,
) -> Resumed:
    """Brings one file through a function with so many seconds, to a stand-in that takes so many events a second.

    With a `table` it is one of dense events in that format. `settings` add to the function's.
    """
    standin.reset()
    bucket.reset()
    standin.faults(rate_events_per_second=rate, rate_window=1)
    environment = {
        "MIXPANEL_API_URL": standin.url,
        "MIXPANEL_PROJECT_TOKEN": "demo",
        "STORAGE_EMULATOR_HOST": bucket.url,
        "IMPORT_CHECKPOINTS": f"gs://{bucket.name}/checkpoints",
        "CLOUD_RUN_TIMEOUT_SECONDS": str(limit),
        **settings,
    }
    with tempfile.TemporaryFile() as file:
        if table:
            file.write(Table(_TABLES[table], events.count).path().read_bytes())
        else:
            events.write(file, gzip=gzipped)
        stored = file.tell()
        file.seek(0)
        bucket.put("events", file)
    with processes.function("gcs_import", environment=environment) as function:
        bucket.send_events_to(function.url)
        deliveries = bucket.wait_until_delivered(timeout=600)
        handed_back = [line for line in function.log("import") if line["outcome"] == "handed back"]
    ids = standin.ids()
    settled = [0, *(line["imported"] for line in handed_back)]
    return Resumed(
        kind=f"{table or events.format}{', gzipped' if gzipped else ''}",
        events=events.count,
        missing=len(set(events.ids()) - ids.keys()),
        twice=sum(ids.values()) - len(ids),
        stored=stored,
        read=bucket.read()["events"],
        deliveries=deliveries[0]["attempts"],
        settled_before=settled,
    )


def main() -> None:
    """Prints a table as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.sections.resume", description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=500, metavar="N")
    parser.add_argument("--limit", type=int, default=20, metavar="SECONDS")
    parser.add_argument("--rate", type=int, default=12_000, metavar="EVENTS", help="events a second, at most")
    parser.add_argument("--formats", nargs="+", choices=_FORMATS, default=_FORMATS, metavar="|".join(_FORMATS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    given = parser.parse_args()
    count = given.megabytes * 1_000_000 // EVENT_BYTES
    found = []
    with (
        processes.service("sandbox.mixpanel", "--port", "0") as mixpanel,
        processes.service("sandbox.bucket", "--port", "0", "--first-wait", "0.1", "--longest-wait", "0.1") as storage,
    ):
        bucket = Bucket(storage.url, str(storage.ready["bucket"]))
        print(f"{'file':18} {'stored MB':>10} {'deliveries':>10} {'read again':>10} {'sent twice':>10} {'missing':>8}")
        for name in given.formats:
            events = Events(count, "dense", format="array" if name.startswith("array") else "ndjson")
            one = resume(
                Standin(mixpanel.url),
                bucket,
                events,
                gzipped=name.endswith(".gz"),
                table=name if name in _TABLES else None,
                limit=given.limit,
                rate=given.rate,
            )
            found.append(one)
            print(
                f"{one.kind:18} {one.stored / 1e6:10.0f} {one.deliveries:10} {one.again:10.1%} "
                f"{one.twice / one.events:10.1%} {one.missing:8}"
            )
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
