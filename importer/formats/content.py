"""Bytes to records: what an object holds is known by its content, whatever it is called.

Newline-delimited JSON, or JSON arrays of events; plain or gzipped (of several members too, or twice over). Nothing
here holds more than a chunk and a record, however large the object, its lines, or what it decompresses to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from importer.errors import Unreadable
from importer.formats.compression import GZIP, decompressed
from importer.formats.detect import is_array, is_json, not_event_data
from importer.formats.json_array import BrokenArray, elements
from importer.formats.ndjson import lines
from importer.limits import CHUNK_BYTES, MAX_EVENT_BYTES
from importer.records import Block, Position, Record

_MAX_GZIP_LAYERS = 2
"""How many times over content may be gzipped: there are files that come out of gzip as they went in."""

_UTF8_MARK = b"\xef\xbb\xbf"


class Content:
    """What an object holds, as its first bytes tell.

    Args:
        chunks: the object's bytes as stored, from its start, cut anywhere.
        most: uncompressed bytes that are read, at most.
        longest: bytes of a line that are held; by default no more than shows that it is too long to be an event.

    Raises:
        Unreadable: the content is no event data, or is compressed and damaged from the start.
    """

    def __init__(self, chunks: Iterable[bytes], most: int | None = None, longest: int = MAX_EVENT_BYTES) -> None:
        head, chunks = _head(chunks)
        self._compressed = head.startswith(GZIP)
        for _ in range(_MAX_GZIP_LAYERS):
            if head.startswith(GZIP):
                head, chunks = _head(_bounded(decompressed(chunks), most))
        self._start = len(_UTF8_MARK) if head.startswith(_UTF8_MARK) else 0
        head = head[self._start :]
        self._chunks = skipped(chunks, self._start)
        self._longest = longest
        self._in_array = is_array(head)
        if not self._in_array and (what := not_event_data(head)):
            raise Unreadable(f"this is no event data but {what}: it takes JSON, one event a line or an array of events")

    def mark(self, line: int, offset: int) -> Position:
        """The mark before the record that starts there."""
        return Position(offset, line, self._in_array, self._compressed)

    def blocks(self) -> Iterator[Block]:
        """Reads the records, in order, some at a time.

        Blank lines come as records too (they are cheaper to tell apart later), not necessarily each; where there is
        much to read before the next record, blank ones come meanwhile, so that whoever reads can look at the clock. Of
        a record too long to be an event comes a part that is too long as well.

        Raises:
            Unreadable: the content breaks off, is damaged, or is more than `most`.
        """
        return _cut(self._chunks, self.mark(1, self._start), self._longest, opened=False)

    def blocks_from(self, mark: Position) -> Iterator[Block]:
        """Reads the records after a mark, passing over those before it. See `blocks`."""
        return _cut(skipped(self._chunks, mark.offset - self._start), mark, self._longest, opened=True)

    def records(self) -> Iterator[Record]:
        """Reads the records one by one. See `blocks`."""
        return chain.from_iterable(self.blocks())


def records_of_message(data: bytes, most: int) -> Iterable[Record]:
    """Reads the records of a message: one event, an array of events, or lines of them; gzipped or not.

    An event may stand on several lines if it is the only one.

    Args:
        data: the message.
        most: uncompressed bytes that are read, at most.

    Raises:
        Unreadable: (while they are read) there is no data, or see `Content`.
    """
    if data.startswith(b"{") and (b"\n" not in data or is_json(data)):
        return ((1, 0, data),)
    return _records(data, most)


def _records(data: bytes, most: int) -> Iterator[Record]:
    if not data:
        raise Unreadable("the message has no data")
    pieces = (data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES))
    yield from Content(pieces, most).records()


def blocks_after(mark: Position, chunks: Iterable[bytes]) -> Iterator[Block]:
    """Reads the records after a mark; the first of `chunks` starts there, uncompressed. See `Content.blocks`."""
    return _cut(chunks, mark, MAX_EVENT_BYTES, opened=True)


def skipped(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """The chunks without their first `count` bytes."""
    for chunk in chunks:
        if count < len(chunk):
            yield chunk[count:] if count else chunk
        count = max(count - len(chunk), 0)


def _cut(chunks: Iterable[bytes], mark: Position, longest: int, *, opened: bool) -> Iterator[Block]:
    if not mark.in_array:
        yield from lines(chunks, mark.offset, mark.line, longest)
        return
    try:
        for line, offset, record in elements(chunks, mark.offset, mark.line, opened=opened):
            yield Block([record], line, offset, len(record) + 1)
    except BrokenArray as error:
        raise Unreadable(str(error)) from None


def _head(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """As much of the content as is looked at to know what it is, and all of it, that too."""
    rest = _joined(chunks)
    head = next(rest, b"")
    return head[:CHUNK_BYTES], chain([head], rest)


def _joined(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same in chunks that are not small, save the last: what comes cut small costs no more than what does not."""
    parts: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            if chunk:  # of a million empty gzip members each would take its place here
                parts.append(chunk)
            size += len(chunk)
            if size >= CHUNK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
    except Unreadable:
        yield b"".join(parts)
        raise
    yield b"".join(parts)


def _bounded(chunks: Iterable[bytes], most: int | None) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if most is not None and total > most:
            raise Unreadable(f"it decompresses to more than {most} bytes")
        yield chunk
