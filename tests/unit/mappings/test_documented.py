"""The examples of docs/mappings.md do what it says: a mapping file, the records below it, and what these become."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from importer.errors import InvalidRecord
from importer.mappings import ready
from importer.mappings.files import declaration, functions
from importer.mappings.filters import filters, patterns
from importer.mappings.loading import Mapped, load_mapping
from importer.mappings.outcome import Dropped, Outcome
from sandbox.processes import ROOT

DOCS = (ROOT / "docs/mappings.md").read_text()
_block = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [(kind, text) for kind, text in _block.findall(DOCS)]
EXAMPLES = [
    (BLOCKS[at][1], BLOCKS[at + 1][1].splitlines(), BLOCKS[at + 2][1].splitlines())
    for at, (kind, _) in enumerate(BLOCKS)
    if kind == "toml"
]


def outcomes(mapped: Mapped, record: bytes) -> list[Outcome]:
    made = mapped.mapping(record) if mapped.mapping else [json.loads(record)]
    if mapped.filters is None:
        return made
    return [mapped.filters.apply(one, []) if isinstance(one, dict) else one for one in made]


def shown(outcome: Outcome) -> Any:
    assert not isinstance(outcome, InvalidRecord), outcome
    return {"dropped": outcome.kind} if isinstance(outcome, Dropped) else outcome


def hidden(expected: Any, found: Any) -> Any:
    """What was found, with an ellipsis where the documentation has one in the place of a hash."""
    if expected == "…":
        assert re.fullmatch(r"[0-9a-f-]{32,36}", found), found
        return "…"
    if isinstance(expected, dict) and isinstance(found, dict):
        return {name: hidden(expected.get(name), value) for name, value in found.items()}
    return found


@pytest.mark.parametrize(("file", "records", "expected"), EXAMPLES)
def test_an_example_does_what_is_said(file: str, records: list[str], expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(file)
    mapped = load_mapping(str(tmp_path / "shop.toml"), {"SALT": "pepper"})
    wanted = [msgspec.json.decode(line) for line in expected]
    made = [shown(one) for record in records for one in outcomes(mapped, record.encode())]
    assert [hidden(one, other) for one, other in zip(wanted, made, strict=True)] == wanted


def test_there_are_examples_of_files_and_filters() -> None:
    assert len(EXAMPLES) == 4
    assert {"use", "explode", "where", "filters"} <= {key for file, _, _ in EXAMPLES for key in tomllib.loads(file)}


@pytest.mark.parametrize(
    "name",
    [
        *declaration.MAPPING_KEYS,
        *filters.KEYS,
        *functions.PLAIN,
        *functions.URL_PARTS,
        *patterns.MASKS,
        *(name for name in ready.VENDORS),
    ],
)
def test_each_name_that_a_file_may_use_is_in_the_reference(name: str) -> None:
    assert re.search(rf"`[^`]*\b{name}\b[^`]*`", DOCS)


@pytest.mark.parametrize("name", ready.VENDORS)
def test_each_vendor_has_its_section(name: str) -> None:
    anchor = re.search(rf"^\| \[`{name}`\]\(#(.+?)\)", DOCS, re.MULTILINE)
    assert anchor
    headings = [
        re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).replace(" ", "-")
        for line in DOCS.splitlines()
        if line.startswith("## ")
    ]
    assert anchor[1] in headings
