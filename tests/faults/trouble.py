"""What the tests of faults are made with: events to bring through, and the counting of them afterwards."""

from __future__ import annotations

import asyncio
import gzip
import os
import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import msgspec
import requests

from importer.core.rejects.reject import Reject
from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from sandbox.pushes import send, wrapped

SEED = int(os.environ["FAULTS_SEED"])
"""What the choice of troubled requests follows from: another in each run, unless the environment names it."""

QUICK = {"IMPORT_BACKOFF": "0.005", "IMPORT_TIMEOUT": "0.5", "IMPORT_BATCH_EVENTS": "200"}
"""Settings under which trouble passes fast, and requests are many."""

KEEPING = {"IMPORT_REJECTS": "gs://events/rejects", "IMPORT_CHECKPOINTS": "gs://events/checkpoints"}
"""Settings under which rejects and checkpoints are kept."""


def content(events: Events, *, gzipped: bool = False) -> bytes:
    """A file of these events."""
    file = BytesIO()
    events.write(file, gzip=gzipped)
    return file.getvalue()


def missing(events: Events, standin: Standin) -> set[str]:
    """The good events that the stand-in does not hold."""
    return set(events.ids()) - standin.ids().keys()


def twice(standin: Standin) -> int:
    """How many events came in that it held already."""
    return sum(count - 1 for count in standin.ids().values())


def accounted(report: Mapping[str, int]) -> bool:
    """Whether every record read is accounted for, in the counts of a line of the log."""
    return report["read"] == report["imported"] + report["rejected"] + report["dropped"] + report["handed_back"]


def messages(events: Events, of: int) -> list[bytes]:
    """The events as push bodies, so many in a message."""
    records = events.records()
    lots = iter(lambda: list(islice(records, of)), [])
    return [wrapped(b"\n".join(lot), str(index)) for index, lot in enumerate(lots)]


def push_until_taken(url: str, pushes: Sequence[bytes], senders: int = 100, within: float = 120) -> int:
    """Pushes as Pub/Sub does: again what was not answered with 204.

    Returns:
        How many pushes had to be made again.

    Raises:
        TimeoutError: some were not taken in time.
    """
    deadline = time.monotonic() + within
    again = 0
    while pushes:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(pushes)} messages were not taken within {within:g} s")
        status = asyncio.run(send(url, pushes, senders)).status
        pushes = [push for index, push in enumerate(pushes) if status[index] != 204]
        again += len(pushes)
    return again


def workers(pid: int) -> list[int]:
    """The processes that a process started: gunicorn's workers (Linux)."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def objects(bucket: Bucket, prefix: str) -> list[str]:
    """The names of the objects in the bucket that start so, in order."""
    listed = requests.get(f"{bucket.url}/storage/v1/b/{bucket.name}/o", params={"prefix": prefix}, timeout=30)
    return sorted(item["name"] for item in listed.json().get("items", []))


def stored(bucket: Bucket, name: str) -> bytes:
    """An object's content as it is stored."""
    address = f"{bucket.url}/download/storage/v1/b/{bucket.name}/o/{quote(name, safe='')}"
    answer = requests.get(
        address, params={"alt": "media"}, headers={"Accept-Encoding": "gzip"}, timeout=30, stream=True
    )
    answer.raise_for_status()
    return answer.raw.read()


def kept_rejects(bucket: Bucket, prefix: str = "rejects/") -> list[Reject]:
    """The rejects that a bucket holds, in the order they were written."""
    lines = [line for name in objects(bucket, prefix) for line in gzip.decompress(stored(bucket, name)).splitlines()]
    return [msgspec.json.decode(line, type=Reject) for line in lines]
