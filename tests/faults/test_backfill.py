"""A backfill that is killed, and two at once: every event is in, the newest day first, and hardly one is sent twice."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest

from sandbox.clients import Bucket, Standin
from sandbox.processes import ROOT, without_settings
from tests.faults.trouble import QUICK, SEED, objects, twice

DAYS, OBJECTS, EVENTS = 60, 20, 5
KILLS = 20
AT_ONCE = 4
NEWEST = date(2025, 6, 30)


def fill(bucket: Bucket, days: int) -> set[str]:
    """Writes the objects of so many days, and gives the events' ids, which tell day and object."""
    ids = set()
    for day in (NEWEST - timedelta(days=number) for number in range(days)):
        for number in range(OBJECTS):
            mine = [f"{day}-{number:02}-{nth}" for nth in range(EVENTS)]
            ids.update(mine)
            bucket.put(f"archive/{day:%Y/%m/%d}/{number:02}.jsonl.gz", gzip.compress(b"\n".join(map(event, mine)), 1))
    return ids


def event(identifier: str) -> bytes:
    properties = {"time": 1_700_000_000, "distinct_id": "u", "$insert_id": identifier}
    return json.dumps({"event": "e", "properties": properties}).encode()


@pytest.fixture
def environment(standin: Standin, bucket: Bucket) -> dict[str, str]:
    return {
        **without_settings(os.environ),
        **QUICK,
        "PYTHONPATH": str(ROOT),
        "MIXPANEL_API_URL": standin.url,
        "MIXPANEL_PROJECT_TOKEN": "demo",
        "STORAGE_EMULATOR_HOST": bucket.url,
        "IMPORT_CHECKPOINTS": "gs://events/own",
    }


def start(environment: Mapping[str, str], folder: Path, **more: str) -> subprocess.Popen[str]:
    words = ["backfill", "gs://events/archive/", "--yes", "--json", "--at-once", str(AT_ONCE)]
    return subprocess.Popen(
        [sys.executable, "-m", "importer", *words],
        cwd=folder,
        env={**environment, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_newest_first(ids: Mapping[str, int]) -> bool:
    """Whether each day of which there is an event follows days that are complete."""
    counts = Counter(identifier[:10] for identifier in ids)
    oldest = min(counts, default=str(NEWEST))
    return all(
        counts[str(NEWEST - timedelta(days=number))] == OBJECTS * EVENTS
        for number in range(DAYS)
        if str(NEWEST - timedelta(days=number)) > oldest
    )


def test_a_backfill_survives_twenty_kills_the_newest_day_first(
    standin: Standin, bucket: Bucket, environment: dict[str, str], tmp_path: Path, figure: Callable[[str], None]
) -> None:
    ids = fill(bucket, DAYS)
    chance = random.Random(SEED)
    standin.faults(latency=0.02)
    kills, began = 0, time.monotonic()
    for _ in range(KILLS):
        before = len(standin.ids())
        process = start(environment, tmp_path)
        while len(standin.ids()) == before and process.poll() is None:  # it has begun
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 0.4))
        kills += process.poll() is None
        process.kill()
        process.communicate()
        assert is_newest_first(standin.ids())
    assert ids - standin.ids().keys(), "it was killed before its end"
    process = start(environment, tmp_path)
    out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert standin.ids().keys() == ids
    assert kills == KILLS
    assert twice(standin) <= kills * AT_ONCE * EVENTS
    days = [one["day"] for one in json.loads(out)["days"]]
    assert days == sorted(days, reverse=True)
    receipts = [name for name in objects(bucket, "own/") if name.endswith("receipt.json")]
    assert len(receipts) == len(objects(bucket, "own/")) == DAYS * OBJECTS, "no lease and no checkpoint is left"
    figure(f"{kills} kills in {time.monotonic() - began:.0f} s, {twice(standin)} of {len(ids):,} events came twice")


@pytest.mark.parametrize("tasks", [2, 3], ids=["two by mistake", "three tasks of a job"])
def test_several_at_once_share_the_work(
    tasks: int,
    standin: Standin,
    bucket: Bucket,
    environment: dict[str, str],
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    ids = fill(bucket, 15)
    standin.faults(latency=0.05)
    job = {} if tasks == 2 else {"CLOUD_RUN_JOB": "backfill", "CLOUD_RUN_TASK_COUNT": str(tasks)}
    processes = [
        start(environment, tmp_path, **job, **({"CLOUD_RUN_TASK_INDEX": str(task)} if job else {}))
        for task in range(tasks)
    ]
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * tasks, ended
    results = [json.loads(re.findall(r'^\{"days".*$', out, re.MULTILINE)[0]) for out, _ in ended]
    assert standin.ids() == dict.fromkeys(ids, 1), "none was sent twice"
    shares = [one["total"]["imported"] for one in results]
    assert sum(shares) == len(ids)
    assert min(shares) > len(ids) / tasks / 3
    figure(f"shares of {len(ids):,} events: {shares}")


def test_what_another_has_begun_and_left_is_finished_here(
    standin: Standin, bucket: Bucket, environment: dict[str, str], tmp_path: Path
) -> None:
    """The other one runs until its end is near; this one is at work on the rest, and takes over what is left."""
    ids = fill(bucket, 3)
    standin.faults(latency=0.3)
    first = start(environment, tmp_path)
    while not any(name.endswith("lease.json") for name in objects(bucket, "own/")):
        time.sleep(0.05)
    second = start(environment, tmp_path)
    time.sleep(1.5)
    first.kill()
    first.communicate()
    _, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert standin.ids().keys() == ids
