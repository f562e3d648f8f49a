"""One JSON array, cut into its elements without building any of them, and without holding more than one.

Only brackets, strings and commas are looked at; whether an element is JSON is for `event` to say. An element that
breaks the array's structure (a quote or a bracket that nothing closes) costs itself alone where elements stand on lines
of their own: its first line is given up as one bad record, and the next line starts afresh.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from importer.event import MAX_EVENT_BYTES

_MOST_HELD = 4 * MAX_EVENT_BYTES
_TOKEN = re.compile(rb'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"|["{}\[\],]')
_OPENS = {b"}": b"{", b"]": b"["}


class BrokenArray(Exception):
    """From some place on, the array cannot be cut into elements. All before it has been."""


def elements(chunks: Iterable[bytes], start: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Cuts a JSON array into its elements.

    Args:
        chunks: the array's text, cut anywhere; white space may come before and after it.
        start: the offset of its first byte.

    Yields:
        For each element the line it starts on (the first is 1), its offset in bytes, and its text.

    Raises:
        BrokenArray: the array breaks off, an element never ends, or something follows the array.
    """
    reader = _Reader(start)
    for chunk in chunks:
        reader.extend(chunk)
        yield from reader.elements()
    reader.at_end = True
    yield from reader.elements()
    if not reader.closed:
        raise BrokenArray("the array breaks off before its end")


class _Reader:
    """The text that is not yet cut, and how far it was looked at."""

    def __init__(self, start: int) -> None:
        self.at_end = False
        self.closed = False
        self._text = b""
        self._line = 1
        self._offset = start
        self._opened = False
        self._from = 0  # where the current element starts in the text, with the white space before it
        self._seen = 0  # how far the text was looked at
        self._stack: list[bytes] = []  # the brackets that are open within the element, up to `_seen`
        self._is_broken = False

    def extend(self, chunk: bytes) -> None:
        self._line += self._text.count(b"\n", 0, self._from)
        self._offset += self._from
        self._seen -= self._from
        self._text = self._text[self._from :] + chunk
        self._from = 0

    def elements(self) -> Iterator[tuple[int, int, bytes]]:
        """Cuts off the elements that end within the text."""
        if self.closed or (not self._opened and not self._open()):
            self._check_rest()
            return
        line, counted = self._line, 0
        for first, end in self._cuts():
            lead = end - len(self._text[first:end].lstrip())
            if lead < end:
                line += self._text.count(b"\n", counted, lead)
                counted = lead
                yield line, self._offset + lead, self._text[lead:end].rstrip()
        self._check_rest()

    def _open(self) -> bool:
        opening = self._text.find(b"[")
        self._opened = opening >= 0
        self._from = self._seen = opening + 1
        return self._opened

    def _check_rest(self) -> None:
        if self.closed and self._text[self._from :].strip():
            raise BrokenArray(f"something follows the array's end: {self._text[self._from :].strip()[:24]!r}")

    def _cuts(self) -> Iterator[tuple[int, int]]:
        """Where elements start and end in the text. Leaves `_from` and `_seen` where to go on with more of it."""
        while not self.closed:
            end = self._next_end()
            if end is not None:
                first, self._from, self._seen = self._from, end + 1, end + 1
                yield first, end
                continue
            if not self._is_broken:
                return
            end = self._end_of_line()
            if end is None:
                return
            first, self._from, self._seen = self._from, end + 1, end + 1
            self._stack.clear()
            yield first, end - self._text[first:end].rstrip().endswith(b",")

    def _next_end(self) -> int | None:
        """Looks on for the end of the current element; None when the text ends first, or the structure breaks."""
        self._is_broken = False
        text, stack = self._text, self._stack
        for token in _TOKEN.finditer(text, self._seen):
            byte = text[token.start() : token.start() + 1]
            if byte == b'"':
                if token.end() == token.start() + 1:  # no closing quote in sight
                    self._seen = token.start()
                    self._is_broken = text.find(b"\n", token.end()) >= 0 or self._is_too_long
                    return None
            elif byte in b"{[":
                stack.append(byte)
            elif byte == b"," and stack:
                continue
            elif byte == b"," or (byte == b"]" and not stack):
                self.closed = byte == b"]"
                return token.start()
            elif stack and stack[-1] == _OPENS[byte]:
                stack.pop()
            else:
                self._seen = token.start()
                self._is_broken = True
                return None
        self._seen = len(text)
        self._is_broken = self._is_too_long
        return None

    @property
    def _is_too_long(self) -> bool:
        return self.at_end or len(self._text) - self._from > _MOST_HELD

    def _end_of_line(self) -> int | None:
        """The end of the line on which the broken element starts."""
        rest = self._text[self._from :]
        lead = len(rest) - len(rest.lstrip())
        if lead == len(rest):
            return None
        end = self._text.find(b"\n", self._from + lead)
        if end >= 0:
            return end
        if self.at_end:
            return len(self._text)
        if len(rest) > _MOST_HELD:
            raise BrokenArray(f"an element has no end within {_MOST_HELD} bytes")
        return None
