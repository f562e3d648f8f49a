"""How a mapping file says where a value comes from: a path, the first of several, a constant, or texts joined.

"order.id"                                   what lies at a path
["order.id", "id"]                           the first of several that there is
{ value = "shop" }                           a constant
{ path = "mail", do = ["trim", "lower"] }    what functions make of it, one after the other
{ first = ["a", "b"], do = [...] }           the same of the first of several
{ join = ["first", "last"], with = " " }     texts in one
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from importer.mappings.files import functions, paths
from importer.mappings.files.paths import Path
from importer.mappings.files.toml import Node

KEYS = ("path", "first", "join", "with", "value", "do")


@dataclass(frozen=True, slots=True)
class At:
    """What lies at a path; None or "" is nothing."""

    path: Path


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same."""

    value: Any


@dataclass(frozen=True, slots=True)
class First:
    """The first of these that there is."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """The texts and numbers of these that there are, as one text."""

    values: tuple[Value, ...]
    separator: str


@dataclass(frozen=True, slots=True)
class Made:
    """What functions make of a value, one after the other."""

    value: Value
    functions: tuple[functions.Function, ...]


Value = At | Constant | First | Joined | Made


def read(node: Node, extra: tuple[str, ...] = ()) -> Value:
    """The value that a key of the file means.

    Args:
        node: the key's.
        extra: keys that its table may have besides, which are read elsewhere.

    Raises:
        SettingsError: it means none.
    """
    if isinstance(node.value, str):
        return At(path(node))
    if isinstance(node.value, list):
        return First(tuple(read(item) for item in node.items()))
    if not isinstance(node.value, dict):
        raise node.error('must be a path, a list of paths, or a table such as { value = "a constant" }')
    given = node.table((*KEYS, *extra))
    sources = [name for name in ("path", "first", "join", "value") if name in given]
    if len(sources) != 1:
        raise node.error("must have one of path, first, join and value")
    found = _source(sources[0], given)
    if "with" in given and sources[0] != "join":
        raise given["with"].error("is for join alone")
    return Made(found, tuple(map(_function, given["do"].items()))) if "do" in given else found


def path(node: Node) -> Path:
    """The path that a key of the file means."""
    found = paths.parse(node.text())
    if found is None:
        raise node.error('must be a path such as order.items[0].id (a key with dots in it stands in "quotes")')
    return found


def used(value: Value) -> set[Path]:
    """The paths that a value is made of."""
    if isinstance(value, At):
        return {value.path}
    if isinstance(value, Constant):
        return set()
    if isinstance(value, Made):
        return used(value.value)
    return set().union(*map(used, value.values))


def _source(kind: str, given: dict[str, Node]) -> Value:
    node = given[kind]
    if kind == "path":
        return At(path(node))
    if kind == "value":
        if not isinstance(node.value, str | int | float | bool):
            raise node.error("must be a text, a number, true or false")
        return Constant(node.value)
    parts = tuple(read(item) for item in node.items())
    if kind == "first":
        return First(parts)
    separator = given["with"].value if "with" in given else " "
    if not isinstance(separator, str):
        raise given["with"].error("must be a text")
    return Joined(parts, separator)


def _function(node: Node) -> functions.Function:
    if isinstance(node.value, str):
        if node.value not in functions.PLAIN:
            raise node.error(f"must be one of {', '.join(functions.PLAIN)}, or a table of split, join or url")
        return functions.PLAIN[node.value]
    given = node.table(("split", "at", "join", "url"))
    kinds = [name for name in ("split", "join", "url") if name in given]
    if len(kinds) != 1:
        raise node.error("must have one of split, join and url")
    (kind,) = kinds
    if "at" in given and kind != "split":
        raise given["at"].error("is for split alone")
    if kind == "join":
        if not isinstance(given["join"].value, str):
            raise given["join"].error("must be a text")
        return functions.join(given["join"].value)
    argument = given[kind].text()
    if kind == "split":
        at = given["at"].whole(-1000) if "at" in given else None
        return functions.split(argument, at)
    if argument not in functions.URL_PARTS and not argument.startswith("query."):
        raise given["url"].error(f"must be one of {', '.join(functions.URL_PARTS)}, or query.NAME")
    return functions.url(argument)
