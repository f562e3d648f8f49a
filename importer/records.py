"""What every source gives: records, in blocks, and positions between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, count
from typing import Any, Protocol

from msgspec import Struct

_BLANK = b" \t\r\n"


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


class Position(Struct, frozen=True):
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


Transform = Callable[[dict[str, Any]], Any]
"""The user's mapping: one record (a dict) to one event, a list of events, or None to drop it."""


def is_blank(record: bytes) -> bool:
    """Whether a line holds nothing at all: such a line is no record."""
    return not record or (record.isspace() and not record.strip(_BLANK))
