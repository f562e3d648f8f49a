"""The command that sends rejects again, in this process: which files, what it says, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from importer.core.rejects.reject import rejected_record
from importer.errors import InvalidRecord
from sandbox.clients import Bucket, Standin
from tests.faults.trouble import objects
from tests.unit.commands.files import Run, event, write


def rejects(*records: bytes) -> bytes:
    made = [rejected_record("gs://b/x#1", n, n * 10, one, InvalidRecord("no", "f")) for n, one in enumerate(records, 1)]
    return b"".join(msgspec.json.encode(one) + b"\n" for one in made)


def test_what_is_mended_is_imported_and_the_rest_written_again(run: Run, standin: Standin) -> None:
    write("r.jsonl", content=rejects(event("a"), event("b", time=1)) + rejects(event("a")) + b"no reject\n")
    ended = run("replay", "r.jsonl")
    assert ended.code == 1
    assert ended.out == "imported 1, dropped 0, rejected again 1, repeated 1, unreadable 1\n"
    (file,) = Path().glob("rejects-*.jsonl")
    assert ended.err.split("\n")[:3] == [
        f"What is rejected again is written to {file}.",
        "1 of 1: r.jsonl: imported 1, rejected again 1",
        ended.err.split("\n")[2],
    ]
    assert ended.err.split("\n")[2].startswith("  gs://b/x#1, line 2: properties.time ")
    assert "  r.jsonl, line 4: this is no reject: " in ended.err
    assert standin.ids() == {"a": 1}


def test_a_dry_run_sends_writes_and_deletes_nothing(run: Run, standin: Standin) -> None:
    write("r.jsonl", content=rejects(event("a"), event("b", time=1)))
    ended = run("replay", "--dry-run", "--remove", "r.jsonl")
    assert (ended.code, ended.out) == (
        1,
        "would import 1, dropped 0, rejected again 1, repeated 0, unreadable 0\n",
    )
    assert standin.summary()["requests"] == 0
    assert [one.name for one in Path().iterdir()] == ["r.jsonl"]


def test_a_file_that_is_settled_is_removed_where_that_is_asked_for(run: Run) -> None:
    write("a.jsonl", content=rejects(event("a")))
    write("b.jsonl", content=rejects(event("b")) + b"no reject\n")
    found = run("replay", "--remove", "a.jsonl", "b.jsonl", "--json")
    assert (found.code, found.json["imported"], found.json["unreadable"], found.json["files"]) == (1, 2, 1, 2)
    assert found.err == ""
    assert [one.name for one in Path().iterdir()] == ["b.jsonl"]
    write("c.jsonl", content=rejects(event("c")))
    assert run("replay", "c.jsonl").code == 0
    assert Path("c.jsonl").exists()


def test_files_are_chosen_by_the_day_on_which_they_were_written(run: Run, standin: Standin) -> None:
    for day in ("20250531", "20250601", "20250602"):
        write(f"rejects-{day}T120000.jsonl", content=rejects(event(day)))
    assert run("replay", ".", "--since", "2025-06-02").code == 0
    assert standin.ids().keys() == {"20250602"}
    assert run("replay", ".", "--until", "2025-05-31").code == 0
    assert standin.ids().keys() == {"20250602", "20250531"}
    none = run("replay", ".", "--since", "2030-01-01")
    assert (none.code, none.err) == (1, "There is nothing at .: 3 files, none of these days.\n")
    write("other/20259999T120000.jsonl", content=rejects(event("now")))
    assert run("replay", "other", "--since", "2026-01-01").code == 0, "a name that tells no day goes by its time"
    nowhere = run("replay", "nowhere")
    assert (nowhere.code, nowhere.err) == (1, "There is nothing at nowhere.\n")


def test_in_a_bucket_those_that_are_called_as_rejects_are(
    run: Run, bucket: Bucket, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    monkeypatch.setenv("IMPORT_REJECTS", f"gs://{bucket.name}/again")
    bucket.put("rejects/a.jsonl", rejects(event("a"), event("b", time=1)))
    bucket.put("rejects/b.txt", rejects(event("b")))
    assert run("replay", f"gs://{bucket.name}/rejects/", "--remove").code == 1
    assert standin.ids() == {"a": 1}
    assert [*objects(bucket, "rejects/")] == ["rejects/b.txt"]
    assert len([*objects(bucket, "again/")]) == 1
    assert not [*Path().iterdir()]
