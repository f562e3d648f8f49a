"""Names by glob: `*` takes any text, `?` one character. What a name is found to be is remembered, within bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_MAX_KNOWN = 10_000
"""Names of events and properties are few; where they are not, the rest is worked out each time."""


def matcher(globs: Iterable[str]) -> Callable[[str], bool]:
    """Whether a name is one of these; capitals count."""
    wanted = re.compile("|".join(map(_pattern, globs)), re.DOTALL).fullmatch
    known: dict[str, bool] = {}

    def matches(name: str) -> bool:
        found = known.get(name)
        if found is None:
            found = wanted(name) is not None
            if len(known) < _MAX_KNOWN and len(name) < 500:
                known[name] = found
        return found

    return matches


def first_match(globs: Iterable[str]) -> Callable[[str], str | None]:
    """The first of these that a name is one of, as it is written; None where it is none's."""
    each = [(glob, matcher([glob])) for glob in globs]
    is_one = matcher(glob for glob, _ in each)

    def first(name: str) -> str | None:
        return next(glob for glob, matches in each if matches(name)) if is_one(name) else None

    return first


def _pattern(glob: str) -> str:
    return "".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in re.sub(r"\*+", "*", glob))
