"""Values that cannot be counted or are not kept: ids, long texts, what people wrote, nested objects, mixed types."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from importer.limits import MAX_DEPTH, MAX_PROPERTIES
from importer.mappings.filters.by_name import OWN
from importer.profile import report
from importer.profile.advice import Advice, glob
from importer.profile.findings.finding import MIN_VALUES, Finding, Seen, percent, so_many
from importer.profile.looks import RANDOM
from importer.profile.property_facts import MAX_TEXT, PropertyFacts

_MIN_DISTINCT = 1_000
_MIN_SHARE_OF_IDS = 0.1
"""Different values for each event: what has fewer, such as a product's number, may well be grouped by."""
_MIN_CONTENT = 50
_MAX_NESTED = 2_000
"""Characters of an object's JSON beyond which it is large."""
_MIN_MIXED = 0.0005
_KEPT = 200
"""Properties that are kept where there are too many."""
_is_id_name = re.compile(r"(?:^|.*[_\W])(?:id|uuid|guid|hash|token|key)s?$|.*[a-z](?:Id|ID|Uuid|UUID)$").match
_is_content_name = re.compile(
    r".*(?:comment|message|body|review|feedback|note|query|search|question|answer)", re.I
).match


def findings(seen: Seen) -> Iterator[Finding]:
    """Each property by itself; then the events that have too many."""
    for name, several in seen.properties.items():
        if name in OWN:
            continue
        yield from _ids(name, several)
        yield from _texts(name, several)
        yield from _nested(name, several)
        yield from _mixed(seen, name, several)
    yield from _too_many(seen)


def _ids(name: str, several: Sequence[PropertyFacts]) -> Iterator[Finding]:
    filled = sum(one.filled for one in several)
    different = report.distinct(list(several))
    if different < max(_MIN_DISTINCT, _MIN_SHARE_OF_IDS * filled) or name.startswith("$"):
        return
    looks = _looks(several)
    numbers = sum(one.kinds["number"] for one in several)
    random = sum(looks[look] for look in RANDOM) / max(looks.total(), 1)
    is_id = random >= 0.8 or (_is_id_name(name) and different / filled > 0.2)
    if (numbers and not _is_id_name(name)) or not is_id:
        return
    yield Finding(
        kind="ids as properties",
        level="warning",
        about=name,
        count=different,
        share=different / filled,
        sentence=f"{name} has {different:,} different values in {filled:,} events: an id, by which nothing can be "
        "grouped or counted.",
        examples=[one.value for one in report.examples(list(several))][:3],
        advice=Advice(deny_properties=(glob(name),)),
    )


def _texts(name: str, several: Sequence[PropertyFacts]) -> Iterator[Finding]:
    texts = sum(one.kinds["text"] for one in several)
    if not texts:
        return
    long, longest = sum(one.long for one in several), max(one.longest for one in several)
    shown = [one.value for one in report.examples(list(several))][:3]
    if _is_content(name, several, texts):
        yield Finding(
            kind="user content",
            level="warning",
            about=name,
            count=texts,
            share=1.0,
            sentence=f"{name} is what people write: {report.distinct(list(several)):,} different texts in {texts:,} "
            "events. It cannot be counted, and may say anything of anybody.",
            examples=shown,
            advice=Advice(deny_properties=(glob(name),)),
        )
    elif long:
        yield Finding(
            kind="long texts",
            level="warning",
            about=name,
            count=long,
            share=long / texts,
            sentence=f"{name} has {long:,} texts ({percent(long / texts)}) longer than the {MAX_TEXT} characters that "
            f"Mixpanel keeps; the longest has {longest:,}.",
            examples=shown,
            advice=Advice(cut=MAX_TEXT),
        )


def _is_content(name: str, several: Sequence[PropertyFacts], texts: int) -> bool:
    looks = _looks(several)
    sentences = looks["sentence"] / max(looks.total(), 1)
    different = report.distinct(list(several))
    if name.startswith("$") or different < _MIN_CONTENT:
        return False
    return different / texts > 0.5 and sentences > (0.1 if _is_content_name(name) else 0.5)


def _nested(name: str, several: Sequence[PropertyFacts]) -> Iterator[Finding]:
    nested = sum(one.kinds["object"] + one.kinds["list"] for one in several)
    if not nested:
        return
    deepest, widest = max(one.deepest for one in several), max(one.widest for one in several)
    longest = max(one.longest for one in several)
    problems = []
    if deepest > MAX_DEPTH:
        problems.append(f"objects {deepest} deep, and Mixpanel takes {MAX_DEPTH}")
    if widest >= MAX_PROPERTIES:
        problems.append(f"{widest:,} keys or elements, and Mixpanel takes fewer than {MAX_PROPERTIES}")
    if not problems and longest <= _MAX_NESTED:
        return
    what = " and ".join(problems) or f"up to {longest:,} characters of JSON, of which little can be counted"
    yield Finding(
        kind="large nested objects",
        level="problem" if problems else "warning",
        about=name,
        count=nested,
        share=nested / max(sum(one.filled for one in several), 1),
        sentence=f"{name} has {what}.",
        examples=[one.value for one in report.examples(list(several))][:2],
        advice=Advice(deny_properties=(glob(name),)),
    )


def _mixed(seen: Seen, name: str, several: Sequence[PropertyFacts]) -> Iterator[Finding]:
    kinds = sum((one.kinds for one in several), Counter[str]())
    total = kinds.total()
    if total < MIN_VALUES or len(kinds) < 2 or name.startswith("$"):
        return
    rest = total - max(kinds.values())
    if rest / total < _MIN_MIXED:
        return
    parts = ", ".join(f"{percent(number / total)} {kind}" for kind, number in kinds.most_common())
    yield Finding(
        kind="mixed types",
        level="warning",
        about=name,
        count=rest,
        share=rest / total,
        sentence=f"{name} is of several types ({parts}): Mixpanel compares only what is of one.",
        examples=_one_of_each(several),
        advice=_of_one_type(seen, name, several, {*kinds}),
    )


def _one_of_each(several: Sequence[PropertyFacts]) -> list[str]:
    found = {type(value): report.shown(value) for one in several for value in one.sample}
    return [*found.values()][:4]


def _of_one_type(seen: Seen, name: str, several: Sequence[PropertyFacts], kinds: set[str]) -> Advice:
    path = seen.path(name)
    if path is None or kinds & {"list", "object", "other"}:
        return Advice(deny_properties=(glob(name),), remark="this leaves it out; a transform can make it of one type")
    looks = _looks(several)
    are_numbers = "boolean" not in kinds and looks.total() > 0 and looks["number"] == looks.total()
    return Advice(properties={name: f'{{ path = {path}, do = "{"number" if are_numbers else "text"}" }}'})


def _too_many(seen: Seen) -> Iterator[Finding]:
    events = {name: one for name, one in seen.facts.events.items() if one.too_many}
    if not events:
        return
    number = sum(one.too_many for one in events.values())
    worst = max(events, key=lambda name: events[name].most_properties)
    names: Counter[str] = Counter()
    for one in events.values():
        names.update({name: facts.filled for name, facts in one.properties.items()})
    yield Finding(
        kind="too many properties",
        level="problem",
        about=worst,
        count=number,
        share=number / seen.facts.count,
        sentence=f"{so_many(number, 'event', 'has', 'have')} {MAX_PROPERTIES} properties or more, which Mixpanel "
        f"rejects; {worst} has up to {events[worst].most_properties:,}.",
        examples=[name for name, _ in names.most_common()[-3:]],
        advice=Advice(leave_out=tuple(_superfluous(names))),
    )


def _superfluous(names: Counter[str]) -> list[str]:
    """What to leave out: names that are numbered, in one glob; else the rarest."""
    numbered: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        numbered[re.sub(r"\d+", "*", glob(name))].append(name)
    left, found = len(names), []
    for pattern, some in sorted(numbered.items(), key=lambda each: -len(each[1])):
        if left <= _KEPT or len(some) < 10:
            break
        found.append(pattern)
        left -= len(some)
    rare = [name for name, _ in names.most_common()[::-1] if name not in OWN and re.sub(r"\d+", "*", name) not in found]
    return found + [glob(name) for name in rare[: max(left - _KEPT, 0)]]


def _looks(several: Sequence[PropertyFacts]) -> Counter[str]:
    return sum((one.looks() for one in several), Counter[str]())
