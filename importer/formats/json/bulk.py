"""Many JSON values at once: up to a place where one seems to end, as what follows looks like what followed another one.

Whether it does is then certain: if what is before that place can be read, it can in one way only.
"""

from __future__ import annotations

import re
from itertools import chain

import msgspec

from importer.formats.json.cutter import Cutter, between
from importer.formats.json.frames import Arrays
from importer.formats.json.places import Split, places_of_lines, places_of_spread
from importer.limits import MAX_EVENT_BYTES
from importer.records import Block

_SPACE = b" \t\r\n"
_MIN_BULK = 1 << 10
_MAX_BULK = MAX_EVENT_BYTES - 1
"""Bytes that are tried at once, so that no value among them is too long to be an event."""

_MAX_WAITING = 1 << 16
"""Bytes for whose end more text is waited, once it is known what lies between two values."""

_next_starts = re.compile(rb'([ \t\r\n]*+,?[ \t\r\n]*+)[{](?:[ \t\r\n]*+"[^"\\]{0,60}"[ \t]*+:)?').match
"""What lies between a value and the next, and how that one starts: mostly each with the same key."""

_ends_with_its_line = re.compile(rb"\[[^\n]*+(?<=\])\r?\n|\[[^\n]*+(?<=\]\r)\n").match

_elements_of_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_in_a_row = msgspec.json.Decoder(msgspec.Raw).decode_lines
_arrays_in_a_row = msgspec.json.Decoder(list[msgspec.Raw]).decode_lines


def _with_commas(text: bytes | memoryview) -> list[msgspec.Raw]:
    return _elements_of_array(b"".join((b"[", text, b"]")))


def _of_arrays(text: bytes | memoryview) -> list[msgspec.Raw]:
    return list(chain.from_iterable(_arrays_in_a_row(text)))


class Bulk:
    """Cuts many values at once.

    Args:
        cutter: what holds the text, and cuts one by one.
        minified: whether the values come without the white space between their tokens.

    Attributes:
        may_wait: whether more text may come.
    """

    def __init__(self, cutter: Cutter, *, minified: bool) -> None:
        self.may_wait = True
        self._cutter = cutter
        self._minified = minified
        self._follows = b""  # a value's last byte, the gap to the next, and how that starts
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
        cutter, text = self._cutter, self._cutter.text
        part = memoryview(text)[start:end]
        are_minified = self._minified and split is _with_commas
        try:
            if are_minified:
                values = _elements_of_array(msgspec.json.format(b"".join((b"[", part, b"]")), indent=-1))
            else:
                values = split(part)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if not values:
            return None
        records = [*map(bytes, values)]
        first = text.find(records[0], start) if split is _of_arrays else start
        place = cutter.place_of(first)
        joined = b"".join(records)
        are_lines = b"\n" not in joined and b"\r" not in joined
        if are_minified:
            places = places_of_spread(text, first, end, len(records), self._follows, split, place)
        else:
            places = places_of_lines(text, first, end, records, place, are_lines=are_lines)
        cutter.know(*places[-1])
        cutter.move(end)
        return Block(records, *place, len(joined) + len(records), are_lines, places)
