"""What the functions are told: settings from the shell, a file and the command line, and where the stand-ins are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path

from importer.env_file import read_env_file
from importer.errors import SettingsError
from sandbox.processes import ROOT

_CREDENTIALS = (
    "MIXPANEL_SERVICE_ACCOUNT_USERNAME",
    "MIXPANEL_SERVICE_ACCOUNT_SECRET",
    "MIXPANEL_PROJECT_TOKEN",
    "MIXPANEL_API_SECRET",
)
_HANDY = {
    "IMPORT_REJECTS": "gs://sandbox-rejects/rejects",
    "IMPORT_LOG_REJECTS": "10000",
    "IMPORT_SOURCE_HEADER": "X-Import-Source",
}
"""What the functions are told here unless the user says otherwise, so that the page can show it all."""

_OF_THE_IMPORTER = ("MIXPANEL_", "IMPORT_", "LOG_LEVEL")


class VariablesError(Exception):
    """The settings cannot be used here; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Variables:
    """The settings as the functions get them.

    Attributes:
        given: those that the user gave, wherever.
        all: these, a made-up project token if there are no credentials among them, what else is handy here (`auto`,
            rejects in the local bucket), and where the stand-ins are.
    """

    given: Mapping[str, str]
    all: Mapping[str, str] = field(repr=False)

    @property
    def transform(self) -> str | None:
        """The user's own mapping, as `module:function`."""
        return self.given.get("IMPORT_TRANSFORM") or None

    @property
    def mapping(self) -> str | None:
        """The mapping that the functions use."""
        return self.all.get("IMPORT_MAPPING") or None

    @property
    def rejects(self) -> str | None:
        """The address in the local bucket that rejects are stored under, if they are."""
        where = self.all.get("IMPORT_REJECTS", "")
        return where if where.startswith("gs://") else None

    def with_mapping(self, name: str | None) -> Variables:
        """The same, with this mapping in use."""
        return Variables(self.given, {**self.all, "IMPORT_MAPPING": name or ""})

    def buckets(self) -> Iterator[str]:
        """The buckets that settings name; they have to be there."""
        for name in ("IMPORT_REJECTS", "IMPORT_CHECKPOINTS"):
            if found := re.match(r"gs://([^/]+)/", self.all.get(name, "")):
                yield found[1]

    @property
    def topic(self) -> str | None:
        """The topic for rejects, if that is where they go."""
        where = self.given.get("IMPORT_REJECTS", "")
        return where if where.startswith("projects/") else None


def variables(
    shell: Mapping[str, str],
    file: Path | None,
    transform: str | None,
    places: Mapping[str, str],
    mapping: str | None = None,
) -> Variables:
    """Puts the settings together: the command line's before the file's, the file's before the shell's.

    Args:
        shell: the environment, of which the importer's own settings count.
        file: lines `NAME=value`; also what the transform may want of the environment.
        transform: the command line's.
        places: where the stand-ins are; nothing overrides that, so that nothing leaves this machine.
        mapping: the command line's.

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
    if mapping:
        given["IMPORT_MAPPING"] = mapping
    for name in places:
        given.pop(name, None)
    signed = any(given.get(name, "").strip() for name in _CREDENTIALS)
    handy = {**_HANDY, **({} if signed else {"MIXPANEL_PROJECT_TOKEN": "sandbox"})}
    # A transform of one's own may take records of any shape: with it, no mapping goes before it unless one is named.
    handy |= {} if given.get("IMPORT_TRANSFORM") else {"IMPORT_MAPPING": "auto"}
    return Variables(given, {**handy, **given, **places})


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


def mapping_file(mapping: str | None) -> Path | None:
    """The file that a mapping is in, where it is none of the ready ones. The functions look for it from the project."""
    return ROOT / mapping if mapping and mapping.endswith(".toml") else None
