"""What a format is: how content is known to be of it, and what reads the records of such content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, Protocol

from importer.records import Block, Position, Readable

Rows = Literal["events", "records"]
"""What a table's row comes as: a Mixpanel event, or (for a mapping) an object of its columns."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is looked at to know a format.

    Attributes:
        content: the first bytes, decompressed, without a byte order mark; up to `CHUNK_BYTES`.
        name: the address, for what cannot be told by the content.
        is_all: whether there is no more content than that.
    """

    content: bytes
    name: str
    is_all: bool


@dataclass(frozen=True, slots=True)
class Source:
    """What a reader reads, and from where on.

    Attributes:
        stored: the bytes as they lie there, for a format that reads by ranges.
        chunks: the content from `start` on, decompressed, cut anywhere; begins to be read when it is asked for.
        start: where to begin; its `state` is what the reader itself put into a mark.
        is_resumed: whether `start` is a mark of an earlier reading, and not the beginning.
        head: the first bytes, as they were looked at; None if a reading goes on without them.
        longest: bytes of a record that are held: no more than shows that it is too long.
        rows: what a table's row comes as.
    """

    stored: Readable
    chunks: Iterator[bytes]
    start: Position
    is_resumed: bool
    head: Head | None
    longest: int
    rows: Rows

    def mark(self, line: int, offset: int, state: bytes | None = None) -> Position:
        """The position before the record that starts there, in content whose offsets are bytes."""
        start = self.start
        stored = 0 if start.compression else offset
        return Position(offset, line, start.format, start.compression, state, stored)


class Reader(Protocol):
    """Reads the records of one source."""

    def blocks(self) -> Iterator[Block]:
        """Reads the records, in order, some at a time. See `content.Content.blocks`.

        Raises:
            Unreadable: the content breaks off or is damaged; all before that has come.
        """

    def mark(self, line: int, offset: int) -> Position:
        """The position before the record that starts there, one that has come already."""


@dataclass(frozen=True, slots=True)
class Format:
    """A row in the table of formats.

    Attributes:
        name: what positions call it. It stays: checkpoints hold it.
        matches: whether content that starts so is of this format.
        read: makes the reader. Raises `StalePosition` if it cannot go on from the source's `start`.
        by_range: whether it reads ranges of what is stored, and no chunks.
    """

    name: str
    matches: Callable[[Head], bool]
    read: Callable[[Source], Reader]
    by_range: bool = False


def begins(magic: bytes) -> Callable[[Head], bool]:
    """What knows content by the bytes that it begins with."""
    return lambda head: head.content.startswith(magic)


def matches_of(module: str, *, but_not: tuple[bytes, ...] = ()) -> Callable[[Head], bool]:
    """What knows content as the `matches` of a module does, which is imported unless the content begins with one of
    `but_not`: a start pays for what it imports."""

    def matches(head: Head) -> bool:
        return not head.content.lstrip().startswith(but_not) and bool(import_module(module).matches(head))

    return matches


def reader_of(module: str) -> Callable[[Source], Reader]:
    """What makes the `Reader` of a module, which is imported when there is something for it to read: most processes
    read one format, and a start pays for what it imports."""

    def read(source: Source) -> Reader:
        reader: Reader = import_module(module).Reader(source)
        return reader

    return read
