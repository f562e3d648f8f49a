"""The pictures of the command line: what a terminal would show is in them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sandbox.processes import ROOT
from sandbox.screenshots import IMAGES, Shown, run, svg


def test_a_line_that_moves_is_kept_as_it_was_each_time_and_gone_at_the_end() -> None:
    shown = Shown()
    shown.feed("begin\r\n\x1b[?25l1 of 2\r\nleft\r\x1b[2K\x1b[1A\x1b[2K")
    shown.feed("\x1b[32m2 of 2\x1b[0m\r\nright\r\x1b[2K\x1b[1A\x1b[2Kend")
    assert shown.frames == [["begin", "1 of 2", "left"], ["begin", "\x1b[32m2 of 2\x1b[0m", "right"]]
    assert shown.lines == ["begin", "end", ""]


def test_a_command_is_drawn_as_it_looks_in_a_terminal(tmp_path: Path) -> None:
    lines = run(["--help"], {"PYTHONPATH": str(ROOT), "TERM": "xterm"}, tmp_path).lines
    drawn = svg("--help", lines)
    text = "".join(ET.fromstring(drawn).itertext()).replace("\xa0", " ")  # noqa: S314 (it is ours)
    assert "$ mixpanel-importer --help" in text
    assert "Brings event data into Mixpanel." in text
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "").replace("https://www.textualize.io", "")


@pytest.mark.parametrize("name", ["import", "backfill", "profile"])
def test_the_pictures_are_small_and_tell_nothing_of_where_they_were_made(name: str) -> None:
    drawn = (IMAGES / f"{name}.svg").read_text()
    assert len(drawn) < 60_000
    assert not re.search(r"/tmp/|/home/|/root/|/work/", drawn)  # noqa: S108
    assert f"images/{name}.svg" in (ROOT / "docs" / "commands.md").read_text()
