"""Times to milliseconds: bounds, units, fractions to the digit, zones, and what others write."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from importer.times import MAX_TIME, MIN_TIME, from_epoch, from_format, from_iso

BERLIN = ZoneInfo("Europe/Berlin")
NOW = 1_748_736_000_123

EPOCH: list[tuple[Any, str, int | None]] = [
    (1_748_736_000, "s", 1_748_736_000_000),
    ("1748736000", "s", 1_748_736_000_000),
    (NOW, "ms", NOW),
    (NOW * 1_000 + 999, "us", NOW),
    (NOW * 1_000_000 + 999_999, "ns", NOW),
    (1_748_736_000.123, "s", NOW),
    ("1748736000.1239", "s", NOW),
    (" 1748736000.5 ", "s", NOW + 377),
    (float(NOW), "ms", NOW),
    (NOW + 0.9, "ms", NOW),
    (1.748736000123e15, "us", NOW),
    (1.748736e18, "ns", 1_748_736_000_000),
    (MIN_TIME, "ms", MIN_TIME),
    (MIN_TIME - 1, "ms", None),
    (MAX_TIME, "ms", MAX_TIME),
    (MAX_TIME + 1, "ms", None),
    (float(MIN_TIME) / 1_000 - 0.001, "s", None),
    (str(MAX_TIME + 1), "ms", None),
    (float(MAX_TIME) + 1, "ms", None),
    ("0" * 9 + "1748736000", "s", 1_748_736_000_000),
    ("0" * 10 + "1748736000", "s", 1_748_736_000_000),
    ("1" * 40, "s", None),
    ("soon", "s", None),
    (True, "s", None),
    (None, "s", None),
    (float("nan"), "s", None),
    (float("inf"), "s", None),
]


@pytest.mark.parametrize(("value", "unit", "milliseconds"), EPOCH, ids=str)
def test_a_number_is_a_time_in_its_unit(value: Any, unit: str, milliseconds: int | None) -> None:
    assert from_epoch(value, unit) == milliseconds


ISO: list[tuple[Any, int | None]] = [
    ("2025-06-01T00:00:00.123Z", NOW),
    ("2025-06-01T00:00:00.123999Z", NOW),
    ("2025-06-01T02:00:00.123+02:00", NOW),
    ("2025-05-31T18:30:00.123-0530", NOW),
    ("2025-06-01 00:00:00.123", NOW),
    ("2025-06-01 00:00:00.123 UTC", NOW),
    (" 2025-06-01t00:00:00.123z ", NOW),
    ("2025-05-31 16:00:00.123 -0800", NOW),
    ("2025-06-01", 1_748_736_000_000),
    ("2025-05-31T23:59:60Z", 1_748_735_999_000),
    ("1971-01-01T00:00:00Z", MIN_TIME),
    ("1970-12-31T23:59:59.999Z", None),
    ("20250601", None),
    ("2025-W22", None),
    ("2025", None),
    ("2025-06-01T00:00:00" + " " * 30, 1_748_736_000_000),
    ("x" * 41, None),
    ("", None),
    (5, None),
    (None, None),
]


@pytest.mark.parametrize(("value", "milliseconds"), ISO, ids=str)
def test_a_text_is_a_time_as_iso_8601_says(value: Any, milliseconds: int | None) -> None:
    assert from_iso(value) == milliseconds


def test_a_zone_holds_where_a_text_names_none() -> None:
    assert from_iso("2025-06-01T02:00:00.123", BERLIN) == NOW
    assert from_iso("2025-06-01T00:00:00.123Z", BERLIN) == NOW
    assert from_iso(" 2025-06-01t02:00:00.123", BERLIN) == NOW
    assert from_iso("2025-12-01T01:00:00", BERLIN) == 1_764_547_200_000


@pytest.mark.parametrize(
    ("value", "pattern", "milliseconds"),
    [
        ("01.06.2025 02:00:00.123", "%d.%m.%Y %H:%M:%S.%f", NOW),
        ("01.06.2025 00:00:00.123999 +0000", "%d.%m.%Y %H:%M:%S.%f %z", NOW),
        ("01.01.1971 01:00:00.0", "%d.%m.%Y %H:%M:%S.%f", MIN_TIME),
        ("01.01.1971 00:59:59.999", "%d.%m.%Y %H:%M:%S.%f", None),
        ("1.6.2025", "%Y", None),
        (5, "%Y", None),
    ],
)
def test_a_text_is_a_time_in_a_format(value: Any, pattern: str, milliseconds: int | None) -> None:
    assert from_format(value, pattern, BERLIN) == milliseconds


def test_the_zone_of_a_format_may_be_any() -> None:
    assert from_format("2025", "%Y", timezone(timedelta(hours=-1))) == 1_735_693_200_000
