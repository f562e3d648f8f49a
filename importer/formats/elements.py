"""JSON arrays, cut into their elements without building any of them, and without holding more than one.

Only brackets, strings and commas are looked at; whether an element is JSON is for `event` to say. An element that
breaks the array's structure (a quote or a bracket that nothing closes, say) costs itself alone where elements stand on
lines of their own: its first line is given up as one bad record, and the next line starts afresh. A comma that is
missing at a line's end, a bracket that closes too early and one array after another cost no element at all. One that
is too long to be held is passed over to its end, or to its line's, whichever comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from importer.limits import MAX_EVENT_BYTES

_MAX_HELD = 4 * MAX_EVENT_BYTES
_MAX_IN_VAIN = 8 * MAX_EVENT_BYTES
_LOOKED_AT = 1 << 16
"""Bytes that are looked at in one go."""

_SPACE = b" \t\r\n"
_spaces = re.compile(rb"[ \t\r\n]*+").match
_between = re.compile(rb"[ \t\r\n,]*+").match
_first_line = re.compile(rb"[ \t\r\n]*+[^\n]*+").match
_TOKEN = re.compile(rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"|["{}\[\],]')
_rest_of_string = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+').match
_TOKEN_OR_LINE_END = re.compile(_TOKEN.pattern + rb"|\n")
_OPENS = {b"}": b"{", b"]": b"["}
_GOES_BEFORE = {b"{": b":", b"[": b",["}
"""What stands before a bracket that opens within another."""


class BrokenArray(Exception):
    """From some place on, the array cannot be cut into elements. All before it has been."""


def elements(
    chunks: Iterable[bytes], offset: int = 0, line: int = 1, *, opened: bool = False
) -> Iterator[tuple[int, int, bytes]]:
    """Cuts a JSON array, or several in a row, into elements.

    Args:
        chunks: the text, cut anywhere; white space may come before, between and after the arrays.
        offset: where its first byte is in the source.
        line: the line its first byte is on.
        opened: whether the text starts within the array, between two elements.

    Yields:
        For each element the line it starts on (the first is 1), its offset in bytes, and its text. Of one too long to
        be an event comes a part that is too long as well. Now and then comes an empty text, which is no element, so
        that whoever reads can look at the clock while there is much to look at before the next one.

    Raises:
        BrokenArray: the array breaks off, or something follows it.
    """
    reader = _Reader(offset, line, opened)
    for chunk in chunks:
        for start in range(0, len(chunk), _LOOKED_AT):
            reader.extend(chunk[start : start + _LOOKED_AT])
            yield from reader.elements()
            yield *reader.place, b""
    reader.at_end = True
    yield from reader.elements()
    if not reader.is_closed:
        raise BrokenArray("the array breaks off before its end")


class _Reader:
    """The text that is not yet cut, and how far it was looked at."""

    def __init__(self, offset: int, line: int, opened: bool) -> None:
        self.at_end = False
        self._text = b""
        self._offset = offset  # of the text's first byte
        self._line = line  # at `_counted` in the text
        self._counted = 0
        self._is_open = opened
        self._closed_at: tuple[int, int] | None = None  # line and offset of the bracket that closed the array
        self._from = 0  # where the current element starts in the text
        self._seen = 0  # how far the text was looked at
        self._stack: list[bytes] = []  # the brackets that are open within the element, up to `_seen`
        self._is_broken = False
        self._in_vain = 0  # bytes looked at beyond the lines of elements that turned out to be broken
        self._is_skipping = False  # whether the rest of an element that is too long is let go
        self._depth = 0  # brackets that are open there, and whether a string is
        self._in_string = False

    @property
    def place(self) -> tuple[int, int]:
        """The line and offset that the current element starts at."""
        return self._line_at(self._from), self._offset + self._from

    @property
    def is_closed(self) -> bool:
        return self._closed_at is not None

    def extend(self, chunk: bytes) -> None:
        self._line_at(self._from)
        self._counted = 0
        self._offset += self._from
        self._seen -= self._from
        self._text = self._text[self._from :] + chunk
        self._from = 0

    def elements(self) -> Iterator[tuple[int, int, bytes]]:
        """Cuts off the elements that end within the text."""
        while True:
            if not self._is_open:
                if not (follows := self._what_follows()):
                    return
                if follows != b"[" and self._closed_at:
                    yield *self._closed_at, b"]"  # closed nothing
                self._closed_at = None
                self._is_open = True
            if self._is_skipping:
                self._skip()
                if self._is_skipping:
                    return
            first = self._from = _end(_between(self._text, self._from))
            self._seen = max(self._seen, first)
            end = self._next_end()
            if end is None:
                return
            if record := self._text[first:end].rstrip(_SPACE):
                yield self._line_at(first), self._offset + first, record[:MAX_EVENT_BYTES]
            if not self._is_broken and self._text[end : end + 1] == b"]":
                self._is_open = False
                self._closed_at = self._line_at(end), self._offset + end

    def _line_at(self, at: int) -> int:
        """The line of a place in the text, which must not be before the last one asked for."""
        self._line += self._text.count(b"\n", self._counted, at)
        self._counted = at
        return self._line

    def _what_follows(self) -> bytes | None:
        """Before and after an array: the next character that is no white space, where elements then start.

        Raises:
            BrokenArray: no element can start there.
        """
        at = _end(_spaces(self._text, self._from))
        follows = self._text[at : at + 1]
        if follows not in {b"", b"[", b",", b"{"}:
            raise BrokenArray(f"something follows the array's end on line {self._line_at(at)}")
        self._from = self._seen = at + (follows in {b"[", b","})
        return follows

    def _next_end(self) -> int | None:
        """Where the current element ends in the text, from which the next one starts; None if more text is needed."""
        first = self._from
        if first == len(self._text):
            return None
        end = self._look_on()
        if (len(self._text) if end is None else end) - first > _MAX_HELD and not self._is_broken:
            line_end = self._line_end()
            if end is None and line_end is None:
                return self._begin_skipping()
            self._is_broken = line_end is not None and (end is None or line_end < end)
        self._is_broken |= end is None and self.at_end
        if self._is_broken:
            return self._give_up_line()
        if end is not None:
            self._from = self._seen = end + (self._text[end] not in b"{[")
        return end

    def _look_on(self) -> int | None:
        """Looks for the end of the current element; None when the text ends first, or the structure breaks."""
        self._is_broken = False
        text, stack = self._text, self._stack
        line_end = self._line_end() if self._in_vain > _MAX_IN_VAIN else None
        for token in _TOKEN.finditer(text, self._seen, len(text) if line_end is None else line_end):
            at = token.start()
            byte = text[at : at + 1]
            if byte == b'"':
                if token.end() == at + 1:  # no closing quote in sight
                    self._seen = at
                    self._is_broken = text.find(b"\n", at) >= 0
                    return None
            elif byte in b"{[":
                if text[at - 1] in _SPACE and not self._may_open(at):
                    return None if stack else at
                stack.append(byte)
            elif not stack and byte in b",]":
                return at
            elif stack and stack[-1] == _OPENS.get(byte):
                stack.pop()
            elif byte != b",":
                self._seen = at
                self._is_broken = True
                return None
        self._seen = len(text)
        self._is_broken = line_end is not None
        return None

    def _may_open(self, at: int) -> bool:
        """Whether a bracket after white space can stand here. Broken elements show only at the start of a line."""
        text, before = self._text, at
        while before > self._from and text[before - 1] in _SPACE:
            before -= 1
        if text.find(b"\n", before, at) < 0:
            return True
        if not self._stack:
            return before == self._from
        self._is_broken = text[before - 1] not in _GOES_BEFORE[self._stack[-1]]
        self._seen = at
        return not self._is_broken

    def _give_up_line(self) -> int | None:
        """The end of the line on which the broken element starts; the next one starts on the next line."""
        end = self._line_end()
        if end is None:
            if not self.at_end and len(self._text) - self._from <= _MAX_HELD:
                return None
            end = len(self._text)
            self._is_skipping = not self.at_end  # only to the line's end, since the structure is broken
        self._in_vain += max(min(self._seen, self._from + _MAX_HELD) - end, 0)
        self._stack.clear()
        text = self._text[self._from : end].rstrip(_SPACE)
        end_of_text = self._from + len(text) - text.endswith(b",")
        self._from = self._seen = min(end + 1, len(self._text))
        return end_of_text

    def _line_end(self) -> int | None:
        """The end of the line on which the current element starts, if the text has it."""
        end = _end(_first_line(self._text, self._from))
        return end if end < len(self._text) else None

    def _begin_skipping(self) -> int:
        """Lets go of an element that is too long to be held, of which this is the end for now."""
        self._is_skipping = True
        self._depth, self._in_string = len(self._stack), False
        self._stack.clear()
        self._from = self._seen
        return len(self._text)

    def _skip(self) -> None:
        """Lets go of more of it, up to its end or its line's."""
        if self._is_broken:
            end = self._text.find(b"\n", self._from)
            self._is_skipping = end < 0
            self._from = len(self._text) if end < 0 else end + 1
        while self._is_skipping and self._from < len(self._text):
            if not self._in_string:
                self._pass_tokens()
                continue
            self._from = _end(_rest_of_string(self._text, self._from))
            if self._text[self._from :] in {b"", b"\\"}:
                break
            # Here is a quote, or the line's end, perhaps after a backslash.
            self._in_string = False
            self._from += not self._text.startswith(b"\n", self._from)
        self._seen = self._from

    def _pass_tokens(self) -> None:
        """Goes on to its end or its line's, or into a string that nothing closes in the text."""
        for token in _TOKEN_OR_LINE_END.finditer(self._text, self._from):
            mark = token[0]
            if mark in b"{[":
                self._depth += 1
            elif mark == b"\n" or (not self._depth and mark in b",]"):
                self._is_skipping = False
                self._from = token.end() - (mark == b"]")  # which closes the array
                return
            elif mark in b"}]":
                self._depth -= self._depth > 0
            elif mark == b'"':
                self._in_string = True
                self._from = token.end()
                return
        self._from = len(self._text)


def _end(match: re.Match[bytes] | None) -> int:
    """The end of a match that can be empty but cannot fail."""
    return match.end() if match else 0
