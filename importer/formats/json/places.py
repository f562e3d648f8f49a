"""Where the records of a block are, found when it is asked for: most blocks need the first one's and the last one's."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, chain, islice, repeat
from typing import overload

Place = tuple[int, int]
"""The line and offset of a record."""


class Places(Sequence[Place]):
    """Lines and offsets, held in 16 bytes a record once they are found; until then with what finds them.

    Args:
        count: how many there are.
        find: finds them, in order.
        first: the first of them, where it is known.
        last: the last.
    """

    def __init__(
        self, count: int, find: Callable[[], Iterable[Place]], first: Place | None = None, last: Place | None = None
    ) -> None:
        self._count = count
        self._find: Callable[[], Iterable[Place]] | None = find
        self._first = first
        self._last = last
        self._found = array("q")  # line, offset, line, offset, …

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, nth: int) -> Place: ...
    @overload
    def __getitem__(self, nth: slice) -> Sequence[Place]: ...
    def __getitem__(self, nth: int | slice) -> Place | Sequence[Place]:
        if isinstance(nth, slice):
            some = range(self._count)[nth]
            return self if len(some) == self._count else Places(len(some), partial(self._some, some))
        if nth == 0 and self._first:
            return self._first
        if nth in {-1, self._count - 1} and self._last:
            return self._last
        found, at = self._all(), range(self._count)[nth] * 2
        return found[at], found[at + 1]

    def __iter__(self) -> Iterator[Place]:
        found = iter(self._all())
        return zip(found, found, strict=True)

    def _some(self, some: range) -> Iterator[Place]:
        found = self._all()
        return ((found[2 * nth], found[2 * nth + 1]) for nth in some)

    def _all(self) -> array[int]:
        if self._find is not None:
            self._found.extend(chain.from_iterable(islice(self._find(), self._count)))
            self._find = None
        return self._found


def places_in(text: bytes, records: list[bytes], line: int, offset: int) -> Places:
    """Where records stand in the text that they were cut from, which begins with the first."""
    count = len(records)
    gaps = len(text) - sum(map(len, records))
    gap = text[len(records[0]) : len(records[0]) + gaps // (count - 1)] if count > 1 else b""
    if gap.join(records) != text:
        found = [*_found(text, records, line, offset)]
        return Places(count, partial(iter, found), found[0], found[-1])
    lengths = array("I", map(len, records))
    breaks = array("I", map(bytes.count, records, repeat(b"\n"))) if b"\n" in text else None
    last = line + text.count(b"\n") - (breaks[-1] if breaks else 0), offset + len(text) - lengths[-1]
    return Places(count, partial(_regular, lengths, line, offset, gap, breaks), (line, offset), last)


def _regular(
    lengths: Iterable[int], line: int, offset: int, gap: bytes, breaks: Iterable[int] | None = None
) -> Iterator[Place]:
    """Where records are that have the same between each.

    Args:
        lengths: their bytes.
        line: the line of the first.
        offset: the bytes before it.
        gap: what is between.
        breaks: the line breaks in each, if there are any.
    """
    lines = gap.count(b"\n")
    offsets = accumulate((length + len(gap) for length in lengths), initial=offset)
    return zip(accumulate((each + lines for each in breaks or repeat(0)), initial=line), offsets, strict=False)


def _found(text: bytes, records: list[bytes], line: int, offset: int) -> Iterator[Place]:
    at = counted = 0
    for record in records:
        at = text.find(record, at)
        line += text.count(b"\n", counted, at)
        counted = at
        yield line, offset + at
        at += len(record)
