"""Tells on a screen what the functions log, a line each, and of many lines of one moment only the first."""

from __future__ import annotations

import json
import queue
import time

from sandbox.screen import Screen

_MAX_LINES = 10
"""Lines of one moment that are told, reports apart."""
_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


class News:
    """Takes log lines from any thread, and shows them from the one that asks for it."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def take(self, line: str) -> None:
        """Takes the next line of a function's log."""
        self._lines.put(line)

    def show(self, timeout: float) -> None:
        """Shows what there is, and if there is nothing, waits for it, `timeout` seconds at most."""
        shown = passed_over = 0
        try:
            line = self._lines.get(timeout=timeout)
            while True:
                text, style, is_report = _told(line)
                if text and (is_report or shown < _MAX_LINES):
                    shown += not is_report
                    self.say(text, style, is_whole=is_report)
                elif text:
                    passed_over += 1
                line = self._lines.get_nowait()
        except queue.Empty:
            pass
        if passed_over:
            more = f"{passed_over:,} more lines; the live view shows them" if passed_over > 1 else "1 more line"
            self.say(f"… and {more}.", "dim")

    def say(self, text: str, style: str = "", *, is_whole: bool = False) -> None:
        """Shows something with the time of day; what went wrong, and a report's counts, are not cut."""
        write = self._screen.whole if style == "red" or is_whole else self._screen.line
        write(f"{time.strftime('%H:%M:%S')}  {text}", style)


def _told(line: str) -> tuple[str, str, bool]:
    """What to tell of a log line (nothing: ""), in which style, and whether it is a report."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line, "dim", False  # printed by the transform
    if not isinstance(entry, dict) or "message" not in entry:
        return line, "dim", False
    severity = entry.get("severity", "")
    if entry.get("kind") == "import":
        good = severity == "INFO" and entry.get("outcome") == "done"
        return str(entry["message"]), "green" if good else _STYLES.get(severity, ""), True
    return (str(entry["message"]), _STYLES[severity], False) if severity in _STYLES else ("", "", False)
