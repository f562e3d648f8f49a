"""Many rejects of one source: the first have one record each, those beyond several, and nothing of any is lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importer.core.rejects.folded import FoldedRejects
from importer.core.rejects.reject import Reject
from importer.errors import InvalidRecord
from importer.mixpanel.outcome import RejectedEvent

SOURCE = "projects/p/subscriptions/s#1"


@pytest.fixture(autouse=True)
def _small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.core.rejects.folded.MAX_UNFOLDED", 2)
    monkeypatch.setattr("importer.core.rejects.folded.MAX_FOLDED_BYTES", 20)


def add(rejects: FoldedRejects, *records: bytes, first: int = 1) -> None:
    """Adds records, each on a line of its own, ten bytes after the one before, and rejected for a reason of its own."""
    for line, record in enumerate(records, first):
        rejects.add(line, line * 10, record, [InvalidRecord(f"is bad on line {line}", "properties")])


def shown(rejects: Sequence[Reject]) -> list[tuple[int, int, int, str, str]]:
    return [(one.line, one.offset, one.records, one.event, one.reason) for one in rejects]


def test_the_first_rejects_have_one_record_each_and_those_beyond_as_many_as_fit() -> None:
    rejects = FoldedRejects(SOURCE)
    add(rejects, b"a", b"b", b"ccccccccc", b"dddddddddd", b"e")
    assert shown(rejects.all()) == [
        (1, 10, 1, "a", "is bad on line 1"),
        (2, 20, 1, "b", "is bad on line 2"),
        (3, 30, 1, "ccccccccc", "is bad on line 3"),
        (4, 40, 2, "dddddddddd\ne", "2 records, of which the first: is bad on line 4"),
    ]
    assert rejects.count == 5
    assert {one.source for one in rejects.all()} == {SOURCE}
    assert [one.whole for one in rejects.all()] == [False] * 4


def test_of_a_long_record_there_is_one_reject_however_many_of_its_events_are_bad() -> None:
    rejects = FoldedRejects(SOURCE)
    long = b"x" * 100_000
    rejects.add(1, 10, long, [InvalidRecord(f"is bad {n}") for n in range(3)])
    rejects.add_event(1, 10, long, b"{}", RejectedEvent(0, None, "not taken"))
    rejects.add(2, 20, b"b", [InvalidRecord("is bad")])
    assert [(one.line, one.records, one.reason) for one in rejects.all()] == [(1, 4, "is bad 0"), (2, 1, "is bad")]
    rejects.add_rest(2, 20, b"whole", "it breaks off")
    assert sum(one.records for one in rejects.all()) == rejects.count == 6


def test_records_fill_a_reject_to_its_last_byte() -> None:
    """Nine bytes and a line break, and nine again, are twenty with the one after that, which is not kept."""
    rejects = FoldedRejects(SOURCE)
    add(rejects, b"", b"", b"999999999", b"888888888", b"7")
    assert [one.event for one in rejects.all()[2:]] == ["999999999\n888888888", "7"]


def test_a_record_longer_than_a_reject_of_many_has_one_of_its_own() -> None:
    rejects = FoldedRejects(SOURCE)
    add(rejects, b"a", b"b", b"c", b"d" * 50, b"e", b"f")
    assert [(one.records, one.event) for one in rejects.all()[2:]] == [(1, "c"), (1, "d" * 50), (2, "e\nf")]


def test_a_record_on_several_lines_becomes_one_line() -> None:
    rejects = FoldedRejects(SOURCE)
    add(rejects, b"", b"", b'{\n"a":\r\n1}', b"b")
    assert rejects.all()[2].event == '{ "a":\r 1}\nb'


def test_what_is_not_utf_8_is_folded_too() -> None:
    rejects = FoldedRejects(SOURCE)
    add(rejects, b"a", b"b", b"\xff", b"c")
    assert rejects.all()[2].encoding == "base64"
    assert rejects.all()[2].record() == b"\xff\nc"


def test_what_mixpanel_rejects_is_folded_with_the_rest() -> None:
    rejection = RejectedEvent(index=0, message="'time' is invalid", field="properties.time")
    rejects = FoldedRejects(SOURCE)
    rejects.add_event(1, 10, None, b"sent", rejection)
    rejects.add_event(2, 20, b"came", b"sent", rejection)
    rejects.add_event(3, 30, None, b"sent 3", rejection)
    rejects.add_event(4, 40, b"came 4", b"sent 4", rejection)
    assert shown(rejects.all()) == [
        (1, 10, 1, "sent", "'time' is invalid"),
        (2, 20, 1, "came", "'time' is invalid"),
        (3, 30, 2, "sent 3\ncame 4", "2 records, of which the first: 'time' is invalid"),
    ]


def test_a_record_whose_events_are_rejected_one_by_one_is_folded_once_and_counted_as_often() -> None:
    reasons = [InvalidRecord(text) for text in ("one", "two", "three")]
    rejects = FoldedRejects(SOURCE)
    rejects.add(1, 10, b"a", reasons)
    rejects.add(2, 20, b"b", reasons)
    rejects.add(3, 30, b"c", reasons[:1])
    assert shown(rejects.all()) == [
        (1, 10, 1, "a", "one"),
        (1, 10, 1, "a", "two"),
        (1, 10, 5, "a\nb\nc", "5 records, of which the first: three"),
    ]
    assert rejects.count == 7


@pytest.mark.parametrize("later", [[], [b"later"]])
def test_where_the_source_is_rejected_as_a_whole_what_was_folded_is_in_that(later: list[bytes]) -> None:
    rejects = FoldedRejects(SOURCE)
    add(rejects, b"a", b"b", b"c", b"d" * 30, b"e")
    rejects.add_rest(5, 50, b"all of it", "it breaks off")
    add(rejects, *later, first=6)  # Mixpanel's answers come when they come
    assert shown(rejects.all()) == [
        (1, 10, 1, "a", "is bad on line 1"),
        (2, 20, 1, "b", "is bad on line 2"),
        (6, 50, 4 + len(later), "all of it", "from here on: it breaks off"),
    ]
    assert rejects.all()[-1].whole
    assert rejects.count == 6 + len(later)


def test_rejects_after_one_of_the_whole_are_not_lost() -> None:
    rejects = FoldedRejects(SOURCE)
    rejects.add_rest(0, 0, b"all of it", "it is no JSON")
    add(rejects, b"a", first=7)
    assert shown(rejects.all()) == [
        (7, 70, 1, "a", "is bad on line 7"),
        (1, 0, 1, "all of it", "it is no JSON"),
    ]


RECORDS = st.lists(st.binary(max_size=30).filter(lambda record: b"\n" not in record), max_size=60)


@given(RECORDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_lost_and_everything_is_counted(records: list[bytes]) -> None:
    rejects = FoldedRejects(SOURCE)
    add(rejects, *records)
    made = rejects.all()
    assert rejects.all() == made
    assert b"\n".join(one.record() for one in made) == b"\n".join(records)
    assert sum(one.records for one in made) == rejects.count == len(records)
    assert [len(one.record().split(b"\n")) for one in made] == [one.records for one in made]
    assert all(one.records == 1 or len(one.record()) < 20 for one in made[2:])


def test_a_thousand_are_not_folded_and_a_reject_of_many_has_no_more_than_fits_a_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    rejects = FoldedRejects(SOURCE)
    add(rejects, *[b"x" * 99] * 5_000)
    assert [one.records for one in rejects.all()] == [1] * 1_000 + [2_000, 2_000]
    add(rejects, b"x" * 100_000, b"x" * 99_998, b"x" * 100_000, b"x" * 99_999)
    assert [one.records for one in rejects.all()[1_002:]] == [2, 1, 1]
