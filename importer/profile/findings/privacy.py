"""Personal data, told by how values look. Examples are covered: a profile is passed around."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from importer.mappings.filters.by_name import IDENTITY
from importer.mappings.filters.texts import LEFT
from importer.profile import report
from importer.profile.advice import Advice, glob
from importer.profile.findings.finding import Finding, Seen, percent
from importer.profile.looks import PERSONAL, personal
from importer.profile.property_facts import PropertyFacts

_MIN_SHARE = 0.02
"""Of the values at hand: a few digits may look like anything. E-mail addresses are counted one by one."""
_WHOLE = 0.5
_is_mostly = re.compile(r"[^\s@]+@[^\s@]+|[+()\d\s./:-]+|[0-9a-fA-F:.]+").fullmatch


def findings(seen: Seen) -> Iterator[Finding]:
    """Each kind of personal data in each property; in the users' ids, too."""
    for name, several in seen.properties.items():
        if name in LEFT - IDENTITY:
            continue
        at_hand = _looks(several)
        values = sum(one.kinds["text"] + one.kinds["list"] + one.kinds["object"] for one in several)
        for look in PERSONAL:
            share = at_hand[look] / max(at_hand.total(), 1)
            count = sum(one.emails for one in several) if look == "email" else round(share * values)
            if not count or (look != "email" and (share < _MIN_SHARE or name.startswith("$"))):
                continue
            yield _finding(name, several, look, count, min(count / max(values, 1), 1.0))


def _finding(name: str, several: Sequence[PropertyFacts], look: str, count: int, share: float) -> Finding:
    found = [str(value) for one in several for value, _ in one.values() if _has(value, look)]
    whole = sum(1 for value in found if _is_mostly(value)) > _WHOLE * len(found) and share > _WHOLE
    if name in IDENTITY:
        advice = Advice(remark=f'[filters.hash] with properties = ["{name}"] and salt_from = "<a variable>" hides them')
    elif whole:
        advice = Advice(mask_properties=(glob(name),))
    else:
        advice = Advice(mask_patterns=(look,))
    return Finding(
        kind="personal data",
        level="note" if name in IDENTITY else "warning",
        about=name,
        count=count,
        share=share,
        sentence=f"{name} has {PERSONAL[look]}: about {count:,} values ({percent(share)}).",
        examples=[report.shown(value) for value in [*dict.fromkeys(found)][:2]],
        advice=advice,
    )


def _has(value: object, look: str) -> bool:
    return isinstance(value, str) and personal(value) == look


def _looks(several: Sequence[PropertyFacts]) -> Counter[str]:
    return sum((one.looks() for one in several), Counter[str]())
