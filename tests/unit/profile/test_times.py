"""The times of a profile: the unit a number is in, what can be true, and by how much other clocks differ."""

from __future__ import annotations

import math
from typing import Any

import pytest

from importer.profile.times import DAY, HOUR, MAX_ZONE, Read, TimeFacts

NOW = 1_750_000_000.0

WRITTEN: list[tuple[Any, str, float | None]] = [
    (1_750_000_000, "s", NOW),
    (99_999_999_999, "s", 99_999_999_999.0),
    (100_000_000_000, "ms", 100_000_000.0),
    (1_750_000_000_500, "ms", NOW + 0.5),
    (99_999_999_999_999, "ms", 99_999_999_999.999),
    (100_000_000_000_000, "us", 100_000_000.0),
    (1_750_000_000_000_000, "us", NOW),
    (1e17, "ns", 100_000_000.0),
    (1_750_000_000_000_000_000, "ns", NOW),
    (0, "s", 0.0),
    ("2025-06-15T15:06:40Z", "text", NOW),
    ("2025-06-15T15:06:40.250+02:00", "text", NOW - 2 * HOUR + 0.25),
    ("2025-06-15 15:06:40", "text without a zone", NOW),
    (None, "missing", None),
    ("", "missing", None),
    ("soon", "unreadable", None),
    ([1], "unreadable", None),
    (True, "unreadable", None),
]


@pytest.mark.parametrize(("time", "written", "seconds"), WRITTEN, ids=repr)
def test_a_time_is_read_as_it_is_written(time: Any, written: str, seconds: float | None) -> None:
    for read in (Read([time]), Read([time, "x"])):
        assert read.written[written] == 1 + (written == "unreadable" and len(read.seconds) == 2)
        if seconds is None:
            assert math.isnan(read.seconds[0])
        else:
            assert read.seconds[0] == seconds


def test_numbers_of_all_units_are_read_together() -> None:
    read = Read([1_750_000_000, 1_750_000_000_000, 1_750_000_000_000_000, 1_750_000_000_000_000_000, 5])
    assert [*read.seconds] == [NOW, NOW, NOW, NOW, 5.0]
    assert read.written == {"s": 2, "ms": 1, "us": 1, "ns": 1}


def test_the_first_three_that_cannot_be_read_are_kept_short() -> None:
    read = Read(["x" * 99, "b", {"c": 1}, "d"])
    assert read.odd == ["x" * 60, "b", "{'c': 1}"]
    facts = TimeFacts()
    facts.odd = ["one", "two"]
    facts.add(read, NOW)
    assert facts.odd == ["one", "two", "x" * 60]
    assert (facts.written, facts.count) == ({"unreadable": 4}, 0)


def added(*seconds: float) -> TimeFacts:
    facts = TimeFacts()
    facts.add(Read([*seconds]), NOW)
    return facts


def test_events_are_counted_by_day_and_hour() -> None:
    facts = added(DAY * 400 + 3 * HOUR, DAY * 400 + 3 * HOUR + 3_599, DAY * 401 - 1, DAY * 402)
    assert (facts.days, facts.count) == ({400: 3, 402: 1}, 4)
    assert {hour: number for hour, number in enumerate(facts.hours) if number} == {0: 1, 3: 2, 23: 1}
    assert (facts.first, facts.last) == (DAY * 400 + 3 * HOUR, DAY * 402)
    facts.add(Read([DAY * 400 + 3 * HOUR, DAY * 399]), NOW)
    assert (facts.days[400], facts.hours[3], facts.hours[0]) == (4, 3, 2)
    assert (facts.first, facts.last) == (DAY * 399, DAY * 402)


def test_no_more_days_are_held_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.profile.times.MAX_DAYS", 2)
    facts = added(DAY * 400, DAY * 401, DAY * 402, DAY * 401)
    assert facts.days == {400: 1, 401: 2}
    assert added(DAY * 9e6 * 1e9).days == {3_000_000: 1}


FUTURE: list[tuple[float, tuple[int, int, float]]] = [
    (NOW, (0, 0, 0.0)),
    (NOW + HOUR, (0, 0, 0.0)),
    (NOW + HOUR + 1, (1, 1, HOUR + 1)),
    (NOW + MAX_ZONE, (1, 1, MAX_ZONE)),
    (NOW + MAX_ZONE + 1, (1, 0, MAX_ZONE + 1)),
]


@pytest.mark.parametrize(("time", "expected"), FUTURE)
def test_times_ahead_are_counted_and_those_that_a_zone_explains(time: float, expected: tuple[int, int, float]) -> None:
    facts = added(time, NOW - 5)
    assert (facts.ahead, facts.ahead_in_zone, facts.most_ahead) == expected
    facts.add(Read([time]), NOW)
    assert facts.ahead == expected[0] * 2
    assert MAX_ZONE == 14 * 3_600


@pytest.mark.parametrize(
    ("time", "old", "older"),
    [
        (NOW - 5 * 365.25 * DAY, 0, 0),
        (NOW - 5 * 365.25 * DAY - 1, 1, 0),
        (31_536_000.0, 1, 0),
        (31_535_999.0, 0, 1),
    ],
)
def test_times_long_ago_are_counted(time: float, old: int, older: int) -> None:
    facts = added(time, NOW)
    assert (facts.years_back, facts.before_1971, facts.count) == (old, older, 2 - older)


def compared(*rows: dict[str, Any]) -> TimeFacts:
    facts = TimeFacts()
    facts.compare(Read([row["time"] for row in rows]), rows)
    return facts


def test_other_clocks_are_compared_with_time() -> None:
    rows = {
        "time": NOW,
        "s": NOW - 60,
        "ms": (NOW + 30) * 1e3,
        "text": "2025-06-15T15:06:40Z",
        "no zone": "2025-06-15T15:06:40",
    }
    facts = compared({**rows, "name": "x", "far": NOW - 16 * HOUR, "near": NOW - 15 * HOUR, "price": 12, "flag": True})
    assert {name: [*each] for name, each in facts.offsets.items()} == {
        "s": [60.0], "ms": [-30.0], "text": [0.0], "near": [15 * HOUR],
    }  # fmt: skip
    assert not compared({"time": "soon", "s": NOW}).offsets


@pytest.mark.parametrize(("number", "looked_at"), [(5, 5), (19, 19), (20, 10), (100, 10), (109, 11)])
def test_of_many_events_some_are_compared(number: int, looked_at: int) -> None:
    assert len(compared(*[{"time": NOW, "s": NOW}] * number).offsets["s"]) == looked_at


def test_no_more_clocks_are_held_than_there_may_be() -> None:
    facts = compared({"time": NOW, **{f"clock {n}": NOW for n in range(60)}}, {"time": NOW, "clock 0": NOW, "new": NOW})
    assert len(facts.offsets) == 50
    assert len(facts.offsets["clock 0"]) == 2


def zoned(number: int, offset: float, others: int = 0, name: str = "server") -> TimeFacts:
    facts = compared(*[{"time": NOW, name: NOW - offset}] * 9)
    for _ in range(number - 9):
        facts.compare(Read([NOW]), [{"time": NOW, name: NOW - offset}])
    for _ in range(others):
        facts.compare(Read([NOW]), [{"time": NOW, name: NOW - offset - 6 * HOUR}])
    return facts


@pytest.mark.parametrize(
    ("facts", "zone"),
    [
        (zoned(19, 2 * HOUR), None),
        (zoned(20, 2 * HOUR), ("server", 2 * HOUR, 1.0)),
        (zoned(20, 2 * HOUR + 119), ("server", 2 * HOUR, 1.0)),
        (zoned(20, 2 * HOUR + 121), None),
        (zoned(20, -5.75 * HOUR), ("server", -5.75 * HOUR, 1.0)),
        (zoned(20, 10.0), None),
        (zoned(80, HOUR, 20), ("server", HOUR, 0.8)),
        (zoned(79, HOUR, 21), None),
    ],
    ids=["few", "enough", "near", "not near", "behind", "agrees", "most", "not most"],
)
def test_a_zone_is_what_nearly_all_of_a_clock_are_apart(
    facts: TimeFacts, zone: tuple[str, float, float] | None
) -> None:
    assert facts.zone() == zone


def test_where_one_clock_agrees_there_is_no_zone() -> None:
    facts = zoned(20, 2 * HOUR)
    facts.offsets["other"] = zoned(20, 2 * HOUR).offsets["server"]
    assert facts.zone() == ("server", 2 * HOUR, 1.0)
    facts.offsets["mine"] = zoned(20, 0.0).offsets["server"]
    assert facts.zone() is None
