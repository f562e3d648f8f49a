"""Paths: what a file costs that is not complete events as lines, beside one that is, in the same round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from bench.contenders.contender import PYTHON, Child
from bench.contenders.rounds import measured
from bench.files import Sample
from bench.measuring import Usage, processor
from bench.report.table import table
from sandbox.events import Shape

COMPLETE = "complete lines"


class Path(NamedTuple):
    """One way that events come: what it is called, how its sample differs, and how many times the processor time of
    complete lines it may take, for events of 850 bytes."""

    name: str
    sample: dict[str, Any]
    most: float


PATHS = (
    Path("an array, one line", {"layout": "array"}, 1.6),
    Path("an array, one event a line", {"layout": "array of lines"}, 1.6),
    Path("an array, pretty-printed", {"layout": "pretty array"}, 1.6),
    Path("an array, gzipped", {"layout": "array of lines", "gzip": True}, 1.6),
    Path("CRLF", {"layout": "crlf"}, 1.2),
    Path("no $insert_id", {"insert_ids": False}, 1.8),
    Path("no ip", {"ips": False}, 1.3),
    Path("1 % bad lines", {"bad_share": 0.01}, 1.4),
    Path("one blank line in 200", {"layout": "blank lines"}, 1.1),
    Path("every line bad", {"bad_share": 1.0}, 4.0),
)

SHAPES: dict[Shape, float] = {"dense": 1.0, "small": 1.5}
"""The shapes, and how much more each may take: of a small event less is the same for all."""

Found = Mapping[str, Sequence[Usage]]


def measure(runs: int, events: int, tell: Callable[[str], None]) -> dict[str, list[Usage]]:
    """Imports a file of each kind by the core alone, in turn, `runs` times."""
    chosen = [
        Child(f"{path.name}, {shape}", Sample(events, shape, **path.sample), *PYTHON, "bench.contenders.core")
        for shape in SHAPES
        for path in (Path(COMPLETE, {}, 1.0), *PATHS)
    ]
    return measured(chosen, runs, tell)


def ratios(found: Found) -> list[tuple[str, float, float]]:
    """Of each path: its name, what it took (times complete lines, the median of the rounds' ratios), and its bound."""
    return [
        (name, median(processor(a) / processor(b) for a, b in zip(found[name], complete, strict=True)), most * share)
        for shape, share in SHAPES.items()
        if (complete := found.get(f"{COMPLETE}, {shape}"))
        for path, most in ((path, path.most) for path in PATHS)
        if (name := f"{path.name}, {shape}") in found
    ]


def report(found: Found) -> str:
    """What an event takes on each path, as a table."""
    bounds = {name: (figure, most) for name, figure, most in ratios(found)}
    rows = []
    for name, runs in found.items():
        figure, most = bounds.get(name, (1.0, 1.0))
        rows.append([name, f"{median(map(processor, runs)) * 1e6:.2f}", f"{figure:.2f}", f"{most:.2f}"])
    return table(("", "processor µs", "times complete lines", "at most"), rows)
