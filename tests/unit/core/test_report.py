"""The report: numbers that add up, each written once."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from importer.core.rejects.reject import Reject, rejected_record
from importer.core.report import Counts, Report, Tally
from importer.errors import InvalidRecord
from importer.mappings.outcome import Dropped
from importer.mixpanel.outcome import Outcome
from sandbox.mixpanel.import_log import Run
from sandbox.processes import ROOT

KINDS = st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), max_size=3)
NUMBERS = st.integers(0, 1 << 40)
REPORTS = st.builds(
    Report,
    **dict.fromkeys(("read", "imported", "rejected", "dropped", "requests", "retried", "bytes"), NUMBERS),
    seconds=st.integers(0, 99),  # whole ones, whose sums do not depend on the order
    oldest_event_age_seconds=st.floats(0, 1e6),
    dropped_by=KINDS,
    changed_by=KINDS,
    unreadable=st.none() | st.text(min_size=1, max_size=3),
)


def reject(line: int) -> Reject:
    return rejected_record("source", line, 0, b"{}", InvalidRecord("no"))


@given(REPORTS, REPORTS, REPORTS)
def test_reports_add_up_in_any_grouping_and_nothing_adds_nothing(a: Report, b: Report, c: Report) -> None:
    assert (a + b) + c == a + (b + c) == sum([a, b, c], Report())
    assert a + Report() == Report() + a == a
    assert (a + b).handed_back == a.handed_back + b.handed_back


def test_a_sum_has_the_oldest_age_the_first_reason_and_the_first_rejects() -> None:
    one = Report(oldest_event_age_seconds=3.0, first_rejects=[reject(n) for n in (1, 2, 3)], dropped_by={"a": 1})
    other = Report(oldest_event_age_seconds=9.0, first_rejects=[reject(n) for n in (4, 5, 6)], dropped_by={"a": 2})
    other.unreadable = "it breaks off"
    total = one + other
    assert total.oldest_event_age_seconds == 9.0
    assert [each.line for each in total.first_rejects] == [1, 2, 3, 4, 5]
    assert (total.unreadable, total.dropped_by) == ("it breaks off", {"a": 3})
    assert (one.dropped_by, len(one.first_rejects)) == ({"a": 1}, 3)


def test_what_is_left_out_counts_by_kind_and_what_is_changed_by_rule() -> None:
    tally = Tally()
    tally.add([Dropped("identify call"), Dropped("bad row"), Dropped("identify call")], ["scrub", "scrub"])
    report = Report(read=3, dropped_by={"bad row": 4}, dropped=4)
    report.add_tally(tally)
    assert (report.dropped, report.dropped_by) == (7, {"bad row": 5, "identify call": 2})
    assert report.changed_by == {"scrub": 2}


def test_a_batch_and_a_reject_count_where_they_belong() -> None:
    report = Report(read=9)
    report.add_outcome(Outcome(imported=4, requests=3, retried=2, sent_bytes=100))
    for line in range(1, 4):
        report.add_reject(reject(line))
    assert report.counts() == {
        "read": 9,
        "imported": 4,
        "rejected": 3,
        "dropped": 0,
        "requests": 3,
        "retried": 2,
        "bytes": 0,
        "sent_bytes": 100,
        "seconds": 0.0,
        "oldest_event_age_seconds": 0.0,
        "handed_back": 2,
    }
    assert [each.line for each in report.first_rejects] == [1, 2, 3]


def test_no_more_than_the_first_five_rejects_are_held() -> None:
    report = Report()
    for line in range(1, 9):
        report.add_reject(reject(line))
    assert ([each.line for each in report.first_rejects], report.rejected) == ([1, 2, 3, 4, 5], 8)


def test_seconds_are_told_to_the_millisecond_and_kinds_where_there_are_any() -> None:
    counts = Report(seconds=1.23456, oldest_event_age_seconds=7.00049, dropped_by={"bad row": 1}).counts()
    assert (counts["seconds"], counts["oldest_event_age_seconds"]) == (1.235, 7.0)
    assert (counts["dropped_by"], "changed_by" in counts) == ({"bad row": 1}, False)


def test_a_checkpoints_counts_are_a_copy_of_the_reports_that_stays_as_it_is() -> None:
    report = Report(read=5, imported=2, rejected=1, dropped=1, bytes=70, dropped_by={"bad row": 1})
    counts = Counts.of(report, offset=55)
    report.dropped_by["bad row"] = 9
    assert counts == Counts(imported=2, rejected=1, dropped=1, bytes=55, dropped_by={"bad row": 1})
    again = counts.report()
    assert (again.read, again.imported, again.bytes) == (4, 2, 55)
    again.dropped_by["bad row"] = 9
    assert counts.dropped_by == {"bad row": 1}


def test_log_metrics_and_sandbox_know_every_number() -> None:
    """A number of the summary is written in `Counts` alone: whoever reads the log has it from there."""
    fields = json.loads((Path(ROOT) / "monitoring" / "fields.json").read_text())["import"]
    assert set(Report().counts()) <= set(fields)
    assert set(Counts.__struct_fields__) <= set(Run.__struct_fields__)


def test_a_new_report_is_of_nothing() -> None:
    counts = Report().counts()
    assert {*counts.values()} == {0}
    assert Report() == Report(0, 0, 0, 0, 0, 0, 0, 0.0, {}, {}, 0, 0.0, [], None)
    assert (Report().handed_back, Report().read) == (0, 0)
