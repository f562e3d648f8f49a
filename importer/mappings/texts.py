"""The texts in an event's properties, those within lists and objects too: looked at together, changed one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from importer.mappings import patterns
from importer.mappings.by_name import OWN

Properties = dict[str, Any]

_FLAT = frozenset((str, int, float, bool, type(None)))


@dataclass(frozen=True, slots=True)
class Texts:
    """What to do with all texts.

    Attributes:
        patterns: names of what to put the cover over, of `patterns.MASKS`.
        cover: what stands in its place.
        longest: characters of a text; what is longer is cut. None where nothing is.
        may_match: whether one of the patterns may be in some texts.
    """

    patterns: Sequence[str]
    cover: str
    longest: int | None
    may_match: Callable[[Sequence[str]], bool]

    def apply(self, properties: Properties, changed: list[str]) -> None:
        """Changes the properties in place, and adds the names of the rules that did something."""
        found = all_texts(properties)
        if self.patterns and self.may_match(found):
            for name in self.patterns:
                mask = patterns.MASKS[name]
                if change_texts(properties, lambda text, mask=mask: mask(text, self.cover), _is_left):  # type: ignore[misc]
                    changed.append(f"mask.{name}")
        if self.longest is not None and max(map(len, found), default=0) > self.longest:
            most = self.longest
            if change_texts(properties, lambda text: text[:most], OWN.__contains__):
                changed.append("cut")


def all_texts(properties: Properties) -> list[str]:
    """All texts, in no order that counts; names are none."""
    values = properties.values()
    found = [value for value in values if value.__class__ is str]
    if _FLAT.issuperset(map(type, values)):
        return found
    todo = [value for value in values if value.__class__ not in _FLAT]
    while todo:
        inner = todo.pop()
        for value in inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ():
            if value.__class__ is str:
                found.append(value)
            elif value.__class__ not in _FLAT:
                todo.append(value)
    return found


def change_texts(properties: Properties, change: Callable[[str], str], is_left: Callable[[str], bool]) -> bool:
    """Puts in the place of each text what `change` makes of it, but for properties whose names are left.

    Returns:
        Whether anything is not what it was.
    """
    something = False
    todo: list[Any] = [{name: value for name, value in properties.items() if not is_left(name)}]
    top = todo[0]
    while todo:
        inner = todo.pop()
        for place, value in list(inner.items() if isinstance(inner, dict) else enumerate(inner)):
            if isinstance(value, str):
                made = change(value)
                if made != value:
                    inner[place] = made
                    something = True
            elif isinstance(value, dict | list):
                todo.append(value)
    properties.update(top)
    return something


def _is_left(name: str) -> bool:
    """`ip` is no text but an address that is meant as one; a version may look like one."""
    return name in OWN or name == "ip" or "version" in name
