"""Where the records of a block are, found when it is asked for: most blocks need only their first record's place."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import overload

Place = tuple[int, int]
"""The line and offset of a record."""


class Places(Sequence[Place]):
    """Lines and offsets, held in 16 bytes a record once they are found; until then with what finds them.

    Args:
        count: how many there are.
        find: finds them, in order.
    """

    def __init__(self, count: int, find: Callable[[], Iterable[Place]] | None) -> None:
        self._count = count
        self._find = find
        self._found = array("q")  # line, offset, line, offset, …

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, nth: int) -> Place: ...
    @overload
    def __getitem__(self, nth: slice) -> Sequence[Place]: ...
    def __getitem__(self, nth: int | slice) -> Place | Sequence[Place]:
        found = self._all()
        if isinstance(nth, slice):
            first, end, step = nth.indices(self._count)
            if step != 1:
                return list(self)[nth]
            part = Places(max(end - first, 0), None)
            part._found = found[2 * first : 2 * end]
            return part
        at = range(self._count)[nth] * 2
        return found[at], found[at + 1]

    def __iter__(self) -> Iterator[Place]:
        found = iter(self._all())
        return zip(found, found, strict=True)

    def _all(self) -> array[int]:
        if self._find is not None:
            self._found.extend(chain.from_iterable(islice(self._find(), self._count)))
            self._find = None
        return self._found
