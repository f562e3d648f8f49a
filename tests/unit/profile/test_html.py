"""The page of a profile, piece by piece: its plots to the pixel, its rows and cards to the letter."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from importer.profile import html
from importer.profile.html import page
from importer.profile.profiler import How, Profile, Profiler
from importer.profile.report import Event, Example, Property


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def bar(x: int, y: str, width: int, height: str, title: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}"><title>{title}</title></rect>'


def test_bars_are_as_high_as_their_share_of_the_highest() -> None:
    assert html._bars([3, 1_200, 0], ["a", "b", "c"]) == (
        '<svg viewBox="0 0 220 98" width="100%" style="max-width:220px">'
        + bar(0, "79.8", 35, "0.2", "a: 3")
        + bar(36, "0.0", 35, "80.0", "b: 1,200")
        + bar(72, "80.0", 35, "0.0", "c: 0")
        + '<text x="0" y="94">a</text><text x="220" y="94" text-anchor="end">c</text></svg>'
    )


@pytest.mark.parametrize(("number", "width", "size"), [(7, 36, 252), (30, 30, 900), (150, 6, 900), (300, 6, 1_800)])
def test_many_bars_are_narrower_within_bounds(number: int, width: int, size: int) -> None:
    drawn = html._bars([0] * number, [str(nth) for nth in range(number)])
    assert drawn.startswith(f'<svg viewBox="0 0 {size} 98" width="100%" style="max-width:{size}px">')
    assert bar(width * (number - 1), "80.0", width - 1, "0.0", f"{number - 1}: 0") in drawn


def test_one_bar_has_one_label() -> None:
    assert html._bars([5], ["a"]).endswith('<text x="0" y="94">a</text></svg>')


def test_days_without_events_have_a_bar_of_nothing() -> None:
    drawn = html._days({day("2025-06-01"): 4, day("2025-06-03"): 2})
    assert drawn == html._bars([4, 0, 2], ["2025-06-01", "2025-06-02", "2025-06-03"])
    assert html._days({}) == ""


@pytest.mark.parametrize(("span", "bars"), [(120, 120), (121, 61), (240, 120), (241, 81)])
def test_of_many_days_several_share_a_bar(span: int, bars: int) -> None:
    drawn = html._days({0: 1, span - 1: 1})
    assert drawn.count("<rect") == bars
    assert drawn.count('height="80.0"') == 2


def test_a_spark_is_a_small_histogram() -> None:
    assert html._spark([]) == ""
    assert html._spark([0.5, 0.25]) == (
        '<svg width="8" height="20"><rect x="0" y="0.0" width="3" height="20.0"/>'
        '<rect x="4" y="10.0" width="3" height="10.0"/></svg>'
    )
    assert 'y="20.0"' in html._spark([0.0])


@pytest.mark.parametrize(
    ("share", "filled", "shown"), [(0.0, "0.0", "0.0%"), (0.25, "15.0", "25.0%"), (1.5, "60.0", "150.0%")]
)
def test_a_share_is_a_bar_of_which_so_much_is_filled(share: float, filled: str, shown: str) -> None:
    assert html._share(share) == (
        f'<svg width="60" height="10" role="img" aria-label="{shown}"><rect class="kept" width="60" height="10"/>'
        f'<rect width="{filled}" height="10"/></svg><small>{shown}</small>'
    )


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "none"), (0.0, "1970-01-01"), (1_748_736_000.0, "2025-06-01"), (1e15, "1000000000000000 s")],
)
def test_a_day_is_shown_where_there_is_one(seconds: float | None, shown: str) -> None:
    assert html._day(seconds) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "1970-01-01"), (20_240, "2025-06-01"), (5_000_000, "day 5,000,000")])
def test_a_date_of_no_calendar_is_a_number(number: int, shown: str) -> None:
    assert html._date(number) == shown


def of(**more: Any) -> Property:
    known: dict[str, Any] = {
        "name": "pl<an", "filled": 4, "share": 0.5, "kinds": {"text": 3, "number": 1}, "distinct": 1_200,
        "is_exact": False, "longest": 7, "smallest": 1.0, "largest": 5.0, "median": 1_234.5678, "histogram": [0.5, 0.5],
        "examples": [Example("a&b", 1_000), Example("c")],
    }  # fmt: skip
    return Property(**(known | more))


def test_a_row_says_what_is_known_of_a_property() -> None:
    assert html._property(of()) == (
        f"<tr><td>pl&lt;an<td>{html._share(0.5)}<td>text <small>75.0%</small><br>number <small>25.0%</small>"
        f"<td class=n>~1,200<td class=n>7<td class=n>1,234.57<td>{html._spark([0.5, 0.5])}"
        "<td><code>a&amp;b</code> <small>1,000</small>, <code>c</code></tr>"
    )
    plain = html._property(of(kinds={"text": 4}, is_exact=True, longest=0, median=None, histogram=[], examples=[]))
    assert plain.endswith("<td>text<td class=n>1,200<td class=n><td class=n><td><td></tr>")
    assert "<td><td class=n>" in html._property(of(kinds={}))


def event(name: str, properties: int = 0) -> Event:
    return Event(name, 1_500, 0.25, 1_100, 0.0, None, {}, 1_024, [of(name=f"p{nth}") for nth in range(properties)])


def test_an_event_opens_to_its_properties() -> None:
    shown = html._events([event("Sign<up", 101)])
    assert shown.startswith(
        "<details><summary><b>Sign&lt;up</b> 1,500 <small>(25.0%), 1,100 users, 1970-01-01 to none, up to 1,024 "
        "properties</small></summary>"
    )
    assert shown.count("<tr><td>") == 100


@pytest.mark.parametrize(("number", "more"), [(200, None), (1_201, "<p>and 1,001 more</p>")])
def test_of_very_many_events_the_first_are_shown(number: int, more: str | None) -> None:
    shown = html._events([event(str(nth)) for nth in range(number)])
    assert shown.count("<details>") == 200
    assert (more in shown) if more else ("more" not in shown)


@pytest.fixture(scope="module")
def profile() -> Profile:
    profiler = Profiler(How(None, None, {}))
    return profiler.profile()


def shown(profile: Profile, **changes: Any) -> str:
    return page(msgspec.structs.replace(profile, **changes))


def test_a_page_has_cards_and_names_five_sources(profile: Profile) -> None:
    whole = shown(profile, count=1_234, names=3, users=2_000, userless=5, first=0.0, last=86_400.0, sample=1.0)
    for card in (
        '<b>1,234</b>events', '<b>3</b>names', '<b>2,000</b>users', '<b>5</b>without a user', '<b>1970-01-01</b>first',
        '<b>1970-01-02</b>last', '<b>0</b>dropped', '<b>0</b>rejected',
    ):  # fmt: skip
        assert f'<div class="card">{card}</div>' in whole
    assert "sample</div>" not in whole
    assert "<b>25%</b>sample" in shown(profile, sample=0.25)
    assert "<p>Nothing is odd about them.</p>" in shown(profile, findings=[])
    five = {f"s{nth}": 1 for nth in range(5)}
    assert "<code>s4</code></div>" in shown(profile, sources=five)
    many = five | {f"t{nth}": 1 for nth in range(1_001)}
    assert "<code>s4</code> and 1,001 more</div>" in shown(profile, sources=many)
    assert "<title>Profile of s0</title>" in shown(profile, sources=five)
    assert "<title>Profile of nothing</title>" in shown(profile, sources={})


def test_a_page_shows_days_where_there_are_some_and_hours(profile: Profile) -> None:
    assert "Events on each day" not in shown(profile, days={})
    whole = shown(profile, days={3: 7}, hours=[*range(24)])
    assert html._days({3: 7}) in whole
    assert html._bars([*range(24)], [f"{hour}:00" for hour in range(24)]) in whole
    assert shown(profile, properties=[of()] * 501).count("<tr><td>") == 500
