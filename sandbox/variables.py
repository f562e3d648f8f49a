"""What the functions are told: settings from the shell, a file and the command line, and where the stand-ins are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path

from importer.commands.env_file import read_env_file
from importer.errors import SettingsError
from sandbox.processes import ROOT

_CREDENTIALS = (
    "MIXPANEL_SERVICE_ACCOUNT_USERNAME",
    "MIXPANEL_SERVICE_ACCOUNT_SECRET",
    "MIXPANEL_PROJECT_TOKEN",
    "MIXPANEL_API_SECRET",
)
_OF_THE_IMPORTER = ("MIXPANEL_", "IMPORT_", "LOG_LEVEL")


class VariablesError(Exception):
    """The settings cannot be used here; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Variables:
    """The settings as the functions get them.

    Attributes:
        given: those that the user gave, wherever.
        all: these, a made-up project token if there are no credentials among them, and where the stand-ins are.
    """

    given: Mapping[str, str]
    all: Mapping[str, str] = field(repr=False)

    @property
    def transform(self) -> str | None:
        """The user's own mapping, as `module:function`."""
        return self.given.get("IMPORT_TRANSFORM") or None

    def buckets(self) -> Iterator[str]:
        """The buckets that settings name; they have to be there."""
        for name in ("IMPORT_REJECTS", "IMPORT_CHECKPOINTS"):
            if found := re.match(r"gs://([^/]+)/", self.given.get(name, "")):
                yield found[1]

    @property
    def topic(self) -> str | None:
        """The topic for rejects, if that is where they go."""
        where = self.given.get("IMPORT_REJECTS", "")
        return where if where.startswith("projects/") else None


def variables(
    shell: Mapping[str, str], file: Path | None, transform: str | None, places: Mapping[str, str]
) -> Variables:
    """Puts the settings together: the command line's before the file's, the file's before the shell's.

    Args:
        shell: the environment, of which the importer's own settings count.
        file: lines `NAME=value`; also what the transform may want of the environment.
        transform: the command line's.
        places: where the stand-ins are; nothing overrides that, so that nothing leaves this machine.

    Raises:
        VariablesError: the file cannot be read.
    """
    given = {name: value for name, value in shell.items() if name.startswith(_OF_THE_IMPORTER)}
    if file:
        try:
            given |= read_env_file(file)
        except SettingsError as error:
            raise VariablesError(str(error)) from None
    if transform:
        given["IMPORT_TRANSFORM"] = transform
    for name in places:
        given.pop(name, None)
    signed = any(given.get(name, "").strip() for name in _CREDENTIALS)
    return Variables(given, {**given, **({} if signed else {"MIXPANEL_PROJECT_TOKEN": "sandbox"}), **places})


def transform_files(transform: str | None, search: Mapping[str, str]) -> Iterator[Path]:
    """The Python files of the folder that the transform's module is in, without importing it.

    Args:
        search: the environment, whose PYTHONPATH counts.
    """
    if not transform:
        return
    path: list[str] | None = [str(ROOT), *filter(None, search.get("PYTHONPATH", "").split(":"))]
    module = transform.partition(":")[0]
    parts = module.split(".")
    for n in range(1, len(parts) + 1):
        found = PathFinder.find_spec(".".join(parts[:n]), path)
        if found is None:
            return
        path = list(found.submodule_search_locations or [])
    if found and found.origin:
        yield from Path(found.origin).parent.glob("*.py")
