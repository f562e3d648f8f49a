"""Throughput: every contender in turn, again and again, so that all of them meet the same noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from msgspec.structs import asdict

from bench.contenders.contender import PYTHON, Child, Contender, Function, mixpanel_import
from bench.contenders.rounds import measured
from bench.files import Sample
from bench.measuring import Usage
from bench.report.cost import billion, billion_at_limit
from bench.report.table import table

FLOOR, CORE, FUNCTION = "floor", "core", "whole function"
SAMPLE, SAMPLE_BUCKET = "sample, local file", "sample, storage client"
NODE, NODE_LIBRARY = "mixpanel-import", "mixpanel-import, library"
CORE_TRANSFORM, FUNCTION_TRANSFORM = "core, a transform", "whole function, a transform"
_TRANSFORM = {"IMPORT_TRANSFORM": "bench.contenders.core:change_one_property"}

_PRICED = (FUNCTION, FUNCTION_TRANSFORM, SAMPLE, SAMPLE_BUCKET, NODE, NODE_LIBRARY)
"""What does all that has to be done, one way or another."""

Found = Mapping[str, Sequence[Usage]]


def contenders(sections: set[str], events: int) -> list[Contender]:
    """Those of the sections asked for. The slow ones get fewer events: they would take minutes, and say the same."""
    dense, small = Sample(events), Sample(events, "small")
    found: list[Contender] = [Child(FLOOR, dense, *PYTHON, "bench.contenders.floor", sends=False)]
    if "core" in sections:
        found += [
            Child(CORE, dense, *PYTHON, "bench.contenders.core"),
            Child(CORE_TRANSFORM, dense, *PYTHON, "bench.contenders.core", settings=_TRANSFORM),
            Child("core, gzipped file", Sample(events, gzip=True), *PYTHON, "bench.contenders.core"),
            Child("core, no $insert_id", Sample(events, insert_ids=False), *PYTHON, "bench.contenders.core"),
            Child("core, 1 % bad", Sample(events, bad_share=0.01), *PYTHON, "bench.contenders.core"),
            Child("floor, small events", small, *PYTHON, "bench.contenders.floor", sends=False),
            Child("core, small events", small, *PYTHON, "bench.contenders.core"),
        ]
    if "function" in sections:
        found += [
            Function(FUNCTION, dense),
            Function("whole function, gzipped", Sample(events, gzip=True)),
            Function(FUNCTION_TRANSFORM, dense, _TRANSFORM),
            Function("whole function, small events", small),
        ]
    if "peers" in sections:
        found += [
            Child(SAMPLE, Sample(events // 4), *PYTHON, "bench.contenders.sample"),
            Child(SAMPLE_BUCKET, Sample(events // 10), *PYTHON, "bench.contenders.sample", through_bucket=True),
        ]
        found += mixpanel_import(Sample(events // 2))
    return found


def measure(sections: set[str], runs: int, events: int, tell: Callable[[str], None]) -> dict[str, list[Usage]]:
    """Runs each contender `runs` times, in turn."""
    chosen = contenders(sections, events)
    if "peers" in sections and NODE not in {each.name for each in chosen}:
        tell("mixpanel-import is left out: there is no npm and node here.")
    return measured(chosen, runs, tell)


def report(found: Found) -> str:
    """The medians as a table; times and bytes on the wire are for one event."""
    head = ("", "processor µs", "wall µs", "events/s", "MB/s", "peak MB", "requests", "wire bytes")
    return table(head, [_row(name, middle(runs)) for name, runs in found.items()])


def costs(found: Found) -> str:
    """What a billion events take of each way to import them, and what Cloud Run charges for it, as a table."""
    head = ("", "processor s for a million", "$ for a billion", "$ at Mixpanel's limit")
    rows = []
    for name in (name for name in _PRICED if name in found):
        usage = middle(found[name])
        wall = usage.wall / usage.events
        million = usage.processor / usage.events * 1e6
        rows.append([name, f"{million:.1f}", f"{billion(wall):.2f}", f"{billion_at_limit(wall):.2f}"])
    return table(head, rows)


def middle(runs: Sequence[Usage]) -> Usage:
    """The median of each figure by itself."""
    rows = [asdict(run) for run in runs]
    return Usage(**{name: type(rows[0][name])(median(row[name] for row in rows)) for name in rows[0]})


def _row(name: str, usage: Usage) -> list[str]:
    events = usage.events
    return [
        name,
        f"{usage.processor / events * 1e6:.2f}",
        f"{usage.wall / events * 1e6:.2f}",
        f"{events / usage.wall:,.0f}",
        f"{usage.bytes / usage.wall / 1e6:.1f}",
        f"{usage.peak / 1e6:.0f}",
        f"{usage.requests:,}",
        f"{usage.wire / events:.0f}",
    ]
