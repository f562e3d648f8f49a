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
    if not (place / "node_modules" / name / "package.json").exists():
        if shutil.which("npm") is None or shutil.which("node") is None:
            missing = "There is no npm and node: install them (apt-get install npm)."
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        if why := _install(f"{name}@{VERSIONS[name]}", place):
            pytest.skip(why)
    return place / "node_modules" / name


@cache
def _install(package: str, place: Path) -> str | None:
    """Installs a package, once in a run; why it could not, if it could not."""
    place.mkdir(parents=True, exist_ok=True)
    options = ["--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts", "--prefix", str(place)]
    installed = subprocess.run(
        ["npm", "install", *options, package], capture_output=True, text=True, timeout=120, check=False
    )
    return None if installed.returncode == 0 else f"{package} could not be installed: {installed.stderr[-300:]}"
