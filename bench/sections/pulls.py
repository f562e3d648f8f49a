"""Measures `pull` beside `pubsub_import`: messages a second on one core, round by round.

    python -m bench.sections.pulls

The pulled messages are handed over by a stream within the process (`bench.contenders.pull`), since no emulator gives as
many; Google's client takes about 50 µs more for each. The pushes come from a thousand senders.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from bench.measuring import OURS, THEIRS, on_core
from bench.report.table import table
from bench.sections.messages import CONTENDERS, LATENCY, measure
from sandbox import processes
from sandbox.clients import Standin
from sandbox.pushes import bodies

_PUSHES = 20_000
_SENDERS = 1_000


class Pulled(Struct, frozen=True):
    """What the contender says: messages, and seconds from the first to the last, of the clock and of the processor."""

    messages: int
    seconds: float
    processor_seconds: float


def pull(standin: Standin, count: int) -> Pulled:
    """Has that many messages pulled, on one core."""
    standin.reset()
    standin.faults(latency=LATENCY)
    environment = {
        **processes.without_settings(os.environ),
        "MIXPANEL_API_URL": standin.url,
        "MIXPANEL_PROJECT_TOKEN": "bench",
        "LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "bench.contenders.pull", str(count)]
    with on_core(OURS):
        out = subprocess.run(command, env=environment, cwd=processes.ROOT, capture_output=True, check=True).stdout
    return msgspec.json.decode(out, type=Pulled)


def report(pushed: Sequence[tuple[float, float]], pulled: Sequence[tuple[float, float]]) -> str:
    """A table of the medians, and how many times as many messages are pulled."""
    rows = []
    for name, found in (("pubsub_import, 1,000 senders", pushed), ("pull, from a stream in the process", pulled)):
        rate, micros = (statistics.median(column) for column in zip(*found, strict=True))
        rows.append([name, f"{rate:,.0f}", f"{micros:,.0f} µs"])
    times = statistics.median(theirs[0] / ours[0] for ours, theirs in zip(pushed, pulled, strict=True))
    return f"{table(('', 'messages/s', 'processor'), rows)}\n\npull: {times:.1f} times as many (target: at least 2)."


def main() -> None:
    """Measures, and prints a table."""
    arguments = argparse.ArgumentParser(prog="python -m bench.sections.pulls", description="Measures pull.")
    arguments.add_argument("--messages", type=int, default=200_000, help="in a run (default: %(default)s)")
    arguments.add_argument("--seconds", type=float, default=10.0, help="of each run of pushes (default: %(default)s)")
    arguments.add_argument("--runs", type=int, default=3, help="of each (default: %(default)s)")
    given = arguments.parse_args()
    pushed, pulled, pushes = [], [], bodies(_PUSHES)
    with (
        processes.ended_by_signals(),
        on_core(THEIRS),
        processes.service("sandbox.mixpanel", "--port", "0", "--count-only") as service,
    ):
        standin = Standin(service.url)
        for _ in range(given.runs):
            one = measure(CONTENDERS[0], _SENDERS, given.seconds, pushes, standin)
            pushed.append((one.rate, one.processor))
            other = pull(standin, given.messages)
            pulled.append((other.messages / other.seconds, other.processor_seconds * 1e6 / other.messages))
    print(report(pushed, pulled))


if __name__ == "__main__":
    main()
