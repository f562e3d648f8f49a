"""Figures of more values than memory holds: each exact as long as it is small, then an estimate within known bounds.

Sketches are datasketches' (https://datasketches.apache.org). Values come many at a time, and are worked on in the
interpreter's own functions: that is what lets a gigabyte be looked at within a minute.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

import numpy
from datasketches import hll_sketch, hll_union, kll_doubles_sketch, tgt_hll_type

_LOG_REGISTERS = 14
"""16,384 registers in 8 kB: a standard error of 0.65 % for one sketch, and 0.81 % for several united."""
_MAX_EXACT = 2_000
"""Different values that are counted exactly, for one sketch."""
_QUANTILES_K = 200
"""A rank is right within 1.65 %: https://datasketches.apache.org/docs/KLL/KLLAccuracyAndSize.html"""
_MAX_KEYS = 30_000

Scalar = str | int | float
T = TypeVar("T")


class Allowance:
    """How many exact values all sketches together may hold."""

    def __init__(self, most: int) -> None:
        self.left = most


class Distinct:
    """How many different values there are, and the most frequent ones, as long as all of them can be counted.

    Args:
        allowance: what it shares with the others.
    """

    __slots__ = ("_allowance", "_counts", "_sketch")

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._counts: Counter[Scalar] = Counter()
        self._sketch: hll_sketch | None = None

    @property
    def exact(self) -> Counter[Scalar] | None:
        """How often there is each value; None where there are too many of them."""
        return self._counts if self._sketch is None else None

    def add(self, values: Sequence[Scalar]) -> None:
        """Counts values of one type."""
        if self._sketch is not None:
            _update(self._sketch, values)
            return
        before = len(self._counts)
        self._counts.update(values)
        self._allowance.left -= len(self._counts) - before
        if len(self._counts) > _MAX_EXACT or self._allowance.left < 0:
            self._allowance.left += len(self._counts)
            self._sketch = _sketch_of(self._counts)
            self._counts = Counter()

    def __len__(self) -> int:
        """How many there are, about."""
        return len(self._counts) if self._sketch is None else round(float(self._sketch.get_estimate()))

    def united_into(self, union: hll_union) -> None:
        """Adds its values to a union."""
        union.update(self._sketch or _sketch_of(self._counts))


def united(several: Sequence[Distinct]) -> int:
    """How many different values several have together, about."""
    if len(several) == 1:
        return len(several[0])
    counts = [one.exact for one in several]
    if all(one is not None for one in counts):
        return len({value for one in counts for value in one or ()})
    union = hll_union(_LOG_REGISTERS)
    for one in several:
        one.united_into(union)
    return max(round(float(union.get_estimate())), *map(len, several))


def _sketch_of(values: Collection[Scalar]) -> hll_sketch:
    sketch = hll_sketch(_LOG_REGISTERS, tgt_hll_type.HLL_4)
    _update(sketch, values)
    return sketch


def _update(sketch: hll_sketch, values: Collection[Scalar]) -> None:
    deque(map(sketch.update, values), 0)


class Sample(list[T]):
    """Some of very many values, each as likely as the other.

    Args:
        size: how many.
    """

    __slots__ = ("_random", "seen", "size")

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.seen = 0
        self._random = random.Random(0)  # noqa: S311 (the same for the same data)

    def add(self, values: Sequence[T]) -> None:
        """Offers values to it."""
        number = len(values)
        self.seen += number
        if (missing := self.size - len(self)) > 0:
            self += values if number <= missing else self._random.sample(values, missing)
            return
        share = self.size * number / self.seen
        wanted = int(share) + (self._random.random() < share - int(share))
        if wanted:
            places = self._random.sample(range(self.size), wanted)
            for place, value in zip(places, self._random.sample(values, wanted), strict=True):
                self[place] = value


class Numbers:
    """Smallest, largest and quantiles of numbers."""

    __slots__ = ("_sketch", "count", "largest", "smallest")

    def __init__(self) -> None:
        self._sketch = kll_doubles_sketch(_QUANTILES_K)
        self.count = 0
        self.smallest = float("inf")
        self.largest = float("-inf")

    def add(self, values: Sequence[float]) -> None:
        """Counts numbers."""
        array = floats(values)
        self.count += len(array)
        self.smallest = min(self.smallest, float(array.min()))
        self.largest = max(self.largest, float(array.max()))
        self._sketch.update(array)

    def quantiles(self, ranks: Sequence[float]) -> list[float]:
        """The numbers below which there are these shares of all."""
        return [float(one) for one in self._sketch.get_quantiles([*ranks])] if self.count else []

    def histogram(self, bins: int) -> list[float]:
        """The shares of the numbers in so many equal parts of the way from the smallest to the largest."""
        if not self.count or self.largest <= self.smallest:
            return []
        splits = numpy.linspace(self.smallest, self.largest, bins + 1)[1:-1]
        return [float(one) for one in self._sketch.get_pmf([*map(float, splits)])]

    def __iadd__(self, other: Numbers) -> Numbers:
        self._sketch.merge(other._sketch)
        self.count += other.count
        self.smallest, self.largest = min(self.smallest, other.smallest), max(self.largest, other.largest)
        return self


class Repeats:
    """Which of very many keys come more than once, told from those whose hash ends in so many zero bits that all of
    these can be held: what comes twice is met twice.

    Attributes:
        found: what is kept of each key that is watched, by its hash.
        share: of all keys that are watched.
    """

    def __init__(self) -> None:
        self.found: dict[int, Any] = {}
        self._bits = 0

    @property
    def share(self) -> float:
        return 0.5**self._bits

    def watched(self, hashes: Sequence[int]) -> Iterator[int]:
        """Which of these are watched: their places among them."""
        array = numpy.fromiter(hashes, numpy.int64, len(hashes))
        yield from map(int, numpy.flatnonzero((array & ((1 << self._bits) - 1)) == 0))

    def thin_out(self) -> None:
        """Watches half as many, as long as there are too many. For after each few thousand keys."""
        while len(self.found) > _MAX_KEYS:
            self._bits += 1
            mask = (1 << self._bits) - 1
            self.found = {key: kept for key, kept in self.found.items() if not key & mask}


def floats(values: Sequence[float]) -> numpy.ndarray[Any, numpy.dtype[numpy.float64]]:
    """The numbers as an array; those beyond a double become the largest there is."""
    try:
        return numpy.array(values, numpy.float64)
    except OverflowError:
        most = 1.7e308
        return numpy.array([max(min(value, most), -most) for value in values], numpy.float64)
