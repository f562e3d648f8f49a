"""What a record has to be to be mapped at all (`[[where]]`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from importer.mappings.files import values
from importer.mappings.files.paths import shown
from importer.mappings.files.toml import Node
from importer.mappings.files.values import Value
from importer.mappings.globs import matcher

Test = Callable[[Any], bool]

TESTS = ("is", "is_not", "in", "not_in", "like", "not_like", "at_least", "at_most", "exists")


@dataclass(frozen=True, slots=True)
class Condition:
    """A value, and what it has to be.

    Attributes:
        value: where it comes from.
        test: whether it is so; gets None where there is no value.
        kind: what to count records under that are dropped for it.
    """

    value: Value
    test: Test
    kind: str


def read(node: Node) -> Condition:
    """One condition of a file.

    Raises:
        SettingsError: it is none.
    """
    given = node.table((*values.KEYS, *TESTS))
    tests = [name for name in TESTS if name in given]
    if len(tests) != 1:
        raise node.error(f"must have one of {', '.join(TESTS)}")
    (name,) = tests
    value = values.read(node, TESTS)
    about = " or ".join(sorted(_shown(value))) or "a constant"
    return Condition(value, _test(name, given[name]), f"where: {about} {name.replace('_', ' ')} {_brief(given[name])}")


def _test(name: str, node: Node) -> Test:
    if name == "exists":
        if not isinstance(node.value, bool):
            raise node.error("must be true or false")
        return _exists if node.value else lambda value: not _exists(value)
    if name in {"like", "not_like"}:
        matches = matcher(node.texts())
        if name == "like":
            return lambda value: value.__class__ is str and matches(value)
        return lambda value: value.__class__ is not str or not matches(value)
    if name in {"at_least", "at_most"}:
        return _bound(name, node)
    wanted = {_tell_apart(item.value) for item in node.items() if _is_scalar(item)}
    if name in {"is", "in"}:
        return lambda value: _is_hashable(value) and _tell_apart(value) in wanted
    return lambda value: not _is_hashable(value) or _tell_apart(value) not in wanted


def _bound(name: str, node: Node) -> Test:
    bound = node.value
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        raise node.error("must be a number")

    def test(value: Any) -> bool:
        if value.__class__ is not int and value.__class__ is not float:
            return False
        return bool(value >= bound) if name == "at_least" else bool(value <= bound)

    return test


def _exists(value: Any) -> bool:
    return value is not None and value != ""


def _is_hashable(value: Any) -> bool:
    return value.__class__ is not dict and value.__class__ is not list


def _tell_apart(value: Any) -> tuple[bool, Any]:
    """True is not 1, which Python takes for the same."""
    return value.__class__ is bool, value


def _is_scalar(node: Node) -> bool:
    if not isinstance(node.value, str | int | float | bool):
        raise node.error("must be a text, a number, true or false")
    return True


def _shown(value: Value) -> set[str]:
    return {shown(path) for path in values.used(value)}


def _brief(node: Node) -> str:
    text = str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
    return text if len(text) <= 40 else text[:39] + "…"
