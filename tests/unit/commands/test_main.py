"""The command line: what it says of itself, and the status it ends with."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from importer import __main__ as command_line
from importer.__main__ import main
from importer.errors import Unreadable
from sandbox.processes import ROOT


def test_its_help_lists_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for name in command_line._COMMANDS:
        command = command_line.commands.get_command(click.Context(command_line.commands), name)
        assert command
        assert f"  {name} " in said
        assert command.get_short_help_str() in said
        assert command.help


@pytest.mark.parametrize("name", command_line._COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "-h"]) == 0
    assert capsys.readouterr().out.startswith("Usage: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Usage: "),
        (["no-such-command"], "No such command 'no-such-command'"),
        (["replay"], "Missing argument 'PLACE…'"),
        (["replay", "x", "--no-such-option"], "No such option"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_why(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A command `fail` that raises what is put here."""
    raised: list[BaseException] = []

    @click.command
    def command() -> None:
        raise raised[0]

    monkeypatch.setattr(command_line._Commands, "get_command", lambda *_: command)
    return raised


def test_what_stops_a_command_is_said_in_a_sentence(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(Unreadable("gs://b/x cannot be read"))
    assert main(["fail"]) == 2
    assert capsys.readouterr().err == "The fail stopped: gs://b/x cannot be read\n"


def test_an_interrupted_command_ends_as_the_shell_expects(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(KeyboardInterrupt())
    assert main(["fail"]) == 130
    assert capsys.readouterr().err.strip() == "Interrupted."


def test_wrong_settings_stop_a_command_and_a_misspelt_one_is_said() -> None:
    def ended(**settings: str) -> tuple[int, str]:
        words = [sys.executable, "-m", "importer", "replay", "nowhere.jsonl"]
        run = subprocess.run(words, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
        return run.returncode, run.stderr

    assert ended(MIXPANEL_PROJECT_TOKEN="t", IMPORT_BACKOFF="0") == (
        2,
        "The replay stopped: IMPORT_BACKOFF is '0': it must be a number of seconds above 0, at most 60.\n",
    )
    assert ended(MIXPANEL_PROJECT_TOKEN="t", IMPORT_REJECT="gs://b/x") == (
        1,
        "IMPORT_REJECT is not a setting: IMPORT_REJECTS may be meant.\nThere is nothing at nowhere.jsonl.\n",
    )
