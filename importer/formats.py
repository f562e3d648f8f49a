"""Bytes to records: what an object holds is known by its content, whatever it is called.

Newline-delimited JSON, or JSON arrays of events; plain or gzipped (of several members too, or twice over). Nothing
here holds more than a chunk and a record, however large the object, its lines, or what it decompresses to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, chain, count

import msgspec
from isal import igzip_lib, isal_zlib
from msgspec import Struct

from importer.array import BrokenArray, elements
from importer.event import MAX_EVENT_BYTES, is_blank

Record = tuple[int, int, bytes]
"""The line a record starts on (the first is 1), the bytes of uncompressed content before it, and the record itself."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some records that follow each other, each on its own line: cut together to be checked together.

    Attributes:
        records: without their line breaks.
        line: the line of the first.
        offset: bytes of uncompressed content before the first.
        size: bytes of uncompressed content that they take up, a line break after each included.
        are_lines: whether it is known that there are no line breaks in them, and that none is too long to be an event.
    """

    records: list[bytes]
    line: int
    offset: int
    size: int
    are_lines: bool = False

    def __iter__(self) -> Iterator[Record]:
        offsets = accumulate((len(record) + 1 for record in self.records), initial=self.offset)
        return zip(count(self.line), offsets, self.records, strict=False)


CHUNK_BYTES = 1 << 18
"""How much content is worked on at a time: also what a gzip bomb can make us hold."""

_check = msgspec.json.Decoder(msgspec.Raw).decode
_GZIP_SLICE = 1 << 15
_MOST_WRAPPED = 2
"""How many times over content may be gzipped: there are files that come out of gzip as they went in."""

_GZIP = b"\x1f\x8b"
_GZIP_MEMBER = 31  # zlib's wbits: a gzip header and trailer around the largest window
_UTF8_MARK = b"\xef\xbb\xbf"
_KNOWN = {
    _GZIP: "gzip within gzip within gzip",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"PAR1": "Parquet",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


class Unreadable(Exception):
    """The content is no event data, or stops to be at some place; no retry heals it.

    Every record before that place has been read.
    """


class Mark(Struct, frozen=True):
    """A place between two records of an object: all before it is settled, and reading can go on from it.

    Attributes:
        offset: bytes of uncompressed content before it.
        line: the line it is on; the first is 1.
        in_array: whether the object is one JSON array.
        compressed: whether the object is gzipped, so that bytes can only be skipped by decompressing them.
    """

    offset: int
    line: int
    in_array: bool
    compressed: bool


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
        self._compressed = head.startswith(_GZIP)
        for _ in range(_MOST_WRAPPED):
            if head.startswith(_GZIP):
                head, chunks = _head(_bounded(_decompressed(chunks), most))
        self._start = len(_UTF8_MARK) if head.startswith(_UTF8_MARK) else 0
        head = head[self._start :]
        self._chunks = skipped(chunks, self._start)
        self._longest = longest
        self._in_array = _is_array(head)
        if not self._in_array and (what := _no_events(head)):
            raise Unreadable(f"this is no event data but {what}: it takes JSON, one event a line or an array of events")

    def mark(self, line: int, offset: int) -> Mark:
        """The mark before the record that starts there."""
        return Mark(offset, line, self._in_array, self._compressed)

    def blocks(self) -> Iterator[Block]:
        """Reads the records, in order, some at a time.

        Blank lines come as records too (they are cheaper to tell apart later), not necessarily each; where there is
        much to read before the next record, blank ones come meanwhile, so that whoever reads can look at the clock. Of
        a record too long to be an event comes a part that is too long as well.

        Raises:
            Unreadable: the content breaks off, is damaged, or is more than `most`.
        """
        return _cut(self._chunks, self.mark(1, self._start), self._longest, opened=False)

    def blocks_from(self, mark: Mark) -> Iterator[Block]:
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
    if data.startswith(b"{") and (b"\n" not in data or _is_json(data)):
        return ((1, 0, data),)
    return _records(data, most)


def _records(data: bytes, most: int) -> Iterator[Record]:
    if not data:
        raise Unreadable("the message has no data")
    pieces = (data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES))
    yield from Content(pieces, most).records()


def blocks_after(mark: Mark, chunks: Iterable[bytes]) -> Iterator[Block]:
    """Reads the records after a mark; the first of `chunks` starts there, uncompressed. See `Content.blocks`."""
    return _cut(chunks, mark, MAX_EVENT_BYTES, opened=True)


def skipped(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """The chunks without their first `count` bytes."""
    for chunk in chunks:
        if count < len(chunk):
            yield chunk[count:] if count else chunk
        count = max(count - len(chunk), 0)


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


def _cut(chunks: Iterable[bytes], mark: Mark, longest: int, *, opened: bool) -> Iterator[Block]:
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


def _decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompresses gzip, member after member, at most `CHUNK_BYTES` at a time."""
    member = isal_zlib.decompressobj(_GZIP_MEMBER)
    for data in _slices(chunks):
        while data:
            if member.eof:
                data = data.lstrip(b"\0")  # padding, as tapes and some tools leave it
                if not data:
                    break
                member = isal_zlib.decompressobj(_GZIP_MEMBER)
            try:
                yield member.decompress(data, CHUNK_BYTES)
            except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub calls it a variable
                raise Unreadable(f"the gzip data is damaged: {error}") from None
            data = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise Unreadable("the gzip data breaks off before its end")


def _bounded(chunks: Iterable[bytes], most: int | None) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if most is not None and total > most:
            raise Unreadable(f"it decompresses to more than {most} bytes")
        yield chunk


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Small slices: after each of many small members, what is left of a slice is copied."""
    for chunk in chunks:
        for start in range(0, len(chunk), _GZIP_SLICE):
            yield chunk[start : start + _GZIP_SLICE]


def _is_array(head: bytes) -> bool:
    """Whether this is an array: not so if its first line is one by itself and others follow, or if these show that they
    are no elements, since there is no comma between them."""
    text = head.lstrip()
    if not text.startswith(b"["):
        return False
    rows = [row.rstrip() for row in text.split(b"\n") if row.strip()]
    if len(rows) > 1 and _is_json(rows[0]):
        return False
    elements_ = sum(row.endswith(b",") and _is_object(row[:-1]) for row in rows)
    lines_ = sum(map(_is_object, rows))
    return lines_ < 2 or lines_ <= elements_


def _no_events(head: bytes) -> str | None:
    """What the content seems to be if it is no event data. One line that could be an event makes it event data."""
    for magic, what in _KNOWN.items():
        if head.startswith(magic):
            return what
    rows = [row for row in head.splitlines() if row.strip()]
    if not rows or any(map(_is_object, rows)):
        return None
    first = rows[0].strip()
    if first == b"{" and len(rows) > 1:
        return "JSON that stands on several lines"
    if first.startswith(b"{") or _is_json(first):
        return None
    return "XML or HTML" if first.startswith(b"<") else f"something that starts with {head.strip()[:24]!r}"


def _is_object(text: bytes) -> bool:
    return text.lstrip().startswith(b"{") and _is_json(text)


def _is_json(text: bytes) -> bool:
    try:
        _check(text)  # builds nothing: a list of lists would take thirty times the text's memory
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True
