"""The estimate of a backfill: what objects hold, how long that takes at which rate, and what it costs."""

from __future__ import annotations

import pytest

from importer.commands.estimate import estimate
from tests.unit.commands.files import entry


@pytest.mark.parametrize(
    ("name", "size", "events"),
    [("a.jsonl", 850_000, 1_000), ("a.jsonl.GZ", 850_000, 4_000), ("a.parquet", 85, 0.4), ("a", 0, 0)],
)
def test_a_packed_file_holds_four_times_as_much(name: str, size: int, events: float) -> None:
    found = estimate([entry(name, size)], None)
    assert (found.objects, found.bytes, found.events) == (1, size, events)


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [(None, 1_000.0), (30_000.0, 1_000.0), (90_000.0, 1_000.0), (10_000.0, 3_000.0), (0.5, 60_000_000.0)],
)
def test_it_takes_as_long_as_the_limit_on_events_says(limit: float | None, seconds: float) -> None:
    assert estimate([entry("a", 850 * 30_000_000)], limit).seconds == seconds


def test_it_takes_as_long_as_the_limit_on_bytes_says_where_that_is_stricter(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 GB a minute: events of 850 bytes at 30,000 a second are below it, larger ones are not."""
    monkeypatch.setattr("importer.commands.estimate._EVENT_BYTES", 2_000)
    assert estimate([entry("a", 2_000_000_000)], None).seconds == pytest.approx(60.0)


def test_it_costs_what_goes_out_what_runs_and_what_is_asked_of_the_store() -> None:
    found = estimate([entry("a", 4_000_000_000), entry("b.gz", 1_000_000_000)], None)
    out, run, asked = 2e9 * 0.12 / 1e9, found.seconds * 0.000019, 2 * (0.00002 + 0.0000016)
    assert found.dollars == pytest.approx(out + run + asked)
    assert found.seconds == pytest.approx(max(8e9 / 850 / 30_000, 240.0))
