"""Under Mixpanel's limit: how much of it importers use, and how many of their requests are refused.

The stand-in enforces the limit and answers after 150 ms, as a server far away does. Importers that know nothing of each
other import without an end, until the time is up.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.files import Sample
from bench.measuring import OURS, THEIRS, on_core
from bench.report.table import table
from sandbox import processes
from sandbox.clients import Standin

Summary = Mapping[str, Any]
"""The stand-in's counts at some time."""

LATENCY = 0.15
_EVENTS_A_SECOND, _BYTES_A_MINUTE = 30_000, 2_000_000_000
_FILE_EVENTS = 100_000


class Limit(Struct, frozen=True):
    """A limit as the stand-in enforces it: either of the rates, measured over the last `window` seconds."""

    name: str
    window: float
    events_per_second: float | None = None
    bytes_per_minute: float | None = None

    def switches(self) -> dict[str, Any]:
        """What to tell the stand-in; see `sandbox.mixpanel.faults.Switches`."""
        return {
            "latency": LATENCY,
            "rate_events_per_second": self.events_per_second,
            "rate_bytes_per_minute": self.bytes_per_minute,
            "rate_window": self.window,
        }

    def used(self, events: float, size: float, seconds: float) -> float:
        """What share of it so many events and bytes were."""
        if self.events_per_second:
            return events / (self.events_per_second * seconds)
        return size / ((self.bytes_per_minute or 1) / 60 * seconds)


LIMITS = (
    Limit("30,000 events/s, each second", 1.0, events_per_second=_EVENTS_A_SECOND),
    Limit("2 GB/min, each second", 1.0, bytes_per_minute=_BYTES_A_MINUTE),
    Limit("30,000 events/s, over a rolling minute", 60.0, events_per_second=_EVENTS_A_SECOND),
)
"""The published limits, held second by second, which is the strictest that the words allow, and as they are meant."""


class Held(Struct, frozen=True):
    """What came of `importers` at once under a limit, in `seconds` from the first request on; from a minute later under
    the limit of a rolling minute.

    Attributes:
        used: the share of the limit that was used.
        refused: the share of requests that was answered with 429.
        paced: whether the senders of a process keep a common pace, or each sleeps by itself when it is refused.
        curve: events taken in each second.
    """

    limit: str
    importers: int
    paced: bool
    seconds: float
    used: float
    refused: float
    curve: list[int]


def measure(seconds: float, tell: Callable[[str], None], names: Sequence[str] = ("",)) -> list[Held]:
    """Has one importer, then four at once, under each limit (those whose name starts with one of `names`)."""
    found = []
    for limit in LIMITS:
        if not limit.name.startswith(tuple(names)):
            continue
        for paced in (True, False) if limit is LIMITS[0] else (True,):
            for importers in (1, 4):
                found.append(_hold(limit, importers, seconds, paced=paced))
                tell(_said(found[-1]))
    return found


def report(found: Sequence[Held]) -> str:
    """The shares as a table."""
    head = ("limit", "importers", "seconds", "used", "refused with 429")
    return table(head, [_row(one) for one in found])


def who(held: Held) -> str:
    """The limit and who was held by it, in words."""
    paced = "" if held.paced else ", each sender by itself"
    return f"{held.limit}{paced}"


def _row(held: Held) -> list[str]:
    return [who(held), str(held.importers), f"{held.seconds:.0f}", f"{held.used:.1%}", f"{held.refused:.1%}"]


def _hold(limit: Limit, importers: int, seconds: float, *, paced: bool) -> Held:
    paths = [Sample(_FILE_EVENTS, seed=seed + 1).path() for seed in range(importers)]
    with ExitStack() as running:
        with on_core(THEIRS):
            service = running.enter_context(processes.service("sandbox.mixpanel", "--port", "0"))
        standin = Standin(service.url)
        standin.faults(**limit.switches())
        settings = {"MIXPANEL_PROJECT_TOKEN": "bench", "MIXPANEL_API_URL": service.url}
        environment = {**processes.without_settings(os.environ), **settings}
        for path in paths:
            command: list[str | Path] = [sys.executable, "-m", "bench.contenders.core", path, "--without-end"]
            command += [] if paced else ["--unpaced"]
            with on_core(OURS):
                importer = processes.Process(command, name=f"importer of {path.name}", environment=environment)
            running.enter_context(importer)
        importer.wait_until(lambda: standin.summary()["requests"] or None)
        if limit.window > 1:
            # A minute that starts with all of the limit unused shows nothing of how it is kept: the next one does.
            time.sleep(limit.window)
        summaries = _each_second(standin, seconds)
    taken = [after["received"] - before["received"] for before, after in pairwise(summaries)]
    refused, answered = (_grown(summaries, count) for count in (_refused, _answered))
    return Held(
        limit=limit.name,
        importers=importers,
        paced=paced,
        seconds=seconds,
        used=limit.used(sum(taken), sum(taken) * _event_bytes(), seconds),
        refused=refused / max(answered, 1),
        curve=taken,
    )


def _grown(summaries: Sequence[Summary], count: Callable[[Summary], int]) -> int:
    return count(summaries[-1]) - count(summaries[0])


def _refused(summary: Summary) -> int:
    return int(summary["answers"].get("429", 0))


def _answered(summary: Summary) -> int:
    return int(sum(summary["answers"].values()))


def _each_second(standin: Standin, seconds: float) -> list[Summary]:
    began = time.monotonic()
    found: list[Summary] = [standin.summary()]
    while len(found) <= seconds:
        time.sleep(max(began + len(found) - time.monotonic(), 0))
        found.append(standin.summary())
    return found


def _event_bytes() -> float:
    return Sample(_FILE_EVENTS).bytes() / _FILE_EVENTS


def _said(held: Held) -> str:
    return f"{who(held)}, {held.importers} at once: {held.used:.1%} used, {held.refused:.1%} refused."
