"""How an import goes, while it goes: what is said of each file, of all, and of the time that is left."""

from __future__ import annotations

import time
from io import StringIO

import pytest
from rich.console import Console

from importer.commands import progress, terminal
from importer.commands.progress import Progress, short, told
from importer.commands.work import File
from tests.unit.commands.files import file

Seen = pytest.CaptureFixture[str]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time: one number, which the test moves on."""
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def begun(name: str = "a", size: int = 1_000, **report: int) -> File:
    one = file("importing", name, size, **report)
    one.began = 1_000.0
    return one


def test_a_file_that_ended_has_a_line(clock: list[float]) -> None:
    one = begun("gs://b/a", read=1_000, imported=990, rejected=6, dropped=4)
    clock[0] += 90
    one.state = "done"
    assert told(one) == "gs://b/a is done: read 1,000, imported 990, rejected 6, dropped 4 in 1 min 30 s"
    one.report.rejected = one.report.dropped = 0
    one.state, one.reason = "handed back", "no answer"
    assert told(one) == "gs://b/a is handed back: read 1,000, imported 990 in 1 min 30 s: no answer"
    skipped = file("skipped", "b")
    skipped.reason = "it was imported before"
    assert told(skipped) == "b is skipped"


@pytest.mark.parametrize(
    ("address", "shown"),
    [("a" * 40, "a" * 40), ("x" + "a" * 40, "…" + "a" * 39)],
)
def test_a_long_address_is_cut_at_its_beginning(address: str, shown: str) -> None:
    assert short(address) == shown


def test_the_total_is_of_what_is_on_its_way_and_what_ended(clock: list[float]) -> None:
    files = [begun("a", 600, imported=300), begun("b", 400, imported=100, rejected=2), file("waiting", "c", 1_000)]
    files[1].before = 40
    whole = Progress(files, "2025-06-01 (1 of 2 days)")
    for one in files[:2]:
        whole.began(one)
    clock[0] += 0.5
    files[0].bytes = 500
    assert whole.total() == "2025-06-01 (1 of 2 days): 0 of 3 files, imported 360, rejected 2, 720 events/s"
    clock[0] += 9.5
    files[0].state, files[0].bytes = "skipped", 600
    whole.ended(files[0])
    files[1].bytes, files[1].report.rejected = 200, 0
    assert whole.total() == ("2025-06-01 (1 of 2 days): 1 of 3 files, imported 360, 36 events/s, 15 s left")
    whole.ended(files[1])
    assert Progress([file("waiting")]).total() == "0 of 1 file, imported 0, 0 events/s"


def test_what_ends_is_said_and_of_very_many_only_what_goes_wrong(capsys: Seen) -> None:
    files = [file("done", f"f{n}") for n in range(202)]
    files[201].state = "gone"
    whole = Progress(files)
    for one in files:
        whole.began(one)
        whole.ended(one)
    said = capsys.readouterr().err.split("\n")[:-1]
    assert said[:2] == ["f0 is done", "f1 is done"]
    assert said[198:] == ["f198 is done", "From here on only what goes wrong has a line of its own.", "f201 is gone"]


@pytest.mark.parametrize(("quiet", "each", "said"), [(False, False, "b is gone\n"), (True, True, "")])
def test_it_is_quiet_where_it_is_to_be(quiet: bool, each: bool, said: str, capsys: Seen) -> None:
    files = [file(state, name) for state, name in (("done", "a"), ("gone", "b"), ("leased", "c"), ("stopped", "d"))]  # type: ignore[arg-type]
    whole = Progress(files, is_quiet=quiet, is_each=each)
    with whole.shown():
        for one in files:
            whole.began(one)
            whole.ended(one)
    assert capsys.readouterr().err == said


def test_without_a_terminal_a_line_comes_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: Seen) -> None:
    monkeypatch.setattr(terminal, "_PLAIN_SECONDS", 0.02)
    with Progress([file("waiting")], "files").shown():
        time.sleep(0.2)
    said = capsys.readouterr().err
    assert said.startswith("files: 0 of 1 file, imported 0, 0 events/s\n")
    assert said.count("\n") >= 2


def test_in_a_terminal_each_file_on_its_way_has_a_line(clock: list[float]) -> None:
    files = [begun("a.jsonl", 1_000, read=80, imported=60, rejected=3), begun("-", 0, read=5, imported=5)]
    whole = Progress(files)
    for one in files:
        whole.began(one)
    files[0].bytes = 250
    clock[0] += 10
    written = StringIO()
    Console(file=written, width=120).print(whole.view())
    first, *rest = [line.split() for line in written.getvalue().split("\n") if line.strip()][1:]
    assert first[0] == "a.jsonl"
    assert first[-7:] == ["25%", "80", "60", "3", "6", "30", "s"]
    assert rest[0][-4:] == ["5", "5", "0", "0"]
    assert rest[1] == [
        "0",
        "of",
        "2",
        "files,",
        "imported",
        "65,",
        "rejected",
        "3,",
        "6",
        "events/s,",
        "30",
        "s",
        "left",
    ]


def test_in_a_terminal_what_is_well_is_not_said(monkeypatch: pytest.MonkeyPatch, capsys: Seen) -> None:
    monkeypatch.setattr(progress, "is_terminal", lambda: True)
    whole = Progress([file("done", "a"), file("gone", "b")])
    for one in whole._files:
        whole.began(one)
        whole.ended(one)
    assert capsys.readouterr().err == "b is gone\n"
    terminal.console.cache_clear()
