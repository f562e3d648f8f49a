"""JSON values cut out of a text one by one, without building any of them, and without holding more than one.

Only brackets, strings and commas are looked at; whether a value is JSON is for others to say. One that breaks the
structure (a quote or a bracket that nothing closes, say) costs itself alone where values stand on lines of their own:
its first line is given up as one bad record, and the next line starts afresh. One that is spread over lines is given up
to the next line that starts as it did. A comma that is missing at a line's end, a bracket that closes too early and one
array after another cost no value at all. One that is too long to be held is passed over to its end, or to its line's,
whichever comes first.
"""

from __future__ import annotations

import re

from importer.formats.detect import is_json
from importer.formats.json.frames import Frame
from importer.formats.json.recovery import MORE, are_two, key_of, next_alike, next_value
from importer.formats.json.skipping import Skip
from importer.formats.json.window import Element, Window
from importer.limits import MAX_EVENT_BYTES

_MAX_HELD = 4 * MAX_EVENT_BYTES
_MAX_IN_VAIN = 8 * MAX_EVENT_BYTES

_MIN_LOOKED_WITHIN = 1 << 13

_SPACE = b" \t\r\n"
between = re.compile(rb"[ \t\r\n,]*+").match
_first_line = re.compile(rb"[ \t\r\n]*+[^\n]*+").match
_TOKEN = re.compile(rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"|["{}\[\],]')
_next_line = re.compile(rb"[ \t\r,]*+\n[ \t\r\n]*+(.?)").match
_opens_array = re.compile(rb"\[[ \t\r\n]*+").match
_key_or_end = re.compile(rb'\{[ \t\r\n]*+["}]').match
_OPENS = {b"}": b"{", b"]": b"["}
_GOES_BEFORE = {b"{": b":", b"[": b",["}
"""What stands before a bracket that opens within another."""


class Cutter(Window):
    """The text that is not yet cut, and how far it was looked at.

    Args:
        frame: what stands around the values.
        offset: where the text's first byte is in the source.
        line: the line it is on.
        longest: bytes of a value that are held; by default those of an event.

    Attributes:
        frame: see above.
        last_end: where the last value ended in the text; 0 if that is not held any more.
    """

    def __init__(self, frame: Frame, offset: int, line: int, longest: int | None = None) -> None:
        super().__init__(offset, line)
        self.frame = frame
        self._longest = longest or MAX_EVENT_BYTES
        self._max_held = max(self._longest, _MAX_HELD)
        self.last_end = 0
        self._seen = 0  # how far the text was looked at
        self._stack: list[bytes] = []  # the brackets that are open within the value, up to `_seen`
        self._is_broken = False
        self._in_vain = 0  # bytes looked at beyond the lines of values that turned out to be broken
        self._may_begin_again = False  # whether another array may begin here
        self._looked_within = _MIN_LOOKED_WITHIN
        self._skip: Skip | None = None  # lets go of the rest of a value that is too long

    @property
    def is_between(self) -> bool:
        """Whether a value can start at `start`."""
        return self.frame.is_open and self._skip is None

    def extend(self, chunk: bytes) -> None:
        """See `Window.extend`."""
        self._seen -= self.start
        self.last_end = 0
        super().extend(chunk)

    def move(self, to: int) -> None:
        """See `Window.move`."""
        self._stack.clear()
        self.start = self._seen = self.last_end = to

    def next(self) -> Element | None:
        """Cuts off the next value, if it ends within the text. None as well if the array ends before it."""
        while self.frame.is_open:
            if self._skip:
                self.start, has_ended = self._skip.pass_over(self.text, self.start)
                self._seen = self.start
                if not has_ended:
                    return None
                self._skip = None
            first = _end(between(self.text, self.start))
            self.start, self._seen = first, max(self._seen, first)
            if self._may_begin_again and first < len(self.text):
                if not self._pass_bracket():
                    return None
                continue
            end = self._next_end()
            if end is None:
                return None
            self._looked_within = _MIN_LOOKED_WITHIN
            place = self.place_of(first)
            record = self.text[first:end].rstrip(_SPACE)
            self.last_end = first + len(record)
            if not self._is_broken and self.frame.ends_at_bracket and self.text[end : end + 1] == b"]":
                self.frame.close(self, end)
            if record:
                return *place, record[: self._longest]
        return None

    def _pass_bracket(self) -> bool:
        """After a value with which its array may have ended unseen: passes the bracket with which another one begins.
        False if more text has to tell whether it does."""
        found = _opens_array(self.text, self.start)
        if found and found.end() == len(self.text) and not self.at_end:
            return False
        self._may_begin_again = False
        if found and self.text.startswith(b"{", found.end()):
            self.start = self._seen = found.end()
        return True

    def _next_end(self) -> int | None:
        """Where the current value ends in the text, from which the next one starts; None if more text is needed."""
        first = self.start
        if first == len(self.text):
            return None
        end = self._look_on(self._limit())
        if (len(self.text) if end is None else end) - first > self._max_held and not self._is_broken:
            line_end = self._line_end()
            if end is None and (line_end is None or self._opens_alone(line_end)):
                return self._begin_skipping(over_lines=line_end is not None)
            self._is_broken = line_end is not None and (end is None or line_end < end)
        self._is_broken |= end is None and (self.at_end or self._is_hopeless())
        if self._is_broken:
            return self._give_up()
        if end is not None:
            self.frame.may_be_closed = False
            if not is_json(self.text[first:end]) and (inner := self._next_swallowed(end)):
                if inner != MORE:
                    return self._go_on_at(inner)
                self._stack.clear()
                self._seen = first
                return None
            follows = self.text[end : end + 1]
            self._may_begin_again = self.frame.ends_at_bracket and follows == b"["
            self.start = self._seen = end + (self.frame.ends_at_bracket and follows in {b",", b"]"})
        return end

    def _limit(self) -> int | None:
        """Where the next value on a line of many begins for certain, so that one that is broken is not looked for the
        end of in all that follows."""
        first, text = self.start, self.text
        is_many = self._seen == first and len(text) - first >= _MIN_LOOKED_WITHIN
        if not is_many or text.find(b"\n", first, first + _MIN_LOOKED_WITHIN) >= 0:
            return None
        limit = self._next_within(len(text), any_key=False)
        return limit if limit > 0 else None

    def _look_on(self, limit: int | None) -> int | None:
        """Looks for the end of the current value, up to a limit; None when the text ends first, or the structure
        breaks."""
        self._is_broken = False
        text, stack, in_array = self.text, self._stack, self.frame.ends_at_bracket
        if limit is None and self._in_vain > _MAX_IN_VAIN:
            limit = self._line_end()
        for token in _TOKEN.finditer(text, self._seen, len(text) if limit is None else limit):
            at = token.start()
            byte = text[at : at + 1]
            if byte == b'"':
                if token.end() == at + 1:  # no closing quote in sight
                    self._seen = at
                    self._is_broken = text.find(b"\n", at) >= 0
                    return None
            elif byte in b"{[":
                if text[at - 1] in _SPACE and not self._may_open(at):
                    return None if stack else at
                stack.append(byte)
            elif not stack and (byte == b"," or (byte == b"]" and in_array)):
                return at
            elif stack and stack[-1] == _OPENS.get(byte):
                stack.pop()
                if not stack and not in_array:
                    return at + 1
            elif byte != b",":
                self._seen = at
                self._is_broken = True
                return None
        self._seen = len(text) if limit is None else limit
        self._is_broken = limit is not None
        return None

    def _may_open(self, at: int) -> bool:
        """Whether a bracket after white space can stand here. Broken values show only at the start of a line."""
        text, before = self.text, at
        while before > self.start and text[before - 1] in _SPACE:
            before -= 1
        if text.find(b"\n", before, at) < 0:
            return True
        if not self._stack:
            return before == self.start
        self._is_broken = text[before - 1] not in _GOES_BEFORE[self._stack[-1]]
        self._seen = at
        return not self._is_broken

    def _give_up(self) -> int | None:
        """The end of what is given up of a broken value: its line, or all its lines if it is spread over several, or
        what is before the next value on its line."""
        may_wait = not self.at_end and len(self.text) - self.start <= self._max_held
        end = self._line_end()
        if end is not None and self._is_spread(end):
            again = next_alike(self.text, end, at_end=self.at_end, in_array=self.frame.ends_at_bracket)
            if again is None and may_wait:
                return None
            any_key = key_of(self.text, self.start) is None
            again = self._next_within(again or len(self.text), any_key=any_key) or again
        elif end is None:
            again = self._next_within(len(self.text), any_key=not may_wait) or None
            if again is None and may_wait:
                return None
        else:
            again = self._next_within(end, any_key=not self._are_lines(end)) or None
        if again == MORE and may_wait:
            return None
        if again is not None and again != MORE:
            self._in_vain += max(min(self._seen, self.start + _MAX_HELD) - again, 0)
            return self._go_on_at(again)
        if end is None:
            end = len(self.text)
            self._skip = None if self.at_end else Skip(only_line=True)
        self._in_vain += max(min(self._seen, self.start + _MAX_HELD) - end, 0)
        return self._go_on_at(min(end + 1, len(self.text)))

    def _go_on_at(self, at: int) -> int:
        """Gives up what is before; the end of it."""
        text = self.text[self.start : at].rstrip(_SPACE)
        end = self.start + len(text) - text.endswith(b",")
        if self.frame.ends_at_bracket:
            self.frame.may_be_closed = text.endswith(b"]")
            self._may_begin_again = True
        self._stack.clear()
        self.start = self._seen = at
        self._is_broken = True
        return end

    def _is_hopeless(self) -> bool:
        """Whether no end will come of a value on one line, since another one begins within it. As this costs something,
        it is looked at each time that the text has become twice as long."""
        held = len(self.text) - self.start
        if held < self._looked_within or self._line_end() is not None:
            return False
        self._looked_within = 2 * held
        return self._next_within(len(self.text), any_key=False) > 0

    def _next_within(self, end: int, *, any_key: bool) -> int:
        """Where another value begins before `end`, within the current one. See `next_value`."""
        return next_value(self.text, self.start, end, at_end=self.at_end, any_key=any_key)

    def _next_swallowed(self, end: int) -> int:
        """Where another value begins within the current one, which is no JSON though it seems to end there."""
        if not self.at_end and not self.text[end:].strip(_SPACE + b","):
            return MORE
        end = self.start + len(self.text[self.start : end].rstrip(_SPACE))
        if self._are_lines(end):
            return 0
        any_key = key_of(self.text, self.start) is None or are_two(self.text, self.start)
        return self._next_within(end, any_key=any_key and not _next_line(self.text, end))

    def _are_lines(self, end: int) -> bool:
        """Whether the next line begins as another value does: then each line is one."""
        next_line = _next_line(self.text, end)
        return next_line is not None and next_line[1] == b"{"

    def _opens_alone(self, line_end: int) -> bool:
        """Whether the bracket that the current value starts with is all that is on its line."""
        return self.text[self.start : line_end].rstrip(_SPACE) in {b"{", b"["}

    def _is_spread(self, line_end: int) -> bool:
        """Whether the current value is an object spread over lines, and not one of which its bracket alone is left: a
        key comes on the next line, where the next value would begin with a bracket."""
        return self._opens_alone(line_end) and _key_or_end(self.text, self.start) is not None

    def _begin_skipping(self, *, over_lines: bool) -> int:
        """Lets go of a value that is too long to be held, of which this is the end for now."""
        self._skip = Skip(len(self._stack), over_lines=over_lines, in_array=self.frame.ends_at_bracket)
        self._stack.clear()
        self.start = self._seen
        return len(self.text)

    def _line_end(self) -> int | None:
        """The end of the line on which the current value starts, if the text has it."""
        end = _end(_first_line(self.text, self.start))
        return end if end < len(self.text) else None


def _end(match: re.Match[bytes] | None) -> int:
    """The end of a match that can be empty but cannot fail."""
    return match.end() if match else 0
