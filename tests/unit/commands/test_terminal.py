"""What commands write: plain where nobody looks on, and in words that people read."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from importer import log
from importer.commands import terminal
from importer.commands.terminal import (
    Column,
    count,
    duration,
    moving,
    say,
    sentences,
    show_json,
    show_table,
    size,
    write,
)

COLUMNS = (Column("file"), Column("read", is_number=True))


def test_a_table_without_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(COLUMNS, [["a.jsonl", "1,000"], ["b", "7"]], ["all", "1,007"])
    assert capsys.readouterr().out == "file      read\na.jsonl  1,000\nb            7\nall      1,007\n"


def test_sentences_go_to_standard_error_and_results_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    say("Reading [it].")
    show_json({"read": 1})
    assert capsys.readouterr() == ('{"read":1}\n', "Reading [it].\n")


def test_of_the_log_people_read_the_errors_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    before = log.get_in_use()
    with sentences():
        log.get().info("x is done", kind="import")
        log.get().warning("x, line 3: no", kind="reject")
        log.get().warning("The checkpoint of x was not saved", kind="checkpoint")
        for _ in range(2):
            log.get().error("Mixpanel refuses the credentials", kind="credentials")
    assert log.get_in_use() is before
    assert capsys.readouterr().err == "The checkpoint of x was not saved\nMixpanel refuses the credentials\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (600, "10 min"), (3_900, "1 h 5 min"), (400_000, "4.6 days")],
)
def test_a_duration_has_the_units_that_fit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_numbers_have_the_form_that_people_read() -> None:
    assert (count(1234567), size(999), size(1_500), size(250_000_000), size(3.2e12)) == (
        "1,234,567",
        "999 B",
        "1.5 kB",
        "250 MB",
        "3.2 TB",
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain — ünï 東京 👩‍💻", "plain — ünï 東京 👩‍💻"),
        ("\x1b[2J\x07\x9b", "\\x1b[2J\\x07\\x9b"),
        ("one\ntwo\tthree", "one\\ntwo three"),
        ("bad\udcff.jsonl", "bad\\xff.jsonl"),
        ("\ud83d", "�"),
        ("a\u202eb", "a�b"),
    ],
)
def test_what_files_and_data_hold_does_no_harm_in_a_terminal(
    text: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say(text)
    write(text)
    show_table((Column("c"),), [[text]])
    assert capsys.readouterr() == (f"{shown}\nc\n{shown}\n", f"{shown}\n")


def test_a_name_that_is_no_text_comes_into_the_json_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"source": 'bad\udcff"\n'})
    assert json.loads(capsys.readouterr().out) == {"source": 'bad\\xff"\n'}


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """A terminal, and what is written to it, as text."""
    written = StringIO()
    console = Console(file=written, width=60, highlight=False)
    monkeypatch.setattr(terminal, "is_terminal", lambda _=None: True)
    monkeypatch.setattr(terminal, "console", lambda *, error=False: console)
    return written


def shown(screen: StringIO) -> list[list[str]]:
    return [line.split() for line in screen.getvalue().split("\n") if line.strip(" ─")]


def test_in_a_terminal_a_table_is_set_and_has_a_foot_where_there_is_a_total(screen: StringIO) -> None:
    show_table(COLUMNS, [["a[b].jsonl", "1,000"], ["b", "7"]])
    assert shown(screen) == [["file", "read"], ["a[b].jsonl", "1,000"], ["b", "7"]]
    screen.seek(0)
    screen.truncate()
    show_table(COLUMNS, [["a", "1,000"]], ["all", "1,000"])
    assert shown(screen) == [["file", "read"], ["a", "1,000"], ["all", "1,000"]]
    lines = [line for line in screen.getvalue().split("\n") if "1,000" in line or "read" in line]
    assert len({len(line.rstrip()) for line in lines}) == 1, "numbers are set to the right"


def test_in_a_terminal_sentences_and_results_go_through_it(screen: StringIO) -> None:
    say("Reading [it].", "red")
    write("a [bold]")
    assert screen.getvalue() == "Reading [it].\na [bold]\n"


def test_in_a_terminal_a_line_moves(screen: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=screen, width=60, force_terminal=True)
    monkeypatch.setattr(terminal, "console", lambda *, error=False: console)
    with moving(lambda: "1 of 2 files"):
        pass
    assert "1 of 2 files" in screen.getvalue()
    with moving(lambda: "a line", lambda: "a view"):
        pass
    assert "a view" in screen.getvalue()
    assert "a line" not in screen.getvalue()
    before = screen.getvalue()
    with moving(lambda: "quiet", is_quiet=True):
        pass
    assert screen.getvalue() == before


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (99_900, "99.9 kB"), (100_000, "100 kB"), (1_000_000, "1.0 MB"),
     (2_500_000_000, "2.5 GB"), (1_500e12, "1,500.0 TB")],
)  # fmt: skip
def test_a_size_has_the_unit_that_fits(number: float, words: str) -> None:
    assert size(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59.4, "59 s"), (60, "1 min"), (120, "2 min"), (599, "9 min 59 s"), (601, "10 min"), (3_599, "59 min"),
     (3_600, "1 h"), (3_660, "1 h 1 min"), (47 * 3_600 + 59 * 60, "47 h 59 min"), (48 * 3_600, "2.0 days")],
)  # fmt: skip
def test_a_duration_has_two_units_at_most(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_in_a_job_the_log_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_RUN_JOB", "backfill")
    before = log.get_in_use()
    with sentences():
        assert log.get_in_use() is before
