"""The part of a text that is held while values are cut out of it."""

from __future__ import annotations

Element = tuple[int, int, bytes]
"""The line that a value starts on, its offset, and its text."""


class Window:
    """What is not yet cut of a text.

    Args:
        offset: where the text's first byte is in the source.
        line: the line it is on.

    Attributes:
        at_end: whether no more text comes.
        text: what is held.
        start: where the current value starts in it, or white space and commas before that.
    """

    def __init__(self, offset: int, line: int) -> None:
        self.at_end = False
        self.text = b""
        self.start = 0
        self._offset = offset  # of the text's first byte
        self._line = line  # at `_counted` in the text
        self._counted = 0

    @property
    def place(self) -> tuple[int, int]:
        """The line and offset that the current value starts at."""
        return self.place_of(self.start)

    def place_of(self, at: int) -> tuple[int, int]:
        """The line and offset of a place in the text, which must not be before the last one asked for."""
        if self.text.find(b"\n", self._counted, at) >= 0:
            self._line += self.text.count(b"\n", self._counted, at)
        self._counted = at
        return self._line, self._offset + at

    def know(self, line: int, offset: int) -> None:
        """Takes the line of an offset, which lies after the last place asked for, as known."""
        self._line, self._counted = line, offset - self._offset

    def offset_of(self, at: int) -> int:
        """The offset of a place in the text."""
        return self._offset + at

    def extend(self, chunk: bytes) -> None:
        """More text; what was cut is let go."""
        self.place_of(self.start)
        self._counted = 0
        self._offset += self.start
        self.text = self.text[self.start :] + chunk
        self.start = 0

    def move(self, to: int) -> None:
        """Goes on after what was cut by other means."""
        self.start = to
