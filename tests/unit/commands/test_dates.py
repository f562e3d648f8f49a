"""The day that an object's name speaks of, and what a backfill makes of it."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from importer.commands.dates import by_day, layout, layout_of
from importer.commands.days import Bounds
from importer.commands.estimate import estimate
from importer.errors import SettingsError
from importer.storage.store import Entry

DAY = date(2025, 6, 1)


def entry(name: str, size: int = 100, written: float = 0.0) -> Entry:
    return Entry(f"gs://b/{name}", f"gs://b/{name}#1", size, written)


@pytest.mark.parametrize(
    ("name", "told_by"),
    [
        ("events/2025/06/01/part-0001.jsonl.gz", "YYYY/MM/DD"),
        ("events/2025/6/1/07/part.jsonl", "YYYY/MM/DD"),
        ("events/2025-06-01.csv", "YYYY-MM-DD"),
        ("123456/123456_2025-06-01_12#345.json.gz", "YYYY-MM-DD"),
        ("events_2025_06_01.json", "YYYY-MM-DD"),
        ("events_20250601", "YYYYMMDD"),
        ("events-20250601123000-7.json", "YYYYMMDD"),
        ("events/2025060112.gz", "YYYYMMDD"),
        ("t/dt=2025-06-01/x.parquet", "dt=YYYY-MM-DD"),
        ("t/event_date=20250601/x.parquet", "dt=YYYY-MM-DD"),
        ("t/year=2025/month=06/day=01/x.parquet", "year=YYYY/month=MM/day=DD"),
        ("t/year=2025/month=6/day=1/hour=3/x.parquet", "year=YYYY/month=MM/day=DD"),
    ],
)
def test_a_usual_layout_is_found_by_itself(name: str, told_by: str) -> None:
    found = layout_of([f"gs://b/{name}", "gs://b/_SUCCESS"])
    assert found
    assert (found.name, found.day(f"gs://b/{name}"), found.day("gs://b/_SUCCESS")) == (told_by, DAY, None)


@pytest.mark.parametrize(
    "name", ["a.jsonl", "2025/13/01/x", "2025/02/30/x", "123456789", "part-00020250601999", "v1.2.3"]
)
def test_what_is_no_day_tells_none(name: str) -> None:
    found = layout_of([name])
    assert found is None or found.day(name) is None


def test_a_day_is_told_where_something_before_it_looks_like_one() -> None:
    found = layout_of(["2025-99-99/2025-06-01.csv"])
    assert found
    assert found.day("2025-99-99/2025-06-01.csv") == DAY


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("export-DD.MM.YYYY", "export-01.06.2025.csv"), ("DDMMYYYY", "x_01062025"), ("MM/DD/YYYY", "6/1/2025/x")],
)
def test_a_layout_can_be_described(pattern: str, name: str) -> None:
    assert layout(pattern).day(name) == DAY


@pytest.mark.parametrize("pattern", ["YYYY/MM", "YYYY-MM-DD/YYYY-MM-DD", "%Y%m%d", ""])
def test_a_description_that_lacks_something_is_wrong(pattern: str) -> None:
    with pytest.raises(SettingsError, match="must have YYYY, MM and DD"):
        layout(pattern)


def test_days_come_newest_first_and_what_has_none_last() -> None:
    names = ["2025/06/01/a", "x", "2025/06/03/a", "2025/06/01/b", "2024/12/31/a"]
    days = by_day(map(entry, names), layout_of(names))
    assert [str(day) for day in days] == ["2025-06-03", "2025-06-01", "2024-12-31", "None"]
    assert [one.address for one in days[DAY]] == ["gs://b/2025/06/01/a", "gs://b/2025/06/01/b"]
    written = by_day([entry("x", written=1_748_736_000.0), entry("y", written=1_748_649_600.0)], None)
    assert [*written] == [DAY, date(2025, 5, 31)]


def test_bounds_choose_days() -> None:
    days = [date(2025, 6, number) for number in (1, 2, 10, 11)]

    def chosen(since: int | None = None, until: int | None = None, count: int | None = None) -> list[int]:
        bounds = Bounds.of(
            datetime(2025, 6, since) if since else None,  # noqa: DTZ001
            datetime(2025, 6, until) if until else None,  # noqa: DTZ001
            count,
        )
        return sorted(day.day for day in bounds.choose(days))

    assert chosen() == [1, 2, 10, 11]
    assert chosen(since=2, until=10) == [2, 10]
    assert chosen(count=2) == [10, 11]
    assert chosen(count=9, until=10) == [2, 10]
    assert chosen(since=12) == []


def test_an_estimate_goes_by_what_mixpanel_takes_and_google_asks() -> None:
    """2 GB a minute; the bytes of packed files count four times. The dollars are those of docs/operations.md."""
    plan = estimate([entry("a.jsonl", 2_000_000_000), entry("b.jsonl.gz", 500_000_000)], None)
    assert (plan.objects, plan.bytes) == (2, 2_500_000_000)
    assert plan.seconds == pytest.approx(156.9, abs=0.1)  # 4.7 million events at 30,000 a second
    assert estimate([entry("a", 85_000_000)], 1_000).seconds == pytest.approx(100)
    billion = estimate([entry("a", 850_000_000_000)], None)
    assert billion.events == pytest.approx(1e9)
    assert billion.dollars == pytest.approx(26, abs=1)
