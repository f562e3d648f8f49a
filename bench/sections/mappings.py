"""Mappings: what an event takes that a ready mapping or a mapping file makes of a vendor's record, beside one of
Mixpanel's own that needs none, in the same round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from bench.contenders.contender import PYTHON, Child
from bench.contenders.rounds import measured
from bench.files import Sample
from bench.measuring import Usage, processor, speed
from bench.report.table import table
from sandbox.processes import ROOT
from sandbox.vendors import VENDORS

PLAIN = "no mapping"
FILE, FILTERS = "segment, by a mapping file", "segment, and filters that touch nothing"

_FILES = ROOT / "bench" / "contenders"
_MOST = {"segment": 4, "rudderstack": 4, "amplitude": 4, "posthog": 4, "ga4": 8, "snowplow": 8, "mparticle": 8}
"""How many times the processor time of an event that needs no mapping one may take. The others have no aim."""

Found = Mapping[str, Sequence[Usage]]


class Aim(NamedTuple):
    """A contender, the one it is measured beside, and how many times that one's processor time it may take."""

    name: str
    beside: str
    most: float | None


def aims() -> list[Aim]:
    """All contenders but the one without a mapping."""
    ready = [Aim(vendor, PLAIN, _MOST.get(vendor)) for vendor in VENDORS]
    return [*ready, Aim(FILE, "segment", 1.3), Aim(FILTERS, "segment", 1.3)]


def measure(runs: int, events: int, tell: Callable[[str], None]) -> dict[str, list[Usage]]:
    """Imports a file of each vendor's records by the core alone, in turn, `runs` times."""
    segment = Sample(events, vendor="segment")
    chosen = [
        _child(PLAIN, Sample(events)),
        *(_child(vendor, Sample(events, vendor=vendor), vendor) for vendor in VENDORS),
        _child(FILE, segment, str(_FILES / "segment.toml")),
        _child(FILTERS, segment, str(_FILES / "filters.toml")),
    ]
    return measured(chosen, runs, tell)


def report(found: Found) -> str:
    """What an event takes with each mapping, as a table; bytes are those of the records that it is made of."""
    plain = [*map(processor, found[PLAIN])]
    rows = []
    for name, runs in found.items():
        each = [*map(processor, runs)]
        times = median(a / b for a, b in zip(each, plain, strict=True))
        events_a_second = median(map(speed, runs))
        size = runs[0].bytes / runs[0].events
        rows.append([name, f"{median(each) * 1e6:.2f}", f"{times:.2f}", f"{events_a_second:,.0f}", f"{size:.0f}"])
    return table(("", "processor µs", f"times {PLAIN}", "events/s", "bytes"), rows)


def _child(name: str, sample: Sample, mapping: str | None = None) -> Child:
    settings = {"IMPORT_MAPPING": mapping} if mapping else None
    return Child(name, sample, *PYTHON, "bench.contenders.core", settings=settings)
