"""The texts in an event's properties, those within lists and objects too: looked at together, changed one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import msgspec

from importer.mappings.filters import patterns
from importer.mappings.filters.by_name import OWN

Properties = dict[str, Any]

LEFT = OWN | {"ip", "$browser_version", "$os_version", "$app_version_string", "$lib_version"}
"""Properties whose texts stay as they are: what makes an event one, an address that is meant as one, and versions,
which may look like one."""

_encode = msgspec.json.Encoder().encode
_FLAT = frozenset((str, int, float, bool, type(None)))


@dataclass(frozen=True, slots=True)
class Texts:
    """What to do with all texts.

    Attributes:
        patterns: names of what to put the cover over, of `patterns.MASKS`.
        cover: what stands in its place.
        longest: characters of a text; what is longer is cut. None where nothing is.
    """

    patterns: Sequence[str]
    cover: str
    longest: int | None
    _may_match: Callable[[bytes], bool]
    _shortest: int

    def apply(self, properties: Properties, values: Iterable[Any], changed: list[str]) -> None:
        """Changes the properties in place, and adds the names of the rules that did something.

        Args:
            properties: all of them.
            values: those of the properties that may be changed; see `values_of`.
            changed: gets the names.
        """
        try:
            written = _encode(values)
        except Exception:  # which is for the completion to reject
            may_match, may_cut = bool(self.patterns), self.longest is not None
        else:  # what values look like as JSON tells sooner than to look at each that there is nothing to do
            may_cut = self.longest is not None and len(written) > self.longest
            may_match = self._may_match(written)
            if not may_match and not may_cut:
                return
        found = all_texts(values)
        if may_match:
            long = (text for text in found if len(text) >= self._shortest)
            suspects = [text for text in long if self._may_match(text.encode(errors="replace"))]
            self._mask({text: self._masked(text) for text in suspects}, properties, changed)
        most = self.longest
        is_long = may_cut and max(map(len, found), default=0) > (most or 0)
        if is_long and change_texts(properties, lambda text: text[:most]):
            changed.append("cut")

    def _mask(self, masked: dict[str, tuple[str, list[str]]], properties: Properties, changed: list[str]) -> None:
        rules = {rule for _, rules in masked.values() for rule in rules}
        if rules:
            change_texts(properties, lambda text: masked[text][0] if text in masked else text)
            changed += [f"mask.{name}" for name in self.patterns if name in rules]

    def _masked(self, text: str) -> tuple[str, list[str]]:
        """The text with what the patterns mean covered, and the patterns that meant something."""
        meant = []
        for name in self.patterns:
            made = patterns.MASKS[name](text, self.cover)
            if made != text:
                meant.append(name)
                text = made
        return text, meant


def texts(wanted: Sequence[str], cover: str, longest: int | None) -> Texts:
    """What to do with all texts: see `Texts`."""
    shortest = min((patterns.MIN_LENGTHS[name] for name in wanted), default=0)
    return Texts(wanted, cover, longest, patterns.suspects(wanted), shortest)


def all_texts(values: Iterable[Any]) -> list[str]:
    """All texts among some values, in no order that counts."""
    found: list[str] = []
    todo: list[Any] = []
    while True:
        for value in values:
            if value.__class__ is str:
                found.append(value)
            elif value.__class__ not in _FLAT:
                todo.append(value)
        if not todo:
            return found
        inner = todo.pop()
        values = inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ()


def change_texts(properties: Properties, change: Callable[[str], str]) -> bool:
    """Puts in the place of each text what `change` makes of it.

    Returns:
        Whether anything is not what it was.
    """
    something = False
    top = {name: value for name, value in properties.items() if name not in LEFT}
    todo: list[Any] = [top]
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


def values_of(names: Iterable[str]) -> Callable[[Properties], Iterable[Any]]:
    """What gives the values of those of the properties whose texts may be changed."""
    names = [name for name in names if name not in LEFT]
    if len(names) > 1:
        return itemgetter(*names)  # a tuple of them
    return lambda properties: [properties[name] for name in names]
