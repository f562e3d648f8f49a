"""Globs on the names of objects, as `IMPORT_INCLUDE` and `IMPORT_EXCLUDE` have them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import cache


def matches(name: str, globs: Iterable[str]) -> bool:
    """Whether one of the globs matches the whole name. `*` takes any text, `/` too; `**/` takes no folder as well."""
    return any(_pattern(glob).match(name) for glob in globs)


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(?:^|(?<=/))\*\*/", glob)
    return re.compile(rf"(?s:{'(?:.*/)?'.join(map(_regex, parts))})\Z")


def _regex(part: str) -> str:
    """What `translate` makes of a part, without that it is all there is: `(?s:…)` and the mark of the end."""
    return translate(part).removeprefix("(?s:").rpartition(")")[0]
