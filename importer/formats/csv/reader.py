"""CSV and TSV: a header, and rows of cells, which may be quoted and hold line breaks.

A row that is not as the header says is malformed by itself. So is a quote that nothing closes: its line is given up,
and the next line starts afresh.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from itertools import accumulate, compress, filterfalse

import msgspec

from importer.errors import StalePosition, Unreadable
from importer.formats.csv.cells import Column
from importer.formats.csv.columns import HIDDEN, Cells, Splitter
from importer.formats.csv.dialect import Table, separator, table
from importer.formats.csv.lines import MAX_LINE_BYTES, Lines, line_end, whole_lines
from importer.formats.csv.objects import objects
from importer.formats.reader import Source
from importer.formats.rows import without_events
from importer.limits import MAX_EVENT_BYTES
from importer.records import Block, Malformed, Position

_MAX_IN_VAIN_BYTES = 16 << 20
"""Bytes looked at beyond lines whose quotes nothing closes; with more, a row is a line."""

Row = list[str] | str
"""The cells of a row, or why it has none."""


class Reader:
    """Reads the rows. See `formats.reader.Reader`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rows: _Rows | None = None
        if source.is_resumed:
            try:
                self._rows = _Rows(msgspec.json.decode(source.start.state or b"", type=Table), source)
            except msgspec.MsgspecError:
                raise StalePosition("a checkpoint within CSV does not say what its columns are") from None

    def mark(self, line: int, offset: int) -> Position:
        """See `formats.reader.Reader`."""
        return self._source.mark(line, offset, self._rows.state if self._rows else None)

    def blocks(self) -> Iterator[Block]:
        """See `formats.reader.Reader`."""
        start = self._source.start
        end = self._rows.end if self._rows else b""
        carried = b""  # the lines of a row that goes on in those that follow
        for lines in whole_lines(self._source.chunks, start.line, start.offset, end):
            if lines.is_cut:
                yield from self._blocks(carried, lines.line, lines.offset)
                carried = b""
                yield _malformed(lines, f"is one line of more than {MAX_LINE_BYTES} bytes")
                continue
            if carried:
                lines = lines.after(carried, carried.count(end))
            if self._rows is None:
                self._rows, lines = self._header(lines)
                end = self._rows.end
            block, carried = self._rows.block(lines)
            yield block

    def _blocks(self, carried: bytes, line: int, offset: int) -> Iterator[Block]:
        """The rows of what was carried on to a line that does not belong to it."""
        if self._rows is None:
            raise Unreadable(f"the first line of this CSV has more than {MAX_LINE_BYTES} bytes: it is no header")
        if carried:
            before = line - carried.count(self._rows.end), offset - len(carried)
            yield self._rows.block(Lines(carried, *before, is_last=True))[0]

    def _header(self, lines: Lines) -> tuple[_Rows, Lines]:
        """What the first line says that holds something, and the lines after it."""
        end = line_end(lines.text)
        texts = lines.text.split(end)
        number = next((n for n, text in enumerate(texts) if text.strip()), len(texts) - 1)
        delimiter = separator(texts[number].decode(errors="replace"))
        number += delimiter is not None
        size = sum(map(len, texts[: number + 1])) + number + 1
        header = [text.decode(errors="replace") for text in texts[number : number + 20]]
        rows = _Rows(table(header, end, delimiter), self._source)
        return rows, Lines(lines.text[size:], lines.line + number + 1, lines.offset + size, is_last=lines.is_last)


class _Rows:
    """Makes the records of rows.

    Attributes:
        state: the table, for a position.
        end: what ends a line.

    Raises:
        Unreadable: the rows are no events, where they are to be.
    """

    def __init__(self, table: Table, source: Source) -> None:
        self.state = msgspec.json.encode(table)
        self.end = table.line_end.encode()
        self._delimiter = table.delimiter
        self._width = len(table.columns)
        self._event: int | None = None
        self._in_vain = 0
        names = list(table.columns)
        if source.rows == "events":
            if "event" not in names:
                raise without_events(names)
            self._event = names.index("event")
            if "insert_id" in names and "$insert_id" not in names:
                names[names.index("insert_id")] = "$insert_id"
        as_events = self._event is not None
        self._columns = [Column(name, len(names), is_time=as_events and name == "time") for name in names]
        self._splitter = Splitter(table.delimiter, table.line_end)

    def block(self, lines: Lines) -> tuple[Block, bytes]:
        """The rows in these lines, and the text of the last of them, if it goes on in what follows."""
        texts = lines.text.split(self.end)[:-1]
        offsets = accumulate((len(text) + 1 for text in texts), initial=lines.offset)
        cells = self._where_lines_are_rows(lines.text, len(texts))
        records = self._records(cells) if cells else []
        if not records or not _are_utf8(records):
            return self._with_care(lines, texts, list(offsets))
        longest = max(map(len, records))
        places = list(zip(range(lines.line, lines.line + len(texts)), offsets, strict=False))
        size = sum(map(len, records)) + len(records)
        return Block(records, lines.line, lines.offset, size, longest < MAX_EVENT_BYTES, places), b""

    def _where_lines_are_rows(self, content: bytes, count: int) -> Cells | None:
        """The cells, where each of the `count` lines is a row as the header says, as nearly always."""
        cells = self._splitter.cells(content, count) if count else None
        if cells and len(cells.columns) == self._width + 1 and not any(cells.columns[-1]):
            return cells._replace(columns=cells.columns[:-1])  # a delimiter at the end of each line
        return cells if cells and len(cells.columns) == self._width else None

    def _with_care(self, lines: Lines, texts: list[bytes], offsets: list[int]) -> tuple[Block, bytes]:
        """The same, where not every line is a row."""
        decoded = [text.removesuffix(b"\r").decode("latin-1") for text in texts]
        rows, read = self._quoted(decoded, is_last=lines.is_last)
        records = self._good_or_why([cells for _, cells in rows])
        ends = [number for number, _ in rows[1:]] + [read]
        for nth, reason in enumerate(records):
            if isinstance(reason, str):
                records[nth] = Malformed(self.end.join(texts[rows[nth][0] : ends[nth]]), reason)
        rest = self.end.join([*texts[read:], b""]) if read < len(texts) else b""
        if not records:  # nothing yet, so that whoever reads can look at the clock
            return Block([b""], lines.line, lines.offset, 0), rest
        places = [(lines.line + number, offsets[number]) for number, _ in rows]
        size = sum(map(len, records)) + len(records)
        return Block(records, lines.line, lines.offset, size, places=places), rest  # type: ignore[arg-type]

    def _quoted(self, texts: list[str], *, is_last: bool) -> tuple[list[tuple[int, Row]], int]:
        """Rows with the number of the line that each begins on, and how many lines they are."""
        rows: list[tuple[int, Row]] = []
        start = 0
        while start < len(texts):
            if self._in_vain > _MAX_IN_VAIN_BYTES:
                rows += [(number, _row_alone(texts[number], self._delimiter)) for number in range(start, len(texts))]
                break
            reader = csv.reader(_with_line_ends(texts, start), delimiter=self._delimiter, strict=True)
            first = start
            try:
                for row in reader:
                    if row:
                        rows.append((first, row))
                    first = start + reader.line_num
                break
            except csv.Error as error:
                read = start + reader.line_num
                size = sum(map(len, texts[first:read]))
                is_open = read >= len(texts) and "unexpected end" in str(error)
                if is_open and not is_last and size < MAX_LINE_BYTES:
                    return rows, first
                start = first + 1
                if is_open or read > start:
                    self._in_vain += size
                    rows.append((first, "has a quote that nothing closes"))
                else:
                    rows.append((first, f"is no CSV: {error}"))
        return rows, len(texts)

    def _good_or_why(self, rows: list[Row]) -> list[bytes | str]:
        """A record for each row, or why there is none."""
        rows = [_without_end(cells, self._width) for cells in rows]
        good = [not isinstance(cells, str) for cells in rows]
        columns = list(zip(*compress(rows, good), strict=True))
        may_be_known = not any(HIDDEN in cell for column in columns for cell in column)
        made = iter(self._records(Cells(columns, may_be_known=may_be_known)) if columns else [])
        return [_utf8_or_why(next(made)) if is_good else str(cells) for is_good, cells in zip(good, rows, strict=True)]

    def _records(self, cells: Cells) -> list[bytes]:
        """A record for each row."""
        members = [column.members(nth, cells) for nth, column in enumerate(self._columns)]
        return objects(members, None if self._event is None else members.pop(self._event), cells.hidden)


def _are_utf8(records: list[bytes]) -> bool:
    try:
        deque(map(bytes.decode, filterfalse(bytes.isascii, records)), maxlen=0)
    except UnicodeDecodeError:
        return False
    return True


def _utf8_or_why(record: bytes) -> bytes | str:
    return record if _are_utf8([record]) else "is not UTF-8"


def _without_end(cells: Row, width: int) -> Row:
    """The row without an empty cell too many (a delimiter at the end of each line), or why it is no row."""
    if isinstance(cells, str) or len(cells) == width:
        return cells
    if len(cells) == width + 1 and not cells[-1]:
        return cells[:-1]
    return f"has {len(cells)} cells, and the header has {width}"


def _with_line_ends(texts: list[str], start: int) -> Iterator[str]:
    return (texts[number] + "\n" for number in range(start, len(texts)))


def _row_alone(text: str, delimiter: str) -> Row:
    """A row that is a line, since too many quotes in this file are closed by nothing."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        return f"is no CSV: {error}"


def _malformed(lines: Lines, reason: str) -> Block:
    record = Malformed(lines.text, reason)
    return Block([record], lines.line, lines.offset, len(record) + 1, places=[(lines.line, lines.offset)])
