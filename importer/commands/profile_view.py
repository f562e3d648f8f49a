"""A profile, as people read it: what is odd first, then events and properties."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from importer.commands.terminal import Column, console, count, either, is_terminal, number_of, say, show_table, write

if TYPE_CHECKING:
    from importer.profile.findings import Finding
    from importer.profile.profiler import Profile
    from importer.profile.report import Event, Property

_MAX_EVENTS = 30
_MAX_PROPERTIES = 60
_MAX_FINDINGS = 40
_MIN_WIDTH = 90
"""Characters of a line below which examples have no room."""
_SIGNS = {"problem": ("✗", "red"), "warning": ("!", "yellow"), "note": ("·", "cyan")}

_EVENTS = (
    Column("event", style="bold"),
    Column("count", is_number=True),
    Column("share", is_number=True),
    Column("users", is_number=True),
    Column("first"),
    Column("last"),
    Column("properties", is_number=True),
)
_PROPERTIES = (
    Column("property", style="bold"),
    Column("filled", is_number=True),
    Column("types"),
    Column("distinct", is_number=True),
    Column("longest", is_number=True),
    Column("examples", style="dim"),
)


def show(profile: Profile) -> None:
    """Writes a profile to standard output."""
    write(summary(profile), "bold")
    for finding in profile.findings[:_MAX_FINDINGS]:
        _show_finding(finding)
    if not profile.findings and profile.count:
        write("Nothing is odd about them.", "green")
    if not profile.count:
        return
    _leave_a_line()
    show_table(_EVENTS, [_event(one) for one in profile.events[:_MAX_EVENTS]])
    _leave_a_line()
    is_narrow = is_terminal(sys.stdout) and console().width < _MIN_WIDTH
    columns = _PROPERTIES[:-1] if is_narrow else _PROPERTIES
    rows = [_property(one)[: len(columns)] for one in profile.properties[:_MAX_PROPERTIES]]
    show_table(columns, rows)
    left = [
        f"{more:,} {either(more, one, several)}"
        for more, one, several in (
            (len(profile.findings) - _MAX_FINDINGS, "more finding", "more findings"),
            (len(profile.events) - _MAX_EVENTS, "more event name", "more event names"),
            (len(profile.properties) - _MAX_PROPERTIES, "more property", "more properties"),
        )
        if more > 0
    ]
    if left:
        say(f"There are {', '.join(left)}: --html and --json have all of them.")


def summary(profile: Profile) -> str:
    """The profile in a line or two."""
    if not profile.read:
        return "There is no record."
    of = f"{number_of(profile.names, 'name')} and {number_of(profile.users, 'user')}"
    parts = [f"{number_of(profile.count, 'event')} of {of}"]
    if profile.first is not None and profile.last is not None:
        parts.append(f"from {_date(profile.first)} to {_date(profile.last)}")
    text = ", ".join(parts)
    for what, counts in (("dropped", profile.dropped), ("rejected", profile.rejected)):
        if number := sum(counts.values()):
            text += f"; {number:,} {what}"
    if profile.sample < 1:
        text += f" (of a sample of {profile.sample:.0%}: all counts are the sample's)"
    return text + "."


def _show_finding(finding: Finding) -> None:
    sign, style = _SIGNS[finding.level]
    write(f"{sign} {finding.kind}: {finding.sentence}", style)
    if finding.examples:
        write(f"    e.g. {' | '.join(finding.examples)}")
    for line in finding.advice.lines() if finding.advice else ():
        if line:
            write(f"    {line}", "green")


def _leave_a_line() -> None:
    """Before a table, which has a line above it in a terminal."""
    if not is_terminal(sys.stdout):
        write("")


def _event(one: Event) -> list[str]:
    dates = [_date(each) if each is not None else "" for each in (one.first, one.last)]
    return [
        _short(one.name),
        count(one.count),
        _percent(one.share),
        count(one.users),
        *dates,
        count(len(one.properties)),
    ]


def _property(one: Property) -> list[str]:
    return [
        _short(one.name),
        _percent(one.share),
        _kinds(one.kinds),
        count(one.distinct) if one.is_exact else f"~{count(one.distinct)}",
        count(one.longest) if one.longest else "",
        ", ".join(_short(each.value, 24) for each in one.examples[:3]),
    ]


def _kinds(kinds: dict[str, int]) -> str:
    total = sum(kinds.values())
    return ", ".join(
        kind if len(kinds) == 1 else f"{kind} {_percent(number / total)}" for kind, number in kinds.items()
    )


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def _date(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s"


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
