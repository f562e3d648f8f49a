"""The days of a backfill: which are wanted, what is said of them before and after, and when one is not finished."""

from __future__ import annotations

import json
from datetime import date, datetime

import pytest

from importer.commands.days import Bounds, Day, chosen, say_plan, show, show_for_machines
from importer.commands.work import Reasons
from importer.settings import CredentialKind, Credentials, Settings
from tests.unit.commands.files import entry, file, reject

Seen = pytest.CaptureFixture[str]

TOKEN = Credentials(CredentialKind.PROJECT_TOKEN, "a-token", "", None)
DAYS = [date(2025, 5, 31), date(2025, 6, 1), date(2025, 6, 2), date(2025, 6, 4)]

BOUNDS: list[tuple[str | None, str | None, int | None, list[int]]] = [
    (None, None, None, [0, 1, 2, 3]),
    ("2025-06-01", None, None, [1, 2, 3]),
    (None, "2025-06-02", None, [0, 1, 2]),
    ("2025-06-01", "2025-06-01", None, [1]),
    (None, None, 1, [3]),
    (None, None, 2, [3]),
    (None, None, 3, [2, 3]),
    (None, "2025-06-02", 2, [1, 2]),
    ("2026-01-01", None, 5, []),
]


def moment(day: str | None) -> datetime | None:
    return datetime.fromisoformat(day) if day else None


@pytest.mark.parametrize(("since", "until", "days", "wanted"), BOUNDS, ids=str)
def test_bounds_choose_days(since: str | None, until: str | None, days: int | None, wanted: list[int]) -> None:
    bounds = Bounds.of(moment(since), moment(until), days)
    assert bounds.choose(DAYS) == {DAYS[index] for index in wanted}
    assert bounds.are_set == (wanted != [0, 1, 2, 3])


OBJECTS = [entry("x/2025-06-01/a"), entry("x/2025-06-02/a"), entry("x/2025-06-01/b"), entry("x/readme")]


def test_all_days_are_wanted_the_newest_first_and_what_has_no_date_last(capsys: Seen) -> None:
    found = chosen(OBJECTS, None, Bounds(None, None, None))
    assert {day: [one.address for one in each] for day, each in found.items()} == {
        "2025-06-02": ["x/2025-06-02/a"],
        "2025-06-01": ["x/2025-06-01/a", "x/2025-06-01/b"],
        "no date": ["x/readme"],
    }
    assert [*found] == ["2025-06-02", "2025-06-01", "no date"]
    assert capsys.readouterr().err == "1 object has no date in its name, as in x/readme: it comes last.\n"


def test_where_days_are_chosen_what_has_no_date_is_left_out(capsys: Seen) -> None:
    assert [*chosen(OBJECTS, None, Bounds(None, None, 1))] == ["2025-06-02"]
    assert capsys.readouterr().err.endswith("as in x/readme: it is left out.\n")


def test_where_no_name_tells_a_day_the_time_of_writing_does(capsys: Seen) -> None:
    written = [entry("a", written=1_748_736_000.0), entry("b", written=1_748_735_999.0)]
    assert [*chosen(written, None, Bounds(None, None, None))] == ["2025-06-01", "2025-05-31"]
    assert capsys.readouterr().err == "No name tells a day, so objects go by the day on which they were written.\n"


def test_a_plan_says_what_there_is_to_do_and_what_that_takes(capsys: Seen) -> None:
    left = [Day("2025-06-02", [entry("a", 500_000_000)]), Day("2025-06-01", [entry("b", 350_000_000), entry("c", 0)])]
    events = "About 1,000,000 events (850 bytes each, packed files taken for a quarter)"
    say_plan(3, left, Settings(TOKEN, "http://127.0.0.1:9"))
    say_plan(5, left, Settings(TOKEN, "http://127.0.0.1:9", events_per_second=1_000.0))
    assert capsys.readouterr().err.split("\n")[:-1] == [
        "3 objects of 2 days, from 2025-06-02 back to 2025-06-01, have 850 MB.",
        f"{events}: 33 s at Mixpanel's rate, and $0.03 on Google Cloud, most of it for data going out.",
        "3 objects of 2 days, from 2025-06-02 back to 2025-06-01, have 850 MB; 2 more are imported already.",
        f"{events}: 16 min at 1,000 events/s, and $0.04 on Google Cloud, most of it for data going out.",
    ]
    say_plan(0, [], Settings(TOKEN, "http://127.0.0.1:9"))
    say_plan(2, [], Settings(TOKEN, "http://127.0.0.1:9"))
    assert capsys.readouterr().err == (
        "There is nothing on the days that are wanted.\nAll 2 objects are imported already.\n"
    )


def day() -> Day:
    """A day of seven objects, with one of each state, and one that is not begun."""
    one = Day("2025-06-01", [entry(str(number), 1_000) for number in range(7)])
    went_on = file("done", read=10, imported=8, rejected=2)
    went_on.before = 3
    files = [went_on, file("unreadable", read=1, rejected=1), file("gone"), file("skipped"), file("handed back")]
    one.add([*files, file("leased", "theirs", read=99)], 2.0)
    return one


def test_what_became_of_a_days_objects_adds_up() -> None:
    one = day()
    assert (one.unfinished, one.imported, one.report.read, one.report.rejected, one.seconds) == (3, 5, 11, 3, 2.0)
    assert [file.entry.address for file in one.leased] == ["theirs"]
    one.add([file("done", "theirs", read=4, imported=4)], 1.5)
    assert (one.unfinished, one.imported, one.report.read, one.seconds, one.leased) == (2, 9, 15, 3.5, [])


def test_a_table_says_what_became_of_the_days_that_were_begun(capsys: Seen) -> None:
    reasons = Reasons(None)
    for number in range(1, 8):
        reasons.add([reject(f"r{number}", None, number, records=number)])
    waiting, theirs = Day("2025-05-01", [entry()]), Day("2025-05-31", [entry("b", 500)], leased=[file("leased")])
    show([day(), theirs, waiting], reasons)
    out, err = capsys.readouterr()
    assert out.split("\n") == [
        "day         objects  stored  read  imported  rejected  not finished  time",
        "2025-06-01        7  7.0 kB    11         5         3             3   2 s",
        "2025-05-31        1   500 B     0         0         0             1   0 s",
        "all days          8  7.5 kB    11         5         3             4   2 s",
        "",
    ]
    assert [line.split(" (")[0] for line in err.split("\n")[:-1]] == [f"{n} rejected: r{n}" for n in (7, 6, 5, 4, 3)]


def test_machines_get_every_day(capsys: Seen) -> None:
    reasons = Reasons(None)
    reasons.add([reject(records=3)])
    show_for_machines([day(), Day("2025-05-01", [entry()])], reasons)
    shown = json.loads(capsys.readouterr().out)
    first, second = shown["days"]
    assert first["outcomes"] == dict.fromkeys(("done", "unreadable", "gone", "skipped", "handed back", "leased"), 1)
    assert (first["day"], first["objects"], first["unfinished"], first["read"]) == ("2025-06-01", 7, 3, 11)
    assert (second["outcomes"], second["unfinished"]) == ({}, 1)
    assert (shown["total"]["read"], shown["reasons"]) == (11, {"properties.time: is no time": 3})
