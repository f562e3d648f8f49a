"""What is set to make events of records: `IMPORT_MAPPING`, a mapping by name or file, and `IMPORT_TRANSFORM`, the
user's own function."""

from __future__ import annotations

import importlib
from collections.abc import Mapping as Environment
from dataclasses import dataclass
from typing import TYPE_CHECKING

from importer.errors import SettingsError
from importer.records import Transform

if TYPE_CHECKING:
    from importer.mappings.filters.filters import Filters
    from importer.mappings.outcome import Mapping

# What a mapping takes is imported when one is set: it would be a tenth of the start.


@dataclass(frozen=True, slots=True)
class Mapped:
    """What IMPORT_MAPPING means: first the mapping, then the filters.

    Attributes:
        mapping: from a record to outcomes; None where records are Mixpanel's own events, and a file has filters alone.
        filters: what is applied to each event that the mapping gave; None where there are none.
    """

    mapping: Mapping | None
    filters: Filters | None


def load_mapping(name: str, environment: Environment[str, str]) -> Mapped:
    """Makes the mapping that IMPORT_MAPPING names: once for a process, since a mapping file is compiled.

    Args:
        name: a ready mapping's, `auto`, or the path of a mapping file (`*.toml`); `heap:<table>` is for files of one
            table, whose name is the events'.
        environment: where a file's secrets are (`salt_from`).

    Raises:
        SettingsError: there is no such mapping, or the file has a mistake; the text names file, line and key.
    """
    from importer.mappings import ready  # noqa: PLC0415
    from importer.mappings.recognition import Auto  # noqa: PLC0415

    if name.endswith(".toml"):
        return _load_file(name, environment)
    if name == "auto":
        return Mapped(Auto().to_mixpanel, None)
    vendor, _, table = name.partition(":")
    of_table = getattr(ready.module(vendor), "of_table", None) if table and vendor in ready.VENDORS else None
    if of_table is not None:
        return Mapped(of_table(table), None)
    if name not in ready.VENDORS:
        raise SettingsError(
            f"IMPORT_MAPPING is {name!r}, and there is no such mapping: there are {', '.join(ready.VENDORS)}, auto, "
            "heap:<table>, or the path of a mapping file (*.toml)."
        )
    return Mapped(ready.module(name).to_mixpanel, None)


def _load_file(path: str, environment: Environment[str, str]) -> Mapped:
    from importer.mappings.files import declaration, toml  # noqa: PLC0415
    from importer.mappings.files.compiling import compiled  # noqa: PLC0415
    from importer.mappings.filters import filters  # noqa: PLC0415

    root = toml.read(path)
    given = root.table((*declaration.MAPPING_KEYS, "filters"))
    maps = given.keys() != {"filters"}
    return Mapped(
        compiled(declaration.read(root, given), root.file) if maps else None,
        filters.read(given["filters"], environment) if "filters" in given else None,
    )


def load(name: str) -> Transform:
    """Imports the function that `name` (`module:function`) means, from what was deployed beside `main.py`.

    Raises:
        SettingsError: there is no such module, it cannot be imported, or it has no such function.
    """
    module_name, _, function_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise SettingsError(
            f"IMPORT_TRANSFORM is {name!r}, and importing {module_name} failed: {type(error).__name__}: {error}."
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise SettingsError(f"IMPORT_TRANSFORM is {name!r}, and {module_name} has no function {function_name}.")
    transform: Transform = function
    return transform
