"""Puts text on a screen: aligned, short, and in colour only where someone looks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Screen:
    """Writes to `stream`. Colour is for terminals, and not for those who set NO_COLOR (https://no-color.org)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        on_terminal = self._stream.isatty()
        self._coloured = on_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._width = shutil.get_terminal_size().columns if on_terminal else 120

    def line(self, text: str = "", style: str = "") -> None:
        """Writes one line, cut where the screen ends."""
        shown = text if len(text) <= self._width else text[: self._width - 1] + "…"
        self._write(shown, style)

    def command(self, text: str) -> None:
        """Writes something to be copied, and never cuts it."""
        self.whole(text, "cyan")

    def whole(self, text: str, style: str = "") -> None:
        """Writes something of which every word counts, and never cuts it."""
        self._write(text, style)

    def numbers(self, indent: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Writes names and values in columns that fall under each other from line to line: on one line, or on more
        where the screen is narrow, and never cut."""
        text = indent
        for name, value in pairs:
            if len(f"{text}{name} {value}") > self._width and text != indent:
                self.whole(text.rstrip())
                text = indent
            text += f"{name} {value:<{max(1, 18 - len(name))}} "
        self.whole(text.rstrip())

    def _write(self, text: str, style: str) -> None:
        code = _CODES.get(style)
        print(f"\x1b[{code}m{text}\x1b[0m" if code and self._coloured else text, file=self._stream, flush=True)


def size(count: float) -> str:
    """A number of bytes in kB or MB (powers of ten)."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"
