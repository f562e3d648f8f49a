"""Packages from npm that tests use: clients that nobody here wrote, and the accessibility check.

Installed once, outside of the project; where there is no npm, or no way to it, the tests that need them are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mixpanel-importer-tests"
VERSIONS = {"axe-core": "4.14.1", "mixpanel": "0.24.0", "mixpanel-import": "3.1.43"}


def package(name: str) -> Path:
    """The folder of a package, installed if it is not yet."""
    place = CACHE / f"{name}-{VERSIONS[name]}"
    if why := _missing(name, place):
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return place / "node_modules" / name


@cache
def _missing(name: str, place: Path) -> str | None:
    if (place / "node_modules" / name / "package.json").exists():
        return None
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return "There is no npm and node: install them (apt-get install npm)."
    place.mkdir(parents=True, exist_ok=True)
    options = ["--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts", "--prefix", str(place)]
    installed = subprocess.run(
        [npm, "install", *options, f"{name}@{VERSIONS[name]}"], capture_output=True, text=True, timeout=120, check=False
    )
    return None if installed.returncode == 0 else f"{name} could not be installed: {installed.stderr[-300:]}"
