"""The command line: `python -m importer COMMAND …`. A command is a file of commands/, and a line in `_COMMANDS`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import click

from importer.errors import ImporterError

_COMMANDS = {
    "import": "importer.commands.import_files",
    "backfill": "importer.commands.backfill",
    "reconcile": "importer.commands.reconcile",
    "check": "importer.commands.check",
    "preview": "importer.commands.preview",
    "profile": "importer.commands.profile",
    "replay": "importer.commands.replay",
    "pull": "importer.commands.pull",
    "kafka": "importer.commands.kafka",
}
"""The module of each command, whose `command` it is."""

_PIPE = 141
"""The status of a program that wrote to a closed pipe, as shells have it."""


class _Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_COMMANDS[cmd_name]).command
        return command

    def invoke(self, ctx: click.Context) -> int:
        try:
            return int(super().invoke(ctx) or 0)
        except ImporterError as error:
            print(f"The {ctx.invoked_subcommand} stopped: {error}", file=sys.stderr)
            return 2


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def commands() -> None:
    """Brings event data into Mixpanel. The settings are environment variables, as README.md lists them."""


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        words: its name and arguments; by default those of the process.

    Returns:
        The exit status: 0 where all is well, 1 where something is to be looked at, 2 where the command could not do its
        work (it stopped, or its arguments or settings are wrong), 130 where it was interrupted.
    """
    try:
        status = int(commands.main(words, standalone_mode=False) or 0)
        if sys.stdout is not None:
            sys.stdout.flush()  # here something can be said of it still
    except OSError as error:
        return _without_output(error)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("Interrupted.", file=sys.stderr)
        return 130
    return status


def _without_output(error: OSError) -> int:
    """The status where the output cannot be written; that nobody reads on (`| head`) is no trouble worth a word."""
    is_output = error.filename is None
    if not isinstance(error, BrokenPipeError):
        what = "The output cannot be written" if is_output else f"It stopped at {error.filename}"
        print(f"{what}: {error.strerror or error}.", file=sys.stderr)
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try once more at its end
    return _PIPE if isinstance(error, BrokenPipeError) else 2


def run() -> NoReturn:
    """The program `mixpanel-importer`. As with `python -m`, a transform is found in the current folder."""
    sys.path.insert(0, "")
    sys.exit(main())


if __name__ == "__main__":
    sys.exit(main())
