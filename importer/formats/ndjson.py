"""Newline-delimited JSON: a record is a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from importer.formats.detect import not_event_data
from importer.formats.reader import Head, Source
from importer.limits import MAX_EVENT_BYTES
from importer.records import Block, is_blank


def matches(head: Head) -> bool:
    """Whether this can be lines of JSON: one that could be an event is enough."""
    return not_event_data(head.content) is None


class Reader:
    """Reads lines. See `formats.reader.Reader`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.mark = source.mark

    def blocks(self) -> Iterator[Block]:
        """See `formats.reader.Reader`."""
        start = self._source.start
        return lines(self._source.chunks, start.offset, start.line, self._source.longest)


def lines(chunks: Iterable[bytes], offset: int = 0, line: int = 1, longest: int = MAX_EVENT_BYTES) -> Iterator[Block]:
    """Cuts newline-delimited JSON into its lines; the first byte is at `offset`, on line `line`."""
    tail, left_out = b"", 0
    for chunk in chunks:
        if is_blank(chunk) and is_blank(tail) and not left_out and (end := chunk.rfind(b"\n") + 1):
            # Blank lines, of which a small gzip can hold a billion, are let go uncut.
            line += chunk.count(b"\n")
            offset += len(tail) + end
            tail, chunk = b"", chunk[end:]
        size = len(tail) + len(chunk)
        are_lines = size < MAX_EVENT_BYTES and b"\r" not in chunk and b"\r" not in tail
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
            yield Block(records, line, offset, size, are_lines)
            line += len(records)
            offset += size
        else:
            yield Block([b""], line, offset, 0)
        if len(tail) > longest:
            # Too long to be an event: what is beyond the limit is let go until the line ends. Its length still counts.
            left_out += len(tail) - longest
            tail = tail[:longest]
    if tail:
        yield Block([tail], line, offset, left_out + len(tail) + 1)
