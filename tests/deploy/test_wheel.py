"""The wheel: what `pip install .` gives, in an environment that has nothing but what the wheel asks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import pytest

from sandbox.clients import Standin
from sandbox.processes import ROOT

FILES = ("pyproject.toml", "README.md", "LICENSE", "importer")
DEPLOYED = ("functions", "gcp", "formats")
"""The extras that the functions deploy with."""

CLOUDS = ("google.cloud.storage", "functions_framework", "flask", "starlette", "cloudevents", "duckdb")


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-").replace(".", "-")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in FILES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    build = "import sys; from flit_core.buildapi import build_wheel; print(build_wheel(sys.argv[1]))"
    run = subprocess.run(
        [sys.executable, "-c", build, str(folder)], cwd=folder, capture_output=True, text=True, check=True
    )
    return folder / run.stdout.strip()


def needed(dist: Distribution) -> Iterator[Distribution]:
    """What a distribution asks for, and what that asks for, as it is installed here; no extras."""
    for requirement in dist.requires or ():
        if ";" not in requirement:
            found = distribution(name_of(requirement))
            yield found
            yield from needed(found)


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel in it, and what it needs, in the versions that are here."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(packages)
    (information,) = packages.glob("*.dist-info")
    for dist in needed(Distribution.at(information)):
        for top in {Path(str(file)).parts[0] for file in dist.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(dist.locate_file(top))))
    return folder / "bin" / "python"


def run(python: Path, *words: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *words],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_records_are_imported_where_there_is_no_cloud_and_no_functions_framework(
    python: Path, standin: Standin, tmp_path: Path
) -> None:
    code = f"""
import importlib.util, os, importer
print([name for name in {CLOUDS} if importlib.util.find_spec(name.partition(".")[0])])
record = b'{{"event":"e","properties":{{"time":1700000000,"distinct_id":"u","$insert_id":"a"}}}}'
settings = importer.settings_from(os.environ)
print(importer.import_records([record], source="s", settings=settings).imported)
open("f.jsonl", "wb").write(record)
print(importer.import_file("f.jsonl", settings=settings).imported)
"""
    done = run(python, "-c", code, cwd=tmp_path, MIXPANEL_PROJECT_TOKEN="t", MIXPANEL_API_URL=standin.url)
    assert (done.stderr, done.stdout) == ("", "[]\n1\n1\n")
    assert standin.ids() == {"a": 2}


def test_the_command_line_is_installed_and_finds_a_transform_in_the_current_folder(
    python: Path, wheel: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(wheel) as content:
        (scripts,) = (name for name in content.namelist() if name.endswith("entry_points.txt"))
        assert "mixpanel-importer=importer.__main__:run" in content.read(scripts).decode().replace(" ", "")
    program = "import sys; from importer.__main__ import run; sys.path.remove(''); run()"
    assert "replay" in run(python, "-c", program, "--help", cwd=tmp_path).stdout
    (tmp_path / "mapping.py").write_text("def to_mixpanel(record): return None\n")
    (tmp_path / "r.jsonl").write_text("")
    done = run(
        python, "-c", program, "replay", "r.jsonl", cwd=tmp_path,
        MIXPANEL_PROJECT_TOKEN="t", IMPORT_TRANSFORM="mapping:to_mixpanel",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "imported 0, dropped 0, rejected again 0, repeated 0, unreadable 0\n")


def test_the_wheel_has_the_importer_and_says_that_it_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = {name for name in content.namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in names} == {"importer"}
    assert "importer/py.typed" in names
    assert {name for name in names if name.endswith(".py")} == {
        str(file.relative_to(ROOT)) for file in (ROOT / "importer").rglob("*.py")
    }


def test_it_asks_for_ranges_and_for_all_that_the_functions_deploy_with() -> None:
    found = project()
    extras = found["optional-dependencies"]
    assert [one for some in (found["dependencies"], *extras.values()) for one in some if "==" in one] == []
    lines = (ROOT / "requirements.in").read_text().splitlines()
    deployed = {name_of(line) for line in lines if line and not line.startswith("#")}
    asked = [*found["dependencies"], *(one for name in DEPLOYED for one in extras[name])]
    assert deployed == {name_of(one) for one in asked} - {found["name"]}


def lock_of(extra: str) -> str:
    """The lock with what an extra is tested with."""
    engine = ROOT / f"requirements/{extra}.txt"
    file = (
        ROOT / "requirements.txt" if extra in DEPLOYED else engine if engine.exists() else ROOT / "requirements-dev.txt"
    )
    return file.read_text()


@pytest.mark.parametrize("extra", [*DEPLOYED, *sorted(set(project()["optional-dependencies"]) - set(DEPLOYED))])
def test_what_is_pinned_is_within_the_ranges(extra: str) -> None:
    from packaging.requirements import Requirement

    found = project()
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)(?: \\)?$", lock_of(extra), re.MULTILINE))
    asked = [*found["dependencies"], *found["optional-dependencies"][extra]]
    for requirement in map(Requirement, asked):
        if requirement.name != found["name"]:
            assert requirement.specifier.contains(pins[name_of(requirement.name)]), requirement
