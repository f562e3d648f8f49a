"""A finding: something about the events that is worth a look, with the number, examples, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from msgspec import Struct

from importer.mappings.files.paths import shown
from importer.profile.advice import Advice, quoted
from importer.profile.facts import OTHERS, Facts
from importer.profile.property_facts import PropertyFacts
from importer.profile.report import by_property

Level = Literal["problem", "warning", "note"]
"""A problem: Mixpanel would not take it, or have it wrong. A warning: it is against advice. A note: look at it."""
LEVELS: tuple[Level, ...] = ("problem", "warning", "note")

MIN_VALUES = 50
"""So many values tell what a property is."""


class Finding(Struct, frozen=True, kw_only=True):
    """One finding.

    Attributes:
        kind: what it is, for machines.
        level: see `Level`.
        about: the property or event that it is about; None where it is about all of them.
        count: how many values or events it is true of, about.
        share: of those that it might be true of.
        sentence: all of it, for people.
        examples: values, lines or names.
        advice: what mends it; None where nothing in a mapping file does.
    """

    kind: str
    level: Level
    about: str | None
    count: int
    share: float
    sentence: str
    examples: list[str] = []
    advice: Advice | None = None


@dataclass(frozen=True)
class Seen:
    """What findings are made of.

    Attributes:
        facts: of all events.
        are_own: whether all records are Mixpanel's own events, so that it is known where in a record a property is.
        rejected: reasons, and how many events have each.
        where: for a reason, where it was met first.
    """

    facts: Facts
    are_own: bool
    rejected: dict[str, int]
    where: dict[str, list[str]]

    @cached_property
    def properties(self) -> dict[str, list[PropertyFacts]]:
        """The facts of each property, one for each event that has it."""
        found = by_property(self.facts)
        return {name: several for name, several in found.items() if name != OTHERS}

    def path(self, name: str) -> str | None:
        """Where a property lies in a record, as TOML; None where that is not known."""
        return quoted(shown(("properties", name))) if self.are_own else None


def so_many(number: int, noun: str, one: str = "is", several: str = "are") -> str:
    """So many things, and the verb that goes with them."""
    return f"{number:,} {noun} {one}" if number == 1 else f"{number:,} {noun}s {several}"


def percent(share: float) -> str:
    """A share, as people read it."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{share:.0%}".replace("%", " %") if share >= 0.1 or not share else f"{share:.1%}".replace("%", " %")
