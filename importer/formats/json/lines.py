"""Lines of JSON: a record is a line, whatever ends it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from functools import partial
from io import BytesIO
from itertools import accumulate, compress, count, repeat
from operator import contains

from importer.formats.detect import has_old_line_ends, not_event_data
from importer.formats.json.places import Place, Places
from importer.formats.reader import Head, Source
from importer.limits import MAX_EVENT_BYTES
from importer.records import Block, Position, is_blank

_OLD_LINE_ENDS = b"\r"
"""A position's state where lines end with a carriage return alone."""


def matches(head: Head) -> bool:
    """Whether this can be lines of JSON: one that could be an event is enough."""
    return not_event_data(head) is None


class Reader:
    """Reads lines. See `formats.reader.Reader`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        is_old = has_old_line_ends(source.head) if source.head else source.start.state == _OLD_LINE_ENDS
        self._state = _OLD_LINE_ENDS if is_old else None

    def blocks(self) -> Iterator[Block]:
        """See `formats.reader.Reader`."""
        source = self._source
        chunks: Iterable[bytes] = source.chunks
        if self._state:
            chunks = (chunk.replace(b"\r", b"\n") for chunk in chunks)
        return lines(chunks, source.start.offset, source.start.line, source.longest)

    def mark(self, line: int, offset: int) -> Position:
        """See `formats.reader.Reader`."""
        return self._source.mark(line, offset, self._state)


def lines(chunks: Iterable[bytes], offset: int = 0, line: int = 1, longest: int = MAX_EVENT_BYTES) -> Iterator[Block]:
    """Cuts content into its lines; the first byte is at `offset`, on line `line`.

    A line ends with a line feed, and with a carriage return before that if there is one. Blank lines come or not.
    """
    tail, left_out = b"", 0
    for chunk in chunks:
        if is_blank(chunk) and is_blank(tail) and not left_out and (end := chunk.rfind(b"\n") + 1):
            # Blank lines, of which a small gzip can hold a billion, are let go uncut.
            line += chunk.count(b"\n")
            offset += len(tail) + end
            tail, chunk = b"", chunk[end:]
        size = len(tail) + len(chunk)
        is_short, is_ascii = size < MAX_EVENT_BYTES, chunk.isascii() and tail.isascii()
        rows, gap = _split(tail, chunk)
        tail = rows.pop()
        size -= len(tail)
        if left_out and rows:
            long = rows.pop(0)
            passed = len(long) + (gap or 1)
            size -= passed
            yield Block([long[:longest]], line, offset, left_out + len(long) + 1)
            line += 1
            offset += left_out + passed
            left_out = 0
        if rows:
            yield _block(rows, gap, line, offset, size, is_short=is_short, is_ascii=is_ascii)
            line += len(rows)
            offset += size
        else:
            yield Block([b""], line, offset, 0)
        if len(tail) > longest:
            # Too long to be an event: what is beyond the limit is let go until the line ends. Its length still counts.
            left_out += len(tail) - longest
            tail = tail[:longest]
    if tail:
        last = tail if left_out else tail.removesuffix(b"\r")
        yield Block([last], line, offset, left_out + len(last) + 1)


def _split(tail: bytes, chunk: bytes) -> tuple[list[bytes], int]:
    """The rows of a text in two parts, and the bytes that end each; 0 if these differ, and are still at some rows."""
    if b"\r" not in chunk and b"\r" not in tail:
        rows = _cut(chunk, b"\n")
        rows[0] = tail + rows[0]
        return rows, 1
    text = tail + chunk
    rows = _cut(text, b"\r\n")
    is_same = sum(map(len, rows)) + 2 * (len(rows) - 1) == len(text)
    if is_same and b"\r" not in rows[-1][:-1] and not _any_holds(rows[:-1], b"\r"):
        return rows, 2
    return _cut(text, b"\n"), 0


def _cut(text: bytes, end: bytes) -> list[bytes]:
    """What line feeds end in a text, each without its end where it is this one, and what follows the last of them. It
    takes half as long as `bytes.split`, which looks at each byte by itself."""
    rows = [*map(bytes.removesuffix, BytesIO(text), repeat(end))]
    if not text or text.endswith(b"\n"):
        rows.append(b"")
    return rows


def _any_holds(rows: list[bytes], byte: bytes) -> bool:
    return any(map(contains, rows, repeat(byte)))


def _block(rows: list[bytes], gap: int, line: int, offset: int, size: int, *, is_short: bool, is_ascii: bool) -> Block:
    """Lines that follow each other, as a block without what ends them, and without blank ones."""
    if gap == 1 and all(rows):
        return Block(rows, line, offset, size, is_short, are_ascii=is_ascii)
    records = [*map(bytes.removesuffix, rows, repeat(b"\r"))] if not gap else rows
    kept = records if all(records) else [*filter(None, records)]
    if not kept:
        return Block([b""], line, offset, 0)
    are_lines = is_short and (gap > 0 or not _any_holds(kept, b"\r"))
    find = partial(_places, array("q", map(len, rows)), array("b", map(bool, records)), line, offset, gap or 1)
    first = last = None
    if gap:
        before, after = records.index(kept[0]), records[::-1].index(kept[-1])
        first = line + before, offset + gap * before
        last = line + len(rows) - 1 - after, offset + size - gap * (after + 1) - len(kept[-1])
    places = Places(len(kept), find, first, last)
    return Block(kept, *places[0], sum(map(len, kept)) + len(kept), are_lines, places, is_ascii)


def _places(lengths: array[int], are_kept: array[int], line: int, offset: int, gap: int) -> Iterator[Place]:
    """Where the lines are that were kept, with so many bytes between any two."""
    return compress(
        zip(count(line), accumulate((each + gap for each in lengths), initial=offset), strict=False), are_kept
    )
