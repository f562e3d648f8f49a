"""JSON that is not lines of objects: arrays, objects one after the other, objects that wrap an array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
from msgspec import Struct

from importer.errors import StalePosition, Unreadable
from importer.formats.detect import has_old_line_ends, is_json
from importer.formats.elements import blocks
from importer.formats.frames import Arrays, BrokenArray, Frame, Wrapped
from importer.formats.layout import layout
from importer.formats.reader import Head, Source
from importer.records import Block, Position

_FRAMES: dict[str, type[Frame]] = {"array": Arrays, "objects": Frame, "wrapped": Wrapped}
"""What stands around the records, by their layout."""


class _State(Struct, frozen=True):
    """What has to be known to go on: the layout, and whether the record stands within it."""

    layout: str
    inside: bool = True


def matches(head: Head) -> bool:
    """Whether this is JSON in another layout than lines."""
    return not has_old_line_ends(head) and layout(head) != "lines"


class Reader:
    """Reads the values. See `formats.reader.Reader`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        if source.start.state is not None:
            state = _decoded(source.start.state)
        else:
            state = _State(layout(source.head) if source.head else "", inside=False)
        if state.layout not in _FRAMES:
            raise StalePosition(f"a checkpoint speaks of a layout of JSON that is not known here: {state.layout!r}")
        self._layout = state.layout
        self._frame = _FRAMES[state.layout](opened=state.inside)

    def blocks(self) -> Iterator[Block]:
        """See `formats.reader.Reader`."""
        start = self._source.start
        try:
            for block in blocks(self._source.chunks, start.offset, start.line, self._frame):
                yield block if block.are_lines else _in_lines(block)
        except BrokenArray as error:
            raise Unreadable(str(error)) from None

    def mark(self, line: int, offset: int) -> Position:
        """See `formats.reader.Reader`."""
        state = _State(self._layout, offset not in self._frame.outside)
        return self._source.mark(line, offset, msgspec.json.encode(state))


def _decoded(state: bytes) -> _State:
    try:
        return msgspec.json.decode(state, type=_State)
    except msgspec.MsgspecError as error:
        raise StalePosition(f"a checkpoint's state cannot be read: {error}") from None


def in_one_line(record: bytes) -> bytes:
    """The record without line breaks, if it is JSON: between tokens a space means the same, and elsewhere is none."""
    if (b"\n" in record or b"\r" in record) and is_json(record):
        return record.replace(b"\r", b" ").replace(b"\n", b" ")
    return record


def _in_lines(block: Block) -> Block:
    if block.places is None:
        return replace(block, records=[*map(in_one_line, block.records)])
    records = [record.replace(b"\r", b" ").replace(b"\n", b" ") for record in block.records]
    return replace(block, records=records, are_lines=True)  # which were cut together, being JSON
