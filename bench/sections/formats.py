"""Formats: what an event costs as a row of a table, beside the same event as a line of JSON, in the same round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from bench.contenders.contender import Contender, Function, mixpanel_import_of_csv
from bench.contenders.rounds import measured
from bench.files import Sample
from bench.measuring import Usage, processor, speed
from bench.report.table import table
from bench.tables import Kind, Table

LINES, CSV, NODE = "JSON lines", "CSV", "mixpanel-import, CSV"
MOST: dict[str, tuple[Kind, float]] = {CSV: ("csv", 3.5), "Parquet": ("parquet", 3.5), "Avro": ("avro", 5.0)}
"""The formats, and how many times the processor time of lines each may take."""

LEAST_OF_NODE = 6.0
"""How many times as many rows of CSV a second as mixpanel-import."""

LARGE = ", 2 GB"
MOST_MEGABYTES = 300.0
_ROWS = 24_000
_NODES_SHARE = 10

Found = Mapping[str, Sequence[Usage]]


def measure(runs: int, events: int, times: int, tell: Callable[[str], None]) -> dict[str, list[Usage]]:
    """Brings a file of each format through the whole function, in turn, `runs` times; and once a large one of each,
    20 MB of events `times` over."""
    chosen: list[Contender] = [Function(LINES, Sample(events))]
    chosen += [Function(name, Table(kind, events)) for name, (kind, _) in MOST.items()]
    chosen += mixpanel_import_of_csv(Table("csv", events // _NODES_SHARE))
    large: list[Contender] = [Function(name + LARGE, Table(kind, _ROWS, times)) for name, (kind, _) in MOST.items()]
    return measured(chosen, runs, tell) | measured(large, 1, tell)


def ratios(found: Found) -> list[tuple[str, float, float]]:
    """Of each format: its name, what it took (times lines, the median of the rounds' ratios), and its bound."""
    return [
        (name, median(processor(a) / processor(b) for a, b in zip(found[name], found[LINES], strict=True)), most)
        for name, (_, most) in MOST.items()
        if name in found
    ]


def times_node(found: Found) -> float | None:
    """How many times as many rows of CSV a second as mixpanel-import; None where that was not measured."""
    if not found.get(NODE) or not found.get(CSV):
        return None
    return median(speed(a) / speed(b) for a, b in zip(found[CSV], found[NODE], strict=True))


def peaks(found: Found) -> list[tuple[str, float]]:
    """Of each large file: what it is, and the megabytes resident at most."""
    return [(name, max(run.peak for run in runs) / 1e6) for name, runs in found.items() if name.endswith(LARGE)]


def report(found: Found) -> str:
    """What a row takes in each format, as a table."""
    times = {name: f"{figure:.2f}" for name, figure, _ in ratios(found)}
    rows = [
        [
            name,
            f"{median(map(processor, runs)) * 1e6:.2f}",
            times.get(name, ""),
            f"{median(map(speed, runs)):,.0f}",
            f"{max(run.peak for run in runs) / 1e6:.0f}",
        ]
        for name, runs in found.items()
    ]
    return table(("", "processor µs", "times lines", "events/s", "peak MB"), rows)
