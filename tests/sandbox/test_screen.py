"""The screen: colour only where someone looks, and lines that fit."""

from __future__ import annotations

import io
import os

import pytest

from sandbox.screen import Screen, size


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")


def test_a_terminal_gets_colour() -> None:
    Screen(terminal := Terminal()).line("good", "green")
    assert terminal.getvalue() == "\x1b[32mgood\x1b[0m\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_none_gets_none(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, name, value)
    Screen(terminal := Terminal()).line("good", "green")
    assert terminal.getvalue() == "good\n"


def test_a_file_gets_none() -> None:
    Screen(file := io.StringIO()).line("good", "green")
    assert file.getvalue() == "good\n"


def test_long_lines_are_cut_and_commands_are_not() -> None:
    screen = Screen(terminal := Terminal())
    screen.line("x" * 41)
    screen.command("y" * 41)
    first, second = terminal.getvalue().splitlines()
    assert first == "x" * 39 + "…"
    assert "y" * 41 in second


def test_numbers_stand_under_each_other() -> None:
    screen = Screen(file := io.StringIO())
    screen.numbers("  ", [("read", "10"), ("imported", "10")])
    screen.numbers("  ", [("requests", "1"), ("sent", "1.0 kB")])
    first, second = file.getvalue().splitlines()
    assert first.index("imported") == second.index("sent")


def test_on_a_narrow_screen_numbers_go_on_below_and_are_not_cut() -> None:
    Screen(terminal := Terminal()).numbers(
        "  ", [("read", "1,000"), ("imported", "999"), ("speed", "1,000,000 events/s")]
    )
    assert terminal.getvalue() == "  read 1,000          imported 999\n  speed 1,000,000 events/s\n"


def test_sizes_are_in_powers_of_ten() -> None:
    assert (size(0), size(2_657), size(8_806_505)) == ("0.0 kB", "2.7 kB", "8.8 MB")
