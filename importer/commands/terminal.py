"""What commands write: sentences on standard error, results on standard output; with colours and moving lines where
there is a terminal, plain lines where there is none. rich is imported only for a terminal."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from importer import log
from importer.commands.options import is_a_job

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PER_SECOND = 4
_PLAIN_SECONDS = 10.0

_HARMFUL = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))},
    **dict.fromkeys((*range(0xD800, 0xE000), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"),
    **{0xDC00 + byte: f"\\x{byte:02x}" for byte in range(128, 256)},
    ord("\n"): "\\n",
    ord("\t"): " ",
}
"""What stands for characters that move the cursor, turn the text around, or are bytes of a name that is no text."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: what stands over it.
        is_number: whether it is set to the right.
        style: rich's, such as "bold" or "red".
    """

    title: str
    is_number: bool = False
    style: str | None = None


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether somebody sees what is written there (by default to standard error) as it comes."""
    stream = stream or sys.stderr
    return stream is not None and stream.isatty()  # closed, it is None


@cache
def console(*, error: bool = False) -> Console:
    """rich's console for standard output, or for standard error. For a terminal only."""
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=error, highlight=False)


def say(sentence: str, style: str | None = None) -> None:
    """Writes a line to standard error; above the lines that move, where there are any."""
    if sys.stderr is None:
        return  # it is closed: nobody wants to hear
    sentence = printable(sentence)
    if is_terminal():
        console(error=True).print(sentence, style=style, markup=False, soft_wrap=True)
    else:
        print(sentence, file=sys.stderr, flush=True)


def write(text: str, style: str | None = None) -> None:
    """Writes a line of a result to standard output."""
    text = printable(text)
    if is_terminal(sys.stdout):
        console().print(text, style=style, markup=False)
    else:
        print(text)


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], total: Sequence[str] | None = None) -> None:
    """Writes a table to standard output.

    Args:
        columns: what its columns are.
        rows: the cells, as they are to be read.
        total: the cells of a last row, that sums up.
    """
    rows = [[*map(printable, row)] for row in rows]
    if not is_terminal(sys.stdout):
        print("\n".join(_lines(columns, [*rows, *([total] if total else [])])))
        return
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, show_footer=total is not None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(
            column.title,
            footer=total[index] if total else "",
            justify="right" if column.is_number else "left",
            style=column.style,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)


def show_json(value: Any) -> None:
    """Writes a result for machines: one JSON value, on one line, to standard output."""
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a name of a file that is no text
        text = printable(json.dumps(msgspec.to_builtins(value), ensure_ascii=False)).replace("\\x", "\\\\x")
    print(text, flush=True)


def printable(text: str) -> str:
    """A text that does no harm in a terminal, and keeps to its line: names of files and data may hold anything."""
    return text.translate(_HARMFUL)


def count(number: float) -> str:
    """A number as people read it."""
    return f"{number:,.0f}"


def number_of(number: int, noun: str) -> str:
    """So many things, in a word for one or for several: `1 file`, `2,000 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def either(number: int, one: str, several: str) -> str:
    """The words that go with one thing, or with several."""
    return one if number == 1 else several


def size(number: float) -> str:
    """Bytes, in the unit that fits."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 1_000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1_000
    return f"{number:,.1f} TB"


def duration(seconds: float) -> str:
    """A time, in two units at most."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours / 24:.1f} days"


@contextmanager
def moving(
    line: Callable[[], str], view: Callable[[], RenderableType] | None = None, *, is_quiet: bool = False
) -> Iterator[None]:
    """Within it, a line moves with the work in a terminal; where there is none, it is written now and then.

    Args:
        line: says how it stands. It is called on a thread of its own.
        view: what moves in a terminal in the line's place.
        is_quiet: whether nothing is written.
    """
    if is_quiet:
        yield
        return
    if is_terminal():
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        with Live(
            console=console(error=True),
            get_renderable=view or (lambda: Text(line(), style="cyan")),
            refresh_per_second=_PER_SECOND,
            transient=True,
        ):
            yield
        return
    ended = threading.Event()

    def now_and_then() -> None:
        while not ended.wait(_PLAIN_SECONDS):
            say(line())

    thread = threading.Thread(target=now_and_then, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def sentences() -> Iterator[None]:
    """Within it, of what goes to the log, the errors are sentences for whoever sits here. In a job, nobody does."""
    if is_a_job():
        yield
        return
    before = log.get_in_use()
    log.use(_Sentences())
    try:
        yield
    finally:
        log.use(before)


class _Sentences:
    """A log for people: errors, each once. Rejects are counted, and stored elsewhere."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def debug(self, message: str, **fields: Any) -> None:
        pass

    info = debug

    def warning(self, message: str, **fields: Any) -> None:
        if fields.get("kind") in {"checkpoint", "receipt", "settings"}:
            self._say(message, "yellow")

    def error(self, message: str, **fields: Any) -> None:
        self._say(message, "red")

    exception = error

    def _say(self, message: str, style: str) -> None:
        if message not in self._said:
            self._said.add(message)
            say(message, style)


def _lines(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The table in plain text, its columns under each other."""
    cells = [[column.title for column in columns], *rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        parts = (
            f"{cell:>{width}}" if column.is_number else f"{cell:<{width}}"
            for cell, width, column in zip(row, widths, columns, strict=True)
        )
        yield "  ".join(parts).rstrip()
