"""Avro object container files: blocks of rows, each by itself.

Neither a block that lies about its size nor one that decompresses to a thousand times its own takes memory without a
bound, and reading goes on at a block:
https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from importer.errors import StalePosition, Unreadable
from importer.formats.avro.blocks import Blocks, Header, StoredBlock, read_header
from importer.formats.avro.rows import Damaged, Made, as_bytes, compiled
from importer.formats.avro.schema import Resolved
from importer.formats.avro.types import Types
from importer.formats.reader import Source
from importer.formats.rows import as_event, row_block, without_events
from importer.records import Block, Malformed, Position

_ROWS = 500
"""Rows in a block of records."""

_MAX_PLACES = 16_384
"""Blocks of the file whose places are kept: more than can be on its way to Mixpanel."""

_Expression = Callable[[Sequence[str]], str]
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
            for first, records in rows.records(stored, row, wanted):
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
        if as_events and "properties" not in columns and len(set(columns)) == len(columns):
            expression, names = _as_structs(columns)
        else:
            expression, names = _as_dicts(columns, as_events=as_events)
        self._read = compiled(resolved, columns, Made(expression, names, types.converts, _malformed))

    def records(self, block: StoredBlock, row: int, wanted: int) -> Iterator[tuple[int, list[bytes]]]:
        """The records of one block, whose first row is number `row`, from row `wanted` on, each time with the number of
        the first of them.

        Raises:
            Unreadable: a row breaks off, or is none; all before it have come.
        """
        text = block.data.decode("latin-1")
        at, end = 0, row + block.rows
        while row < end:
            found: list[bytes] = []
            damage: Exception | None = None
            try:
                at = self._read(block.data, text, at, min(end - row, _ROWS), found)
            except (Damaged, IndexError, struct.error) as error:
                damage = error
            if row + len(found) > wanted:
                first = max(row, wanted)
                yield first, _as_texts(found[first - row :])
            row += len(found)
            if damage is not None:
                raise Unreadable(f"the Avro data is damaged after row {row}: {damage}")


def _as_dicts(columns: list[str], *, as_events: bool) -> tuple[_Expression, dict[str, Any]]:
    """How a row becomes an object of its columns."""
    keys = list(map(as_bytes, columns))

    def made(*values: Any) -> dict[str, Any]:
        row = dict(zip(keys, values, strict=True))
        return as_event(row) if as_events else row

    return lambda variables: f"encode(made({', '.join(variables)}))", {"encode": _encode, "made": made}


def _as_structs(columns: list[str]) -> tuple[_Expression, dict[str, Any]]:
    """How a row, whose first column is `event`, becomes an event: a struct that leaves out what is null, which the
    encoder writes as fast as a dict that would have to be made without them first."""
    names = ["$insert_id" if name == "insert_id" and "$insert_id" not in columns else name for name in columns[1:]]
    fields = [(f"f{nth}", Any, None) for nth in range(len(names))]
    rename = {f"f{nth}": as_bytes(name) for nth, name in enumerate(names)}
    properties = msgspec.defstruct("Properties", fields, rename=rename, omit_defaults=True, gc=False)
    event = msgspec.defstruct("Event", [("properties", Any), ("event", Any, None)], omit_defaults=True, gc=False)
    return (
        lambda variables: f"encode(event(properties({', '.join(variables[1:])}), {variables[0]}))",
        {"encode": _encode, "event": event, "properties": properties},
    )


def _malformed(error: Exception) -> bytes:
    return Malformed(b"", f"holds a value that is none of its type: {error}")


def _as_texts(records: list[bytes]) -> list[bytes]:
    """Records in whose texts each byte was a character, as what they are."""
    if all(map(bytes.isascii, records)):
        return records
    return [record if record.isascii() else _as_text(record) for record in records]


def _as_text(record: bytes) -> bytes:
    try:
        text = record.decode().encode("latin-1")
        text.decode()
    except UnicodeError:
        return Malformed(b"", "holds a text that is not UTF-8")
    return text
