"""Users that are none, and ids that do not tell events apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from datasketches import frequent_items_error_type

from importer.profile import report
from importer.profile.advice import Advice
from importer.profile.findings.finding import MIN_VALUES, Finding, Seen, percent
from importer.profile.looks import RANDOM, look_of

_MAX_SHARE = 0.05
_MIN_USERS = 20
_MIN_KIND = 0.01
_KNOWN = 0.9
_MIN_OTHERS = 5
"""Different ids that do not look random: fewer may be a test's or a robot's."""
_MIN_REPEATED = 1e-4
_is_anonymous = re.compile(
    r"(?:anon(?:ymous)?|guest|visitor|device|cookie|client|browser)[-_:.|].+|amp-.+", re.IGNORECASE
).fullmatch


def findings(seen: Seen) -> Iterator[Finding]:
    """Of users, and of `$insert_id`s."""
    yield from _large_users(seen)
    yield from _anonymous(seen)
    yield from _repeated_ids(seen)
    yield from _duplicates(seen)


def _large_users(seen: Seen) -> Iterator[Finding]:
    facts = seen.facts
    if facts.with_user < MIN_VALUES or len(facts.users) < _MIN_USERS:
        return
    frequent = facts.frequent_users.get_frequent_items(frequent_items_error_type.NO_FALSE_POSITIVES)
    large = [(user, least) for user, _, least, _ in frequent if least / facts.with_user > _MAX_SHARE]
    if not large:
        return
    count = sum(number for _, number in large)
    user, most = large[0]
    yield Finding(
        kind="one user with a large share",
        level="warning",
        about="distinct_id",
        count=count,
        share=count / facts.with_user,
        sentence=f"{percent(most / facts.with_user)} of the events are of one user, {report.shown(user)!r}, of "
        f"{len(facts.users):,}"
        + (f"; {len(large) - 1} more have over {percent(_MAX_SHARE)} each" if len(large) > 1 else "")
        + ": a test, a robot, or the name of none.",
        examples=[f"{report.shown(user)}: {number:,}" for user, number in large[:3]],
        advice=Advice(users=tuple(user for user, _ in large)) if seen.are_own else None,
    )


def _anonymous(seen: Seen) -> Iterator[Finding]:
    several = seen.properties.get("distinct_id", [])
    kinds: Counter[bool] = Counter()
    anonymous: dict[str, None] = {}
    others: set[str] = set()
    named = False
    for one in several:
        at_hand = [(str(value), number) for value, number in one.values()]
        weight = one.filled / max(sum(number for _, number in at_hand), 1)
        for value, number in at_hand:
            if value.startswith("$device:"):
                continue
            is_named = _is_anonymous(value) is not None
            named = named or is_named
            looks_so = is_named or look_of(value) in RANDOM
            kinds[looks_so] += round(number * weight)
            if looks_so:
                anonymous[value] = None
            else:
                others.add(value)
    share = kinds[True] / max(kinds.total(), 1)
    known = sum(one.filled for one in seen.properties.get("$user_id", []))
    if known > _KNOWN * kinds.total() and not named:
        return  # whoever sent them says that they are known users
    are_alike = share > 1 - _MIN_KIND or len(others) < _MIN_OTHERS
    if kinds.total() < MIN_VALUES or share < _MIN_KIND or (are_alike and not named):
        return
    path = seen.path("distinct_id") if share > 1 - _MIN_KIND else None
    yield Finding(
        kind="anonymous ids that look like users",
        level="warning",
        about="distinct_id",
        count=kinds[True],
        share=share,
        sentence=f"About {kinds[True]:,} events ({percent(share)}) have a distinct_id that looks anonymous: Mixpanel "
        "takes each for a known user, and never links it to one. Such an id belongs in $device_id.",
        examples=[*map(report.shown, anonymous)][:3],
        advice=Advice(device_id=path)
        if path
        else Advice(remark="a transform can move those that are anonymous to $device_id (IMPORT_TRANSFORM)"),
    )


def _repeated_ids(seen: Seen) -> Iterator[Finding]:
    facts = seen.facts
    again = [kept for kept in facts.ids.found.values() if kept[2]]
    count = round(sum(kept[2] for kept in again) / facts.ids.share)
    if not count or count / facts.with_id < _MIN_REPEATED:
        return
    yield Finding(
        kind="ids that repeat",
        level="warning",
        about="$insert_id",
        count=count,
        share=count / facts.with_id,
        sentence=f"About {count:,} events have the $insert_id of another event, with another name, time or user: it "
        "does not tell events apart.",
        examples=[f"{kept[3]}: {kept[1] + kept[2] + 1:,} events" for kept in again[:3]],
        advice=Advice(leave_out=("$insert_id",), remark="an id is made of each event's content then")
        if seen.are_own
        else None,
    )


def _duplicates(seen: Seen) -> Iterator[Finding]:
    facts = seen.facts
    same_id = round(sum(kept[1] for kept in facts.ids.found.values()) / facts.ids.share)
    other_id = round(sum(kept[1] for kept in facts.doubles.found.values()) / facts.doubles.share)
    no_id = round(sum(kept[2] for kept in facts.doubles.found.values()) / facts.doubles.share)
    if other_id:
        yield Finding(
            kind="duplicates under other ids",
            level="warning",
            about="$insert_id",
            count=other_id,
            share=other_id / facts.count,
            sentence=f"About {other_id:,} events are there again, equal in all but their $insert_id: Mixpanel counts "
            "each.",
            examples=[_shown(kept[3]) for kept in facts.doubles.found.values() if kept[1]][:3],
            advice=Advice(
                insert_id='{ hash = ["event", "properties.time", "properties.distinct_id"] }',
                remark="events of one name, user and time count as one then",
            )
            if seen.are_own
            else None,
        )
    if same_id or no_id:
        yield Finding(
            kind="duplicates",
            level="note",
            about=None,
            count=same_id + no_id,
            share=(same_id + no_id) / facts.count,
            sentence=f"About {same_id + no_id:,} events are there more than once, equal in all that tells them apart: "
            "they count as one.",
            examples=[
                *(f"$insert_id {kept[3]}" for kept in facts.ids.found.values() if kept[1]),
                *(_shown(kept[3]) for kept in facts.doubles.found.values() if kept[2]),
            ][:3],
        )


def _shown(apart: tuple[object, ...]) -> str:
    name, time, user = apart
    return f"{name} of {report.shown(user)} at {time}"
