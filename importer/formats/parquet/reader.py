"""Parquet: the columns of a table, read by ranges, some rows at a time.

DuckDB decodes them and writes each row's JSON, a few pages of each column at a time, so that neither a file's size nor
a row group's makes the memory grow. Places are numbers of rows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from importer.errors import Unreadable
from importer.formats.parquet.table import ROWS, Table, Undecodable
from importer.formats.reader import Source
from importer.formats.rows import row_block
from importer.records import Block, Malformed, Position

_MAX_BAD_ROWS = 100
"""Rows of one file that are looked for one by one because they cannot be decoded; with one more, it is damaged."""

_MAX_BAD_IN_A_ROW = 16
"""The same of rows that follow each other: then their page is damaged."""


class Reader:
    """Reads the rows of a table. See `formats.reader.Reader`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._start = source.start.offset if source.is_resumed else 0
        self._bad_rows = self._bad_in_a_row = 0

    def mark(self, line: int, offset: int) -> Position:
        """See `formats.reader.Reader`."""
        return Position(offset, line, self._source.start.format)

    def blocks(self) -> Iterator[Block]:
        """See `formats.reader.Reader`."""
        if self._source.start.compression:
            raise Unreadable(
                f"this is Parquet within {self._source.start.compression}: Parquet is read from its end, so decompress "
                "the file first (Parquet compresses its columns itself)"
            )
        if self._source.stored.size is None:
            raise Unreadable("this is Parquet, which is read from its end: store it as a file or an object")
        table = Table(self._source)
        first = self._start
        try:
            while first < table.rows:
                first = yield from self._blocks(table, first)
        finally:
            table.close()

    def _blocks(self, table: Table, first: int) -> Generator[Block, None, int]:
        """Reads on from a row, until the end or a row that cannot be decoded.

        Returns:
            The row to go on from.
        """
        try:
            for records in table.records(first):
                yield row_block(records, first)
                first += len(records)
        except Undecodable as error:
            end = min(first + ROWS, table.rows)
            yield from self._around(table, first, end, error)
            return end
        if first < table.rows:
            raise Unreadable(f"the Parquet file breaks off: it says that it has {table.rows} rows, and has {first}")
        return first

    def _around(self, table: Table, first: int, end: int, error: Exception) -> Iterator[Block]:
        """The rows from `first` up to `end`, where those that cannot be decoded stand as malformed records."""
        if end - first == 1:
            self._bad_rows += 1
            self._bad_in_a_row += 1
            if self._bad_rows > _MAX_BAD_ROWS or self._bad_in_a_row > _MAX_BAD_IN_A_ROW:
                raise Unreadable(f"the Parquet data is damaged after row {first}: {error}")
            yield row_block([Malformed(b"", f"cannot be decoded: {table.undecodable_column(first)}{error}")], first)
            return
        middle = (first + end) // 2
        for start, stop in ((first, middle), (middle, end)):
            try:
                for records in table.records(start, stop):
                    yield row_block(records, start)
                    start += len(records)
                    self._bad_in_a_row = 0
            except Undecodable as again:
                yield from self._around(table, start, stop, again)
