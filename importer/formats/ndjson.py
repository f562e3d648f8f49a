"""Lines of JSON: a record is a line, whatever ends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import accumulate, count, repeat
from operator import contains

from importer.formats.detect import has_old_line_ends, not_event_data
from importer.formats.places import Place, Places
from importer.formats.reader import Head, Source
from importer.limits import MAX_EVENT_BYTES
from importer.records import Block, Position, is_blank

_OLD_LINE_ENDS = b"\r"
"""A position's state where lines end with a carriage return alone."""

_MIN_RUN = 16
"""Lines, on average, between blank ones, for which each run of them is a block of its own."""


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
        is_short = size < MAX_EVENT_BYTES
        has_returns = b"\r" in chunk or b"\r" in tail
        records = chunk.split(b"\n")
        records[0] = tail + records[0]
        tail = records.pop()
        size -= len(tail)
        if left_out and records:
            long = records.pop(0)
            size -= len(long) + 1
            yield Block([long[:longest]], line, offset, left_out + len(long) + 1)
            line += 1
            offset += left_out + len(long) + 1
            left_out = 0
        if records:
            yield from _blocks(records, line, offset, size, is_short=is_short, has_returns=has_returns)
            line += len(records)
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


def _blocks(
    raw: list[bytes], line: int, offset: int, size: int, *, is_short: bool, has_returns: bool
) -> Iterator[Block]:
    """Lines that follow each other, as blocks without what ends them, and without most blank ones."""
    if not has_returns and all(raw):
        yield Block(raw, line, offset, size, is_short)
        return
    records, gap, are_lines = raw, 1, is_short
    if has_returns:
        records = [*map(bytes.removesuffix, raw, repeat(b"\r"))]
        gap = 2 if sum(map(len, records)) + 2 * len(records) == size else 0  # 0: not the same after each
        are_lines &= not any(map(contains, records, repeat(b"\r")))
    if gap and (all(records) or records.count(b"") * _MIN_RUN < len(records)):
        yield from _runs(records, line, offset, gap, are_lines=are_lines)
    else:
        kept = [*filter(None, records)] or [b""]
        found = [place for place, record in zip(_places(raw, line, offset, 1), records, strict=False) if record]
        places = Places(len(kept), partial(iter, found or [(line, offset)]))
        yield Block(kept, *places[0], sum(map(len, kept)) + len(kept), are_lines, places)


def _runs(records: list[bytes], line: int, offset: int, gap: int, *, are_lines: bool) -> Iterator[Block]:
    """A block of each run of lines between blank ones."""
    start = 0
    while start < len(records):
        try:
            end = records.index(b"", start)
        except ValueError:
            end = len(records)
        run = records[start:end]
        size = sum(map(len, run))
        if run:
            places = None if gap == 1 else Places(len(run), partial(_places, run, line + start, offset, gap))
            yield Block(run, line + start, offset, size + len(run), are_lines, places)
        offset += size + gap * (len(run) + 1)
        start = end + 1


def _places(records: list[bytes], line: int, offset: int, gap: int) -> Iterator[Place]:
    """Where lines are, with so many bytes between them."""
    return zip(count(line), accumulate((len(one) + gap for one in records), initial=offset), strict=False)
