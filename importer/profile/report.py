"""A profile: what is known of the events of some sources, as data to be shown or written as JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any

from msgspec import Struct

from importer.profile.facts import EventFacts, Facts
from importer.profile.looks import covered
from importer.profile.property_facts import MAX_SHOWN, PropertyFacts
from importer.profile.sketches import Numbers, united
from importer.profile.times import TimeFacts

_EXAMPLES = 3
_TOP = 5
_BINS = 24


class Example(Struct, frozen=True, omit_defaults=True):
    """A value, and how often it was met, where that is known."""

    value: str
    count: int | None = None


class Property(Struct, frozen=True):
    """What is known of a property, of one event or of all that have it.

    Attributes:
        name: its name.
        filled: events in which it has a value.
        share: of the events, that is.
        kinds: how many values of each kind there are.
        distinct: different values, about.
        is_exact: whether that is counted, and not estimated.
        longest: characters of the longest text; of lists and objects, of their JSON.
        smallest, largest, median: of its numbers; None where there are none.
        histogram: the shares of its numbers in equal parts of the way from the smallest to the largest.
        examples: values; the most frequent ones, where all are counted.
    """

    name: str
    filled: int
    share: float
    kinds: dict[str, int]
    distinct: int
    is_exact: bool
    longest: int
    smallest: float | None
    largest: float | None
    median: float | None
    histogram: list[float]
    examples: list[Example]


class Event(Struct, frozen=True):
    """What is known of the events of one name.

    Attributes:
        name: theirs.
        count, share: how many there are.
        users: different ones, about.
        first, last: seconds since the epoch; None where no time is known.
        days: events on each day since the epoch.
        most_properties: of one of them.
        properties: theirs, the most filled first.
    """

    name: str
    count: int
    share: float
    users: int
    first: float | None
    last: float | None
    days: dict[int, int]
    most_properties: int
    properties: list[Property]


def events(facts: Facts) -> list[Event]:
    """What is known of each name's events, the most frequent first."""
    found = sorted(facts.events.items(), key=lambda each: -each[1].count)
    return [_event(name, one, facts.count) for name, one in found]


def _event(name: str, facts: EventFacts, total: int) -> Event:
    first, last = span(facts.times)
    return Event(
        name,
        facts.count,
        facts.count / total,
        min(len(facts.users), facts.count),
        first,
        last,
        dict(sorted(facts.times.days.items())),
        facts.most_properties,
        _sorted([of_property(each, [one], facts.count) for each, one in facts.properties.items()]),
    )


def properties(facts: Facts) -> list[Property]:
    """What is known of each property, in all events that have it, the most filled first."""
    return _sorted([of_property(name, several, facts.count) for name, several in by_property(facts).items()])


def by_property(facts: Facts) -> dict[str, list[PropertyFacts]]:
    """The facts of each property, one for each event that has it."""
    found: dict[str, list[PropertyFacts]] = {}
    for event in facts.events.values():
        for name, one in event.properties.items():
            found.setdefault(name, []).append(one)
    return found


def of_property(name: str, several: list[PropertyFacts], total: int) -> Property:
    """What is known of a property.

    Args:
        several: its facts in each event.
        total: of the events that might have it.
    """
    numbers = Numbers()
    for one in several:
        if one.numbers:
            numbers += one.numbers
    filled = sum(one.filled for one in several)
    kinds = sum((one.kinds for one in several), Counter[str]())
    return Property(
        name,
        filled,
        filled / total if total else 0.0,
        dict(kinds.most_common()),
        distinct(several),
        all(each.exact is not None for one in several for each in one.distinct),
        max(one.longest for one in several),
        numbers.smallest if numbers.count else None,
        numbers.largest if numbers.count else None,
        numbers.quantiles([0.5])[0] if numbers.count else None,
        numbers.histogram(_BINS),
        examples(several),
    )


def distinct(several: list[PropertyFacts]) -> int:
    """Different values, about; an estimate of more than there are is one of as many."""
    found = sum(united([one.distinct[nth] for one in several]) for nth in range(2))
    return min(found, sum(one.filled for one in several))


def examples(several: list[PropertyFacts], most: int = _TOP) -> list[Example]:
    """The most frequent values, where all can be counted; else some."""
    exact = all(each.exact is not None for one in several for each in one.distinct)
    counts: Counter[Any] = Counter()
    for one in several:
        for value, number in one.values():
            counts[value] += number
    if exact:
        return [Example(shown(value), number) for value, number in counts.most_common(most)]
    return [Example(shown(value)) for value in list(counts)[:_EXAMPLES]]


def span(times: TimeFacts) -> tuple[float | None, float | None]:
    """The first and the last of some times."""
    return (times.first, times.last) if times.count else (None, None)


def shown(value: object) -> str:
    """A value as it is shown: not long, on one line, and of personal data only the shape."""
    text = covered(" ".join(str(value).split()))
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _sorted(found: list[Property]) -> list[Property]:
    return sorted(found, key=lambda one: (-one.filled, one.name))
