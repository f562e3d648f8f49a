"""Changes importer/ at random places, one at a time, and counts how many of the changes tests/unit notices.

    make mutants                     a hundred, with the seed that stands in SEED; fails below 85
    make mutants ARGS='--seed 7'     another hundred
    make mutants ARGS='--only importer/core --count 30'

The work is done in a copy of the tree. A first run records which test runs which line (it is kept in .mutants/ for as
long as importer/ stays the same); then each mutant meets only the tests that run its line, the most particular first,
until one fails, and fails again. A mutant that runs into its time limit counts as noticed, as everywhere.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData

from tests.mutants.recording import DURATIONS
from tests.mutants.selection import Selection
from tests.mutants.sites import Site, mutated, sites

ROOT = Path(__file__).parents[2]
SEED = 12
MIN_NOTICED = 85
"""Of a hundred."""

_MIN_SECONDS = 30.0
_MAX_MEMORY = 8 << 30
"""Bytes of address space: a bound that is changed may be the one on memory."""

_FIRST, _MOST = 40, 300
"""Tests that a mutant meets first, since to collect them costs too and most mutants go no further; and at the most."""

_ELSEWHERE = {"engines", "orchestrators"}
"""Rooms that nothing in this environment can import: `make engines` tests them."""

_FAILED, _INTERRUPTED, _INTERNAL, _USAGE = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests said of a mutant.

    Attributes:
        noticed: whether one failed.
        by: the first that failed, or why none could.
        seconds: how long it took.
        tests: how many run the line.
    """

    noticed: bool
    by: str
    seconds: float
    tests: int


def main() -> int:
    """Tries mutants; the exit status is 1 where too few are noticed."""
    args = _arguments()
    with _copy() as tree:
        data, seconds = _recorded(tree)
        selection = Selection(tree, data, seconds)
        files = sorted(path.relative_to(tree) for path in (tree / "importer").rglob("*.py"))
        files = [file for file in files if file.parts[1] not in _ELSEWHERE]
        all_of_them = [site for file in files if str(file).startswith(args.only) for site in sites(tree, file)]
        chance = random.Random(args.seed)
        chosen = chance.sample(all_of_them, min(args.count, len(all_of_them)))
        print(f"{len(chosen)} of {len(all_of_them)} places, seed {args.seed}", flush=True)
        missed: list[str] = []
        for number, site in enumerate(chosen, 1):
            verdict, change = _tried(tree, site, chance, selection, seconds)
            print(
                f"{number:3} {'noticed' if verdict.noticed else 'MISSED '} {verdict.seconds:5.1f} s "
                f"{verdict.tests:4} tests  {site}  {verdict.by[:150]}",
                flush=True,
            )
            if not verdict.noticed:
                missed.append(f"{site}\n{change}")
        for one in missed:
            print(f"\n{one}")
    noticed = len(chosen) - len(missed)
    print(f"\n{noticed} of {len(chosen)} noticed (seed {args.seed})")
    return int(noticed * 100 < MIN_NOTICED * len(chosen))


def _arguments() -> argparse.Namespace:
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__, formatter_class=as_it_is)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--only", default="importer/", help="a file or a folder")
    return parser.parse_args()


@contextmanager
def _copy() -> Iterator[Path]:
    """A copy of the tree as it is now, what git does not know included, for as long as it is used."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder).resolve() / "tree"
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, tree / name)
        yield tree


def _recorded(tree: Path) -> tuple[CoverageData, dict[str, float]]:
    """Which test runs which line of the tree, and the seconds of each. Where only tests have changed since the last
    time, those are recorded anew."""
    tests = sorted((tree / "tests/unit").rglob("test_*.py"))
    kept = ROOT / ".mutants" / _digest(path for path in _code(tree) if path not in tests)
    if not kept.exists():
        shutil.rmtree(ROOT / ".mutants", ignore_errors=True)
        kept.mkdir(parents=True)
    files = {str(path.relative_to(tree)): _digest([path]) for path in tests}
    known, seconds = (json.loads(one.read_text()) if one.exists() else {} for one in (kept / "files", kept / "seconds"))
    seconds = {
        test: some for test, some in seconds.items() if known.get(file := test.split("::")[0]) == files.get(file)
    }
    if stale := [file for file, digest in files.items() if known.get(file) != digest]:
        print(f"Recording which test runs which line: {len(stale)} files of tests …", flush=True)
        seconds |= _record(tree, kept, stale)
        (kept / "seconds").write_text(json.dumps(seconds))
        (kept / "files").write_text(json.dumps(files))
    data = CoverageData(str(kept / "coverage"))
    data.read()
    return data, seconds


def _code(tree: Path) -> list[Path]:
    return sorted(path for room in ("importer", "tests/unit", "sandbox") for path in (tree / room).rglob("*.py"))


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _record(tree: Path, kept: Path, files: Sequence[str]) -> dict[str, float]:
    settings, times = tree / "recording.ini", tree / "seconds.json"
    settings.write_text("[run]\nsource = importer\nrelative_files = True\n")
    command = [sys.executable, "-m", "coverage", "run", "--append", f"--rcfile={settings}"]
    command += [f"--data-file={kept / 'coverage'}", "-m", "pytest", "-q", "-p", "tests.mutants.recording", *files]
    run = subprocess.run(command, cwd=tree, env=os.environ | {DURATIONS: str(times)}, check=False)
    if run.returncode not in {0, _FAILED}:
        raise SystemExit("The tests do not run.")
    found: dict[str, float] = json.loads(times.read_text())
    return found


def _tried(
    tree: Path, site: Site, chance: random.Random, selection: Selection, seconds: dict[str, float]
) -> tuple[Verdict, str]:
    """Changes a site, has the tests look at it, and puts it right again."""
    file = tree / site.file
    text = file.read_text()
    changed = mutated(text, chance.choice(site.changes))
    difference = "\n".join(list(difflib.unified_diff(text.split("\n"), changed.split("\n"), lineterm="", n=0))[2:])
    tests = selection.tests(site.file, site.line, site.column)
    began = time.monotonic()
    try:
        file.write_text(changed)
        by = _noticed_by(tree, file, tests or selection.mirror(site.file), seconds)
    finally:
        file.write_text(text)
        _forget(file)
    return Verdict(by is not None, by or "", time.monotonic() - began, len(tests)), difference


def _noticed_by(tree: Path, file: Path, tests: Sequence[str], seconds: dict[str, float]) -> str | None:
    for some in (tests[:_FIRST], tests[_FIRST:_MOST]):
        if some:
            _forget(file)
            limit = _MIN_SECONDS + 4 * sum(seconds.get(test, 1.0) for test in some)
            if by := _failed(tree, some, limit):
                again = by.removeprefix("FAILED ").partition(" - ")[0]
                if again not in some or _failed(tree, [again], limit):  # no test that fails now and then
                    return by
    return None


def _failed(tree: Path, tests: Sequence[str], limit: float) -> str | None:
    """What failed of these tests, if something did."""
    chosen = tree / "chosen.txt"
    chosen.write_text("\n".join(tests))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider"]
    command += ["--hypothesis-seed=0", f"@{chosen}"]
    run = subprocess.Popen(
        command,
        cwd=tree,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_within_bounds,  # noqa: PLW1509 (no thread of ours runs here)
    )
    try:
        said, _ = run.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        return f"no end after {limit:.0f} s"
    if run.returncode in {_FAILED, _INTERRUPTED, _INTERNAL} or (run.returncode == _USAGE and "conftest" in said):
        lines = [line for line in said.split("\n") if line.startswith(("FAILED", "ERROR", "E  ", "INTERNALERROR"))]
        return lines[0] if lines else "it cannot be imported"
    if run.returncode < 0:
        return f"ended by signal {-run.returncode}"
    if run.returncode:
        raise SystemExit(f"The tests do not run:\n{said}")
    return None


def _within_bounds() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))


def _forget(file: Path) -> None:
    """What Python compiled of a file is taken for the file's by its second and size, which a change may leave."""
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()


if __name__ == "__main__":
    sys.exit(main())
