"""What is aimed at, and whether it is reached: ratios between what was measured in the same round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from msgspec import Struct

from bench.measuring import Usage, processor, speed
from bench.report.cost import LIMIT
from bench.report.table import table
from bench.sections import formats, mappings, memory, paths, throughput
from bench.sections.limit import Held
from bench.sections.startup import EMPTY_OF, Start
from bench.sections.throughput import CORE, CORE_TRANSFORM, FLOOR, FUNCTION, NODE, SAMPLE_BUCKET


class Results(Struct, frozen=True):
    """All that was measured in one go; what was not asked for is empty."""

    throughput: dict[str, list[Usage]]
    startup: dict[str, list[Start]]
    memory: dict[str, list[Usage]]
    limit: list[Held]
    paths: dict[str, list[Usage]] = {}
    mappings: dict[str, list[Usage]] = {}
    formats: dict[str, list[Usage]] = {}


class Target(Struct, frozen=True):
    """One aim: a sentence, the least or the most that the figure may be, and the figure."""

    text: str
    least: float | None
    most: float | None
    figure: float

    def is_held(self) -> bool:
        """Whether the figure is within."""
        return (self.least is None or self.figure >= self.least) and (self.most is None or self.figure <= self.most)


def targets(results: Results) -> list[Target]:
    """Those of which everything was measured."""
    return [
        *_throughput(results.throughput),
        *_startup(results.startup),
        *_memory(results.memory),
        *_limit(results.limit),
        *(
            Target(f"{name}: processor time, times that of complete lines", None, most, figure)
            for name, figure, most in paths.ratios(results.paths)
        ),
        *_mappings(results.mappings),
        *_formats(results.formats),
    ]


def report(found: Sequence[Target]) -> str:
    """The targets as a table."""
    rows = []
    for one in found:
        bound = f"at least {one.least:g}" if one.least is not None else f"at most {one.most:g}"
        rows.append([one.text, bound, f"{one.figure:.2f}", "held" if one.is_held() else "missed"])
    return table(("target", "", "measured", ""), rows)


def ratio(found: throughput.Found, one: str, other: str, figure: Callable[[Usage], float]) -> float:
    """The median of the rounds' ratios between two contenders."""
    return median(figure(a) / figure(b) for a, b in zip(found[one], found[other], strict=True))


def _throughput(found: throughput.Found) -> list[Target]:
    wanted = (
        ("core: processor time, times the floor's", CORE, FLOOR, processor, None, 1.25),
        ("core: events a second, times mixpanel-import's", CORE, NODE, speed, 30, None),
        ("whole function: events a second, times mixpanel-import's from a local file", FUNCTION, NODE, speed, 22, None),
        (
            "whole function: events a second, times the sample's through the client",
            FUNCTION,
            SAMPLE_BUCKET,
            speed,
            60,
            None,
        ),
        ("core with a transform: processor time, times that without", CORE_TRANSFORM, CORE, processor, None, 3),
    )
    return [
        Target(text, least, most, ratio(found, one, other, figure))
        for text, one, other, figure, least, most in wanted
        if found.get(one) and found.get(other)
    ]


def _mappings(found: throughput.Found) -> list[Target]:
    aims = [aim for aim in mappings.aims() if found.get(aim.name)]
    ratios = [
        Target(
            f"{aim.name}: processor time, times {aim.beside}",
            None,
            aim.most,
            ratio(found, aim.name, aim.beside, processor),
        )
        for aim in aims
        if aim.most
    ]
    least = min((median(map(speed, found[aim.name])) for aim in aims), default=LIMIT)
    return [*ratios, Target("the slowest mapping: events a second", LIMIT, None, least)] if aims else []


def _formats(found: throughput.Found) -> list[Target]:
    times = formats.times_node(found)
    return [
        *(
            Target(f"{name}: processor time, times that of JSON lines", None, most, figure)
            for name, figure, most in formats.ratios(found)
        ),
        *(
            []
            if times is None
            else [Target("CSV: events a second, times mixpanel-import's", formats.LEAST_OF_NODE, None, times)]
        ),
        *(Target(f"{name}: peak MB", None, formats.MOST_MEGABYTES, peak) for name, peak in formats.peaks(found)),
    ]


def _startup(found: dict[str, list[Start]]) -> list[Target]:
    return [
        Target(
            f"start of {ours}: time to the first answer, times that of {empty}",
            None,
            most,
            median(a.wall / b.wall for a, b in zip(found[ours], found[empty], strict=True)),
        )
        for ours, (empty, most) in EMPTY_OF.items()
        if found.get(ours)
    ]


def _memory(found: dict[str, list[Usage]]) -> list[Target]:
    if not found:
        return []
    small, large = ([usage.peak for usage in found[f"function, {size}"]] for size in (memory.SMALL, memory.LARGE))
    return [
        Target("whole function: peak MB with 2 GB, the highest", None, 120, max(large) / 1e6),
        Target("whole function: peak with 2 GB, times that with 20 MB", None, 1.1, median(large) / median(small)),
    ]


def _limit(found: Sequence[Held]) -> list[Target]:
    return [
        target
        for held in found
        if held.paced
        for target in (
            Target(f"{_who(held)}: % used", 95 if held.importers == 1 else 90, None, held.used * 100),
            Target(f"{_who(held)}: % refused", None, 5 if held.importers == 1 else 10, held.refused * 100),
        )
    ]


def _who(held: Held) -> str:
    return f"{held.limit}, {'alone' if held.importers == 1 else f'{held.importers} at once'}"
