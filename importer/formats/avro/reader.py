"""Avro object container files: blocks of rows, each by itself.

Neither a block that lies about its size nor one that decompresses to a thousand times its own takes memory without a
bound, and reading goes on at a block:
https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from importer.errors import StalePosition, Unreadable
from importer.formats.avro.blocks import Blocks, Header, StoredBlock, read_header
from importer.formats.avro.rows import Damaged, compiled
from importer.formats.avro.schema import Resolved
from importer.formats.avro.types import Types
from importer.formats.reader import Source
from importer.formats.rows import as_event, row_block, without_events
from importer.records import Block, Malformed, Position

_ROWS = 500
"""Rows in a block of records."""

_MAX_PLACES = 16_384
"""Blocks of the file whose places are kept: more than can be on its way to Mixpanel."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


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
    """Makes the records of a file's blocks.

    Raises:
        Unreadable: the schema is none, cannot be read safely, or its rows are no events, where they are to be.
    """

    def __init__(self, header: Header, *, as_events: bool) -> None:
        try:
            resolved = Resolved(header.schema)
        except RecursionError:
            raise Unreadable("the Avro file's schema is nested too deeply") from None
        types = Types(resolved)
        columns = types.columns
        if as_events and "event" not in columns:
            raise without_events(columns)
        if as_events:
            columns = ["event", *(name for name in columns if name != "event")]
        self._converts = [(columns.index(name), convert) for name, convert in types.converts.items()]
        self._read = compiled(resolved, columns)
        self._read_any_text = compiled(resolved, columns, errors="surrogateescape")
        self._made = _event_maker(columns, resolved) if as_events else _object_maker(columns)

    def records(self, block: StoredBlock, row: int, passed_over: int) -> Iterator[bytes]:
        """The records of one block, whose first row is number `row`, but for so many.

        Raises:
            Unreadable: a row breaks off, or is none; all before it have come.
        """
        data, at, read = block.data, 0, self._read
        for number in range(block.rows):
            try:
                try:
                    values, after = read(data, at)
                except UnicodeDecodeError:
                    values, after = self._read_any_text(data, at)
            except (Damaged, IndexError, struct.error) as error:
                raise Unreadable(f"the Avro data is damaged after row {row + number}: {error}") from None
            at = after
            if number >= passed_over:
                yield self._record(values)

    def _record(self, values: tuple[Any, ...]) -> bytes:
        try:
            if self._converts:
                changed = list(values)
                for nth, convert in self._converts:
                    if changed[nth] is not None:
                        changed[nth] = convert(changed[nth])
                values = tuple(changed)
            return _encode(self._made(values))
        except UnicodeEncodeError:
            return Malformed(b"", "holds a text that is not UTF-8")
        except (ValueError, OverflowError, ArithmeticError, RecursionError) as error:
            return Malformed(b"", f"holds a value that is none of its type: {error}")


def _object_maker(columns: list[str]) -> Callable[[tuple[Any, ...]], Any]:
    return lambda values: dict(zip(columns, values, strict=True))


def _event_maker(columns: list[str], resolved: Resolved) -> Callable[[tuple[Any, ...]], Any]:
    """What makes an event of a row's values: a struct that leaves out what is null, which the encoder writes as fast as
    a dict that would have to be made without them first."""
    if "properties" in columns or len(set(columns)) < len(columns):
        return lambda values: as_event(dict(zip(columns, values, strict=True)))
    names = ["$insert_id" if name == "insert_id" and "$insert_id" not in columns else name for name in columns[1:]]
    fields = [(f"f{nth}", Any, None) for nth in range(len(names))]
    rename = {f"f{nth}": name for nth, name in enumerate(names)}
    properties = msgspec.defstruct("Properties", fields, rename=rename, omit_defaults=True, gc=False)
    event = msgspec.defstruct("Event", [("properties", Any), ("event", Any, None)], omit_defaults=True, gc=False)
    return lambda values: event(properties(*values[1:]), values[0])


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
