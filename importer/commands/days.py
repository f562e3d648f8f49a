"""The days of a backfill: which are wanted, what they take, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from importer.commands.dates import by_day, layout, layout_of
from importer.commands.estimate import Estimate, estimate
from importer.commands.terminal import (
    Column,
    count,
    duration,
    either,
    number_of,
    say,
    show_json,
    show_table,
    size,
)
from importer.commands.work import File, Reasons
from importer.core.report import Report
from importer.settings import Settings
from importer.storage.store import Entry

_MAX_REASONS = 5
_COLUMNS = (
    Column("day", style="bold"),
    Column("objects", is_number=True),
    Column("stored", is_number=True),
    Column("read", is_number=True),
    Column("imported", is_number=True, style="green"),
    Column("rejected", is_number=True, style="red"),
    Column("not finished", is_number=True),
    Column("time", is_number=True),
)


@dataclass(slots=True)
class Day:
    """A day's objects that are not done yet, and what became of them."""

    name: str
    entries: list[Entry]
    states: Counter[str] = field(default_factory=Counter)
    report: Report = field(default_factory=Report)
    imported: int = 0
    seconds: float = 0.0
    leased: list[File] = field(default_factory=list)

    @property
    def unfinished(self) -> int:
        """Objects that are not in Mixpanel yet, as far as they can be."""
        return len(self.entries) - sum(self.states[state] for state in ("done", "skipped", "unreadable", "gone"))

    def add(self, files: Iterable[File], seconds: float) -> None:
        """Counts what became of some of its objects; the others are not begun."""
        self.seconds += seconds
        self.leased = []
        for file in files:
            if file.state == "leased":
                self.leased.append(file)
                continue
            self.states[file.state] += 1
            self.report += file.report
            self.imported += file.imported_here


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which days are wanted: from one, to one, so many."""

    since: date | None
    until: date | None
    days: int | None

    @classmethod
    def of(cls, since: datetime | None, until: datetime | None, days: int | None) -> Bounds:
        """The bounds as a command line has them."""
        return cls(since.date() if since else None, until.date() if until else None, days)

    @property
    def are_set(self) -> bool:
        """Whether not all days are wanted."""
        return bool(self.since or self.until or self.days)

    def choose(self, days: Iterable[date]) -> set[date]:
        """Those that are wanted of the days that there are."""
        chosen = {
            day for day in days if (not self.since or day >= self.since) and (not self.until or day <= self.until)
        }
        if self.days and chosen:
            first = max(chosen) - timedelta(days=self.days - 1)
            chosen = {day for day in chosen if day >= first}
        return chosen


def chosen(found: Sequence[Entry], pattern: str | None, bounds: Bounds) -> dict[str, list[Entry]]:
    """The objects of the days that are wanted, the newest first."""
    way = layout(pattern) if pattern else layout_of(one.address for one in found)
    if way is None:
        say("No name tells a day, so objects go by the day on which they were written.")
    days = by_day(found, way)
    wanted = bounds.choose(day for day in days if day)
    if None in days:
        one, several = (
            ("it is left out", "they are left out") if bounds.are_set else ("it comes last", "they come last")
        )
        number, example = len(days[None]), days[None][0].address
        lack = either(number, "has no date in its name", "have no date in their names")
        say(f"{number_of(number, 'object')} {lack}, as in {example}: {either(number, one, several)}.")
    return {
        str(day or "no date"): found
        for day, found in days.items()
        if day in wanted or (day is None and not bounds.are_set)
    }


def say_plan(total: int, left: Sequence[Day], settings: Settings) -> None:
    """Says what there is to do, and what that takes."""
    if not total:
        say("There is nothing on the days that are wanted.")
        return
    if not left:
        say(either(total, "The one object is imported already.", f"All {total:,} objects are imported already."))
        return
    plan = estimate((one for day in left for one in day.entries), settings.events_per_second)
    done = total - plan.objects
    say(
        f"{number_of(plan.objects, 'object')} of {number_of(len(left), 'day')}, from {left[0].name} back to "
        f"{left[-1].name}, {either(plan.objects, 'has', 'have')} {size(plan.bytes)}"
        + (f"; {done:,} more {either(done, 'is', 'are')} imported already." if done else ".")
    )
    say(_what_it_takes(plan, settings))


def _what_it_takes(plan: Estimate, settings: Settings) -> str:
    rate = f"{settings.events_per_second:,.0f} events/s" if settings.events_per_second else "Mixpanel's rate"
    return (
        f"About {count(plan.events)} events (850 bytes each, packed files taken for a quarter): "
        f"{duration(plan.seconds)} at {rate}, and ${plan.dollars:,.2f} on Google Cloud, most of it for data going out."
    )


def show(left: Sequence[Day], reasons: Reasons) -> None:
    """Writes a table of the days, and why records are rejected."""
    begun = [day for day in left if day.states or day.leased]
    total = Day("all days", [one for day in begun for one in day.entries])
    for day in begun:
        total.states += day.states
        total.report += day.report
        total.imported += day.imported
        total.seconds += day.seconds
    show_table(_COLUMNS, [_row(day) for day in begun], _row(total))
    for reason, number in reasons.counts.most_common(_MAX_REASONS):
        say(f"{count(number)} rejected: {reason} (first at {reasons.first[reason]})")


def _row(day: Day) -> list[str]:
    stored = size(sum(one.size for one in day.entries))
    numbers = (day.report.read, day.imported, day.report.rejected, day.unfinished)
    return [day.name, count(len(day.entries)), stored, *map(count, numbers), duration(day.seconds)]


def show_for_machines(left: Sequence[Day], reasons: Reasons, **more: Any) -> None:
    """Writes the same as JSON."""
    days = [
        {
            "day": day.name,
            "objects": len(day.entries),
            "outcomes": {**day.states, **({"leased": len(day.leased)} if day.leased else {})},
            "unfinished": day.unfinished,
            **day.report.counts(),
        }
        for day in left
    ]
    total = sum((day.report for day in left), Report())
    show_json({"days": days, "total": total.counts(), "reasons": dict(reasons.counts), **more})
