"""Bytes to records: what is stored is known by its content, whatever it is called.

Plain, or packed with gzip or zstd (in several members too, or twice over). Nothing here holds more than a chunk and a
record, however large the object, its lines, or what it decompresses to. A format is a file and a row of `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from importer.errors import StalePosition, Unreadable
from importer.formats.compression import compression_of
from importer.formats.detect import is_json, not_event_data
from importer.formats.held import Held, skipped
from importer.formats.json import lines, values
from importer.formats.json.layout import may_wrap
from importer.formats.json.values import in_one_line
from importer.formats.reader import Format, Head, Reader, Rows, Source, begins, matches_of, reader_of
from importer.limits import CHUNK_BYTES, MAX_EVENT_BYTES, MAX_RECORD_BYTES
from importer.records import Block, Position, Readable, Record

FORMATS = (
    Format("avro", begins(b"Obj\x01"), reader_of("importer.formats.avro.reader")),
    Format("parquet", begins(b"PAR1"), reader_of("importer.formats.parquet.reader"), by_range=True),
    Format("json", values.matches, values.Reader),
    Format(
        "csv",
        matches_of("importer.formats.csv.dialect", but_not=(b"{", b"[")),
        reader_of("importer.formats.csv.reader"),
    ),
    Format("ndjson", lines.matches, lines.Reader),
)
"""All that can be read. The first that matches has it."""

_MAX_LAYERS = 2
"""How many times over content may be compressed: there are files that come out of gzip as they went in."""

_UTF8_MARK = b"\xef\xbb\xbf"
_BY_NAME = {one.name: one for one in FORMATS}


class Content:
    """What something stored holds, as its first bytes tell. Nothing is read before it is asked for.

    Args:
        stored: where the bytes lie.
        position: where to go on, as `mark` gave it in an earlier reading; by default the beginning.
        most: uncompressed bytes that are read, at most.
        longest: bytes of a record that are held; by default no more than shows that it is too long to be an event, or,
            with `rows="records"`, to have events made of it.
        rows: what a table's row comes as: a Mixpanel event, or, where there is a mapping, an object of its columns.

    Raises:
        StalePosition: there is no going on from `position`; read from the beginning.
    """

    def __init__(
        self,
        stored: Readable,
        position: Position | None = None,
        *,
        most: int | None = None,
        longest: int | None = None,
        rows: Rows = "events",
    ) -> None:
        self._stored = stored
        self._position = position
        self._most = most
        self._longest = _longest(rows) if longest is None else longest
        self._rows: Rows = rows
        self._chunks: Iterator[bytes] | None = None  # what is stored, as far as it is read in order
        self._format: Format | None = None
        self._reader: Reader | None = None
        if position is not None:
            self._go_on(position)

    @property
    def format(self) -> str:
        """The name of its format.

        Raises:
            Unreadable: the content is no event data, or is compressed and damaged from the start.
        """
        self._opened()
        return self._format.name if self._format else ""

    def blocks(self) -> Iterator[Block]:
        """Reads the records, in order, some at a time.

        Blank lines come as records too (they are cheaper to tell apart later), not necessarily each; where there is
        much to read before the next record, blank ones come meanwhile, so that whoever reads can look at the clock. Of
        a record too long to be an event comes a part that is too long as well.

        Raises:
            Unreadable: the content is no event data, breaks off, is damaged, or is more than `most`.
        """
        yield from self._opened().blocks()

    def records(self) -> Iterator[Record]:
        """Reads the records one by one. See `blocks`."""
        return chain.from_iterable(self.blocks())

    def mark(self, line: int, offset: int) -> Position:
        """The position before the record that starts there, one that has come already."""
        return self._opened().mark(line, offset)

    def drain(self) -> None:
        """Reads what is left of content that made no sense, to know whether the way here is at fault.

        Raises:
            SourceCorrupted: it is.
            Exception: it is not known, since reading failed.
        """
        for _ in self._chunks or ():
            pass

    def _opened(self) -> Reader:
        if self._reader is None:
            self._open()
        assert self._reader is not None  # noqa: S101 (that is what opening it does)
        return self._reader

    def _open(self) -> None:
        """Looks at the first bytes, and makes the reader that goes with them."""
        self._chunks = iter(self._stored.chunks())
        content, chunks, compression = self._decompressed(self._chunks)
        start = len(_UTF8_MARK) if content.startswith(_UTF8_MARK) else 0
        head = Head(content[start:CHUNK_BYTES], self._stored.name, len(content) < CHUNK_BYTES)
        format_ = next((one for one in FORMATS if one.matches(head)), None)
        if format_ is None:
            raise Unreadable(f"this is no event data but {not_event_data(head)}")
        position = Position(start, 1, format_.name, compression, stored=0 if compression else start)
        self._read(format_, position, skipped(chunks, start), head)

    def _go_on(self, position: Position) -> None:
        """Makes the reader that reads on from a position."""
        format_ = _BY_NAME.get(position.format)
        if format_ is None:
            raise StalePosition(f"a checkpoint speaks of a format that is not known here: {position.format}")
        self._read(format_, position, self._chunks_from(position), None)

    def _chunks_from(self, position: Position) -> Iterator[bytes]:
        self._chunks = iter(self._stored.chunks(position.stored))
        if position.compression is None:
            yield from self._chunks
            return
        _, chunks, _ = self._decompressed(self._chunks)
        yield from skipped(chunks, position.offset)

    def _decompressed(self, chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes], str | None]:
        """The head of the content, all of it (that too), and what it was compressed with."""
        head, rest = _head(chunks)
        layers: list[str] = []
        while len(layers) < _MAX_LAYERS and (packed := compression_of(head)):
            layers.append(packed.name)
            head, rest = _head(_bounded(packed.decompressed(rest), self._most))
        return head, rest, "+".join(layers) or None

    def _read(self, format_: Format, start: Position, chunks: Iterator[bytes], head: Head | None) -> None:
        if format_.by_range:
            chunks, self._chunks = iter(()), None
        self._format = format_
        self._reader = format_.read(
            Source(self._stored, chunks, start, self._position is not None, head, self._longest, self._rows)
        )


def records_of_message(data: bytes, most: int, rows: Rows = "events") -> Iterable[Record]:
    """Reads the records of a message: one event, an array of events, or lines of them; gzipped or not.

    Args:
        data: the message.
        most: uncompressed bytes that are read, at most.
        rows: see `Content`.

    Raises:
        Unreadable: (while they are read) there is no data, or see `Content`.
    """
    if data.startswith(b"{") and is_json(data) and not may_wrap(data):
        return ((1, 0, in_one_line(data)),)
    return _records(data, most, rows)


def _records(data: bytes, most: int, rows: Rows) -> Iterator[Record]:
    if not data:
        raise Unreadable("the message has no data")
    # It is held in any case: a reject carries it whole, for replay.
    size, largest = 0, max(most, len(data) + 1)  # what is not packed is no larger than what is held already
    for block in Content(Held(data), most=most, longest=max(len(data), _longest(rows)), rows=rows).blocks():
        size += block.size
        if size > largest:  # a table has each column's name once, and compresses by itself
            raise Unreadable(f"it has records of more than {largest} bytes")
        yield from block


def _longest(rows: Rows) -> int:
    return MAX_RECORD_BYTES if rows == "records" else MAX_EVENT_BYTES


def _head(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """As much of the content as is looked at to know what it is, and all of it, that too."""
    rest = _joined(chunks)
    head = next(rest, b"")
    return head, chain([head], rest)


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
