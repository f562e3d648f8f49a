"""Times that are in another unit or zone than they seem to be, ahead of the clock, or years back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from importer.profile.advice import Advice
from importer.profile.findings.finding import Finding, Seen, percent, so_many
from importer.profile.times import AHEAD, DAY, HOUR, YEARS_BACK

_UNITS = {"us": "microseconds", "ns": "nanoseconds"}


def findings(seen: Seen) -> Iterator[Finding]:
    """What is odd about the events' times."""
    yield from _units(seen)
    yield from _zones(seen)
    yield from _bounds(seen)
    times = seen.facts.times
    none = times.written["missing"] + times.written["unreadable"]
    if none:
        yield Finding(
            kind="no time",
            level="problem",
            about="time",
            count=none,
            share=none / seen.facts.count,
            sentence=f"{so_many(none, 'event', 'has', 'have')} no time that can be read: Mixpanel takes none without.",
            examples=times.odd,
        )


def _units(seen: Seen) -> Iterator[Finding]:
    written = seen.facts.times.written
    for unit, title in _UNITS.items():
        if not written[unit]:
            continue
        path = seen.path("time") if len(written) == 1 else None
        yield Finding(
            kind="time in the wrong unit",
            level="problem",
            about="time",
            count=written[unit],
            share=written[unit] / seen.facts.count,
            sentence=f"{so_many(written[unit], 'time')} in {title}: Mixpanel takes seconds and milliseconds.",
            examples=_samples(seen),
            advice=Advice(time=f'{{ path = {path}, unit = "{unit}" }}') if path else Advice(remark=_BY_TRANSFORM),
        )


_BY_TRANSFORM = "no line mends this for some of the events alone: a transform can (IMPORT_TRANSFORM)"


def _zones(seen: Seen) -> Iterator[Finding]:
    times, path = seen.facts.times, seen.path("time")
    found = times.zone()
    if found:
        name, ahead, share = found
        hours = f"{abs(ahead) / HOUR:g} h {'ahead of' if ahead > 0 else 'behind'}"
        other = seen.path(name)
        advice = Advice(time=f"[{other}]") if other and _is_text(seen, name) else None
        if other and advice is None:
            advice = Advice(time=f'{{ path = {other}, unit = "{_unit(seen, name)}" }}')
        yield Finding(
            kind="time in the wrong zone",
            level="warning",
            about="time",
            count=round(share * times.count),
            share=share,
            sentence=f"time is {hours} {name} in {percent(share)} of the events: it seems to be a local time that was "
            "taken for UTC.",
            examples=_samples(seen),
            advice=advice,
        )
    naive = times.written["text without a zone"]
    if naive:
        zone = f"Etc/GMT{-found[1] / HOUR:+.0f}" if found and found[1] % HOUR == 0 else "UTC"
        yield Finding(
            kind="time without a zone",
            level="warning",
            about="time",
            count=naive,
            share=naive / seen.facts.count,
            sentence=f"{so_many(naive, 'time')} text that names no zone: taken for UTC.",
            examples=_samples(seen),
            advice=Advice(
                time=f'{{ path = {path}, zone = "{zone}" }}', remark="write the zone in which the times were written"
            )
            if path
            else None,
        )


def _bounds(seen: Seen) -> Iterator[Finding]:
    times, now, total = seen.facts.times, seen.facts.now, seen.facts.count
    in_unit = sum(times.written[unit] for unit in _UNITS)
    if times.ahead and not in_unit:
        zone = " All of them could be local times of a zone east of here." if times.ahead == times.ahead_in_zone else ""
        yield Finding(
            kind="time in the future",
            level="problem",
            about="time",
            count=times.ahead,
            share=times.ahead / total,
            sentence=f"{so_many(times.ahead, 'event')} in the future, by up to {_long(times.most_ahead)}: Mixpanel "
            f"takes an hour at most.{zone}",
            examples=[f"{_moment(times.last)}"],
            advice=Advice(until=_moment(now + AHEAD)),
        )
    if times.before_1971:
        yield Finding(
            kind="time before 1971",
            level="problem",
            about="time",
            count=times.before_1971,
            share=times.before_1971 / total,
            sentence=f"{so_many(times.before_1971, 'event')} from before 1971, which Mixpanel does not take: such a "
            "time is mostly none at all.",
            advice=Advice(since="1971-01-01"),
        )
    if times.years_back:
        yield Finding(
            kind="time years back",
            level="warning",
            about="time",
            count=times.years_back,
            share=times.years_back / total,
            sentence=f"{so_many(times.years_back, 'event')} more than five years old, the first of "
            f"{_moment(times.first)}.",
            examples=[_moment(times.first)],
            advice=Advice(since=_moment(now - YEARS_BACK + DAY)[:10]),
        )


def _samples(seen: Seen) -> list[str]:
    times = seen.facts.times
    return [f"{_moment(times.first)} to {_moment(times.last)}"] if times.count else []


def _is_text(seen: Seen, name: str) -> bool:
    return any(one.kinds["text"] for one in seen.properties.get(name, ()))


def _unit(seen: Seen, name: str) -> str:
    largest = max((one.numbers.largest for one in seen.properties[name] if one.numbers), default=0.0)
    return next(
        unit for unit, most in (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", float("inf"))) if largest < most
    )


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s"


def _long(seconds: float) -> str:
    for unit, size in (("years", 365.25 * DAY), ("days", DAY), ("hours", HOUR)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"
