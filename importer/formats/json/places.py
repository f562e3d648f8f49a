"""Where the records of a block are, found when it is asked for: most blocks need the first one's and the last one's."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, chain, islice, repeat
from typing import overload

import msgspec

_MAX_SMALL = 2_000
"""Bytes of a value, on average, for which what it was cut from is held."""

_between = re.compile(rb"[ \t\r\n,]*+").match
_check = msgspec.json.Decoder(msgspec.Raw).decode

Split = Callable[[bytes | memoryview], list[msgspec.Raw]]
"""Splits whole values."""

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


def places_of_lines(
    text: bytes, start: int, end: int, records: list[bytes], place: Place, *, are_lines: bool
) -> Places:
    """Where records stand that were cut from a part of a text, which begins with the first, and has the last before
    white space or nothing. There are no line breaks in them if they `are_lines`."""
    count, (line, offset) = len(records), place
    lengths = array("I", map(len, records))
    total, first = sum(lengths), lengths[0]
    gap = text[start + first : start + first + (end - start - total) // (count - 1)] if count > 1 else b""
    are_even = gap == b"," and end - start == total + count - 1
    if not are_even and not text.startswith(gap.join(records), start):
        found = [*_found(text, start, records, line, offset)]
        return Places(count, partial(iter, found), found[0], found[-1])
    last = total - lengths[-1] + len(gap) * (count - 1)
    if are_lines:
        find = partial(_regular, lengths, line, offset, gap, None)
        return Places(count, find, place, (line + gap.count(b"\n") * (count - 1), offset + last))
    breaks = array("I", map(bytes.count, records, repeat(b"\n")))
    find = partial(_regular, lengths, line, offset, gap, breaks)
    return Places(count, find, place, (line + text.count(b"\n", start, start + last), offset + last))


def places_of_spread(
    text: bytes, start: int, end: int, count: int, follows: bytes, split: Split, place: Place
) -> Places:
    """Where objects stand that were minified; what they were before is held until it is asked for, if they are small.

    Args:
        text: what holds them.
        start: where they begin in it.
        end: where they end, but for white space.
        count: how many they are.
        follows: what seems to stand between two of them, from the last byte of one on.
        split: splits them again.
        place: the place of the first.
    """
    line, offset = place
    if end - start < count * _MAX_SMALL and (last := _last_object(text, start, end, follows)):
        find = partial(_found_again, text, start, end, split, line, offset)
        last_place = line + text.count(b"\n", start, last), offset + last - start
        return Places(count, find, place, last_place if count > 1 else place)
    found = [*_found_again(text, start, end, split, line, offset)]
    return Places(count, partial(iter, found), found[0], found[-1])


def _last_object(text: bytes, start: int, end: int, follows: bytes) -> int:
    """Where the last of some objects begins, 0 if that is not certain. What begins within one and goes on to the last
    one's end is no object, so one that does is the last."""
    at = text.rfind(follows, start, end - 1) if follows else -1
    last = text.find(b"{", at + 1, end) if at >= 0 else start
    try:
        _check(memoryview(text)[last:end])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0
    return last


def _found_again(text: bytes, start: int, end: int, split: Split, line: int, offset: int) -> Iterator[Place]:
    return _found(text, start, [*map(bytes, split(memoryview(text)[start:end]))], line, offset)


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


def _found(text: bytes, start: int, records: list[bytes], line: int, offset: int) -> Iterator[Place]:
    at = counted = start
    for record in records:
        at = _end(_between(text, at))
        if not text.startswith(record, at):
            at = text.find(record, at)
        line += text.count(b"\n", counted, at)
        counted = at
        yield line, offset + at - start
        at += len(record)


def _end(match: re.Match[bytes] | None) -> int:
    """The end of a match that can be empty but cannot fail."""
    return match.end() if match else 0
