"""Progress: what is committed is counted, its rejects are stored before its end is saved, and not too often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from importer import log
from importer.core.checkpoint import Checkpoint
from importer.core.ordered.progress import Committer, Progress
from importer.core.ordered.span import Settled
from importer.core.rejects.reject import Reject, rejected_record
from importer.core.report import Report, Tally
from importer.errors import InvalidRecord
from importer.mappings.outcome import Dropped
from importer.mixpanel.outcome import Outcome
from importer.records import Position


class Kept:
    """Checkpoints and a sink, whose doings are in one list, in their order."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def store(self, rejects: Sequence[Reject]) -> None:
        self.done.append([one.line for one in rejects])

    def save(self, checkpoint: Checkpoint) -> None:
        self.done.append(checkpoint)

    def forget(self) -> None:
        self.done.append("forgotten")


class Bench:
    """A committer with a clock of the test's."""

    def __init__(self, *, seconds: float = 0.0, sink: bool = True, saves: bool = True) -> None:
        self.now = 100.0
        self.kept = Kept()
        self.report = Report(read=1_000, seconds=seconds)
        progress = Progress(self.kept, lambda line, offset: Position(offset, line, "ndjson")) if saves else None
        self.committer = Committer(self.report, self.kept if sink else None, 100, progress, lambda: self.now)

    def commit(self, end: tuple[int, int] | None, *lines: int, imported: int = 2, size: int = 10) -> None:
        rejects = [rejected_record("s", line, line * 10, b"no", InvalidRecord("no")) for line in lines]
        tally = Tally()
        tally.add([Dropped("x")], ["rule"])
        self.committer.commit(Settled(Outcome(imported=imported), rejects, size, tally), end)


@pytest.fixture(autouse=True)
def _log() -> None:
    log.configure("ERROR")


def test_what_is_committed_is_counted() -> None:
    bench = Bench()
    bench.commit((5, 50), 1, 2)
    bench.commit(None, 3)
    report = bench.report
    assert (report.imported, report.rejected, report.dropped, report.changed_by) == (4, 3, 2, {"rule": 2})
    assert bench.kept.done == []


def test_a_checkpoint_is_saved_after_the_rejects_before_it_with_the_counts_up_to_there() -> None:
    bench = Bench(seconds=7.0)
    bench.now += 2
    bench.commit((5, 50), 1, 2)
    bench.now += 1
    bench.commit(None, 3)
    bench.committer.save()
    (rejects, saved) = bench.kept.done
    assert rejects == [1, 2, 3]
    assert saved.mark == Position(50, 5, "ndjson")
    assert (saved.counts.imported, saved.counts.rejected, saved.counts.bytes, saved.counts.seconds) == (2, 2, 50, 9.0)
    bench.committer.save()
    assert len(bench.kept.done) == 2, "where nothing came after it, there is nothing to save"
    bench.committer.note_time()
    assert bench.report.seconds == 10.0


@pytest.mark.parametrize(("seconds", "saves"), [(4.9, 0), (5.0, 0), (5.1, 1)])
def test_checkpoints_are_saved_every_five_seconds(seconds: float, saves: int) -> None:
    bench = Bench()
    bench.commit((5, 50))
    bench.now += seconds
    bench.committer.save_if_due()
    assert len(bench.kept.done) == saves
    bench.commit((6, 60))
    bench.committer.save_if_due()
    assert len(bench.kept.done) == saves, "the next one is due as long after it"
    bench.now += 5.1
    bench.committer.save_if_due()
    assert len(bench.kept.done) == saves + 1
    bench.now += 60
    bench.committer.save_if_due()
    assert len(bench.kept.done) == saves + 1, "nothing was committed since"


@pytest.mark.parametrize(("size", "stored"), [(8_000_000, []), (8_000_001, [[1, 2]])])
def test_rejects_that_are_too_large_to_be_held_are_stored_at_once(size: int, stored: list[list[int]]) -> None:
    bench = Bench()
    bench.commit((5, 50), 1, size=4_000_000)
    bench.commit((6, 60), 2, size=size - 4_000_000)
    assert bench.kept.done == stored
    bench.commit((7, 70), 3, size=10)
    bench.committer.store_rejects()
    bench.committer.store_rejects()
    assert bench.kept.done == ([[1, 2], [3]] if stored else [[1, 2, 3]])


def test_without_a_sink_nothing_is_held_and_without_checkpoints_none_saved() -> None:
    bench = Bench(sink=False, saves=False)
    bench.commit((5, 50), 1, size=9_000_000)
    bench.now += 60
    bench.committer.save_if_due()
    bench.committer.save()
    bench.committer.forget()
    assert bench.kept.done == []
    assert not bench.committer._pending


def test_a_checkpoint_is_forgotten_where_what_was_read_is_not_what_is_stored() -> None:
    bench = Bench()
    bench.committer.forget()
    assert bench.kept.done == ["forgotten"]
