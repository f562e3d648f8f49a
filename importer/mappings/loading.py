"""The user's own mapping, named by `IMPORT_TRANSFORM` as `module:function`."""

from __future__ import annotations

import importlib

from importer.errors import SettingsError
from importer.records import Transform


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
