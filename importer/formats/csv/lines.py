"""The lines of CSV, some at a time, whatever their length: what a row on several lines is put together from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_LINE_BYTES = 1 << 20
"""Of a line that are held: more than an event can have."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines that follow each other.

    Attributes:
        text: with the line break after each.
        line: the number of the first.
        offset: the bytes before it.
        is_cut: whether it is one line too long to be held, of which this is the beginning.
        is_last: whether nothing follows.
    """

    text: bytes
    line: int
    offset: int
    is_cut: bool = False
    is_last: bool = False

    def after(self, text: bytes, lines: int) -> Lines:
        """The same with more text before it, of so many lines."""
        return Lines(text + self.text, self.line - lines, self.offset - len(text), self.is_cut, self.is_last)


def whole_lines(chunks: Iterable[bytes], line: int, offset: int, end: bytes) -> Iterator[Lines]:
    """Cuts a text at its line ends. The end of the last line is added if it is missing.

    Args:
        chunks: the text, cut anywhere.
        line: the number of its first line.
        offset: the bytes before it.
        end: what ends a line; found by looking where it is empty.
    """
    held, left_out = b"", 0
    for chunk in chunks:
        held += chunk
        end = end or line_end(held)
        if left_out:
            at = held.find(end) + 1
            left_out += at or len(held)
            held = held[at:] if at else b""
            if not at:
                yield Lines(b"", line, offset)  # nothing yet, so that whoever reads can look at the clock
                continue
            line, offset, left_out = line + 1, offset + left_out, 0
        cut = held.rfind(end) + 1
        if cut:
            yield Lines(held[:cut], line, offset)
            line, offset, held = line + held.count(end), offset + cut, held[cut:]
        if len(held) > MAX_LINE_BYTES:
            yield Lines(held[:MAX_LINE_BYTES], line, offset, is_cut=True)
            held, left_out = b"", len(held)
    if held:
        yield Lines(held if held.endswith(end) else held + end, line, offset, is_last=True)
    else:
        yield Lines(b"", line, offset, is_last=True)


def line_end(head: bytes) -> bytes:
    """What ends a line: a line feed, or a carriage return where there is no line feed at all."""
    return b"\r" if b"\r" in head and b"\n" not in head else b"\n"
