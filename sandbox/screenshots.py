"""Screenshots of the command line for docs/images: `python -m sandbox.screenshots` makes them anew.

Each command runs in a pseudo-terminal, on made-up data and against the stand-in for Mixpanel; what it shows there is
drawn as SVG.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import pty
import re
import struct
import tempfile
import termios
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from sandbox import processes
from sandbox.clients import Standin
from sandbox.events import Events

IMAGES = processes.ROOT / "docs" / "images"
_COLUMNS = 112
_LAST_DAY = date(2025, 6, 30)
_PART = re.compile(r"\x1b\[(\d*)A|\x1b\[2K|\x1b\[\?25[lh]|\r|\n|(?:\x1b\[[\d;]*m|[^\x1b\r\n])+")
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


@dataclass(slots=True)
class Shown:
    """A terminal, as far as rich needs one: lines, and a cursor that goes up and down.

    Attributes:
        lines: what is on it, with colours.
        frames: what was on it each time that something moved.
    """

    lines: list[str] = field(default_factory=lambda: [""])
    frames: list[list[str]] = field(default_factory=list)
    _row: int = 0
    _is_new: bool = False

    def feed(self, text: str) -> None:
        """Takes what a program writes."""
        for found in _PART.finditer(text):
            part = found[0]
            if part.startswith("\x1b[") and part[-1] in "AK" and self._is_new:
                self.frames.append([*self.lines])
                self._is_new = False
            if found[1] is not None:
                self._row = max(self._row - int(found[1] or 1), 0)
            elif part == "\x1b[2K":
                self.lines[self._row] = ""
            elif part == "\n":
                self._row += 1
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif part != "\r" and not part.startswith("\x1b[?"):
                self.lines[self._row] += part
                self._is_new = True


def run(words: Sequence[str], environment: Mapping[str, str], folder: Path) -> Shown:
    """Runs a command in a terminal of its own."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve(processes.PYTHON, [processes.PYTHON, "-m", "importer", *words], dict(environment))  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, _COLUMNS, 0, 0))
    seen = bytearray()
    try:
        while data := os.read(terminal, 65_536):
            seen += data
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    os.waitpid(child, 0)
    shown = Shown()
    shown.feed(seen.decode(errors="replace").replace(f"{folder.resolve()}/", ""))
    return shown


def svg(command: str, lines: Sequence[str]) -> str:
    """A terminal with a command and what it shows."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ mixpanel-importer {command}", style="bold"))
    console.print(Text.from_ansi("\n".join(lines).rstrip()), soft_wrap=False)
    drawn: str = console.export_svg(title="mixpanel-importer", unique_id=command.split(maxsplit=1)[0])
    # Without the fonts of another host: where they are not installed, any other of one width does.
    return _FONTS.sub("", drawn)


def make(folder: Path, images: Path) -> None:
    """Makes all of them.

    Args:
        folder: where the data is written.
        images: where they go.
    """
    archive = folder / "archive"
    for back in range(3):
        for part in range(3):
            path = archive / f"{_LAST_DAY - timedelta(days=back):%Y/%m/%d}" / f"part-{part}.jsonl"
            _write(path, Events(4_000, "dense", seed=10 * back + part, bad_share=0.0005 if part == 1 else 0))
    _write(folder / "june.jsonl", Events(120_000, "dense", seed=1, bad_share=0.00005))
    _write(folder / "july.jsonl.gz", Events(60_000, "dense", seed=2))
    (folder / "events.jsonl").write_bytes(b"\n".join(_odd(Events(20_000, "small", seed=3))))
    with processes.service("sandbox.mixpanel", "--port", "0") as standin:
        Standin(standin.url).faults(latency=0.05)
        environment = {
            **processes.without_settings(os.environ),
            "MIXPANEL_API_URL": standin.url,
            "MIXPANEL_PROJECT_TOKEN": "demo",
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": str(processes.ROOT),
            "TERM": "xterm-256color",
            "COLUMNS": str(_COLUMNS),
        }
        shown = run(["import", "june.jsonl", "july.jsonl.gz"], environment, folder)
        on_its_way = shown.frames[len(shown.frames) // 2]
        _save(images, "import june.jsonl july.jsonl.gz", [*on_its_way, "", *shown.lines])
        words = ["backfill", "archive", "--yes"]
        _save(images, " ".join(words), run(words, environment, folder).lines)
        _save(images, "profile events.jsonl", run(["profile", "events.jsonl"], environment, folder).lines)


def _odd(events: Events) -> Iterator[bytes]:
    """The same events, with what a profile finds."""
    for nth, record in enumerate(events.records()):
        event = msgspec.json.decode(record)
        properties = event["properties"]
        properties["request_id"] = f"{nth * 0x9E3779B97F4A7C15 % 2**64:016x}"
        properties["amount"] = str(nth % 50) if nth % 9 == 0 else nth % 50
        if nth % 400 == 0:
            properties["contact"] = f"jo.{nth}@example.com"
        if nth % 8 == 0:
            properties["distinct_id"] = "healthcheck"
        if nth % 700 == 0:
            properties["time"] = 0
        yield msgspec.json.encode(event)


def _write(path: Path, events: Events) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        events.write(file, gzip=path.suffix == ".gz")


def _save(images: Path, command: str, lines: Sequence[str]) -> None:
    path = images / f"{command.split(maxsplit=1)[0]}.svg"
    path.write_text(svg(command, lines))
    print(f"{path}: {path.stat().st_size:,} bytes")


def main() -> None:
    """Makes them where the command line says."""
    arguments = argparse.ArgumentParser(prog="python -m sandbox.screenshots", description=__doc__.partition("\n")[0])
    arguments.add_argument("--images", type=Path, default=IMAGES, metavar="FOLDER")
    images = arguments.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), images)


if __name__ == "__main__":
    main()
