"""The command line as its users run it: processes of their own, against the stand-in and the bucket."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from tests.faults.trouble import kept_rejects, objects
from tests.integration.running import Run, event, write

ROWS = Events(3_000, "small", seed=7)


def test_files_of_a_disk_and_of_a_bucket_are_imported_and_not_again(
    run: Run, standin: Standin, bucket: Bucket, here: Path
) -> None:
    write(here / "day/a.jsonl", ROWS)
    write(here / "day/b.jsonl.gz", Events(500, "small", seed=8), gzipped=True)
    bucket.put("in/c.jsonl", event("c"))
    first = run("import", "day", "gs://events/in/", "--json")
    assert first.code == 0, first.err
    assert first.json["total"]["imported"] == 3_501 == standin.summary()["received"]
    assert {one["outcome"] for one in first.json["files"]} == {"done"}
    again = run("import", "day", "gs://events/in/")
    assert again.code == 0
    assert "3 of 3 were imported before; --again imports them again." in again.err
    assert standin.summary()["received"] == 3_501
    assert run("import", "--again", "gs://events/in/c.jsonl", "--json").json["total"]["imported"] == 1
    assert standin.ids()["c"] == 2
    (here / "day/a.jsonl").write_bytes(event("new"))
    assert run("import", "day", "--json").json["total"]["imported"] == 1


def test_another_project_has_not_what_one_has(run: Run, standin: Standin, here: Path) -> None:
    (here / "a.jsonl").write_bytes(event("a"))
    for token in ("one", "two", "one"):
        assert run("import", "a.jsonl", MIXPANEL_PROJECT_TOKEN=token).code == 0
    assert standin.ids() == {"a": 2}


def test_standard_input_is_imported(run: Run, standin: Standin) -> None:
    ended = run("import", "-", "--json", input=gzip.compress(event("a") + b"\n" + event("b")))
    assert (ended.code, ended.json["total"]["imported"]) == (0, 2)
    assert standin.ids() == {"a": 1, "b": 1}


def test_a_dry_run_checks_and_sends_nothing_and_needs_no_credentials(run: Run, standin: Standin, here: Path) -> None:
    (here / "a.jsonl").write_bytes(b"\n".join([event("a"), b"no", event("b", time=1)]))
    ended = run("import", "--dry-run", "a.jsonl", MIXPANEL_PROJECT_TOKEN=None)
    assert ended.code == 1
    assert re.search(r"would import", ended.out)
    assert re.search(r"a\.jsonl +done +3 +1 +2 ", ended.out)
    assert "1 rejected: properties.time: " in ended.err
    assert [*here.iterdir()] == [here / "a.jsonl"]
    assert standin.summary()["requests"] == 0
    assert run("import", "a.jsonl", "--json").json["total"]["imported"] == 1, "a dry run leaves no receipt"


def test_a_limit_takes_the_first_records_of_each_file_and_leaves_no_trace(
    run: Run, standin: Standin, here: Path
) -> None:
    write(here / "a.jsonl", ROWS)
    write(here / "b.jsonl.gz", ROWS, gzipped=True)
    ended = run("import", "--limit", "7", "a.jsonl", "b.jsonl.gz", "--json")
    assert [one["imported"] for one in ended.json["files"]] == [7, 7]
    assert run("import", "a.jsonl", "--json").json["total"]["imported"] == 3_000
    assert len(standin.ids()) == 3_000


def test_rejects_are_in_a_file_here_that_can_be_replayed(run: Run, standin: Standin, here: Path) -> None:
    (here / "a.jsonl").write_bytes(b"\n".join([event("a"), event("b", time=1)]))
    ended = run("import", "a.jsonl")
    assert ended.code == 1
    (file,) = here.glob("rejects-*.jsonl")
    assert f"Rejects are written to {file.name}; once their cause is mended: replay {file.name}" in ended.err
    assert run("replay", file.name).code == 1


def test_rejects_go_where_the_setting_says(run: Run, bucket: Bucket, here: Path) -> None:
    (here / "a.jsonl").write_bytes(event("b", time=1))
    assert run("import", "a.jsonl", "--rejects", "gs://events/rejects").code == 1
    assert [one.insert_id for one in kept_rejects(bucket)] == ["b"]
    assert not [*here.glob("rejects-*")]


def test_checkpoints_go_where_the_setting_says(run: Run, bucket: Bucket, here: Path, tmp_path: Path) -> None:
    (here / "a.jsonl").write_bytes(event("a"))
    assert run("import", "a.jsonl", IMPORT_CHECKPOINTS="gs://events/own").code == 0
    assert [name.rpartition("/")[2] for name in objects(bucket, "own/")] == ["receipt.json"]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("words", "settings", "code", "said"),
    [
        (["a.jsonl"], {"MIXPANEL_PROJECT_TOKEN": None}, 2, "The import stopped: No Mixpanel credentials are set"),
        (["b.jsonl"], {}, 2, "The import stopped: there is no file or folder b.jsonl"),
        (["empty"], {}, 2, "The import stopped: there is no file in empty"),
        (["gs://events/b"], {}, 2, "The import stopped: there is nothing at gs://events/b: no object's name begins so"),
        (["gs://no-such/b"], {}, 2, "The import stopped: gs://no-such/b cannot be listed: there is no bucket no-such"),
        (["a.jsonl"], {"IMPORT_MAPPING": "broken.toml"}, 2, "The import stopped: "),
        (["a.jsonl"], {"IMPORT_MAPPING": "no-such"}, 2, "The import stopped: "),
        (["a.jsonl", "--backoff", "no"], {}, 2, "The import stopped: IMPORT_BACKOFF is 'no'"),
        (["a.jsonl", "--env-file", "no.env"], {}, 2, "The import stopped: no.env cannot be read: No such file"),
        (["a.jsonl"], {"STORAGE_EMULATOR_HOST": None, "IMPORT_CHECKPOINTS": "gs://b/x"}, 2, "Nobody is logged in at"),
        (["x.png"], {}, 1, "x.png is unreadable: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_wrong_is_said_in_a_sentence(
    words: list[str], settings: dict[str, Any], code: int, said: str, run: Run, here: Path
) -> None:
    (here / "a.jsonl").write_bytes(event("a"))
    (here / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (here / "broken.toml").write_text("[[event\n")
    (here / "empty").mkdir()
    quiet: dict[str, Any] = {"NO_GCE_CHECK": "true", "HOME": str(here)}
    ended = run("import", *words, **quiet, **settings)
    assert ended.code == code
    assert said in ended.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said_in_a_sentence(run: Run, here: Path) -> None:
    (here / "a.jsonl").write_bytes(event("a"))
    (here / "a.jsonl").chmod(0)
    ended = run("import", "a.jsonl")
    assert (ended.code, "a.jsonl cannot be read: Permission denied" in ended.err) == (2, True)


def test_a_full_disk_hands_back_what_could_not_be_stored(run: Run, standin: Standin, here: Path) -> None:
    (here / "a.jsonl").write_bytes(b"\n".join([event("a"), b"no"]))
    for second in range(20):
        name = time.strftime("rejects-%Y%m%dT%H%M%S.jsonl", time.gmtime(time.time() + second))
        (here / name).symlink_to("/dev/full")
    ended = run("import", "a.jsonl")
    assert ended.code == 2
    assert "The import stopped: rejects-" in ended.err
    assert "No space left on device" in ended.err


def test_what_mixpanel_refuses_ends_all_and_is_said_once(run: Run, standin: Standin, here: Path) -> None:
    standin.faults(credentials="another")
    for name in "abc":
        write(here / f"{name}.jsonl", ROWS)
    ended = run("import", ".", "--at-once", "1")
    assert ended.code == 2
    assert "The import stopped: " in ended.err
    assert standin.summary()["requests"] < 20


def start(environment: Mapping[str, str], here: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "importer", *words]
    return subprocess.Popen(
        command, cwd=here, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_import_settles_says_how_to_go_on_and_goes_on_from_there(
    number: signal.Signals, standin: Standin, environment: dict[str, str], here: Path, run: Run
) -> None:
    events = Events(40_000, "small", seed=5)
    write(here / "a.jsonl", events)
    standin.faults(latency=0.2)
    quick: dict[str, Any] = {"IMPORT_BATCH_EVENTS": "500", "IMPORT_CONCURRENCY": "4"}
    process = start({**environment, **quick}, here, "import", "a.jsonl")
    wait_until(lambda: standin.summary()["received"] > 3_000)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "Stopping: what is on its way is settled first." in said
    assert "1 of 1 is not finished: the same command goes on from there." in said
    received = standin.summary()["received"]
    assert 3_000 < received < 40_000
    standin.faults(latency=0)
    ended = run("import", "a.jsonl", "--json", **quick)
    assert ended.code == 0
    assert ended.json["total"]["imported"] == 40_000
    assert standin.ids().keys() == {*events.ids()}
    assert standin.summary()["received"] == 40_000, "nothing was sent a second time"


def test_interrupted_twice_it_ends_at_once(standin: Standin, environment: dict[str, str], here: Path) -> None:
    write(here / "a.jsonl", Events(40_000, "small", seed=5))
    standin.faults(latency=5)
    process = start(environment, here, "import", "a.jsonl")
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    said = process.communicate(timeout=60)[1].decode()
    assert (process.returncode, time.monotonic() - began < 2) == (130, True)
    assert "Ended at once" in said


def test_in_a_terminal_a_line_moves_and_the_table_stands_at_the_end(
    standin: Standin, environment: dict[str, str], here: Path
) -> None:
    write(here / "a.jsonl", Events(20_000, "small", seed=5))
    standin.faults(latency=0.2)
    seen = bytearray()

    def read(file: int) -> bytes:
        data = os.read(file, 4_096)
        seen.extend(data)
        return b""

    child, file = pty.fork()
    if child == 0:  # pragma: no cover
        os.chdir(here)
        words = [sys.executable, "-m", "importer", "import", "a.jsonl"]
        quick = {"IMPORT_BATCH_EVENTS": "500", "IMPORT_CONCURRENCY": "4", "TERM": "xterm", "COLUMNS": "120"}
        os.execve(sys.executable, words, {**environment, **quick})  # noqa: S606
    try:
        while True:
            read(file)
    except OSError:  # the other end is closed
        pass
    _, status = os.waitpid(child, 0)
    text = seen.decode()
    assert os.waitstatus_to_exitcode(status) == 0
    assert re.search(r"a\.jsonl.*\d+%", text)
    assert "0 of 1 file" in text
    assert re.search(r"a\.jsonl.*done.*20,000.*20,000", text.split("\x1b[?25h")[-1])


def fill(bucket: Bucket, *names: str) -> None:
    for name in names:
        bucket.put(f"archive/{name}", event(re.sub("[/.]", "-", name)))


def test_a_backfill_says_what_there_is_to_do_and_asks(run: Run, bucket: Bucket, standin: Standin) -> None:
    fill(bucket, "2025/06/01/a", "2025/06/01/b", "2025/05/31/a", "2025/05/01/a")
    ended = run("backfill", "gs://events/archive/", "--days", "2")
    assert ended.code == 2
    assert "3 objects of 2 days, from 2025-06-01 back to 2025-05-31, have " in ended.err
    assert re.search(r"About \d+ events .*: 0 s at Mixpanel's rate, and \$0\.00 on Google Cloud", ended.err)
    assert "There is no terminal to ask in, so nothing is imported: --yes goes on without asking." in ended.err
    assert standin.summary()["requests"] == 0


def test_a_backfill_imports_the_days_that_are_wanted_and_later_the_rest(
    run: Run, bucket: Bucket, standin: Standin
) -> None:
    fill(bucket, "2025/06/01/a", "2025/06/01/b", "2025/05/31/a", "2025/05/01/a", "readme")
    first = run("backfill", "gs://events/archive/", "--days", "2", "--yes")
    assert first.code == 0
    assert "1 object has no date in its name, as in gs://events/archive/readme: it is left out." in first.err
    assert re.findall(r"^(\d{4}-\d\d-\d\d|all days) +(\d+)", first.out, re.MULTILINE) == [
        ("2025-06-01", "2"),
        ("2025-05-31", "1"),
        ("all days", "3"),
    ]
    rest = run("backfill", "gs://events/archive/", "--yes", "--json").json
    assert [(one["day"], one["objects"]) for one in rest["days"]] == [("2025-05-01", 1), ("no date", 1)]
    assert set(standin.ids().values()) == {1}
    assert len(standin.ids()) == 5
    assert "All 5 objects are imported already." in run("backfill", "gs://events/archive/").err


def test_a_backfill_by_a_pattern_or_by_the_time_of_writing(run: Run, bucket: Bucket, standin: Standin) -> None:
    fill(bucket, "a-01.06.2025", "b-02.06.2025")
    described = run("backfill", "gs://events/archive/", "--pattern", "DD.MM.YYYY", "--since", "2025-06-02", "--yes")
    assert described.code == 0
    assert [*standin.ids()] == ["b-02-06-2025"]
    by_time = run("backfill", "gs://events/archive/", "--yes")
    assert "No name tells a day, so objects go by the day on which they were written." in by_time.err
    assert len(standin.ids()) == 2
    assert run("backfill", "gs://events/archive/", "--pattern", "MM.YYYY").code == 2
    assert "there is nothing at gs://events/nothing" in run("backfill", "gs://events/nothing").err


def test_an_object_that_cannot_be_imported_does_not_stop_the_others(run: Run, bucket: Bucket, standin: Standin) -> None:
    fill(bucket, *(f"2025/06/0{number}/a" for number in range(1, 6)))
    bucket.faults(corrupt=1.0, prefix="archive/2025/06/03")
    ended = run("backfill", "gs://events/archive/", "--yes")
    assert ended.code == 2
    assert "gs://events/archive/2025/06/03/a is handed back: " in ended.err
    assert "1 object is not finished: the same command goes on from there." in ended.err
    assert len(standin.ids()) >= 4
    bucket.faults(corrupt=0)
    assert run("backfill", "gs://events/archive/", "--yes").code == 0
    assert len(standin.ids()) == 5


def test_a_task_of_a_job_has_its_part_of_the_ceiling_and_logs_as_the_functions_do(run: Run, bucket: Bucket) -> None:
    fill(bucket, "2025/06/01/a", "2025/06/01/b")
    job: dict[str, Any] = {"CLOUD_RUN_JOB": "backfill", "CLOUD_RUN_TASK_INDEX": "1", "CLOUD_RUN_TASK_COUNT": "4"}
    ended = run("backfill", "gs://events/archive/", "--yes", "--events-per-second", "2000", **job)
    assert ended.code == 0
    assert "at 500 events/s" in ended.err
    logged = [json.loads(line) for line in ended.out.splitlines() if line.startswith("{")]
    assert [(one["kind"], one["outcome"], one["imported"]) for one in logged] == [("import", "done", 1)] * 2


def test_reconcile_finds_what_is_missing_or_has_changed_or_has_rejects_and_brings_it_in(
    run: Run, bucket: Bucket, standin: Standin
) -> None:
    fill(bucket, *(f"2025/06/01/{number:02}" for number in range(12)))
    bucket.put("archive/2025/06/01/bad", event("good") + b"\n" + event("bad", time=1))
    place: dict[str, Any] = {"IMPORT_CHECKPOINTS": "gs://events/own"}
    run("import", "gs://events/archive/2025/06/01/0", "gs://events/archive/2025/06/01/bad", **place)
    bucket.put("archive/2025/06/01/03", event("changed"))
    ended = run("reconcile", "gs://events/archive/", "--min-age", "0", "--json", MIXPANEL_PROJECT_TOKEN=None, **place)
    assert ended.code == 1
    names = {
        kind: [one.partition("#")[0].rpartition("/")[2] for one in ended.json[kind]] for kind in ("missing", "changed")
    }
    assert names == {"missing": ["10", "11"], "changed": ["03"]}
    assert ended.json["imported"] == 10
    ((rejected,),) = (ended.json["rejected"],)
    assert (rejected["source"].partition("#")[0], rejected["count"]) == ("gs://events/archive/2025/06/01/bad", 1)
    young = run("reconcile", "gs://events/archive/", **place)
    assert re.search(r"^too new to tell +3 ", young.out, re.MULTILINE)
    brought = run("reconcile", "gs://events/archive/", "--min-age", "0", "--import", **place)
    assert brought.code == 0
    assert "never imported: gs://events/archive/2025/06/01/10\n" in brought.err
    assert "changed since: gs://events/archive/2025/06/01/03\n" in brought.err
    assert "with rejects: gs://events/archive/2025/06/01/bad, 1 rejected\n" in brought.err
    assert {"changed", "2025-06-01-10", "2025-06-01-11"} <= standin.ids().keys()
    assert run("reconcile", "gs://events/archive/", "--min-age", "0", "--json", **place).json["missing"] == []


def test_reconcile_asks_where_the_receipts_are(run: Run, bucket: Bucket) -> None:
    fill(bucket, "a")
    ended = run("reconcile", "gs://events/archive/", MIXPANEL_PROJECT_TOKEN=None)
    assert (ended.code, "Where are the receipts? Set IMPORT_CHECKPOINTS" in ended.err) == (2, True)


def test_what_the_functions_imported_is_known_to_reconcile(
    run: Run, bucket: Bucket, function: Any, standin: Standin
) -> None:
    files = function("gcs_import", IMPORT_CHECKPOINTS="gs://events/own")
    bucket.send_events_to(files.url)
    fill(bucket, "2025/06/01/a", "2025/06/01/b")
    bucket.wait_until_delivered()
    bucket.send_events_to(None)
    fill(bucket, "2025/06/01/c")
    place: dict[str, Any] = {"IMPORT_CHECKPOINTS": "gs://events/own"}
    ended = run("reconcile", "gs://events/archive/", "--min-age", "0", "--json", **place)
    assert [one.partition("#")[0] for one in ended.json["missing"]] == ["gs://events/archive/2025/06/01/c"]
