"""When events were: what their times are written as, and whether they can be true."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy

from importer.profile.sketches import Sample, floats
from importer.times import MIN_TIME, from_iso

Array = numpy.ndarray[Any, numpy.dtype[numpy.float64]]

HOUR = 3_600.0
DAY = 86_400.0
MAX_DAYS = 20_000
AHEAD = HOUR
"""Seconds that a time may be ahead of Mixpanel's clock: https://developer.mixpanel.com/reference/import-events"""
MAX_ZONE = 14 * HOUR
"""How far a clock may be ahead of UTC."""
YEARS_BACK = 5 * 365.25 * DAY

UNITS = (("s", 1e11, 1.0), ("ms", 1e14, 1e3), ("us", 1e17, 1e6), ("ns", float("inf"), 1e9))
"""Units of numbers, what they are less than from the year 1973 to 5138, and how many are a second."""
_has_zone = re.compile(r"(?:[zZ]|[+-]\d\d:?\d\d|UTC|GMT)\s*$").search
_SAMPLED = 10
"""Events of some thousands whose other times are compared with `time`."""
_MIN_ZONE = 15 * 60.0
_MAX_CLOCKS = 50
_OLDEST, _LATEST = 1.2e9, 4e9
"""Seconds since the epoch (2008 to 2096) that are hardly anything else."""


class Read:
    """Times as they are written, read.

    Attributes:
        seconds: since the epoch; NaN where there is none.
        written: how many there are in each unit, as a `text`, as one of no zone (`text without a zone`), as none
            (`missing`), or as what cannot be read (`unreadable`).
        odd: some that cannot be read.
    """

    def __init__(self, times: Sequence[Any]) -> None:
        self.written: Counter[str] = Counter()
        self.odd: list[str] = []
        if set(map(type, times)) <= {int, float}:
            self.seconds = self._of_numbers(floats(times))
        else:
            self.seconds = numpy.array([self._one(time) for time in times], numpy.float64)

    def _of_numbers(self, numbers: Array) -> Array:
        least = 0.0
        seconds = numbers
        for name, most, divisor in UNITS:
            if len(chosen := numpy.flatnonzero((numbers >= least) & (numbers < most))):
                self.written[name] += len(chosen)
                if divisor != 1:
                    seconds = numpy.where((numbers >= least) & (numbers < most), numbers / divisor, seconds)
            least = most
        return seconds

    def _one(self, time: Any) -> float:
        if type(time) is int or type(time) is float:
            return float(self._of_numbers(floats([time]))[0])
        if time is None or time == "":
            self.written["missing"] += 1
        elif isinstance(time, str) and (found := from_iso(time)) is not None:
            self.written["text" if _has_zone(time) else "text without a zone"] += 1
            return found / 1_000
        else:
            self.written["unreadable"] += 1
            if len(self.odd) < 3 and str(time)[:60] not in self.odd:
                self.odd.append(str(time)[:60])
        return float("nan")


class TimeFacts:
    """What is known of some events' times.

    Attributes:
        written: see `Read`.
        first, last: seconds since the epoch of the earliest and latest that can be true; infinite where there are none.
        days: events on each day since the epoch, in UTC.
        hours: events in each hour of the day, in UTC.
        ahead: events in the future, by more than Mixpanel allows.
        ahead_in_zone: of these, those that a clock of some zone on Earth would show now.
        most_ahead: seconds of the one that is furthest ahead.
        before_1971: events of a time that Mixpanel does not take.
        years_back: events older than `YEARS_BACK`, and later than 1971.
        odd: some times that cannot be read.
        offsets: seconds by which other times in some of the events are behind `time`, by the property's name.
    """

    def __init__(self) -> None:
        self.written: Counter[str] = Counter()
        self.first, self.last = float("inf"), float("-inf")
        self.days: Counter[int] = Counter()
        self.hours = [0] * 24
        self.ahead = self.ahead_in_zone = self.before_1971 = self.years_back = 0
        self.most_ahead = 0.0
        self.odd: list[str] = []
        self.offsets: dict[str, Sample[float]] = {}

    @property
    def count(self) -> int:
        """Events that have a time."""
        return sum(self.days.values())

    def add(self, read: Read, now: float) -> None:
        """Adds times."""
        self.written += read.written
        self.odd = [*self.odd, *read.odd][:3]
        seconds = read.seconds
        self.before_1971 += int(numpy.count_nonzero(seconds < MIN_TIME / 1_000))
        known = seconds[seconds >= MIN_TIME / 1_000]
        if not len(known):
            return
        least, most = float(known.min()), float(known.max())
        if most > now + AHEAD:
            self.ahead += int(numpy.count_nonzero(known > now + AHEAD))
            self.ahead_in_zone += int(numpy.count_nonzero((known > now + AHEAD) & (known <= now + MAX_ZONE)))
            self.most_ahead = max(self.most_ahead, most - now)
        if least < now - YEARS_BACK:
            self.years_back += int(numpy.count_nonzero(known < now - YEARS_BACK))
        self.first, self.last = min(self.first, least), max(self.last, most)
        days = numpy.clip(known // DAY, 0, 3_000_000).astype(numpy.int64)
        for day, number in zip(*map(numpy.ndarray.tolist, numpy.unique(days, return_counts=True)), strict=True):
            if day in self.days or len(self.days) < MAX_DAYS:
                self.days[day] += number
        hours = numpy.bincount((known % DAY // HOUR).astype(numpy.int64), minlength=24)
        self.hours = [one + int(other) for one, other in zip(self.hours, hours, strict=True)]

    def compare(self, read: Read, rows: Sequence[dict[str, Any]]) -> None:
        """Looks at the other times in some of the events."""
        step = max(len(rows) // _SAMPLED, 1)
        for at in range(0, len(rows), step):
            time = float(read.seconds[at])
            if time != time:  # noqa: PLR0124 (a NaN is not)
                continue
            for name, value in rows[at].items():
                if name == "time" or (other := _moment(value)) is None or abs(time - other) > MAX_ZONE + HOUR:
                    continue
                if name in self.offsets or len(self.offsets) < _MAX_CLOCKS:
                    self.offsets.setdefault(name, Sample(500)).add([time - other])

    def zone(self) -> tuple[str, float, float] | None:
        """The property by which `time` is in a zone of its own: its name, the seconds that `time` is ahead of it, and
        the share of the events of which that is true; None where there is no such."""
        found = None
        for name, offsets in self.offsets.items():
            if len(offsets) < 20:
                continue
            (steps, number) = Counter(round(one / _MIN_ZONE) for one in offsets).most_common(1)[0]
            near = sum(1 for one in offsets if abs(one - steps * _MIN_ZONE) < 120)
            share = min(near, number) / len(offsets)
            if share < 0.8:
                continue
            if steps == 0:
                return None  # there is a clock that agrees
            found = found or (name, steps * _MIN_ZONE, share)
        return found


def _moment(value: Any) -> float | None:
    """A value as seconds since the epoch, where it can hardly be anything else."""
    if type(value) is int or type(value) is float:
        if not _OLDEST < value < _LATEST * 1e9:
            return None
        seconds = next(value / divisor for _, most, divisor in UNITS if value < most)
        return seconds if _OLDEST < seconds < _LATEST else None
    if isinstance(value, str) and 19 <= len(value) <= 40 and value[4] == "-":
        found = from_iso(value)
        return None if found is None or not _has_zone(value) else found / 1_000
    return None
