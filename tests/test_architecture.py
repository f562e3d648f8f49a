"""The rooms of the house, and which may know which: the folders are the drawing, and this holds it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.processes import ROOT

GROUND = {"settings", "variables", "env_file", "log", "limits", "errors", "lenient_json", "records", "times"}
ALLOWED = {
    "formats": GROUND,
    "mappings": GROUND,
    "mixpanel": GROUND,
    "core": {"mixpanel", "mappings"} | GROUND,
    "storage": {"core.checkpoint"} | GROUND,
    "reject_sinks": {"core", "storage"} | GROUND,
    "objects": {"core", "formats", "storage"} | GROUND,
    "messages": {"core", "formats", "reject_sinks"} | GROUND,
    "library": {"objects", "core", "reject_sinks", "storage"} | GROUND,
    "profile": {"core", "mappings", "mixpanel"} | GROUND,
    "sources": {"objects", "messages", "core", "formats", "storage", "reject_sinks"} | GROUND,
    "engines": {"library", "objects", "core", "formats", "storage", "reject_sinks"} | GROUND,
    "bootstrap": {"sources", "mappings"} | GROUND,
    "commands": {
        "core",
        "formats",
        "mappings",
        "mixpanel",
        "storage",
        "reject_sinks",
        "sources",
        "bootstrap",
        "library",
        "objects",
        "profile",
    }
    | GROUND,
    "orchestrators": {"commands"} | GROUND,
    "__main__": {"commands"} | GROUND,
    "__init__": {"library", "core"} | GROUND,
    **dict.fromkeys(GROUND, GROUND),
}
"""Which rooms of importer/ each may import; every room may import from itself."""

HOUSES = {"importer": {"importer"}, "sandbox": {"sandbox", "importer"}, "bench": {"bench", "sandbox", "importer"}}
MAX_LINES = 300
ENTRIES = {"sources/s3/__init__.py": {"bootstrap"}}
"""Files that others call by their name, as AWS Lambda calls this one: they start the process, as `main.py` does."""
ALONE = {"sources"}
"""Rooms whose files do not know each other: a new one never touches an old one."""


def files(house: str) -> Iterator[Path]:
    return (ROOT / house).rglob("*.py")


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, those that only a type checker reads too: what it knows, it knows."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Modules of which each imports the next, and the last the first; none where there is no such circle."""
    through: set[str] = set()

    def walk(way: list[str]) -> list[str]:
        for module in sorted(arrows.get(way[-1], ())):
            if module in way:
                return [*way[way.index(module) :], module]
            if module not in through and (found := walk([*way, module])):
                return found
        through.add(way[-1])
        return []

    return next((found for module in sorted(arrows) if (found := walk([module]))), [])


def room(path: Path) -> str:
    return path.relative_to(ROOT / "importer").parts[0].removesuffix(".py")


def may_import(origin: str, module: str) -> bool:
    """Whether a file in the room `origin` may import `module` (`importer.core.report.Report`, say)."""
    names = module.split(".")[1:]
    if not names or names[0] == origin:
        return True
    prefixes = {".".join(names[:n]) for n in range(1, len(names) + 1)}
    return bool(prefixes & ALLOWED[origin])


def forbidden(origin: str, modules: Iterator[str]) -> list[str]:
    return [one for one in modules if one.startswith("importer.") and not may_import(origin, one)]


@pytest.mark.parametrize("file", sorted(files("importer")), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_imports_only_the_rooms_below_its_own(file: Path) -> None:
    more = ENTRIES.get(file.relative_to(ROOT / "importer").as_posix(), set())
    assert [one for one in forbidden(room(file), imports(file)) if one.split(".")[1] not in more] == []


def test_an_arrow_upwards_is_noticed() -> None:
    """The test above fails when it should: each of these is an arrow that the drawing does not have."""
    assert forbidden("formats", iter(["importer.mixpanel.event.completer.prepare"]))
    assert forbidden("core", iter(["importer.formats.content.Content"]))
    assert forbidden("storage", iter(["importer.core.ordered.run"]))
    assert forbidden("mixpanel", iter(["importer.mappings.loading.load"]))
    assert not forbidden("storage", iter(["importer.core.checkpoint.Checkpoint", "importer.errors.SourceGone"]))


def test_no_files_know_each_other_in_a_circle() -> None:
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files("importer")}
    arrows = {
        name: {known for one in imports(file) for known in (one, one.rpartition(".")[0]) if known in modules}
        for name, file in modules.items()
    }
    assert circle(arrows) == []


def test_a_circle_is_noticed() -> None:
    assert circle({"a": {"b"}, "b": {"c", "d"}, "d": {"b"}}) == ["b", "d", "b"]
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_every_room_is_in_the_table() -> None:
    assert {room(file) for file in files("importer")} <= ALLOWED.keys()


def test_the_files_of_a_room_of_loners_do_not_know_each_other() -> None:
    """A source is a file (or a folder): none imports another."""
    for file in files("importer"):
        parts = file.relative_to(ROOT / "importer").parts
        if parts[0] not in ALONE or len(parts) < 2:
            continue
        own = parts[1].removesuffix(".py")
        for module in imports(file):
            names = module.split(".")
            assert names[:2] != ["importer", parts[0]] or len(names) < 3 or names[2] == own, f"{file}: {module}"


@pytest.mark.parametrize("house", HOUSES)
def test_a_house_imports_none_above_it(house: str) -> None:
    """The importer never knows its sandbox, the sandbox never its benchmarks, and none of them the tests."""
    ours = {*HOUSES, "tests"}
    for file in files(house):
        for module in imports(file):
            top = module.split(".")[0]
            assert top not in ours or top in HOUSES[house], f"{file.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("file", sorted(files("importer")), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_of_more_than_300_lines_says_why(file: Path) -> None:
    lines = file.read_text().split("\n")
    assert len(lines) <= MAX_LINES + 1 or "One file, since" in "\n".join(lines[:25])
