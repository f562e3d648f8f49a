"""Memory: the peak of the whole function must not grow with the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.contenders import PYTHON, Child, Function
from bench.files import Sample
from bench.measuring import Usage
from bench.sinks import opened
from bench.table import table

_EVENTS = 24_000
"""Of 850 bytes: 20 MB."""

SMALL, LARGE = "20 MB", "2 GB"


def measure(times: int, tell: Callable[[str], None]) -> dict[str, Usage]:
    """Imports 20 MB, and a file `times` as long, both by the core alone and by the whole function."""
    small = Sample(_EVENTS)
    large = Sample(_EVENTS, times=times)
    found = {}
    for size, sample in ((SMALL, small), (LARGE, large)):
        with opened() as sinks:
            for each in (Child(f"core, {size}", sample, *PYTHON, "bench.core"), Function(f"function, {size}", sample)):
                found[each.name] = each.run(sinks)
                tell(f"{each.name}: {found[each.name].peak / 1e6:.0f} MB at most.")
    return found


def report(found: Mapping[str, Usage]) -> str:
    """The peaks as a table."""
    rows = [[name, f"{usage.bytes / 1e6:,.0f}", f"{usage.peak / 1e6:.1f}"] for name, usage in found.items()]
    return table(("", "file MB", "peak MB"), rows)
