"""The day that an object's name speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from importer.errors import SettingsError
from importer.storage.store import Entry

_TOKENS = {"YYYY": r"(?P<year>\d{4})", "MM": r"(?P<month>\d{1,2})", "DD": r"(?P<day>\d{1,2})"}
_DAY = r"(?P<year>(?:19|20)\d{2})-?(?P<month>\d{2})-?(?P<day>\d{2})"


@dataclass(frozen=True, slots=True)
class Layout:
    """A way in which names tell days."""

    name: str
    pattern: re.Pattern[str]

    def day(self, name: str) -> date | None:
        """The day that a name speaks of: the first date in it that there is."""
        for found in self.pattern.finditer(name):
            try:
                return date(int(found["year"]), int(found["month"]), int(found["day"]))
            except ValueError:
                continue
        return None


LAYOUTS = (
    Layout(
        "year=YYYY/month=MM/day=DD",
        re.compile(r"\by(?:ear)?=(?P<year>\d{4})/m(?:onth)?=(?P<month>\d{1,2})/d(?:ay)?=(?P<day>\d{1,2})(?!\d)"),
    ),
    Layout("dt=YYYY-MM-DD", re.compile(rf"(?:^|[/_.-])[A-Za-z_]*=(?:\w+=)?{_DAY}(?!\d)")),
    Layout("YYYY/MM/DD", re.compile(r"(?<!\d)(?P<year>(?:19|20)\d{2})/(?P<month>\d{1,2})/(?P<day>\d{1,2})(?!\d)")),
    Layout("YYYY-MM-DD", re.compile(r"(?<!\d)(?P<year>(?:19|20)\d{2})([-_.])(?P<month>\d{2})\2(?P<day>\d{2})(?!\d)")),
    Layout(
        "YYYYMMDD", re.compile(r"(?<!\d)(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})(?=(\d\d){0,3}(?!\d))")
    ),
)
"""The usual ones. Where two fit as many names, the first has them."""


def layout(pattern: str) -> Layout:
    """The layout that somebody describes, such as `events_YYYYMMDD`.

    Raises:
        SettingsError: it does not say where year, month and day stand.
    """
    if any(pattern.count(token) != 1 for token in _TOKENS):
        raise SettingsError(f"The pattern {pattern} must have YYYY, MM and DD in it, each once.")
    text = re.escape(pattern)
    is_tight = "YYYYMM" in pattern or "MMDD" in pattern
    for token, group in _TOKENS.items():
        text = text.replace(token, group.replace("{1,2}", "{2}") if is_tight else group)
    return Layout(pattern, re.compile(text))


def layout_of(names: Iterable[str]) -> Layout | None:
    """The usual layout that most of the names have; None where none of them tells a day."""
    names = [*names]
    counts = [(sum(one.day(name) is not None for name in names), one) for one in LAYOUTS]
    most, best = max(counts, key=lambda each: each[0])
    return best if most else None


def by_day(entries: Iterable[Entry], found: Layout | None) -> dict[date | None, list[Entry]]:
    """Objects by their days, the newest first; those whose names tell none come last.

    Args:
        found: how names tell days; None goes by the time at which the objects were written.
    """
    days: dict[date | None, list[Entry]] = {}
    for entry in entries:
        day = found.day(entry.address) if found else datetime.fromtimestamp(entry.written, UTC).date()
        days.setdefault(day, []).append(entry)
    return dict(sorted(days.items(), key=lambda each: each[0] or date.min, reverse=True))
