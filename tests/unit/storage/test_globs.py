"""Globs: those of the shell, and `**/` for any folders or none."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.storage.globs import matches

FOLDERS = [
    ("**/x.json", ["x.json", "a/x.json", "a/b/x.json"], ["ax.json", "x.json/a", "a/yx.json"]),
    ("data/**/x", ["data/x", "data/a/x", "data/a/b/x"], ["x", "datax", "data/ax", "a/data/x"]),
    ("**/a/**/*.gz", ["a/.gz", "a/b.gz", "x/a/b.gz", "a/x/b.gz", "x/y/a/x/y/b.gz"], ["a.gz", "xa/b.gz", "a/b.gzip"]),
    ("**/", ["", "a/", "a/b/"], ["a", "a/b"]),
    ("a**/b", ["a/b", "ax/b", "ax/y/b"], ["b", "x/b", "ab"]),
    ("a/**", ["a/", "a/b", "a/b/c"], ["a", "b/a"]),
    ("[ab]/**/[!c]", ["a/d", "b/x/d"], ["a/c", "c/d"]),
    ("*.json", ["a/b.json", ".json", "a\nb.json"], ["a.jsonl", "a.JSON"]),
]


@pytest.mark.parametrize(("glob", "inside", "outside"), FOLDERS, ids=[glob for glob, *_ in FOLDERS])
def test_two_stars_and_a_slash_stand_for_any_folders_or_none(glob: str, inside: list[str], outside: list[str]) -> None:
    assert [name for name in inside + outside if matches(name, [glob])] == inside


def test_one_glob_of_several_is_enough_and_none_matches_nothing() -> None:
    assert matches("b", ("a", "b"))
    assert not matches("c", ("a", "b"))
    assert not matches("a", ())


@given(st.text("ab/*?[]!-.\n(\\", max_size=10), st.text("ab/*.\n", max_size=8))
def test_what_the_shell_matches_matches(glob: str, name: str) -> None:
    assert matches(name, [glob]) >= fnmatchcase(name, glob)
    assert matches(name, [glob]) == fnmatchcase(name, glob) or "**/" in glob
