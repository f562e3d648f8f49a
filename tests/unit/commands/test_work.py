"""Files on their way: what is begun, what is left when it stops, and what ends all of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from importer import log
from importer.commands.places import entries
from importer.commands.watched import Watched
from importer.commands.work import File, How, Reasons, Work
from importer.core.rejects.reject import Reject
from importer.errors import RejectSinkError, StorageError
from importer.formats.held import Held
from importer.storage.leases import Leases, Owner
from importer.storage.store import store
from sandbox.clients import Standin
from tests.unit.commands.files import entry
from tests.unit.conftest import MakePipeline


class Watcher:
    """Sees files begin and end, and may do something when one begins."""

    def __init__(self, when: Callable[[File], object] = lambda _: None) -> None:
        self.seen: list[tuple[str, str]] = []
        self.when = when

    def at(self, one: File, what: Callable[[], object]) -> None:
        self.when = lambda file: what() if file is one else None

    def began(self, file: File) -> None:
        self.seen.append(("began", file.state))
        self.when(file)

    def ended(self, file: File) -> None:
        self.seen.append(("ended", file.state))


@pytest.fixture(autouse=True)
def _log() -> None:
    log.configure("ERROR")


@pytest.fixture
def pipe(pipeline: MakePipeline, tmp_path: Path) -> MakePipeline:
    """Makes pipelines that keep checkpoints."""
    return lambda **more: pipeline(**{"checkpoints": str(tmp_path / "state"), **more})


def event(identifier: str, **properties: Any) -> bytes:
    known = {"time": 1_700_000_000, "distinct_id": "u", "$insert_id": identifier}
    return json.dumps({"event": "e", "properties": {**known, **properties}}).encode()


def files(folder: Path, number: int, records: int = 3) -> list[File]:
    for one in range(number):
        (folder / f"{one}.jsonl").write_bytes(b"\n".join(event(f"{one}-{record}") for record in range(records)))
    return [File(found) for one in range(number) for found in store("").entries(str(folder / f"{one}.jsonl"))]


def test_files_are_imported_and_say_what_became_of_them(pipe: MakePipeline, standin: Standin, tmp_path: Path) -> None:
    found, watcher = files(tmp_path, 3), Watcher()
    work = Work(pipe(), Reasons(None), watcher, How(at_once=1))
    work.all(found)
    assert [(one.state, one.report.imported, one.imported_here, one.share) for one in found] == [
        ("done", 3, 3, 1.0)
    ] * 3
    assert watcher.seen == [("began", "importing"), ("ended", "done")] * 3
    assert (work.is_stopping, work.failure, len(standin.ids())) == (False, None, 9)
    assert all(one.seconds > 0 for one in found)


def test_what_was_imported_before_is_skipped_unless_it_is_to_be_imported_again(
    pipe: MakePipeline, standin: Standin, tmp_path: Path
) -> None:
    (first,) = files(tmp_path, 1)
    for how, state, times in ((How(), "done", 1), (How(), "skipped", 1), (How(again=True), "done", 2)):
        one = File(first.entry)
        Work(pipe(), Reasons(None), Watcher(), how).all([one])
        assert (one.state, one.imported_here) == (state, 0 if state == "skipped" else 3)
        assert {*standin.ids().values()} == {times}


@pytest.mark.parametrize("how", [How(keeps=False), How(most=2, keeps=False)], ids=str)
def test_where_nothing_is_kept_there_is_no_trace(pipe: MakePipeline, how: How, tmp_path: Path) -> None:
    (first,) = files(tmp_path, 1)
    for _ in range(2):
        one = File(first.entry)
        Work(pipe(), Reasons(None), Watcher(), how).all([one])
        assert (one.state, one.report.imported) == ("done", how.most or 3)
    assert not (tmp_path / "state").exists()


def test_when_it_is_stopped_nothing_is_begun_any_more(
    pipe: MakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.objects._PROGRESS_SECONDS", -1.0)
    found = files(tmp_path, 3)
    watcher = Watcher()
    work = Work(pipe(), Reasons(None), watcher, How(at_once=1))
    watcher.at(found[1], work.stop)
    work.all(found)
    assert [one.state for one in found] == ["done", "stopped", "waiting"]
    assert found[1].reason is None
    assert work.is_stopping


class Broken:
    """A sink that stores nothing."""

    def store(self, rejects: Any) -> None:
        raise RejectSinkError("no room")


def test_what_cannot_be_stored_ends_all_of_it(pipe: MakePipeline, tmp_path: Path) -> None:
    found = files(tmp_path, 3)
    (tmp_path / "0.jsonl").write_bytes(b"no\n" + event("a"))
    work = Work(pipe(), Reasons(lambda _: Broken()), Watcher(), How(at_once=1))
    work.all(found)
    assert [one.state for one in found] == ["handed back", "waiting", "waiting"]
    assert (str(work.failure), work.is_stopping, found[0].reason) == (
        "no room",
        True,
        "the rejects could not be kept: no room",
    )


def test_what_mixpanel_does_not_take_from_anybody_ends_all_of_it(
    pipe: MakePipeline, standin: Standin, tmp_path: Path
) -> None:
    standin.faults(credentials="another")
    found = files(tmp_path, 2)
    work = Work(pipe(), Reasons(None), Watcher(), How(at_once=1))
    work.all(found)
    assert [one.state for one in found] == ["handed back", "waiting"]
    assert found[0].report.imported == 0
    assert found[0].report.handed_back == 3
    assert str(work.failure) in (found[0].reason or "")


def test_one_that_cannot_be_read_does_not_stop_the_others(pipe: MakePipeline, tmp_path: Path) -> None:
    found = files(tmp_path, 3)
    (tmp_path / "0.jsonl").unlink()
    (tmp_path / "1.jsonl").write_bytes(b"\x89PNG\r\n\x1a\n")
    work = Work(pipe(), Reasons(None), Watcher(), How())
    work.all(found)
    assert [one.state for one in found] == ["gone", "unreadable", "done"]
    assert all(one.reason for one in found[:2])
    assert (work.failure, work.is_stopping) == (None, False)


def test_a_store_that_does_not_answer_hands_back_one(
    pipe: MakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Any:
        raise StorageError("the disk is away")

    found = files(tmp_path, 1)
    monkeypatch.setattr("importer.commands.work.opened", failing)
    work = Work(pipe(), Reasons(None), Watcher(), How())
    work.all(found)
    assert (found[0].state, found[0].reason, work.is_stopping) == ("handed back", "the disk is away", False)


def test_what_another_has_is_left_to_it(pipe: MakePipeline, standin: Standin, tmp_path: Path) -> None:
    place = str(tmp_path / "state")
    found = files(tmp_path, 2)
    other = Owner("other", "elsewhere", 1, "")
    with Leases(store(place), place, other) as theirs, Leases(store(place), place) as ours:
        assert theirs.take(found[0].entry.source)
        Work(pipe(), Reasons(None), Watcher(), How(), ours).all(found)
        assert [one.state for one in found] == ["leased", "done"]
        theirs.give_back(found[0].entry.source)
        assert ours.take(found[1].entry.source), "what was done is given back"
        Work(pipe(), Reasons(None), Watcher(), How(), ours).all(found[:1])
        assert found[0].state == "done"


def test_in_a_job_the_log_has_a_line_for_each_file(
    pipe: MakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importer.objects._PROGRESS_SECONDS", -1.0)
    monkeypatch.setenv("CLOUD_RUN_JOB", "backfill")
    log.configure("INFO")
    found = files(tmp_path, 4)
    (tmp_path / "1.jsonl").unlink()
    watcher = Watcher()
    work = Work(pipe(), Reasons(None), watcher, How(at_once=1))
    watcher.at(found[2], work.stop)
    work.all(found)
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["outcome"], one["source"]) for one in logged if one.get("kind") == "import"] == [
        ("done", found[0].entry.source),
        ("gone", found[1].entry.source),
    ]


def test_one_that_goes_on_tells_what_it_imported_now(
    pipe: MakePipeline, standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.objects._PROGRESS_SECONDS", -1.0)
    (one,) = files(tmp_path, 1, records=4_000)
    standin.faults(latency=0.05)
    slow = {"batch_events": 100, "concurrency": 1}
    work = Work(pipe(**slow), Reasons(None), Watcher(), How())

    def stop_soon(file: File) -> None:
        def after_some() -> None:
            _until(lambda: file.report.imported >= 300)
            work.stop()

        threading.Thread(target=after_some).start()

    work.watcher = Watcher(stop_soon)
    work.all([one])
    assert one.state == "stopped"
    before = one.report.imported
    assert 300 <= before < 4_000
    assert (one.before, one.imported_here) == (0, before)
    standin.faults(latency=0)
    rest = File(one.entry)
    Work(pipe(**slow), Reasons(None), Watcher(), How()).all([rest])
    assert (rest.state, rest.report.imported, rest.before) == ("done", 4_000, before)
    assert rest.imported_here == 4_000 - before
    assert {*standin.ids().values()} == {1}


def _until(is_so: Any) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_read_of_an_object_is_counted_as_far_as_it_came() -> None:
    one = File(entry(size=10))
    watched = Watched(Held(b"0123456789", "x"), one)
    assert b"".join(watched.chunks(4)) == b"456789"
    assert (watched.began_at, one.bytes) == (4, 10)
    one.bytes = 3
    assert watched.range(2, 5) == b"23456"
    assert one.bytes == 8
    assert watched.range(2, 5) == b"23456"
    assert one.bytes == 10, "a range that is read twice makes no more of it than there is"


def test_standard_input_has_a_name_of_its_own(pipe: MakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    rejects: list[Reject] = []

    class Sink:
        def store(self, some: Any) -> None:
            rejects.extend(some)

    class Input:
        buffer = BytesIO(b"no\n" + event("a"))

    monkeypatch.setattr("sys.stdin", Input)
    (found,) = entries(["-"], pipe().settings)
    one = File(found)
    Work(pipe(), Reasons(lambda _: Sink()), Watcher(), How()).all([one])
    assert (one.state, [reject.source for reject in rejects]) == ("done", ["standard input"])
