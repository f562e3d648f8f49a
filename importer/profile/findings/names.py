"""Names of events that data is part of: `Viewed product 4711`. Mixpanel shows 5,000 names, and advises few."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from importer.profile.advice import Advice, glob, quoted
from importer.profile.findings.finding import Finding, Seen, percent

_MIN_NAMES = 5
"""Names that differ in their numbers alone."""
_MIN_HEADS = 20
"""Names that begin with the same words."""
_MAX_NAMES = 300
"""More names than people look through."""
_data = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\b(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b|\d+")
_head = re.compile(r"(.*?\w)\s*(?:[:/|#=]| - )").match
_separator = re.compile(r"[^\w*]+$|_+$").search


def findings(seen: Seen) -> Iterator[Finding]:
    """Kinds of names, and whether there are too many altogether."""
    names = seen.facts.names
    groups = _groups(names)
    found: set[str] = set()
    for pattern, some in sorted(groups.items(), key=lambda each: -len(each[1])):
        count = sum(names[name] for name in some)
        found.update(some)
        yield Finding(
            kind="event names made of data",
            level="warning",
            about=pattern,
            count=len(some),
            share=count / seen.facts.count,
            sentence=f"{len(some):,} events' names are {quoted(pattern)}: data is a part of them "
            f"({percent(count / seen.facts.count)} of all events). One name, and the data as a property, can be "
            "counted.",
            examples=some[:3],
            advice=_advice(seen, pattern, some),
        )
    left = len(seen.facts.all_names) - len(found)
    if left > _MAX_NAMES:
        yield Finding(
            kind="many event names",
            level="warning",
            about=None,
            count=left,
            share=left / len(seen.facts.all_names),
            sentence=f"There are {left:,} different names of events; Mixpanel shows 5,000, and people find their way "
            "among a few dozen.",
            examples=[name for name in names if name not in found][-3:],
        )


def _groups(names: Iterable[str]) -> dict[str, list[str]]:
    """Names that are alike but for the data in them, by what they have in common."""
    by_number: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        by_number[_data.sub("*", name)].append(name)
    found = {each: some for each, some in by_number.items() if "*" in each and len(some) >= _MIN_NAMES}
    by_head: defaultdict[str, list[str]] = defaultdict(list)
    for pattern, some in by_number.items():
        if pattern not in found and (head := _head(some[0])):
            by_head[head[0] + "*"] += some
    return found | {each: some for each, some in by_head.items() if len(some) >= _MIN_HEADS}


def _advice(seen: Seen, pattern: str, some: list[str]) -> Advice:
    """Cuts the names at what is before the data, where no other name has that in it; else drops the events."""
    start = pattern.partition("*")[0]
    separator = _separator(start)
    if separator and seen.are_own:
        head, sign = start[: separator.start()], separator[0]
        others = set(seen.facts.names) - set(some)
        if head and sign not in head and not any(sign in name for name in others):
            return Advice(event=f'{{ path = "event", do = [{{ split = {quoted(sign)}, at = 0 }}] }}')
    return Advice(
        deny_events=(_glob(pattern),), remark="this drops them; a transform (IMPORT_TRANSFORM) can rename them instead"
    )


def _glob(pattern: str) -> str:
    return "*".join(map(glob, re.sub(r"\*+", "*", pattern).split("*")))
