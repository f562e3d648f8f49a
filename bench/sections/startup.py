"""Start-up: from the start of the process to the first request answered, beside functions that do nothing."""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Self

import requests
from msgspec import Struct
from msgspec.structs import asdict

from bench.measuring import OURS, THEIRS, group, on_core, peak_memory, processor_seconds, proportional_memory
from bench.report.table import table
from sandbox import processes
from sandbox.bucket.eventarc import cloud_event
from sandbox.clients import Bucket
from sandbox.pushes import wrapped

_SMALL = b'{"event":"Page View","properties":{"time":1748736000000,"distinct_id":"u1","$insert_id":"i1"}}\n'
EMPTY_OF = {"gcs_import": ("empty_cloud_event", 2.0), "pubsub_import": ("empty_async", 1.4)}
"""The empty function that each of ours is held against, and how much longer it may take."""


class Start(Struct, frozen=True):
    """One start: seconds to the first answer, processor seconds of all its processes, the worker's peak memory, and
    the memory of all its processes together (bytes)."""

    wall: float
    processor: float
    peak: int
    together: int


class _Request(Struct, frozen=True):
    headers: Mapping[str, str]
    body: bytes


class _Places(Struct, frozen=True):
    """What the functions need to be there, and what is asked of each first."""

    settings: Mapping[str, str]
    first: Mapping[str, _Request]

    @classmethod
    def opened(cls, open_until: ExitStack) -> Self:
        with on_core(THEIRS):
            standin = open_until.enter_context(processes.service("sandbox.mixpanel", "--port", "0", "--count-only"))
            bucket = open_until.enter_context(processes.service("sandbox.bucket", "--port", "0"))
        Bucket(bucket.url, "events").put("small.jsonl", _SMALL)
        resource = requests.get(f"{bucket.url}/storage/v1/b/events/o/small.jsonl", timeout=10).json()
        event = _Request(*cloud_event(resource))
        push = _Request({"Content-Type": "application/json"}, wrapped(_SMALL.strip()))
        return cls(
            settings={
                "MIXPANEL_PROJECT_TOKEN": "bench",
                "MIXPANEL_API_URL": standin.url,
                "STORAGE_EMULATOR_HOST": bucket.url,
            },
            first={"gcs_import": event, "empty_cloud_event": event, "pubsub_import": push, "empty_async": push},
        )


def measure(runs: int) -> dict[str, list[Start]]:
    """Starts each function three times as often, in turn, for a start is short and so met by more of the noise.

    A round before that warms the caches, and does not count.
    """
    found: dict[str, list[Start]] = {target: [] for target in ("gcs_import", "pubsub_import", *_empties())}
    with ExitStack() as open_until:
        places = _Places.opened(open_until)
        for round_ in range(3 * runs + 1):
            for target, starts in found.items():
                start = _start(target, places)
                if round_:
                    starts.append(start)
    return found


def report(found: Mapping[str, list[Start]]) -> str:
    """The medians as a table; processor time too, which noise touches less."""
    rows = []
    for target, starts in found.items():
        times = [f"{_median(starts, name) * 1000:.0f}" for name in ("wall", "processor")]
        memory = [f"{_median(starts, name) / 1e6:.0f}" for name in ("peak", "together")]
        rows.append([target, *times, *memory])
    return table(("function", "ms to the first answer", "processor ms", "worker's peak MB", "all MB"), rows)


def _start(target: str, places: _Places) -> Start:
    port = processes.free_port()
    source = processes.ROOT / ("bench/contenders/empty.py" if target in _empties() else "main.py")
    command: list[str | Path] = [Path(sys.executable).with_name("functions-framework"), "--target", target]
    command += ["--source", source, "--host", "127.0.0.1", "--port", str(port)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(processes.ROOT), **places.settings}
    began = time.perf_counter()
    with on_core(OURS):
        process = processes.Process(command, name=target, environment=environment)
    with process:
        process.wait_until(lambda: _answered(port, places.first[target]))
        wall = time.perf_counter() - began
        members = group(process.pid)
        return Start(
            wall=wall,
            processor=sum(map(processor_seconds, members)),
            peak=max(map(peak_memory, members[1:])),
            together=sum(map(proportional_memory, members)),
        )


def _answered(port: int, request: _Request) -> bool | None:
    """True once the request is answered well; None as long as nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/", request.body, dict(request.headers))
        status = connection.getresponse().status
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()
    if status >= 300:
        raise RuntimeError(f"the first request was answered with {status}")
    return True


def _empties() -> Iterable[str]:
    return [empty for empty, _ in EMPTY_OF.values()]


def _median(starts: Iterable[Start], name: str) -> float:
    return median(float(asdict(start)[name]) for start in starts)
