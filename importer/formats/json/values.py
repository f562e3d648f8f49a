"""JSON that is not lines of objects: arrays, objects one after the other, objects that wrap an array."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

import msgspec
from msgspec import Struct
from msgspec.structs import replace as changed

from importer.errors import StalePosition, Unreadable
from importer.formats.detect import has_old_line_ends, known_by_its_start
from importer.formats.json.elements import blocks
from importer.formats.json.frames import Arrays, BrokenArray, Frame, Wrapped
from importer.formats.json.layout import layout
from importer.formats.reader import Head, Source
from importer.records import Block, Position

_FRAMES: dict[str, type[Frame]] = {"array": Arrays, "objects": Frame, "wrapped": Wrapped}
"""What stands around the records, by their layout."""


_opens_alone = re.compile(rb"\{[ \t]*+[\r\n]").search


class _State(Struct, frozen=True):
    """What has to be known to go on: the layout, whether the record stands within it, whether lines end with a carriage
    return alone, and whether objects are spread over lines."""

    layout: str
    inside: bool = True
    returns: bool = False
    spread: bool = False


def matches(head: Head) -> bool:
    """Whether this is JSON in another layout than lines."""
    return not known_by_its_start(head.content) and _layout(head) != "lines"


_layout = lru_cache(maxsize=1)(layout)
"""Found once for a head: whoever asks what it is has it read next."""


class Reader:
    """Reads the values. See `formats.reader.Reader`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        if source.start.state is not None:
            state = _decoded(source.start.state)
        else:
            head = source.head
            state = _state(head) if head else _State("")
        if state.layout not in _FRAMES:
            raise StalePosition(f"a checkpoint speaks of a layout of JSON that is not known here: {state.layout!r}")
        self._state = state
        self._frame = _FRAMES[state.layout](opened=state.inside)

    def blocks(self) -> Iterator[Block]:
        """See `formats.reader.Reader`."""
        start, chunks = self._source.start, self._source.chunks
        if self._state.returns:
            chunks = (chunk.replace(b"\r", b"\n") for chunk in chunks)
        try:
            for block in blocks(
                chunks, start.offset, start.line, self._frame, minified=self._state.spread, longest=self._source.longest
            ):
                yield block if block.are_lines else _in_lines(block, self._state.spread)
        except BrokenArray as error:
            raise Unreadable(str(error)) from None

    def mark(self, line: int, offset: int) -> Position:
        """See `formats.reader.Reader`."""
        state = changed(self._state, inside=offset not in self._frame.outside)
        return self._source.mark(line, offset, msgspec.json.encode(state))


def _decoded(state: bytes) -> _State:
    try:
        return msgspec.json.decode(state, type=_State)
    except msgspec.MsgspecError as error:
        raise StalePosition(f"a checkpoint's state cannot be read: {error}") from None


def _state(head: Head) -> _State:
    return _State(_layout(head), False, has_old_line_ends(head), _opens_alone(head.content) is not None)


def in_one_line(record: bytes) -> bytes:
    """The record without the white space between its tokens, if there are line breaks in it and it is JSON: so that
    it is one line, and the same however it was indented."""
    return _minified(record) if b"\n" in record or b"\r" in record else record


def _minified(record: bytes) -> bytes:
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.format(record, indent=-1)
    return record


def _in_lines(block: Block, are_spread: bool) -> Block:
    if not any(block.records):
        return block
    records = [*map(_minified if are_spread else in_one_line, block.records)]
    are_lines = block.places is not None  # then they were cut together, being JSON
    return replace(block, records=records, size=sum(map(len, records)) + len(records), are_lines=are_lines)
