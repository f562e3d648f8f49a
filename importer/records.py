"""What every source gives: records, in blocks, and positions between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, count
from typing import Any, Protocol, Self

from msgspec import Struct

_BLANK = b" \t\r\n"


Record = tuple[int, int, bytes]
"""The line a record starts on (the first is 1), the bytes of uncompressed content before it, and the record itself."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some records that follow each other: cut together to be checked together.

    Attributes:
        records: without their line breaks.
        line: the line of the first.
        offset: bytes of uncompressed content before the first.
        size: bytes of the records, and one more for each (a line break, as a batch counts them).
        are_lines: whether it is known that there are no line breaks in them, and that none is too long to be an event.
        places: the line and offset of each, where these do not follow from its being on a line of its own with a
            line break of one byte after it.
        are_ascii: whether it is known that all of them are ASCII.
    """

    records: list[bytes]
    line: int
    offset: int
    size: int
    are_lines: bool = False
    places: Sequence[tuple[int, int]] | None = None
    are_ascii: bool = False

    def __iter__(self) -> Iterator[Record]:
        if self.places is not None:
            return ((line, offset, one) for (line, offset), one in zip(self.places, self.records, strict=True))
        offsets = accumulate((len(record) + 1 for record in self.records), initial=self.offset)
        return zip(count(self.line), offsets, self.records, strict=False)

    def first(self, most: int) -> Self:
        """The first of its records, at most so many."""
        if len(self.records) <= most:
            return self
        some = self.records[:most]
        places = None if self.places is None else self.places[:most]
        return replace(self, records=some, size=sum(map(len, some)) + len(some), places=places)

    def place(self, nth: int) -> tuple[int, int]:
        """The line and offset of one of its records, of those from the end if `nth` is negative."""
        if self.places is not None:
            return self.places[nth]
        nth = range(len(self.records))[nth]
        return self.line + nth, self.offset + sum(map(len, self.records[:nth])) + nth


def first_records(blocks: Iterable[Block], most: int) -> Iterator[Block]:
    """The first records of blocks, at most so many."""
    for block in blocks:
        yield block.first(most)
        most -= len(block.records)
        if most <= 0:
            return


class Position(Struct, frozen=True):
    """A place between two records: all before it is settled, and reading can go on from it.

    Attributes:
        offset: bytes of uncompressed content before it; where a format has no such, the number of rows before it.
        line: the line it is on, or the row; the first is 1.
        format: the name of the format that reads it (see `formats.content`).
        compression: what the content is compressed with (`gzip`), so that bytes can only be passed over by
            decompressing them; None where they lie as they are, or where the format itself compresses.
        state: what else the format has to know to go on, such as a table's columns.
        stored: bytes, as they are stored, that need not be read again to go on from here.
    """

    offset: int
    line: int
    format: str
    compression: str | None = None
    state: bytes | None = None
    stored: int = 0


class Readable(Protocol):
    """Something stored that a format reads: an object or a file, as it lies there, always the same bytes.

    Attributes:
        name: its address, for what a format can tell by the name alone.
        size: bytes as they are stored; None where that is not known, such as of standard input.
    """

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int | None: ...

    def range(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on; fewer at the end.

        Raises:
            SourceGone: it was overwritten or deleted meanwhile.
        """

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """All bytes from `start` on, in order.

        Raises:
            SourceGone: it was overwritten or deleted meanwhile.
            SourceCorrupted: at the end, what came is not what is stored.
        """


class Malformed(bytes):
    """What no record can be made of, such as a row with too few cells: its bytes as far as they are known, and why.

    It stands among the records, and becomes a reject with this reason.
    """

    reason: str

    def __new__(cls, content: bytes, reason: str) -> Self:
        made = super().__new__(cls, content)
        made.reason = reason
        return made


Transform = Callable[[dict[str, Any]], Any]
"""The user's mapping: one record (a dict) to one event, a list of events, or None to drop it."""


def is_blank(record: bytes) -> bool:
    """Whether a line holds nothing at all: such a line is no record."""
    return not record or (record.isspace() and not record.strip(_BLANK))
