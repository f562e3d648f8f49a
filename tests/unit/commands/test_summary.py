"""The summary of an import: its status, its table, and why records are rejected."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from importer.commands import summary
from importer.commands.work import File, Reasons
from tests.unit.commands.files import Kept, file, reject

Seen = pytest.CaptureFixture[str]

STATUS: list[tuple[Sequence[File], int]] = [
    ([], 0),
    ([file("done"), file("skipped"), file("leased")], 0),
    ([file("done", read=2, rejected=1), file("done")], 1),
    ([file("unreadable"), file("done")], 1),
    ([file("gone")], 1),
    ([file("unreadable"), file("handed back")], 2),
    ([file("stopped")], 2),
    ([file("waiting")], 2),
    ([file("importing")], 2),
]


@pytest.mark.parametrize(("files", "status"), STATUS, ids=["+".join(one.state for one in row[0]) for row in STATUS])
def test_the_status_says_whether_all_is_in_mixpanel(files: Sequence[File], status: int) -> None:
    assert summary.status(files) == status


def reasons(*counts: tuple[str, int]) -> Reasons:
    found = Reasons(None)
    for line, (reason, records) in enumerate(counts, 1):
        found.add([reject(reason, "time", line, records=records)])
    return found


def test_a_table_says_what_became_of_each_file_and_of_all(capsys: Seen) -> None:
    went_on = file("done", "b", read=30, imported=20, rejected=7, dropped=3, seconds=2.0)
    went_on.before = 5
    files = [file("done", "a", read=2_000, imported=2_000, seconds=0.04), went_on, file("waiting", "c", read=9)]
    summary.show(files, 10.0, reasons(("no", 3), ("never", 4)))
    out, err = capsys.readouterr()
    assert out.split("\n") == [
        "file     outcome   read  imported  rejected  dropped  time  events/s",
        "a        done     2,000     2,000         0        0   0 s",
        "b        done        30        20         7        3   2 s         8",
        "2 files           2,030     2,020         7        3  10 s       202",
        "",
    ]
    assert err.split("\n") == [
        "4 rejected: time: never (first at gs://b/x, line 2)",
        "3 rejected: time: no (first at gs://b/x, line 1)",
        "",
    ]


def test_one_file_has_no_total_and_a_dry_run_another_title(capsys: Seen) -> None:
    summary.show([file("done", "a", read=1, imported=1)], 1.0, reasons(), title="would import")
    assert capsys.readouterr().out.split("\n") == [
        "file  outcome  read  would import  rejected  dropped  time  events/s",
        "a     done        1             1         0        0   0 s",
        "",
    ]


@pytest.mark.parametrize(("number", "shown"), [(30, 30), (31, 2)])
def test_of_very_many_files_those_are_shown_that_are_to_be_seen(number: int, shown: int, capsys: Seen) -> None:
    files = [file("done", f"f{n}", read=1, imported=1) for n in range(number - 2)]
    files += [file("done", "bad", read=1, rejected=1), file("gone", "away")]
    summary.show(files, 1.0, reasons())
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert len(lines) == 1 + shown + 1
    assert [line.split()[0] for line in lines[-3:]] == ["bad", "away", str(number)]


def test_of_very_many_that_are_to_be_seen_the_first_are(capsys: Seen) -> None:
    summary.show([file("gone", f"f{n}") for n in range(50)], 1.0, reasons())
    assert [line.split()[0] for line in capsys.readouterr().out.split("\n")[1:-1]] == [
        *(f"f{n}" for n in range(30)),
        "50",
    ]


def test_the_five_reasons_that_most_have_are_said(capsys: Seen) -> None:
    summary.show([file()], 1.0, reasons(*((f"r{n}", n) for n in range(1, 8))))
    assert [line[:15] for line in capsys.readouterr().err.split("\n")[:-1]] == [
        f"{n} rejected: tim" for n in (7, 6, 5, 4, 3)
    ]


def test_machines_get_everything_as_one_object(capsys: Seen) -> None:
    files = [file("done", "a", read=3, imported=3, seconds=1.0), file("waiting", "b", read=1, rejected=1)]
    files[1].reason = "it waits"
    summary.show_for_machines(files, 2.34567, reasons(("no", 1)), more=True)
    shown = json.loads(capsys.readouterr().out)
    assert [(one["source"], one["outcome"], one["reason"], one["read"]) for one in shown["files"]] == [
        ("a#1", "done", None, 3),
        ("b#1", "waiting", "it waits", 1),
    ]
    assert (shown["total"]["read"], shown["total"]["imported"], shown["total"]["rejected"]) == (4, 3, 1)
    assert (shown["total"]["seconds"], shown["more"]) == (2.346, True)
    assert shown["reasons"] == [{"reason": "time: no", "count": 1, "first": "gs://b/x, line 1"}]


def test_reasons_are_counted_and_passed_on_and_bounded() -> None:
    kept = Kept()
    found = Reasons(lambda _: kept)
    rejects = [reject("no", None), reject(records=4), reject(line=9, source="plain")]
    found.sink("gs://b/x#7").store(rejects)
    assert kept.rejects == rejects
    assert found.counts == {"no": 1, "properties.time: is no time": 5}
    assert found.first == {"no": "gs://b/x, line 3", "properties.time: is no time": "gs://b/x, line 3"}
    found.add([reject(f"r{n}", None) for n in range(998)])
    assert "other reasons" not in found.counts
    found.add([reject("r0", None), reject("one more", None, source="plain"), reject("another", None)])
    assert (found.counts["r0"], found.counts["other reasons"], len(found.counts)) == (2, 2, 1_001)
    assert found.first["other reasons"] == "plain, line 3"


def test_a_sink_without_a_place_counts() -> None:
    found = Reasons(None)
    found.sink("x").store([reject()])
    assert found.counts.total() == 1


def test_the_share_of_a_file_that_is_read() -> None:
    one = file(size=200)
    assert one.share == 0.0
    one.bytes = 50
    assert one.share == 0.25
    one.bytes = 900
    assert one.share == 1.0
    assert file(size=0).share is None
