"""What stands around JSON values: arrays, one or several in a row; nothing; or objects that wrap an array each."""

from __future__ import annotations

import re
from collections import deque

from importer.formats.json.recovery import MORE, next_object
from importer.formats.json.window import Element, Window
from importer.limits import MAX_EVENT_BYTES

KEYS = (b'"events"', b'"data"', b'"batch"')
"""What an object may call the array that it wraps."""

_MAX_OUTSIDE = 200_000
"""More than can be on its way to Mixpanel, and so lie between what was read last and a checkpoint."""

_MAX_HELD = 4 * MAX_EVENT_BYTES
_SPACE = b" \t\r\n"
_spaces = re.compile(rb"[ \t\r\n]*+").match
_spaces_and_commas = re.compile(rb"[ \t\r\n,]*+").match
_value_on_line = re.compile(rb"\n[ \t]*+(?:\}[ \t]*+)?,?[ \t]*+[{\[]").search
_value_follows = re.compile(rb"[ \t\r\n]*+,?[ \t\r\n]*+\{").match
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL)
_array_follows = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+(\[?)").match


class BrokenArray(Exception):
    """From some place on, the text cannot be cut into values. All before it has been."""


class Frame:
    """Nothing: values stand one after the other, with white space or commas between them, or without.

    Args:
        opened: whether the text begins between two values, and not before all.

    Attributes:
        is_open: whether values can come here; if not, `open` goes on to where they can.
        may_be_closed: whether the last value was broken and ended with a bracket, perhaps the one that ends the values.
        outside: the offsets of records that stand outside, the last so many.
        ends_at_bracket: whether a closing bracket ends the values, and not one of them.
    """

    ends_at_bracket = False

    def __init__(self, *, opened: bool) -> None:
        self.is_open = True
        self.may_be_closed = False
        self.outside: deque[int] = deque(maxlen=_MAX_OUTSIDE)
        self._again = -1  # the offset of a line on which values go on, after something else
        self._looked_to = 0  # the offset up to which such a line was looked for

    def open(self, window: Window) -> Element | None:
        """Goes on to where values can come, if the text holds that place.

        Returns:
            What stands in its place, if that is something else: a record that is bad.

        Raises:
            BrokenArray: no values can come any more.
        """
        return None

    def close(self, window: Window, at: int) -> None:
        """At `at` in the text is the bracket that ends the values."""

    def finish(self) -> None:
        """Looks whether the end may be here.

        Raises:
            BrokenArray: it may not.
        """

    def _outside(self, window: Window, *, is_end: bool = False) -> Element | None:
        """What stands where no value can: up to the next one, or its line's end, it is a record.

        Raises:
            BrokenArray: `is_end`, and no more values follow.
        """
        text, start = window.text, window.start
        may_wait = not window.at_end and len(text) - start <= _MAX_HELD
        line_end = text.find(b"\n", start)
        if line_end < 0 and may_wait:
            return None
        end = line_end if line_end >= 0 else len(text)
        again = next_object(text, start, end, at_end=window.at_end)
        if again == MORE and may_wait:
            return None
        if again <= 0 and is_end and not self._goes_on_after(window, end):
            if may_wait:
                return None
            raise BrokenArray(f"something follows the array's end on line {window.place[0]}")
        end = again if again > 0 else end
        element = *window.place, text[start:end].rstrip(_SPACE)[:MAX_EVENT_BYTES]
        self.outside.append(element[1])
        window.move(end)
        return element

    def _goes_on_after(self, window: Window, at: int) -> bool:
        """Whether a later line begins as a value or an array does."""
        here = window.offset_of(0)
        if self._again < here + at:
            found = _value_on_line(window.text, max(at, self._looked_to - here))
            self._looked_to = here + (found.start() if found else max(window.text.rfind(b"\n"), 0))
            self._again = here + found.start() if found else -1
        return self._again >= here + at


class Arrays(Frame):
    """Arrays, one or several in a row."""

    ends_at_bracket = True

    def __init__(self, *, opened: bool) -> None:
        super().__init__(opened=opened)
        self.is_open = self._was_open = opened
        self._strayed = False  # whether something else followed an array, or came before the first
        self._closed_at: tuple[int, int] | None = None  # line and offset of the bracket that closed the last one

    def open(self, window: Window) -> Element | None:
        """See `Frame.open`."""
        at = _end(_spaces(window.text, window.start))
        window.move(at)
        follows = window.text[at : at + 1]
        if not follows:
            return None
        stray = None
        if follows in b",{" and self._closed_at:
            stray = *self._closed_at, b"]"  # closed nothing: it was too early
        elif follows != b"[" and not (follows in b",{" and self._strayed):
            if stray := self._outside(window, is_end=self._was_open):
                self._strayed, self._closed_at = True, None
            return stray
        window.move(at + (follows in b"[,"))
        self.is_open = self._was_open = True
        self._strayed = False
        self._closed_at = None
        return stray

    def close(self, window: Window, at: int) -> None:
        """See `Frame.close`."""
        self.is_open, self._was_open = False, True
        self._closed_at = window.place_of(at)

    def finish(self) -> None:
        """See `Frame.finish`."""
        if not (self._closed_at or self.may_be_closed):
            raise BrokenArray("the array breaks off before its end")


class Wrapped(Frame):
    """Objects that wrap an array each; what else they hold is passed over. One that has no array is itself a record, so
    each is held until its array comes.

    Attributes:
        opened_at: where, in the text that it was found in, the values of the last array begin; 0 if there was none.
    """

    ends_at_bracket = True

    def __init__(self, *, opened: bool) -> None:
        super().__init__(opened=opened)
        self.is_open = opened
        self._closed_at: tuple[int, int] | None = (
            None  # line and offset of the bracket that closed the array, until more
        )
        self._depth = int(opened)  # brackets that are open here
        self._is_held = False  # whether the object is held, since no array of it has come
        self._looked_at = 0  # how far beyond the cutter's start
        self.opened_at = 0

    def open(self, window: Window) -> Element | None:
        """See `Frame.open`."""
        if not self._depth:
            at = _end(_spaces_and_commas(window.text, window.start))
            window.move(at)
            if at == len(window.text):
                return None
            if window.text[at : at + 1] != b"{":
                return self._outside(window)
            self._depth, self._is_held, self._looked_at = 1, True, 1
        if self._closed_at and not self._is_held:
            stray = *self._closed_at, b"]"
            if follows := _value_follows(window.text, window.start):
                window.move(follows.end() - 1)
                self.is_open = True
                return stray  # closed nothing: it was too early
            if not window.text[window.start :].strip(_SPACE + b",") and not window.at_end:
                return None
        self._closed_at = None
        return self._look_on(window)

    def close(self, window: Window, at: int) -> None:
        """See `Frame.close`."""
        self.is_open = False
        self._looked_at = 0
        self._closed_at = window.place_of(at)

    def finish(self) -> None:
        """See `Frame.finish`."""
        if self._depth:
            raise BrokenArray("the object around the array breaks off before its end")

    def _look_on(self, window: Window) -> Element | None:
        """Looks for the array in the object, or for the object's end."""
        text, first = window.text, window.start
        at = self._pass_tokens(text, first + self._looked_at)
        self._looked_at = at - first
        if self.is_open:
            self._is_held = False
            self.opened_at = at
            window.move(at)
        elif not self._is_held:
            self._looked_at = 0
            window.move(at)
            if len(text) - at > _MAX_HELD:
                raise BrokenArray(f"a text that does not end follows the array, on line {window.place[0]}")
        elif not self._depth or len(text) - first > _MAX_HELD:
            element = *window.place, text[first:at][:MAX_EVENT_BYTES]
            self._is_held, self._looked_at = False, 0
            self.outside.append(element[1])
            window.move(at)
            return element
        return None

    def _pass_tokens(self, text: bytes, at: int) -> int:
        """Goes on to the array's first value or the object's end, if one of them is in the text."""
        for token in _TOKEN.finditer(text, at):
            mark = token[0]
            if mark == b'"':  # no closing quote in sight
                return token.start()
            if mark in KEYS and self._depth == 1 and self._is_held:
                follows = _array_follows(text, token.end())
                if token.end() + 1 >= len(text) or (follows and follows.end() == len(text) and not follows[1]):
                    return token.start()  # what follows is not in the text yet
                if follows and follows[1]:
                    self.is_open = True
                    return follows.end()
            elif mark in {b"{", b"["}:
                self._depth += 1
            elif mark in {b"}", b"]"}:
                self._depth -= 1
                if not self._depth:
                    return token.end()
        return len(text)


def _end(match: re.Match[bytes] | None) -> int:
    """The end of a match that can be empty but cannot fail."""
    return match.end() if match else 0
