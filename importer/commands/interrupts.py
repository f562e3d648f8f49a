"""Ctrl-C: once to stop in order, twice to stop at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from importer.commands.terminal import console, is_terminal, say

INTERRUPTED = 130
"""The status of a program that a user has interrupted, as shells have it."""


@contextmanager
def stopped_by_signals(
    stop: Callable[[], None], said: str = "Stopping: what is on its way is settled first."
) -> Iterator[None]:
    """Within it the first SIGINT or SIGTERM calls `stop`, and says so; the second ends the process.

    For the main thread. `said` is what it says; what was settled up to the last checkpoint stays settled either way.
    """
    came: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            stop()
            say(f"{said} Ctrl-C once more ends it at once.", "yellow")
            return
        if is_terminal():
            console(error=True).show_cursor()
        sys.stderr.write("\nEnded at once: some of what was on its way may be sent a second time, which is safe.\n")
        sys.stderr.flush()
        os._exit(INTERRUPTED)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
