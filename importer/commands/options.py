"""What commands have in common on the command line: each setting as a flag, `--env-file`, `--json`, and examples.

    @click.command(cls=Command, short_help="Look.", examples=["look gs://bucket/prefix"])
    @as_json
    def command(as_json: bool) -> int:
        settings = settings_here()

A flag comes before a line of the file, and that before the environment. Secrets have no flag: whoever lists the
processes of a machine would see them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from importer import bootstrap
from importer.env_file import read_env_file
from importer.settings import ROWS, Settings
from importer.variables import Row

_SECRETS = {"MIXPANEL_SERVICE_ACCOUNT_SECRET", "MIXPANEL_PROJECT_TOKEN", "MIXPANEL_API_SECRET"}
_CREDENTIALS = {"MIXPANEL_PROJECT_ID", "MIXPANEL_SERVICE_ACCOUNT_USERNAME", *_SECRETS}
_NOBODYS_TOKEN = "none"  # noqa: S105
_OF_THE_PLATFORM = {"CLOUD_RUN_TIMEOUT_SECONDS"}
_GIVEN = "importer.settings"
"""Where the context has what was given on the command line."""

as_json = click.option("--json", "as_json", is_flag=True, help="Write the result as JSON, for machines.")
"""The option of commands whose result machines may read; their function takes `as_json`."""


def max_open(default: int) -> Callable[[Any], Any]:
    """The option of workers that says how many messages wait at a time; their function takes `max_open`."""
    return click.option(
        "--max-open",
        type=click.IntRange(1, 1_000_000),
        default=default,
        show_default=True,
        help="Messages that wait at a time.",
    )


class Command(click.Command):
    """A command that takes the settings as flags, and shows examples in its help.

    Args:
        examples: command lines without the program's name.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._examples = examples
        self._own = len(self.params)
        self.params += [_env_file(), *(_flag(row) for row in ROWS if row.name not in _SECRETS | _OF_THE_PLATFORM)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        parts = {"Options": [*self.params[: self._own], *self.get_params(ctx)[len(self.params) :]]}
        parts["Settings (environment variables, too)"] = self.params[self._own :]
        for title, params in parts.items():
            options = [param for param in params if isinstance(param, click.Option)]
            if records := [record for option in options if (record := option.get_help_record(ctx))]:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self._examples:
            with formatter.section("Examples"):
                for example in self._examples:
                    formatter.write(f"{'':{formatter.current_indent}}{_program(ctx)} {example}\n")


def settings_here(*, sends: bool = True, says: bool = True) -> Settings:
    """The settings of the command that is running: flags, the file, the environment. The log is set up, too.

    Args:
        sends: whether it sends anything to Mixpanel; one that does not needs no credentials.
        says: whether it is said of variables that they are like settings and are none.

    Raises:
        SettingsError: one is wrong, or cannot be read.
    """
    variables = variables_here()
    if not sends and not any(variables.get(name, "").strip() for name in _CREDENTIALS):
        variables["MIXPANEL_PROJECT_TOKEN"] = _NOBODYS_TOKEN
    return bootstrap.settings_of_a_command(variables, says=says)


def variables_here() -> dict[str, str]:
    """All variables of the command that is running: flags, the file, the environment, in this order.

    Raises:
        SettingsError: the file cannot be read.
    """
    given: dict[str, Any] = click.get_current_context().meta.get(_GIVEN, {})
    file = given.get("--env-file")
    of_file = read_env_file(file) if file else {}
    ours = {row.name for row in ROWS}
    # What is no setting is for others: Google's clients, the transform.
    os.environ.update({name: value for name, value in of_file.items() if name not in ours})
    return {**os.environ, **of_file, **{name: value for name, value in given.items() if name in ours}}


def is_a_job(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a task of a Cloud Run job, where nobody looks on but the log."""
    return "CLOUD_RUN_JOB" in environment


def _flag(row: Row) -> click.Option:
    default = f" (default: {row.default})" if row.default else ""
    return click.Option(
        [f"--{row.field.replace('_', '-')}"],
        metavar="VALUE",
        help=f"{row.meaning}{default}".replace("`", ""),
        expose_value=False,
        callback=lambda ctx, _, value: _keep(ctx, row.name, value),
    )


def _env_file() -> click.Option:
    return click.Option(
        ["--env-file"],
        metavar="FILE",
        help="lines NAME=value with settings",
        expose_value=False,
        callback=lambda ctx, _, value: _keep(ctx, "--env-file", value),
    )


def _keep(ctx: click.Context, name: str, value: str | None) -> None:
    if value is not None:
        ctx.meta.setdefault(_GIVEN, {})[name] = value


def _program(ctx: click.Context) -> str:
    return ctx.find_root().info_name or "mixpanel-importer"
