"""Names by glob, and what is remembered of them."""

from __future__ import annotations

import pytest

from importer.mappings import globs
from importer.mappings.filters.shapes import ByShape
from importer.mappings.globs import first_match, matcher


@pytest.mark.parametrize(
    ("glob", "name", "is_one"),
    [
        ("a*", "a", True), ("a*", "abc", True), ("a*", "ba", False), ("*a", "ba", True), ("a?c", "abc", True),
        ("a?c", "ac", False), ("a**c", "abbc", True), ("a.c", "abc", False), ("[ab]", "a", False),
        ("[ab]", "[ab]", True), ("A", "a", False), ("a*c", "a\nc", True), ("", "", True), ("", "a", False),
    ],
)  # fmt: skip
def test_a_glob_is_a_name_with_gaps(glob: str, name: str, is_one: bool) -> None:
    matches = matcher([glob])
    assert [matches(name), matches(name)] == [is_one, is_one]
    assert first_match(["x y", glob])(name) == (glob if is_one else None)


def test_the_first_that_a_name_is_one_of_is_told() -> None:
    first = first_match(["ab", "a*", "*"])
    assert [first(name) for name in ("ab", "ac", "c")] == ["ab", "a*", "*"]
    assert not matcher([])("a")


def test_no_more_is_remembered_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "_MAX_KNOWN", 2)
    matches = matcher(["a*"])
    for name in ("a1", "b1", "a2", "x" * 500, "a" * 499):
        assert matches(name) == name.startswith("a")
    known = matches.__closure__ and next(
        one.cell_contents for one in matches.__closure__ if isinstance(one.cell_contents, dict)
    )
    assert known == {"a1": True, "b1": False}


@pytest.mark.parametrize(("length", "is_kept"), [(499, True), (500, False)])
def test_long_names_are_not_remembered(length: int, is_kept: bool) -> None:
    matches = matcher(["a*"])
    assert matches("a" * length)
    (known,) = [one.cell_contents for one in matches.__closure__ or () if isinstance(one.cell_contents, dict)]
    assert len(known) == is_kept


def test_shapes_are_found_out_once_and_within_bounds() -> None:
    asked: list[tuple[str, ...]] = []

    def find_out(shape: tuple[str, ...]) -> int:
        asked.append(shape)
        return len(shape)

    by_shape = ByShape(find_out)
    assert [by_shape.of({"a": 1, "b": 2}), by_shape.of(["a", "b"]), by_shape.of("ba")] == [2, 2, 2]
    assert asked == [("a", "b"), ("b", "a")]
    for number, times in ((255, 1), (256, 2)):
        asked.clear()
        for _ in range(2):
            assert by_shape.of(map(str, range(number))) == number
        assert len(asked) == times
    for number in range(600):
        by_shape.of([f"p{number}"])
    assert len(by_shape._known) == 500
