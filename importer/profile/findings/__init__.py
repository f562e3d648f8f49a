"""What Mixpanel's limits and advice say about events. A family of findings is a file and a row here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from importer.profile.findings import identity, names, privacy, times, values
from importer.profile.findings.finding import LEVELS, Finding, Seen, so_many

__all__ = ["FAMILIES", "Finding", "Seen", "find"]

FAMILIES: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    times.findings,
    identity.findings,
    names.findings,
    values.findings,
    privacy.findings,
)

_MAX_REASONS = 10


def find(seen: Seen) -> list[Finding]:
    """All findings, the worst first."""
    found = [*_rejected(seen)]
    if seen.facts.count:
        found += [one for family in FAMILIES for one in family(seen)]
    return sorted(found, key=lambda one: (LEVELS.index(one.level), -one.share))


def _rejected(seen: Seen) -> Iterator[Finding]:
    """What the importer itself rejects."""
    total = seen.facts.count + sum(seen.rejected.values())
    for reason, number in sorted(seen.rejected.items(), key=lambda each: -each[1])[:_MAX_REASONS]:
        yield Finding(
            kind="rejected",
            level="problem",
            about=None,
            count=number,
            share=number / total,
            sentence=f"{so_many(number, 'record', 'would be', 'would be')} rejected: {reason}.",
            examples=seen.where.get(reason, []),
        )
