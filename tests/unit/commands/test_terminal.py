"""What commands write: plain where nobody looks on, and in words that people read."""

from __future__ import annotations

import json

import pytest

from importer import log
from importer.commands.terminal import Column, count, duration, say, sentences, show_json, show_table, size, write

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
