"""The commands that import, in this process: what they bring in, what they say, and the status they end with."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from importer.commands import backfill
from importer.commands.interrupts import INTERRUPTED, stopped_by_signals
from importer.commands.state import state_home, with_state
from importer.errors import SettingsError
from importer.settings import CredentialKind, Credentials, Settings
from importer.storage.leases import Leases, Owner
from importer.storage.store import store
from sandbox.clients import Bucket, Standin
from tests.faults.trouble import objects
from tests.unit.commands.files import Run, entry, event, write

TOKEN = Credentials(CredentialKind.PROJECT_TOKEN, "a-token", "", None)
SETTINGS = Settings(TOKEN, "http://127.0.0.1:9")


def test_files_are_imported_once_and_again_where_that_is_asked_for(run: Run, standin: Standin) -> None:
    write("day/a.jsonl", "day/b.jsonl")
    first = run("import", "day", "--json")
    assert first.code == 0
    assert [(one["outcome"], one["imported"]) for one in first.json["files"]] == [("done", 1), ("done", 1)]
    assert (first.json["total"]["imported"], first.json["reasons"]) == (2, [])
    write("day/c.jsonl")
    again = run("import", "day")
    assert again.code == 0
    assert "2 of 3 were imported before; --again imports them again.\n" in again.err
    assert re.search(r"^3 files +1 +1 +0 +0 ", again.out, re.MULTILINE)
    assert run("import", "--again", "day/c.jsonl").code == 0
    assert standin.ids() == {"day-a": 1, "day-b": 1, "day-c": 2}


def test_a_dry_run_and_the_first_records_leave_no_trace(run: Run, standin: Standin, tmp_path: Path) -> None:
    write("a.jsonl", content=b"\n".join([event("a"), b"no", event("b", time=1)]))
    dry = run("import", "--dry-run", "a.jsonl")
    assert (dry.code, standin.summary()["requests"]) == (1, 0)
    assert "would import" in dry.out
    assert re.search(r"^a\.jsonl +done +3 +1 +2 +0 ", dry.out, re.MULTILINE)
    assert not [*Path().glob("rejects-*")]
    first = run("import", "--limit", "1", "a.jsonl", "--json")
    assert (first.code, first.json["total"]["read"]) == (0, 1)
    assert not (tmp_path / "state").exists()
    assert run("import", "--limit", "0", "a.jsonl").code == 2


def test_rejects_lie_in_a_file_here_or_where_the_setting_says(
    run: Run, monkeypatch: pytest.MonkeyPatch, bucket: Bucket
) -> None:
    write("a.jsonl", content=b"no\n" + event("a"))
    ended = run("import", "a.jsonl")
    (file,) = Path().glob("rejects-*.jsonl")
    assert (ended.code, f"Rejects are written to {file}; once their cause is mended: replay {file}\n" in ended.err) == (
        1,
        True,
    )
    file.unlink()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    monkeypatch.setenv("IMPORT_REJECTS", f"gs://{bucket.name}/rejects")
    assert run("import", "--again", "a.jsonl").code == 1
    assert not [*Path().glob("rejects-*")]
    assert len([*objects(bucket, "rejects/")]) == 1


def test_what_ends_all_of_it_is_said_and_what_is_left_counted(run: Run, standin: Standin) -> None:
    write("a.jsonl", "b.jsonl")
    standin.faults(credentials="another")
    ended = run("import", ".", "--at-once", "1")
    assert ended.code == 2
    assert "The import stopped: " in ended.err
    assert "2 of 2 are not finished: the same command goes on from there.\n" in ended.err
    limited = run("import", ".", "--limit", "3")
    assert "It was stopped, and is to be done from the beginning: sending events a second time is safe." in limited.err


def test_settings_that_leave_nothing_are_said(run: Run) -> None:
    write("a.jsonl")
    ended = run("import", "a.jsonl", "--include", "*.csv")
    assert (ended.code, ended.err) == (0, "IMPORT_INCLUDE and IMPORT_EXCLUDE leave nothing to import.\n")


def test_a_signal_stops_an_import_in_order(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.objects._PROGRESS_SECONDS", -1.0)
    write("a.jsonl", content=b"\n".join(event(str(number)) for number in range(20_000)))
    threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT)).start()
    ended = run("import", "a.jsonl", "--batch-events", "20", "--concurrency", "1")
    assert ended.code == INTERRUPTED == 130
    assert "Stopping: what is on its way is settled first. Ctrl-C once more ends it at once.\n" in ended.err
    assert "1 of 1 is not finished: the same command goes on from there.\n" in ended.err


def test_the_first_signal_stops_and_the_second_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(os, "_exit", done.append)
    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_signals(lambda: done.append("stop")):
        os.kill(os.getpid(), signal.SIGTERM)
        assert done == ["stop"]
        os.kill(os.getpid(), signal.SIGINT)
        assert done == ["stop", 130]
    assert signal.getsignal(signal.SIGTERM) is before
    said = capsys.readouterr().err
    assert said.count("Stopping") == said.count("Ended at once: some of what was on its way may be sent a second") == 1


def test_a_project_has_a_state_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    placed = msgspec.structs.replace(SETTINGS, checkpoints="gs://b/c")
    assert with_state(placed) is placed
    places = {
        with_state(one).checkpoints
        for one in (
            SETTINGS,
            msgspec.structs.replace(SETTINGS, api_url="http://127.0.0.1:8"),
            msgspec.structs.replace(SETTINGS, credentials=Credentials(CredentialKind.PROJECT_TOKEN, "other", "", None)),
            msgspec.structs.replace(SETTINGS, backoff=3.0),
        )
    }
    assert len(places) == 3
    for place in places:
        assert re.fullmatch(re.escape(f"{tmp_path}/mixpanel-importer/") + "[0-9a-f]{16}", place or "")
    monkeypatch.setenv("XDG_STATE_HOME", "not/absolute")
    assert state_home() == Path.home() / ".local/state"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert state_home() == Path.home() / ".local/state"


def test_a_backfill_asks_first_and_says_what_it_would_do(run: Run, standin: Standin, monkeypatch: Any) -> None:
    write("2025/06/01/a", "2025/05/31/a")
    asked = run("backfill", ".")
    assert asked.code == 2
    assert "2 objects of 2 days, from 2025-06-01 back to 2025-05-31, have " in asked.err
    assert "There is no terminal to ask in, so nothing is imported: --yes goes on without asking.\n" in asked.err
    for answer, code in ((False, 2), (True, 0)):
        monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda: True}))
        monkeypatch.setattr("click.confirm", lambda *_, answer=answer, **__: answer)
        assert run("backfill", ".").code == code
    assert len(standin.ids()) == 2


def test_a_backfill_imports_day_by_day_and_another_time_the_rest(run: Run, standin: Standin) -> None:
    write("2025/06/01/a", "2025/06/01/b", "2025/05/31/a")
    write("2025/05/31/b", content=b"no\n" + event("b"))
    first = run("backfill", "2025", "--days", "1", "--yes")
    assert first.code == 0
    assert re.search(r"^2025-06-01 +2 +\d+ B +2 +2 +0 +0 ", first.out, re.MULTILINE)
    assert "2025-06-01 (1 of 1 day): 2 of 2 files, imported 2, " in first.err
    rest = run("backfill", "2025", "--yes", "--json")
    assert rest.code == 1
    assert [(one["day"], one["objects"], one["unfinished"]) for one in rest.json["days"]] == [("2025-05-31", 2, 0)]
    done = run("backfill", "2025", "--yes", "--json")
    assert (done.code, done.json["days"]) == (0, [])
    assert "All 4 objects are imported already.\n" in done.err
    assert {*standin.ids().values()} == {1}


def test_a_backfill_that_is_stopped_says_how_to_go_on(run: Run, standin: Standin) -> None:
    write("2025/06/01/a", "2025/05/31/a")
    standin.faults(credentials="another")
    ended = run("backfill", ".", "--yes")
    assert ended.code == 2
    assert "The backfill stopped: " in ended.err
    assert "2 objects are not finished: the same command goes on from there.\n" in ended.err


def test_a_backfill_waits_for_what_others_have_begun_and_does_it_if_they_do_not(
    run: Run, standin: Standin, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "_WAIT", 0.05)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    place = f"gs://{bucket.name}/checkpoints"
    write("2025/06/01/a", "2025/06/01/b")
    other = Owner("other", "elsewhere", 1, "")
    with Leases(store(place), place, other) as leases:
        source = next(one.source for one in store("").entries("."))
        assert leases.take(source)
        threading.Timer(0.6, leases.give_back, (source,)).start()
        began = time.monotonic()
        ended = run("backfill", ".", "--yes", "--checkpoints", place)
        assert time.monotonic() - began >= 0.5
    assert ended.code == 0
    assert "others have 1\n" in ended.err
    assert len(standin.ids()) == 2


TASKS: list[tuple[dict[str, str], float]] = [
    ({}, 900.0),
    ({"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "1"}, 900.0),
    ({"CLOUD_RUN_TASK_INDEX": "2", "CLOUD_RUN_TASK_COUNT": "3"}, 300.0),
    ({"CLOUD_RUN_TASK_INDEX": "3", "CLOUD_RUN_TASK_COUNT": "3"}, 900.0),
    ({"CLOUD_RUN_TASK_INDEX": "-1", "CLOUD_RUN_TASK_COUNT": "3"}, 900.0),
]


@pytest.mark.parametrize(("environment", "rate"), TASKS, ids=str)
def test_of_a_ceiling_a_task_has_its_part(environment: dict[str, str], rate: float) -> None:
    assert backfill._shared(SETTINGS, environment).events_per_second is None
    shared = backfill._shared(msgspec.structs.replace(SETTINGS, events_per_second=900.0), environment)
    assert shared.events_per_second == rate


def test_a_task_that_is_no_number_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="must be whole numbers"):
        backfill._task({"CLOUD_RUN_TASK_INDEX": "one"})


def test_each_task_begins_with_a_share_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [entry(str(number)) for number in range(60)]
    assert backfill._in_our_order(found) == found
    first: list[str] = []
    monkeypatch.setenv("CLOUD_RUN_TASK_COUNT", "3")
    for task in range(3):
        monkeypatch.setenv("CLOUD_RUN_TASK_INDEX", str(task))
        ordered = backfill._in_our_order(found)
        assert sorted(one.address for one in ordered) == sorted(one.address for one in found)
        first += [one.address for one in ordered[:10]]
    assert len({*first}) == 30


def test_reconcile_finds_and_brings_in_what_is_missing_begun_or_changed(
    run: Run, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    monkeypatch.setenv("IMPORT_CHECKPOINTS", f"gs://{bucket.name}/checkpoints")
    write("x/done", "x/changed")
    write("x/rejects", content=b"no\n" + event("r"))
    run("import", "x")
    write("x/missing")
    write("x/changed", content=event("anew") + b" ")
    old = time.time() - 3_600
    for path in ("x/missing", "x/changed"):
        os.utime(path, (old, old))
    monkeypatch.delenv("MIXPANEL_PROJECT_TOKEN")
    found = run("reconcile", "x", "--min-age", "30", "--json")
    assert found.code == 1
    assert {kind: len(value) if isinstance(value, list) else value for kind, value in found.json.items()} == {
        "imported": 2, "missing": 1, "begun": 0, "changed": 1, "new": 0, "rejected": 1,
    }  # fmt: skip
    assert found.json["rejected"][0]["count"] == 1
    young = run("reconcile", "x", "--min-age", "61", "--json").json
    assert (young["new"], young["missing"], young["changed"]) == (2, [], [])
    told = run("reconcile", "x")
    assert re.search(r"^of these with rejects +1 ", told.out, re.MULTILINE)
    assert [line.split(": x/")[0] for line in told.err.split("\n")[:-1]] == [
        "never imported",
        "changed since",
        "with rejects",
    ]
    assert told.err.endswith("x/rejects, 1 rejected\n")
    monkeypatch.setenv("MIXPANEL_PROJECT_TOKEN", "demo")
    assert run("reconcile", "x", "--import").code == 0
    assert run("reconcile", "x", "--import").code == 1, "there are rejects still"
    Path("x/rejects").unlink()
    assert run("reconcile", "x").code == 0


def test_reconcile_asks_where_the_receipts_are(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write("x/a")
    assert run("reconcile", "x", "--min-age", "0").code == 1
    monkeypatch.delenv("MIXPANEL_PROJECT_TOKEN")
    asked = run("reconcile", "x")
    assert (asked.code, "Where are the receipts? Set IMPORT_CHECKPOINTS" in asked.err) == (2, True)
    assert "Where are the receipts?" not in run("reconcile", "x", "--import").err


def test_of_very_many_that_are_missing_the_first_are_named(run: Run) -> None:
    write(*(f"x/{number:02}" for number in range(22)))
    old = time.time() - 3_600
    for path in Path("x").iterdir():
        os.utime(path, (old, old))
    said = run("reconcile", "x").err.split("\n")[:-1]
    assert len(said) == 21
    assert said[-2:] == ["never imported: x/19", "never imported: and 2 more; --json has all of them"]
