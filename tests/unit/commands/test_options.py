"""What commands have in common: settings from flags, a file and the environment, and help that shows them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest

from importer import __main__ as command_line
from importer.__main__ import main
from importer.commands.options import Command, as_json, settings_here
from importer.env_file import read_env_file
from importer.errors import SettingsError
from importer.settings import ROWS, Settings

CREDENTIALS = [row.name for row in ROWS if row.name.startswith("MIXPANEL_")]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings, and what else it was given, of a command `look`, each time that it runs."""
    runs: list[Any] = []

    @click.command(cls=Command, short_help="Looks.", examples=["look here"])
    @click.option("--sends/--sends-nothing", default=True, help="Whether it sends.")
    @as_json
    def look(sends: bool, as_json: bool) -> int:
        runs.append((settings_here(sends=sends), as_json))
        return 0

    monkeypatch.setattr(command_line._Commands, "get_command", lambda *_: look)
    for name in (*CREDENTIALS, *(row.name for row in ROWS)):
        monkeypatch.delenv(name, raising=False)
    return runs


def settings(found: list[Any]) -> Settings:
    last: Settings = found[-1][0]
    return last


def test_a_flag_comes_before_the_file_and_the_file_before_the_environment(
    found: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my.env"
    file.write_text("MIXPANEL_PROJECT_TOKEN=t\nIMPORT_BACKOFF=5\nexport IMPORT_TIMEOUT='7'\nOF_OTHERS=yes\n")
    monkeypatch.setenv("IMPORT_BACKOFF", "3")
    monkeypatch.setenv("IMPORT_CONCURRENCY", "4")
    monkeypatch.setenv("OF_OTHERS", "no")
    assert main(["look", "--timeout", "9", "--env-file", str(file)]) == 0
    got = settings(found)
    assert (got.timeout, got.backoff, got.concurrency) == (9, 5, 4)
    assert os.environ["OF_OTHERS"] == "yes"
    assert os.environ["IMPORT_BACKOFF"] == "3"


def test_every_setting_but_secrets_is_a_flag_and_in_the_help(
    found: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["look", "--help"]) == 0
    said = capsys.readouterr().out
    flags = {row.name: f"--{row.field.replace('_', '-')} " for row in ROWS if row.name != "CLOUD_RUN_TIMEOUT_SECONDS"}
    shown = {name for name, flag in flags.items() if flag in said}
    assert flags.keys() - shown == {
        "MIXPANEL_SERVICE_ACCOUNT_SECRET",
        "MIXPANEL_PROJECT_TOKEN",
        "MIXPANEL_API_SECRET",
    }
    assert said.index("--json") < said.index("Settings") < said.index("--region") < said.index(" look here")


def test_what_sends_nothing_needs_no_credentials(found: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["look", "--sends-nothing"]) == 0
    assert main(["look", "--sends"]) == 2
    assert "The look stopped: No Mixpanel credentials are set" in capsys.readouterr().err
    assert main(["look", "--sends-nothing", "--project-id", "12"]) == 2
    assert "MIXPANEL_PROJECT_ID" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"IMPORT_BACKOFF\n", "line 1 is not NAME=value"), (b"\xff", "cannot be read"), (None, "No such file")],
)
def test_a_file_of_settings_that_is_none_is_said_in_a_sentence(
    content: bytes | None, said: str, found: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my.env"
    if content is not None:
        file.write_bytes(content)
    assert main(["look", "--env-file", str(file)]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"The look stopped: {file}")
    assert said in errors


def test_json_is_asked_for_by_a_flag(found: list[Any]) -> None:
    main(["look", "--sends-nothing"])
    main(["look", "--sends-nothing", "--json"])
    assert [as_json for _, as_json in found] == [False, True]


def test_a_file_of_settings_is_read_as_a_shell_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "my.env"
    file.write_text("# of us\n\n A=1 \nexport B='x y'\nC=\"z\"\nD='\nE=''\nF='x\"\nG=x'\nH=a=b\n")
    assert read_env_file(file) == {
        "A": "1", "B": "x y", "C": "z", "D": "'", "E": "", "F": "'x\"", "G": "x'", "H": "a=b",
    }  # fmt: skip
    file.write_text("A=1\n\n# x\nB\n")
    with pytest.raises(SettingsError, match=r"my\.env, line 4 is not NAME=value\.$"):
        read_env_file(file)
