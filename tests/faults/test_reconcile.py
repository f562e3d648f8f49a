"""What was never imported, among very many objects that were: it is found, all of it, and nothing else."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sandbox.clients import Bucket
from sandbox.processes import ROOT, without_settings
from tests.faults.trouble import SEED

OBJECTS = int(os.environ.get("RECONCILE_OBJECTS", "1000"))
HIDDEN = 10


def test_ten_objects_are_found_among_very_many(bucket: Bucket, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Lost triggers, changed generations, rejects: at ten times as many objects it is to take less than a minute."""
    names = [f"in/2025/06/{number % 30 + 1:02}/{number:05}.jsonl" for number in range(OBJECTS)]
    hidden = random.Random(SEED).sample(names, HIDDEN)
    lost, changed, rejected = hidden[:4], hidden[4:7], hidden[7:]
    put(bucket, names, rejected=rejected, but=lost)
    for name in changed:
        bucket.put(name, b"{}")
    began = time.monotonic()
    found = reconcile(bucket, tmp_path)
    seconds = time.monotonic() - began
    assert {kind: sorted(map(name_of, found[kind])) for kind in ("missing", "changed")} == {
        "missing": sorted(lost),
        "changed": sorted(changed),
    }
    assert sorted(name_of(one["source"]) for one in found["rejected"]) == sorted(rejected)
    assert found["imported"] == OBJECTS - len(lost) - len(changed)
    assert seconds < max(OBJECTS / 10_000 * 60, 15)
    figure(f"{HIDDEN} of {OBJECTS:,} objects found in {seconds:.1f} s")


def put(bucket: Bucket, names: Sequence[str], rejected: Sequence[str], but: Sequence[str]) -> None:
    """Writes objects, and the receipts of all but some."""

    def write(name: str) -> None:
        generation = bucket.put(name, b"{}")
        receipt = {"source": "", "counts": {"imported": 5, "rejected": 1 if name in rejected else 0}}
        if name not in but:
            bucket.put(f"own/{bucket.name}/{name}/{generation}/receipt.json", json.dumps(receipt).encode())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, names))


def reconcile(bucket: Bucket, folder: Path) -> dict[str, Any]:
    environment = {**without_settings(os.environ), "PYTHONPATH": str(ROOT), "STORAGE_EMULATOR_HOST": bucket.url}
    words = ["reconcile", "gs://events/in/", "--checkpoints", "gs://events/own", "--min-age", "0", "--json"]
    command = [sys.executable, "-m", "importer", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def name_of(source: object) -> str:
    return str(source).partition("gs://events/")[2].partition("#")[0]
