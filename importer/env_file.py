"""Files of settings: lines `NAME=value`."""

from __future__ import annotations

import re
from pathlib import Path

from importer.errors import SettingsError

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")


def read_env_file(file: str | Path) -> dict[str, str]:
    """Reads lines `NAME=value`, with or without `export`, quotes around the value, comments and blank lines between.

    Raises:
        SettingsError: the file cannot be read, or a line is something else.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    found = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        if not (parts := _LINE.fullmatch(line)):
            raise SettingsError(f"{file}, line {number} is not NAME=value.")
        name, value = parts.groups()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[name] = value[1:-1] if quoted else value
    return found
