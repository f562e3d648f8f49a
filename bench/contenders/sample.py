"""The published sample's way of importing: a plain loop, one step after the other.

It reads a line, parses it, and after 2,000 of them encodes, compresses and posts, and waits for the answer.

    python -m bench.contenders.sample FILE          from a local file
    python -m bench.contenders.sample BUCKET NAME   from an object, through the storage client
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests
from google.cloud import storage

from bench.contenders.child import Counted, measured

_BATCH = 2000


def run(lines: Iterable[bytes]) -> Counted:
    """Imports all the lines."""
    counted = Counted()
    batch: list[Any] = []
    for line in lines:
        counted.events += 1
        counted.bytes += len(line)
        batch.append(json.loads(line))
        if len(batch) == _BATCH:
            _post(batch)
            batch = []
    if batch:
        _post(batch)
    return counted


def _post(batch: list[Any]) -> None:
    answer = requests.post(
        os.environ["MIXPANEL_API_URL"] + "/import",
        params={"strict": "1"},
        auth=(os.environ["MIXPANEL_PROJECT_TOKEN"], ""),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
        data=gzip.compress(json.dumps(batch).encode()),
        timeout=60,
    )
    answer.raise_for_status()


def _from_file(path: Path) -> Counted:
    with path.open("rb") as file:
        return run(file)


def _from_bucket(bucket: str, name: str) -> Counted:
    with storage.Client().bucket(bucket).blob(name).open("rb") as file:
        return run(file)


if __name__ == "__main__":
    measured(lambda: _from_bucket(*sys.argv[1:]) if len(sys.argv) == 3 else _from_file(Path(sys.argv[1])))
