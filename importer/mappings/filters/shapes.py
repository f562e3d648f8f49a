"""What depends on the names of an event's properties alone is found out once for all events that have the same names in
the same order: nearly all events have one of a few hundred such shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

Shape = tuple[str, ...]

_MAX_SHAPES = 500
_MAX_NAMES = 255


class ByShape(Generic[T]):
    """Something for each shape, found out when it is met first and then remembered, within bounds."""

    def __init__(self, find_out: Callable[[Shape], T]) -> None:
        self._find_out = find_out
        self._known: dict[Shape, T] = {}

    def of(self, properties: Iterable[str]) -> T:
        """What there is for properties of these names."""
        shape = tuple(properties)
        try:
            return self._known[shape]
        except KeyError:
            found = self._find_out(shape)
            if len(self._known) < _MAX_SHAPES and len(shape) <= _MAX_NAMES:
                self._known[shape] = found
            return found
