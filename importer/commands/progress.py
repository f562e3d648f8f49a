"""How an import goes, while it goes: lines that move in a terminal, a plain line now and then where there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from importer.commands.terminal import count, duration, is_terminal, moving, number_of, printable, say
from importer.commands.work import File

if TYPE_CHECKING:
    from rich.table import Table

_MAX_NAME = 40
_MAX_SAID = 200
"""Files that get a line of their own where there is no terminal; then the total has to do."""


class Progress:
    """What is known of an import that goes on. It is a `work.Watcher`.

    Args:
        files: all there are to be.
        title: what they are, such as a day.
        is_quiet: whether nothing is said of them.
        is_each: whether each of them is told of when it ends, also if all is well.
    """

    def __init__(self, files: Sequence[File], title: str = "", *, is_quiet: bool = False, is_each: bool = True) -> None:
        self._is_each = is_each
        self._title = title
        self._files = files
        self._lock = threading.Lock()
        self._active: list[File] = []
        self._ended: list[File] = []
        self._started = time.monotonic()
        self._bytes = sum(file.entry.size for file in files)
        self._is_quiet = is_quiet

    def began(self, file: File) -> None:
        """See `work.Watcher`."""
        with self._lock:
            self._active.append(file)

    def ended(self, file: File) -> None:
        """See `work.Watcher`."""
        with self._lock:
            self._active.remove(file)
            self._ended.append(file)
            number = len(self._ended)
        is_bad = file.state not in {"done", "skipped", "leased", "stopped"}
        if self._is_quiet or (not is_bad and (is_terminal() or not self._is_each)):
            return
        if is_bad or number < _MAX_SAID:
            say(told(file), "red" if is_bad else None)
        elif number == _MAX_SAID:
            say("From here on only what goes wrong has a line of its own.")

    def shown(self) -> AbstractContextManager[None]:
        """Within it, it is seen how the import goes."""
        return moving(self.total, self.view, is_quiet=self._is_quiet)

    def total(self) -> str:
        """One line on all of it."""
        with self._lock:
            active, ended = [*self._active], [*self._ended]
        both = [*active, *ended]
        seconds = time.monotonic() - self._started
        imported = sum(file.imported_here for file in both)
        rejected = sum(file.report.rejected for file in both)
        parts = [f"{len(ended):,} of {number_of(len(self._files), 'file')}", f"imported {count(imported)}"]
        if rejected:
            parts.append(f"rejected {count(rejected)}")
        parts.append(f"{count(imported / max(seconds, 1e-3))} events/s")
        if left := self._left(active, ended, seconds):
            parts.append(f"{left} left")
        return f"{self._title + ': ' if self._title else ''}{', '.join(parts)}"

    def view(self) -> Table:
        """What a terminal shows: a line for each file that is on its way, and the total."""
        from rich import progress_bar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for title in ("file", "", "", "read", "imported", "rejected", "events/s", "left"):
            table.add_column(title, justify="left" if title == "file" else "right", no_wrap=True)
        with self._lock:
            active = [*self._active]
        for file in active:
            share, report = file.share, file.report
            table.add_row(
                Text(short(file.entry.address), style="bold"),
                progress_bar.ProgressBar(1.0, share or 0.0, width=16, pulse=share is None),
                "" if share is None else f"{share:.0%}",
                count(report.read),
                Text(count(report.imported), style="green"),
                Text(count(report.rejected), style="red" if report.rejected else "dim"),
                count(file.imported_here / max(file.seconds, 1e-3)),
                _time_left(file),
            )
        whole = Table.grid()
        whole.add_row(table)
        whole.add_row(Text(self.total(), style="cyan"))
        return whole

    def _left(self, active: Sequence[File], ended: Sequence[File], seconds: float) -> str:
        """How long it takes still, by the bytes that were read in this run."""
        read = sum(file.entry.size for file in ended) + sum(file.bytes for file in active)
        if not self._bytes or not read or seconds < 1:
            return ""
        return duration((self._bytes - read) * seconds / read)


def told(file: File) -> str:
    """A line on a file that has come to its end."""
    report = file.report
    line = f"{file.entry.address} is {file.state}"
    if report.read:
        parts = [f"read {count(report.read)}", f"imported {count(report.imported)}"]
        parts += [f"{name} {count(number)}" for name in ("rejected", "dropped") if (number := getattr(report, name))]
        line += f": {', '.join(parts)} in {duration(file.seconds)}"
    return f"{line}: {file.reason}" if file.reason and file.state != "skipped" else line


def short(address: str) -> str:
    """An address, cut at its beginning where it is long: what tells files apart comes last."""
    address = printable(address)
    return address if len(address) <= _MAX_NAME else f"…{address[1 - _MAX_NAME :]}"


def _time_left(file: File) -> str:
    if not file.share or file.seconds < 1:
        return ""
    return duration(file.seconds * (1 - file.share) / file.share)
