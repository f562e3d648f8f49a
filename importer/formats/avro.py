"""Avro object container files: blocks of rows, each by itself.

fastavro reads the rows; the blocks are cut and decompressed here, so that neither a block that lies about its size nor
one that decompresses to a thousand times its own takes memory without a bound, and so that reading goes on at a block:
https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from importer.errors import SettingsError, StalePosition, Unreadable
from importer.formats.avro_blocks import Blocks, Header, StoredBlock, read_header
from importer.formats.avro_types import Types
from importer.formats.reader import Head, Source
from importer.formats.rows import as_event, row_block, without_events
from importer.records import Block, Malformed, Position

_MAGIC = b"Obj\x01"
_ROWS = 500
"""Rows in a block of records."""

_MAX_PLACES = 16_384
"""Blocks of the file whose places are kept: more than can be on its way to Mixpanel."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


def matches(head: Head) -> bool:
    """Whether this is an Avro object container file."""
    return head.content.startswith(_MAGIC)


class _State(msgspec.Struct, array_like=True):
    """What a position holds besides: the block's first row, and the bytes of the header."""

    first: int
    header: int


class Reader:
    """Reads the rows of a file. See `formats.reader.Reader`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._state = _State(0, 0)
        if source.is_resumed:
            try:
                self._state = msgspec.json.decode(source.start.state or b"", type=_State)
            except msgspec.MsgspecError:
                raise StalePosition("a checkpoint within an Avro file does not say of which block") from None
        self._firsts: deque[int] = deque(maxlen=_MAX_PLACES)  # the first row of each block that came
        self._offsets: deque[int] = deque(maxlen=_MAX_PLACES)  # and where the block begins
        self._header_bytes = self._state.header

    def mark(self, line: int, offset: int) -> Position:
        """See `formats.reader.Reader`. It is the beginning of the row's block, in bytes as they are stored."""
        start = self._source.start
        nth = bisect_right(self._firsts, offset) - 1
        if start.compression or nth < 0:
            # From the beginning: of what is compressed as a whole, rows are passed over one by one.
            return Position(0, line, start.format, start.compression, msgspec.json.encode(_State(0, 0)))
        state = msgspec.json.encode(_State(self._firsts[nth], self._header_bytes))
        return Position(offset, line, start.format, None, state, self._offsets[nth])

    def blocks(self) -> Iterator[Block]:
        """See `formats.reader.Reader`."""
        header, blocks = self._opened()
        rows = _Rows(header, as_events=self._source.rows == "events")
        row, wanted = self._state.first, self._source.start.line - 1
        for stored in blocks:
            self._firsts.append(row)
            self._offsets.append(stored.offset)
            for records in _batched(rows.records(stored, row, max(wanted - row, 0))):
                first = max(wanted, row)
                yield row_block(records, first)
                wanted = first + len(records)
            row += stored.rows

    def _opened(self) -> tuple[Header, Blocks]:
        """The header, and the blocks from where reading is to begin."""
        source = self._source
        if self._state.header:
            header, _ = read_header(iter([source.stored.range(0, self._state.header)]))
            return header, Blocks(header, source.chunks, source.start.stored)
        header, rest = read_header(source.chunks)
        self._header_bytes = header.size
        return header, Blocks(header, rest, header.size)


class _Rows:
    """Makes the records of a file's blocks."""

    def __init__(self, header: Header, *, as_events: bool) -> None:
        """Raises:
        Unreadable: the schema is none, cannot be read safely, or its rows are no events.
        """
        try:
            import fastavro  # noqa: PLC0415
        except ImportError as error:
            raise SettingsError(f"Avro needs fastavro: pip install 'mixpanel-importer[avro]' ({error}).") from None
        self._read = fastavro.schemaless_reader
        self._as_events = as_events
        self._types = _types(header)
        self._schema = fastavro.parse_schema(self._types.plain)
        if as_events and "event" not in self._types.columns:
            raise without_events(self._types.columns)

    def records(self, block: StoredBlock, row: int, passed_over: int) -> Iterator[bytes]:
        """The records of one block, whose first row is number `row`, but for so many.

        Raises:
            Unreadable: a row breaks off, or is none; all before it have come.
        """
        data = io.BytesIO(block.data)
        for number in range(block.rows):
            try:
                values = self._read(data, self._schema, None, False, False, "surrogateescape")
            except Exception as error:  # whatever bytes that are no row make of the decoder
                raise Unreadable(
                    f"the Avro data is damaged after row {row + number}: {type(error).__name__}: {error}"
                ) from None
            if number >= passed_over:
                yield self._record(values)

    def _record(self, values: Any) -> bytes:
        try:
            values = self._types.converted(values)
            return _encode(as_event(values) if self._as_events else values)
        except UnicodeEncodeError:
            return Malformed(b"", "holds a text that is not UTF-8")
        except (ValueError, OverflowError, ArithmeticError, RecursionError) as error:
            return Malformed(b"", f"holds a value that is none of its type: {error}")


def _types(header: Header) -> Types:
    import fastavro  # noqa: PLC0415

    try:
        return Types(fastavro.parse_schema(header.schema))
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable("the Avro file's schema is nested too deeply") from None
    except Exception as error:  # whatever a schema that is none makes of the parser
        raise Unreadable(f"the Avro file's schema cannot be read: {type(error).__name__}: {error}"[:500]) from None


def _batched(records: Iterator[bytes]) -> Iterator[list[bytes]]:
    """The records in lists; those before one that cannot be read come, too."""
    found: list[bytes] = []
    try:
        for record in records:
            found.append(record)
            if len(found) == _ROWS:
                yield found
                found = []
    except Unreadable:
        if found:
            yield found
        raise
    if found:
        yield found
