"""What is known of one property of one event: a column of values at a time is added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from importer.profile.looks import has_email, look_of
from importer.profile.sketches import Allowance, Distinct, Numbers, Sample, Scalar

MAX_TEXT = 255
"""Characters of a text that Mixpanel keeps: https://developer.mixpanel.com/reference/import-events"""
SAMPLE = 100
MAX_SHOWN = 80
"""Characters of an example that are shown."""

_MAX_COUNTED = 128
"""Characters of a text up to which it is held as it is."""
_encode_lines = msgspec.json.Encoder().encode_lines

KINDS = {str: "text", int: "number", float: "number", bool: "boolean", list: "list", dict: "object"}
"""What the types of JSON's values are called. A null is no value."""


class PropertyFacts:
    """What is known of a property's values.

    Attributes:
        filled: values that are neither null nor an empty text.
        empty: those that are.
        kinds: how many there are of each kind.
        longest: characters of the longest text; of a list or object, characters of its JSON.
        long: texts of more characters than Mixpanel keeps.
        characters: of all texts together.
        deepest: objects within objects, at most.
        widest: keys of an object or elements of a list, at most.
        emails: texts with an e-mail address in them.
        numbers: of its numbers; None where there are none.
        sample: some of its values.
    """

    __slots__ = (
        *("_other", "_texts", "characters", "deepest", "emails", "empty", "filled"),
        *("kinds", "long", "longest", "numbers", "sample", "widest"),
    )

    def __init__(self, allowance: Allowance) -> None:
        self.filled = self.empty = self.longest = self.long = self.characters = 0
        self.deepest = self.widest = self.emails = 0
        self.kinds: Counter[str] = Counter()
        self.numbers: Numbers | None = None
        self.sample: Sample[Any] = Sample(SAMPLE)
        self._texts = Distinct(allowance)
        self._other = Distinct(allowance)

    @property
    def distinct(self) -> list[Distinct]:
        """The sketches of its values: of texts, and of all else."""
        return [self._texts, self._other]

    def add(self, values: list[Any]) -> None:
        """Adds values."""
        types = set(map(type, values))
        if types == {str}:
            self._add_texts(values)
            return
        if type(None) in types:
            self.empty += values.count(None)
            values = [value for value in values if value is not None]
            types.discard(type(None))
        for kind in types:
            some = values if len(types) == 1 else [value for value in values if type(value) is kind]
            _ADD.get(kind, PropertyFacts._add_odd)(self, some)

    def _add_texts(self, values: list[str]) -> None:
        if "" in values:
            self.empty += values.count("")
            values = [value for value in values if value]
            if not values:
                return
        lengths = [*map(len, values)]
        longest = max(lengths)
        self.longest = max(self.longest, longest)
        self.characters += sum(lengths)
        if longest > MAX_TEXT:
            self.long += sum(1 for length in lengths if length > MAX_TEXT)
        if "@" in "\n".join(values):
            self.emails += sum(map(has_email, values))
        if longest > _MAX_COUNTED:
            values = [one if len(one) <= _MAX_COUNTED else _shortened(one) for one in values]
        self._note("text", values)
        self._texts.add(values)

    def _add_numbers(self, values: list[float]) -> None:
        self.numbers = self.numbers or Numbers()
        self.numbers.add(values)
        self._note("number", values)
        self._other.add(values)

    def _add_booleans(self, values: list[bool]) -> None:
        self._note("boolean", values)
        self._other.add([*map(str, values)])

    def _add_nested(self, values: list[Any]) -> None:
        written = _encode_lines(values).decode()
        texts = written.removesuffix("\n").split("\n")
        if "@" in written:
            self.emails += sum(map(has_email, texts))
        longest = max(map(len, texts))
        self.longest = max(self.longest, longest)
        self.widest = max(self.widest, *map(len, values))
        flat = len(values) if type(values[0]) is dict and self.deepest else 0
        if written.count("{") > flat:
            self.deepest = max(self.deepest, *map(depth, values))
        if longest > _MAX_COUNTED:
            texts = [one if len(one) <= _MAX_COUNTED else _shortened(one) for one in texts]
        self._note(KINDS[type(values[0])], texts)
        self._other.add(texts)

    def _add_odd(self, values: list[Any]) -> None:
        self._note("other", [*map(str, values)])

    def _note(self, kind: str, values: Sequence[Any]) -> None:
        self.kinds[kind] += len(values)
        self.filled += len(values)
        self.sample.add(values)

    def values(self) -> Iterator[tuple[Scalar, int]]:
        """Values and how many of each there are (of the sample, where not all can be counted)."""
        exact = [one.exact for one in self.distinct]
        if None in exact:
            yield from Counter(self.sample).items()
        else:
            for counts in exact:
                yield from (counts or {}).items()

    def looks(self) -> Counter[str]:
        """What its texts look like, and the share of them that does, by those that are at hand."""
        found: Counter[str] = Counter()
        for value, number in self.values():
            if isinstance(value, str):
                found[look_of(value)] += number
        return found


_ADD: dict[type, Callable[[PropertyFacts, list[Any]], None]] = {
    str: PropertyFacts._add_texts,
    int: PropertyFacts._add_numbers,
    float: PropertyFacts._add_numbers,
    bool: PropertyFacts._add_booleans,
    list: PropertyFacts._add_nested,
    dict: PropertyFacts._add_nested,
}


def depth(value: Any) -> int:
    """How many objects lie within each other; lists on the way do not count, as at Mixpanel."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return max(map(depth, value), default=0) if isinstance(value, list) else 0


def _shortened(text: str) -> str:
    """A long text, cut, with what tells it from others that begin so."""
    return f"{text[: _MAX_COUNTED - 20]}…{hash(text) & 0xFFFFFFFFFFFFFFFF:x}"
