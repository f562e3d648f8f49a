"""A profile in the making: blocks of records go in, in one pass, and memory does not grow with them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct

from importer.limits import MAX_PROPERTIES
from importer.profile import advice, report
from importer.profile.events import Events
from importer.profile.facts import Facts
from importer.profile.findings import Finding, Seen, find
from importer.records import Block


class Profile(Struct, frozen=True):
    """What would be tracked, and what is to be said of it.

    Attributes:
        sources: what was read, each with what kept it from being read to its end, if anything.
        sample: the share of the records that was looked at; all counts are of these.
        read: outcomes of records: events, what is dropped, what is rejected.
        count: events.
        names: their different names.
        users: different ones, about.
        userless: events without one.
        first, last: when they were, in seconds since the epoch; None where no time is known.
        days: events on each day since the epoch.
        hours: events in each hour of the day, in UTC.
        dropped: by kind.
        rejected: by reason.
        findings: the worst first.
        events: by name, the most frequent first.
        properties: of all events together, the most filled first.
    """

    sources: dict[str, str | None]
    sample: float
    read: int
    count: int
    names: int
    users: int
    userless: int
    first: float | None
    last: float | None
    days: dict[int, int]
    hours: list[int]
    dropped: dict[str, int]
    rejected: dict[str, int]
    findings: list[Finding]
    events: list[report.Event]
    properties: list[report.Property]


@dataclass(frozen=True, slots=True)
class How:
    """How records become events.

    Attributes:
        mapping: as IMPORT_MAPPING has it, or None.
        transform: as IMPORT_TRANSFORM has it, or None.
        environment: where a mapping file's secrets are.
        sample: the share of the records that is looked at.
    """

    mapping: str | None
    transform: str | None
    environment: Mapping[str, str]
    sample: float = 1.0


class Profiler:
    """Looks at records.

    Args:
        how: see `How`.
        now: seconds since the epoch, by which times are judged; by default the clock's.

    Raises:
        SettingsError: a mapping or transform cannot be loaded.
    """

    def __init__(self, how: How, now: float | None = None) -> None:
        self._how = how
        self._events = Events(how.mapping, how.transform, how.environment)
        self._facts = Facts(time.time() if now is None else now, MAX_PROPERTIES)
        self._sources: dict[str, str | None] = {}
        self._due = 0.0

    @property
    def read(self) -> int:
        """Outcomes of records so far."""
        return self._events.read

    def begin(self, source: str) -> None:
        """Notes that a source is read."""
        self._sources[source] = None

    def end(self, source: str, reason: str) -> None:
        """Notes what kept a source from being read to its end."""
        self._sources[source] = reason

    def add(self, block: Block, source: str) -> None:
        """Looks at a block's records, or, of a sample, at some of them."""
        if self._how.sample < 1:
            block = self._some_of(block)
        if block.records:
            self._facts.add(self._events.of(block, source), block.size)

    def _some_of(self, block: Block) -> Block:
        records, places = [], []
        for line, offset, record in block:
            self._due += self._how.sample
            if self._due >= 1:
                self._due -= 1
                records.append(record)
                places.append((line, offset))
        size = sum(map(len, records)) + len(records)
        return Block(records, block.line, block.offset, size, block.are_lines, places)

    def profile(self) -> Profile:
        """What is known of all that was read so far."""
        self._facts.settle()
        facts, events = self._facts, self._events
        seen = Seen(facts, events.are_own, dict(events.rejected), events.examples)
        first, last = report.span(facts.times)
        return Profile(
            sources=self._sources,
            sample=self._how.sample,
            read=events.read,
            count=facts.count,
            names=min(len(facts.all_names), facts.count),
            users=min(len(facts.users), facts.count),
            userless=facts.userless,
            first=first,
            last=last,
            days=dict(sorted(facts.times.days.items())),
            hours=facts.times.hours,
            dropped=dict(events.dropped.most_common()),
            rejected=dict(events.rejected.most_common()),
            findings=find(seen),
            events=report.events(facts) if facts.count else [],
            properties=report.properties(facts),
        )

    def filters(self, profile: Profile) -> str:
        """The mapping file that mends what can be mended of the findings."""
        given = [(one.sentence, one.advice) for one in profile.findings if one.advice]
        return advice.file(given, self._how.mapping)
