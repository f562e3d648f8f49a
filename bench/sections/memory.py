"""Memory: the peak of the whole function must not grow with the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from bench.contenders.contender import PYTHON, Child, Function
from bench.files import Sample
from bench.measuring import Usage
from bench.report.table import table
from bench.servers import opened

_EVENTS = 24_000
"""Of 850 bytes: 20 MB."""

SMALL, LARGE = "20 MB", "2 GB"


def measure(times: int, runs: int, tell: Callable[[str], None]) -> dict[str, list[Usage]]:
    """Imports 20 MB, and a file `times` as long, each by the core alone and by the whole function, `runs` times."""
    found: dict[str, list[Usage]] = {}
    for _ in range(runs):
        for size, sample in ((SMALL, Sample(_EVENTS)), (LARGE, Sample(_EVENTS, times=times))):
            core, function = f"core, {size}", f"function, {size}"
            with opened() as sinks:
                for each in (Child(core, sample, *PYTHON, "bench.contenders.core"), Function(function, sample)):
                    usage = each.run(sinks)
                    found.setdefault(each.name, []).append(usage)
                    tell(f"{each.name}: {usage.peak / 1e6:.0f} MB at most.")
    return found


def report(found: Mapping[str, Sequence[Usage]]) -> str:
    """The peaks as a table: the median of the runs, and the highest."""
    rows = []
    for name, runs in found.items():
        peaks = [usage.peak / 1e6 for usage in runs]
        rows.append([name, f"{runs[0].bytes / 1e6:,.0f}", f"{median(peaks):.1f}", f"{max(peaks):.1f}"])
    return table(("", "file MB", "peak MB", "highest"), rows)
