"""Runs the benchmarks: prints tables, keeps them as JSON in bench/results/, and draws the README's picture.

    python -m bench --only core,peers --quick

What is measured runs on core 0 alone, all that it talks to on core 1; contenders take turns, round by round.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from bench import targets
from bench.measuring import THEIRS, on_core, speed
from bench.report.cost import LIMIT
from bench.report.plot import Bar, bars
from bench.sections import formats, limit, mappings, memory, paths, startup, throughput
from bench.targets import Results
from sandbox import processes

SECTIONS = ("core", "function", "peers", "startup", "memory", "limit", "paths", "mappings", "formats")
RESULTS = processes.ROOT / "bench" / "results"
PICTURE = processes.ROOT / "docs" / "images" / "performance.svg"

_THROUGHPUT = {"core", "function", "peers"}


class Machine(Struct, frozen=True):
    """Where it was measured, and how busy that was with other things (load averages before and after)."""

    processor: str
    cores: int
    system: str
    python: str
    at: str
    load_before: float
    load_after: float


class Run(Struct, frozen=True):
    """What is kept of one run of the benchmarks."""

    machine: Machine
    command: str
    results: Results


def main() -> None:
    """Measures what the command line says."""
    given = _arguments()
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        sys.exit("The benchmarks need Linux and two cores: one for what is measured, one for what it talks to.")
    if given.show:
        _show(msgspec.json.decode(given.show.read_bytes(), type=Run))
        return
    load = os.getloadavg()[0]
    with processes.ended_by_signals(), on_core(THEIRS):
        results = _measure(given)
    run = Run(_machine(load), f"python -m bench {' '.join(sys.argv[1:])}".strip(), results)
    RESULTS.mkdir(parents=True, exist_ok=True)
    kept = RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(run)))
    _show(run)
    if {"core", "peers", "function"} <= given.only and not given.quick:
        PICTURE.write_text(_picture(run), encoding="utf-8")
    _say(f"Kept in {kept.relative_to(processes.ROOT)}.")


def _measure(given: argparse.Namespace) -> Results:
    chosen: set[str] = given.only
    runs = given.runs or (1 if given.quick else 5)
    events = given.events or (20_000 if given.quick else 200_000)
    seconds = 15 if given.quick else given.limit_seconds
    return Results(
        startup=startup.measure(runs) if "startup" in chosen else {},
        throughput=(throughput.measure(chosen & _THROUGHPUT, runs, events, _say) if chosen & _THROUGHPUT else {}),
        memory=memory.measure(10 if given.quick else 100, min(runs, 3), _say) if "memory" in chosen else {},
        limit=limit.measure(seconds, _say, tuple(given.limits)) if "limit" in chosen else [],
        paths=paths.measure(runs, events, _say) if "paths" in chosen else {},
        mappings=mappings.measure(runs, events, _say) if "mappings" in chosen else {},
        formats=formats.measure(runs, events, 10 if given.quick else 100, _say) if "formats" in chosen else {},
    )


def _show(run: Run) -> None:
    results, machine = run.results, run.machine
    found = targets.targets(results)
    sections = {
        "Throughput, medians": throughput.report(results.throughput) if results.throughput else "",
        "Cost": throughput.costs(results.throughput) if results.throughput else "",
        "Start-up, medians": startup.report(results.startup) if results.startup else "",
        "Memory": memory.report(results.memory) if results.memory else "",
        "Paths, medians": paths.report(results.paths) if results.paths else "",
        "Mappings, medians": mappings.report(results.mappings) if results.mappings else "",
        "Formats, medians": formats.report(results.formats) if results.formats else "",
        "Under the limit": limit.report(results.limit) if results.limit else "",
        "Targets": targets.report(found) if found else "",
    }
    for title, text in sections.items():
        if text:
            _say(f"\n{title}\n\n{text}")
    _say(
        f"\n{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}, {machine.at}; "
        f"load {machine.load_before:.1f} before, {machine.load_after:.1f} after."
    )


def _picture(run: Run) -> str:
    found = run.results.throughput
    ours = {throughput.CORE: "import core, local file", throughput.FUNCTION: "gcs_import, from the bucket"}
    theirs = {throughput.SAMPLE: "published sample, local file", throughput.NODE: "mixpanel-import, local file"}
    theirs[throughput.SAMPLE_BUCKET] = "published sample, from the bucket"
    shown = [
        Bar(label, median(map(speed, found[name])), is_ours=name in ours)
        for name, label in {**ours, **theirs}.items()
        if name in found
    ]
    return bars(
        "Events a second on one core",
        f"Events of 850 bytes, gzip on; {run.machine.processor}, medians. `make bench` measures it again.",
        sorted(shown, key=lambda bar: -bar.speed),
        LIMIT,
        f"Mixpanel's limit: {LIMIT:,}",
    )


def _machine(load_before: float) -> Machine:
    models = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return Machine(
        processor=models[0] if models else platform.machine(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        python=platform.python_version(),
        at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        load_before=load_before,
        load_after=os.getloadavg()[0],
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the importer beside others.")
    parser.add_argument("--only", type=_sections, default=set(SECTIONS), metavar=",".join(SECTIONS))
    parser.add_argument("--runs", type=int, metavar="N", help="of each contender (default: 5, with --quick 1)")
    parser.add_argument("--events", type=int, metavar="N", help="in a file (default: 200,000, with --quick 20,000)")
    parser.add_argument("--quick", action="store_true", help="few events: shows that it works, not how fast")
    parser.add_argument("--limit-seconds", type=float, default=60, metavar="S", help="under each limit (default: 60)")
    parser.add_argument("--limits", nargs="*", default=[""], metavar="NAME", help="those whose name starts so")
    parser.add_argument("--show", type=Path, metavar="FILE", help="print the tables of a run that was kept")
    return parser.parse_args()


def _sections(text: str) -> set[str]:
    chosen = set(text.split(","))
    if unknown := chosen - set(SECTIONS):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    return chosen


_say = partial(print, flush=True)


if __name__ == "__main__":
    main()
