"""JSON values out of a text: many at once where all is as it should be, one by one (see `cutter`) where it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain

import msgspec

from importer.errors import Unreadable
from importer.formats.json.cutter import Cutter, between
from importer.formats.json.frames import Arrays, BrokenArray, Frame
from importer.formats.json.places import places_in
from importer.formats.json.window import Element
from importer.limits import CHUNK_BYTES, MAX_EVENT_BYTES
from importer.records import Block

_SPACE = b" \t\r\n"
_MIN_BULK = 1 << 10
_MAX_BULK = MAX_EVENT_BYTES - 1
"""Bytes that are tried at once, so that no value among them is too long to be an event."""

_MAX_WAITING = 1 << 16
"""Bytes for whose end more text is waited, once it is known what lies between two values."""

Split = Callable[[bytes], list[msgspec.Raw]]
"""Splits whole values."""

_next_starts = re.compile(rb'([ \t\r\n]*+,?[ \t\r\n]*+)[{](?:[ \t\r\n]*+"[^"\\]{0,60}"[ \t]*+:)?').match
"""What lies between a value and the next, and how that one starts: mostly each with the same key."""

_ends_with_its_line = re.compile(rb"\[[^\n]*+(?<=\])\r?\n|\[[^\n]*+(?<=\]\r)\n").match

_elements_of_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_in_a_row = msgspec.json.Decoder(msgspec.Raw).decode_lines
_arrays_in_a_row = msgspec.json.Decoder(list[msgspec.Raw]).decode_lines


def _with_commas(text: bytes) -> list[msgspec.Raw]:
    return _elements_of_array(b"[%b]" % text)


def _of_arrays(text: bytes) -> list[msgspec.Raw]:
    return list(chain.from_iterable(_arrays_in_a_row(text)))


def elements(
    chunks: Iterable[bytes], offset: int = 0, line: int = 1, *, frame: Frame | None = None, opened: bool = False
) -> Iterator[Element]:
    """The values one by one. See `blocks`; the frame is by default one of arrays."""
    for block in blocks(chunks, offset, line, frame or Arrays(opened=opened)):
        yield from block


def blocks(chunks: Iterable[bytes], offset: int, line: int, frame: Frame) -> Iterator[Block]:
    """Cuts a text into the values that stand in a frame.

    Args:
        chunks: the text, cut anywhere.
        offset: where its first byte is in the source.
        line: the line its first byte is on.
        frame: what stands around the values.

    Yields:
        For each value the line it starts on (the first is 1), its offset in bytes, and its text, some at a time. Of one
        too long to be an event comes a part that is too long as well. Now and then comes an empty text, which is no
        value, so that whoever reads can look at the clock while there is much to look at before the next one.

    Raises:
        BrokenArray: the text breaks off within the frame, or something follows it.
        Unreadable: what `chunks` raises; all values before that have come.
    """
    cutter = Cutter(frame, offset, line)
    bulk = _Bulk(cutter)
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), CHUNK_BYTES):
                cutter.extend(chunk[start : start + CHUNK_BYTES])
                yield from _cut(cutter, bulk)
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
    bulk = _Bulk(cutter)
    bulk.may_wait = False
    found: list[Element] = []
    with suppress(BrokenArray):
        for block in _cut(cutter, bulk):
            found += block
    return found


def _cut(cutter: Cutter, bulk: _Bulk) -> Iterator[Block]:
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


class _Bulk:
    """Cuts many values at once: up to a place where one seems to end, since what follows looks like what followed one
    before. Whether it does is then certain: if what is before that place can be read, it can in one way only.
    """

    def __init__(self, cutter: Cutter) -> None:
        self.may_wait = True
        self._cutter = cutter
        self._follows: bytes | None = None  # a value's last byte, the gap to the next, and how that starts
        self._split: Split = _with_commas
        self._size = _MAX_BULK  # bytes that are tried at once
        self._looked_to = -1  # the offset of the text's end, when the last value was last looked for there

    def cut(self) -> Block | None:
        """Cuts off what it can."""
        cutter = self._cutter
        if not cutter.is_between:
            return None
        match = between(cutter.text, cutter.start)
        start = match.end() if match else cutter.start
        return self._up_to_a_value(start) or self._up_to_the_end(start)

    def cut_arrays(self) -> Block | None:
        """Cuts off arrays where each is on a line of its own."""
        cutter = self._cutter
        if type(cutter.frame) is not Arrays or not _ends_with_its_line(cutter.text, cutter.start):
            return None
        line_end = b"]\r\n" if cutter.text.startswith(b"\r\n", cutter.text.find(b"\n", cutter.start) - 1) else b"]\n"
        block = self._longest(cutter.start, line_end, _of_arrays)
        if block:
            cutter.frame.close(cutter, cutter.start - 1)
        return block

    def waits(self) -> bool:
        """Whether more text is worth waiting for."""
        cutter = self._cutter
        held = len(cutter.text) - cutter.start
        return bool(self._follows) and self.may_wait and not cutter.at_end and held < _MAX_WAITING

    def learn(self) -> None:
        """Looks at what follows the value that was just cut off otherwise."""
        text, end = self._cutter.text, self._cutter.last_end
        follows = _next_starts(text, end)
        if follows and text[end - 1 : end] == b"}" and (b"," in follows[1] or not self._cutter.frame.ends_at_bracket):
            self._follows = text[end - 1 : follows.end()]
            self._split = _with_commas if b"," in follows[1] else _in_a_row

    def _up_to_a_value(self, start: int) -> Block | None:
        return self._longest(start, self._follows, self._split) if self._follows else None

    def _longest(self, start: int, ending: bytes, split: Split) -> Block | None:
        """Up to the last place where values seem to end, or else an earlier one."""
        text = self._cutter.text
        end = text.rfind(ending, start, start + self._size) + 1
        if not end and start + self._size < len(text):
            end = text.find(ending, start, start + _MAX_BULK) + 1
        while end:
            if block := self._values(start, end, split):
                self._size = min(2 * self._size, _MAX_BULK)
                return block
            self._size = _MIN_BULK
            if end - start < _MIN_BULK:
                break
            end = text.rfind(ending, start, (start + end) // 2) + 1
        return None

    def _up_to_the_end(self, start: int) -> Block | None:
        """Where the values end with the text, but for white space; each text is looked at once."""
        cutter = self._cutter
        text, text_end = cutter.text, cutter.offset_of(len(cutter.text))
        if self._looked_to == text_end or len(text) - start > _MAX_BULK:
            return None
        self._looked_to = text_end
        end = len(text.rstrip(_SPACE))
        if not cutter.frame.ends_at_bracket:
            return self._values(start, end, self._split) if cutter.at_end and self._follows else None
        if text[end - 1 : end] != b"]" or end <= start:
            return None
        block = self._values(start, end - 1, _with_commas)
        if block:
            cutter.frame.close(cutter, end - 1)
            cutter.move(end)
        return block

    def _values(self, start: int, end: int, split: Split) -> Block | None:
        """What is between two places in the text, if that is whole values."""
        cutter = self._cutter
        text = cutter.text[start:end]
        try:
            records = [*map(bytes, split(text))]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if not records:
            return None
        first = text.find(records[0]) if text[:1] == b"[" else 0
        places = places_in(text[first:].rstrip(_SPACE), records, *cutter.place_of(start + first))
        cutter.move(end)
        are_lines = b"\n" not in text and b"\r" not in text
        return Block(records, *places[0], sum(map(len, records)) + len(records), are_lines, places)
