"""JSON values out of a text: many at once where all is as it should be, one by one (see `cutter`) where it is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial

import msgspec

from importer.errors import Unreadable
from importer.formats.cutter import Cutter, Element, between
from importer.formats.frames import Arrays, BrokenArray, Frame
from importer.formats.places import Place, Places
from importer.limits import CHUNK_BYTES, MAX_EVENT_BYTES
from importer.records import Block

_MIN_BULK = 1 << 10
_MAX_WAITING = 1 << 16
"""Bytes for whose end more text is waited, once it is known what lies between two values."""

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode
_next_starts = re.compile(rb'([ \t\r\n]*+,?[ \t\r\n]*+)[{](?:[ \t\r\n]*+"[^"\\]{0,60}"[ \t]*+:)?').match
"""What lies between a value and the next, and how that one starts: mostly each with the same key."""


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
            if stray := cutter.frame.open(cutter):
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
    before. Whether it does is then certain: values with commas between are a JSON array in one way only.
    """

    def __init__(self, cutter: Cutter) -> None:
        self.may_wait = True
        self._cutter = cutter
        self._follows: bytes | None = (
            None  # a value's last byte, what lies between it and the next, and how that starts
        )
        self._gap = b""  # what lies between
        self._size = MAX_EVENT_BYTES - 1  # bytes that are tried at once
        self._looked_to = -1  # the offset of the text's end, when an array's was last looked for there
        self._tried_to = -1  # the offset of the last bracket that was taken for the array's end

    def cut(self) -> Block | None:
        """Cuts off what it can."""
        cutter = self._cutter
        if not cutter.is_between:
            return None
        match = between(cutter.text, cutter.start)
        start = match.end() if match else cutter.start
        return self._up_to_the_line_end(start) or self._up_to_a_value(start) or self._up_to_the_end(start)

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
            self._gap = follows[1]

    def _up_to_a_value(self, start: int) -> Block | None:
        text, follows = self._cutter.text, self._follows
        if follows is None:
            return None
        end = text.rfind(follows, start, start + self._size) + 1
        if not end and start + self._size < len(text):
            end = text.find(follows, start, start + MAX_EVENT_BYTES - 1) + 1
        while end:
            if block := self._values(start, end):
                self._size = min(2 * self._size, MAX_EVENT_BYTES - 1)
                return block
            self._size = _MIN_BULK
            if end - start < _MIN_BULK:
                break
            end = text.rfind(follows, start, (start + end) // 2) + 1
        return None

    def _up_to_the_line_end(self, start: int) -> Block | None:
        """Where each line is an array: to its end."""
        text = self._cutter.text
        line_end = text.find(b"\n", start, start + MAX_EVENT_BYTES - 1)
        closing = line_end - 2 if text[line_end - 1 : line_end] == b"\r" else line_end - 1
        return self._up_to(start, closing) if closing > start else None

    def _up_to_the_end(self, start: int) -> Block | None:
        """Where the array ends with the text, but for white space; each text is looked at once."""
        text, text_end = self._cutter.text, self._cutter.offset_of(len(self._cutter.text))
        if self._looked_to == text_end or len(text) - start >= MAX_EVENT_BYTES:
            return None
        self._looked_to = text_end
        return self._up_to(start, len(text.rstrip(b" \t\r\n")) - 1)

    def _up_to(self, start: int, closing: int) -> Block | None:
        """Up to the bracket that closes the array, if one is there."""
        cutter = self._cutter
        if not cutter.frame.ends_at_bracket or cutter.text[closing : closing + 1] != b"]":
            return None
        if self._tried_to >= cutter.offset_of(closing):
            return None
        self._tried_to = cutter.offset_of(closing)
        if block := self._values(start, closing):
            cutter.frame.close(cutter, closing)
            cutter.move(closing + 1)
            return block
        return None

    def _values(self, start: int, end: int) -> Block | None:
        """What is between two places in the text, if it is whole values and what may lie between them."""
        cutter = self._cutter
        text = cutter.text[start:end]
        follows, gap = self._follows, self._gap
        needs_commas = follows is not None and b"," not in gap and not cutter.frame.ends_at_bracket
        array = text.replace(follows, b"}," + follows[1:]) if follows and needs_commas else text
        try:
            records = [*map(bytes, _decode(b"[%b]" % array))]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if not records or (needs_commas and gap.join(records) != text):
            return None  # the second if one has in a string what follows a value
        line, offset = cutter.place_of(start)
        size = sum(map(len, records)) + len(records)
        are_lines = b"\n" not in text and b"\r" not in text
        cutter.move(end)
        return Block(
            records, line, offset, size, are_lines, Places(len(records), partial(_find, text, records, line, offset))
        )


def _find(text: bytes, records: list[bytes], line: int, offset: int) -> Iterator[Place]:
    """Where records stand in the text that they were cut from."""
    at = counted = 0
    is_one_line = b"\n" not in text
    for record in records:
        at = text.find(record, at)
        if not is_one_line:
            line += text.count(b"\n", counted, at)
            counted = at
        yield line, offset + at
        at += len(record)
