"""JSON values out of a text: many at once where all is as it should be (see `bulk`), one by one where it is not (see
`cutter`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from importer.errors import Unreadable
from importer.formats.json.bulk import Bulk
from importer.formats.json.cutter import Cutter
from importer.formats.json.frames import Arrays, BrokenArray, Frame
from importer.formats.json.window import Element
from importer.records import Block

_MIN_PIECE = 1 << 16
"""Bytes that are looked at at a time while no value ends: of brackets alone they take a tenth of a second."""

_MAX_PIECE = 96_000
"""What is worked on at a time. What takes 128 kB or more an allocator gives back to the system each time; to have it
again takes longer than the work."""


def elements(
    chunks: Iterable[bytes], offset: int = 0, line: int = 1, *, frame: Frame | None = None, opened: bool = False
) -> Iterator[Element]:
    """The values one by one. See `blocks`; the frame is by default one of arrays."""
    for block in blocks(chunks, offset, line, frame or Arrays(opened=opened)):
        yield from block


def blocks(
    chunks: Iterable[bytes],
    offset: int,
    line: int,
    frame: Frame,
    *,
    minified: bool = False,
    longest: int | None = None,
) -> Iterator[Block]:
    """Cuts a text into the values that stand in a frame.

    Args:
        chunks: the text, cut anywhere.
        offset: where its first byte is in the source.
        line: the line its first byte is on.
        frame: what stands around the values.
        minified: whether values that are cut many at once come without the white space between their tokens.
        longest: bytes of a value that are held; by default those of an event.

    Yields:
        For each value the line it starts on (the first is 1), its offset in bytes, and its text, some at a time. Of a
        longer one than `longest` comes a part of that length. Now and then comes an empty text, which is no
        value, so that whoever reads can look at the clock while there is much to look at before the next one.

    Raises:
        BrokenArray: the text breaks off within the frame, or something follows it.
        Unreadable: what `chunks` raises; all values before that have come.
    """
    cutter = Cutter(frame, offset, line, longest)
    bulk = Bulk(cutter, minified=minified)
    try:
        has_come = False
        for chunk in chunks:
            start = 0
            while start < len(chunk):
                end = start + (_MAX_PIECE if has_come else _MIN_PIECE)
                cutter.extend(chunk[start:end])
                start = end
                has_come = False
                for block in _cut(cutter, bulk):
                    has_come = True
                    yield block
                if not has_come:
                    yield Block([b""], *cutter.place, 0)
    except Unreadable:
        bulk.may_wait = False
        yield from _cut(cutter, bulk)
        raise
    cutter.at_end = True
    yield from _cut(cutter, bulk)
    frame.finish()


def first_elements(text: bytes, frame: Frame, *, is_all: bool) -> list[Element]:
    """The values that end within a text, which may go on."""
    cutter = Cutter(frame, 0, 1)
    cutter.at_end = is_all
    cutter.extend(text)
    bulk = Bulk(cutter, minified=False)
    bulk.may_wait = False
    found: list[Element] = []
    with suppress(BrokenArray):
        for block in _cut(cutter, bulk):
            found += block
    return found


def _cut(cutter: Cutter, bulk: Bulk) -> Iterator[Block]:
    """Cuts off the values that end within the text."""
    while True:
        while not cutter.frame.is_open:
            before = cutter.start
            if block := bulk.cut_arrays():
                yield block
            elif stray := cutter.frame.open(cutter):
                yield _block(stray)
            elif cutter.start == before and not cutter.frame.is_open:
                return
        if block := bulk.cut():
            yield block
        elif bulk.waits():
            return
        elif element := cutter.next():
            bulk.learn()
            yield _block(element)
        elif cutter.frame.is_open:
            return


def _block(element: Element) -> Block:
    line, offset, record = element
    return Block([record], line, offset, len(record) + 1)
