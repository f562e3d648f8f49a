"""Measures `pubsub_import`: messages a second on one core, import requests for them, and how long pushes are held open.

    python -m bench.sections.messages
    python -m bench.sections.messages --senders 1000 --seconds 5 --runs 1

Beside it, in the same run: a function that does nothing, under the same framework, which is the ceiling; and the
published sample's way, with the framework's defaults and with a thousand threads. The function runs on core 0 alone,
the stand-in (which answers after 100 ms) and the senders on core 1. The contenders take turns, round by round.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from bench.measuring import OURS, THEIRS, group, on_core, processor_seconds
from bench.report.table import table
from sandbox import processes
from sandbox.clients import Standin
from sandbox.pushes import bodies, send

LATENCY = 0.1
"""Seconds that the stand-in takes to answer an import request."""
SENDERS = (50, 200, 1_000)
RESULTS = processes.ROOT / "bench" / "results"

_BODIES = 20_000
_WARM_UP = 50
"""Messages sent beforehand, at once."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A function that pushes can be sent to."""

    name: str
    target: str
    source: Path
    settings: Mapping[str, str] = field(default_factory=dict)


_FOLDER = processes.ROOT / "bench" / "contenders"
_SAMPLE = _FOLDER / "sample_push.py"
CEILING = "nothing (the ceiling)"
CONTENDERS = (
    Contender("pubsub_import", "pubsub_import", processes.ROOT / "main.py"),
    Contender(CEILING, "empty_async", _FOLDER / "empty.py"),
    Contender("one request a message, 1,000 threads", "sample_push", _SAMPLE, {"THREADS": "1000"}),
    Contender("one request a message, defaults", "sample_push", _SAMPLE),
)


class Measured(Struct, frozen=True):
    """One contender with so many senders.

    Attributes:
        messages: how many were answered in the time given.
        failed: those of them that got another answer than 204, or none.
        rate: messages a second.
        p50, p99: seconds that a push was held open.
        requests: import requests for 1,000 messages.
        processor: microseconds of processor time for a message.
    """

    contender: str
    senders: int
    messages: int
    failed: int
    rate: float
    p50: float
    p99: float
    requests: float
    processor: float


def measure(contender: Contender, senders: int, seconds: float, pushes: Sequence[bytes], standin: Standin) -> Measured:
    """Starts the function, warms it up, and sends to it for so many seconds."""
    settings = {"MIXPANEL_API_URL": standin.url, "MIXPANEL_PROJECT_TOKEN": "bench", **contender.settings}
    with on_core(OURS):
        function = processes.start_function(contender.target, environment=settings, source=contender.source)
    with function.process, on_core(THEIRS):
        function.wait_until_ready()
        uvloop.run(send(function.url, pushes[:_WARM_UP], _WARM_UP))
        standin.reset()
        standin.faults(latency=LATENCY)
        worker = group(function.process.pid)[-1]
        before = processor_seconds(worker)
        answers = uvloop.run(send(function.url, cycle(pushes), senders, seconds))
        used = processor_seconds(worker) - before
        requests = standin.summary()["requests"]
        function.process.stop(grace=1)
    messages = len(answers.status)
    each = max(messages, 1)
    return Measured(
        contender=contender.name,
        senders=senders,
        messages=messages,
        failed=messages - answers.counts()[204],
        rate=messages / answers.seconds,
        p50=answers.percentile(0.5),
        p99=answers.percentile(0.99),
        requests=requests * 1_000 / each,
        processor=used * 1e6 / each,
    )


def middle(runs: Sequence[Measured]) -> Measured:
    """The run whose rate is the median."""
    return sorted(runs, key=lambda run: run.rate)[(len(runs) - 1) // 2]


def report(found: Sequence[Measured]) -> str:
    """A table."""
    head = ("", "senders", "messages/s", "of the ceiling", "requests/1,000", "p50", "p99", "processor", "failed")
    ceiling = {one.senders: one.rate for one in found if one.contender == CEILING}
    return table(
        head,
        [
            [
                one.contender,
                f"{one.senders:,}",
                f"{one.rate:,.0f}",
                f"{one.rate / ceiling[one.senders]:.0%}",
                "" if one.contender == CEILING else f"{one.requests:,.1f}",
                f"{one.p50 * 1000:,.0f} ms",
                f"{one.p99 * 1000:,.0f} ms",
                f"{one.processor:,.0f} µs",
                f"{one.failed:,}",
            ]
            for one in found
        ],
    )


def main() -> None:
    """Measures what the command line says, prints a table, and keeps it as JSON in bench/results/."""
    arguments = argparse.ArgumentParser(prog="python -m bench.sections.messages", description="Measures pubsub_import.")
    arguments.add_argument("--senders", type=int, nargs="+", default=SENDERS, metavar="N", help="open requests")
    arguments.add_argument("--seconds", type=float, default=15.0, help="of each run (default: %(default)s)")
    arguments.add_argument("--runs", type=int, default=3, help="of each contender (default: %(default)s)")
    given = arguments.parse_args()
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        sys.exit("This needs Linux and two cores: one for the function, one for what it talks to.")
    with processes.ended_by_signals(), on_core(THEIRS):
        found = _measure_all(given.senders, given.seconds, given.runs)
    print(report(found))
    RESULTS.mkdir(parents=True, exist_ok=True)
    kept = RESULTS / f"pubsub-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    print(f"\nKept in {kept.relative_to(processes.ROOT)}.")


def _measure_all(senders: Sequence[int], seconds: float, runs: int) -> list[Measured]:
    pushes, found = bodies(_BODIES), []
    with processes.service("sandbox.mixpanel", "--port", "0", "--count-only") as service:
        for count in senders:
            rounds = []
            for _ in range(runs):
                rounds.append([measure(each, count, seconds, pushes, Standin(service.url)) for each in CONTENDERS])
                print(
                    *(f"{one.senders:,} senders, {one.contender}: {one.rate:,.0f} messages/s" for one in rounds[-1]),
                    sep="\n",
                    file=sys.stderr,
                )
            found += [middle(of_one) for of_one in zip(*rounds, strict=True)]
    return found


if __name__ == "__main__":
    main()
