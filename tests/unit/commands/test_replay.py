"""Replay: what is sent again and what is not, what is written again, and what is said of lines that are no rejects."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from importer import log
from importer.__main__ import main
from importer.commands.reject_file import Replay, replay
from importer.core.rejects.reject import Reject, RejectSink, rejected_record
from importer.errors import DeliveryError, InvalidRecord, RejectSinkError, SourceCorrupted
from importer.formats.held import Stream
from sandbox.clients import Bucket, Standin
from sandbox.processes import ROOT, Service
from tests.faults.trouble import kept_rejects, objects
from tests.unit.conftest import Kept, MakePipeline

FILE, MESSAGE = "gs://events/file#1", "projects/p/subscriptions/s#17"


def event(identifier: str, **properties: Any) -> bytes:
    known = {"time": 1_700_000_000, "distinct_id": "u", "$insert_id": identifier}
    return json.dumps({"event": "e", "properties": {**known, **properties}}).encode()


def reject(line: int, record: bytes, source: str = FILE) -> Reject:
    return rejected_record(source, line, line * 100, record, InvalidRecord("no"))


def lines(*rejects: Reject) -> bytes:
    return b"".join(msgspec.json.encode(one) + b"\n" for one in rejects)


def mended(record: dict[str, Any]) -> Any:
    """A transform that mends what is to be mended, and drops what is to be dropped."""
    properties = {**record["properties"], "time": 1_700_000_000}
    return None if properties.get("drop") else {**record, "properties": properties}


class Broken:
    """A sink that keeps nothing."""

    def store(self, rejects: Sequence[Reject]) -> None:
        raise RejectSinkError("no room")


Replayed = Callable[..., Replay]


@pytest.fixture(autouse=True)
def _log() -> None:
    log.configure("ERROR")


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def replayed(pipeline: MakePipeline, kept: Kept) -> Replayed:
    """Replays files; what is rejected again goes to `kept`, and what was sent once is not sent again."""
    seen: set[bytes] = set()

    def run(content: bytes, sink: RejectSink = kept, **changes: Any) -> Replay:
        return asyncio.run(replay(pipeline(max_wait=0.01, **changes), Stream([content], "file.jsonl"), sink, seen))

    return run


def test_what_is_rejected_again_is_written_again_as_it_was(standin: Standin, kept: Kept, replayed: Replayed) -> None:
    bad = [
        reject(3, event("b", time=1)),
        reject(4, b"not JSON"),
        reject(5, b"\xff", MESSAGE),
        reject(6, b"no", MESSAGE),
    ]
    outcome = replayed(lines(reject(1, event("a")), *bad, reject(7, event("c"), MESSAGE)))
    assert standin.ids() == {"a": 1, "c": 1}
    assert (outcome.report.imported, outcome.report.rejected) == (2, 4)
    assert sorted((one.line, one.offset, one.source, one.record()) for one in kept.rejects) == [
        (one.line, one.offset, one.source, one.record()) for one in bad
    ]
    assert sorted(one.line for one in outcome.report.first_rejects) == [3, 4, 5, 6]
    again = replayed(lines(*kept.rejects))
    assert (again.repeated, again.report.rejected) == (4, 0)


def test_a_message_that_was_rejected_whole_is_sent_record_by_record(
    standin: Standin, kept: Kept, replayed: Replayed
) -> None:
    whole = b"\n".join([event("a"), event("b", time=1), event("c")])
    outcome = replayed(lines(reject(1, gzip.compress(whole), MESSAGE)))
    assert standin.ids() == {"a": 1, "c": 1}
    assert (outcome.report.imported, outcome.report.rejected) == (2, 1)
    assert [(one.line, one.record()) for one in kept.rejects] == [(2, event("b", time=1))]


def test_of_a_reject_of_many_records_each_is_sent_and_a_bad_one_written_again(
    standin: Standin, kept: Kept, replayed: Replayed
) -> None:
    records = [event("a"), b"not JSON", event("b", time=1), event("c")]
    several = msgspec.structs.replace(reject(7, b"\n".join(records), MESSAGE), records=4)
    outcome = replayed(lines(several))
    assert standin.ids() == {"a": 1, "c": 1}
    assert (outcome.report.read, outcome.report.imported, outcome.report.rejected) == (4, 2, 2)
    assert [(one.line, one.offset, one.record(), one.records) for one in kept.rejects] == [
        (7, 700, b"not JSON", 1),
        (7, 700, event("b", time=1), 1),
    ]


@pytest.mark.parametrize("filler", [b"7\n", b"\n"], ids=["bad", "blank"])
def test_however_many_bad_or_blank_records_a_message_has_its_good_ones_are_sent(
    filler: bytes, standin: Standin, replayed: Replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for an answer here, as whoever sent the message did when it was rejected as a whole."""
    monkeypatch.setattr("importer.core.batching.source._MAX_BAD", 2_000)
    monkeypatch.setattr("importer.core.batching.source._MAX_BLANK", 2_000)
    whole = filler * 3_000 + event("last")
    message = msgspec.structs.replace(reject(1, whole, MESSAGE), whole=True, records=2_000)
    outcome = replayed(lines(message))
    assert standin.ids() == {"last": 1}
    assert outcome.report.rejected == (3_000 if filler == b"7\n" else 0)


PRETTY = json.dumps(json.loads(event("p", time=1)), indent=1).encode()
RECORDS = [
    b'[{"event": "e"}]',
    b"not\nJSON",
    b'{"event": "e",\n"broken',
    gzip.compress(event("a"), mtime=0),
    event("a") + b"\n" + event("b"),
    PRETTY,
]


def on_one_line(record: bytes) -> bytes:
    """An event that was sent stands on one line, which makes no difference to it."""
    return record.replace(b"\n", b" ")


@pytest.mark.parametrize("source", [FILE, "s3://events/file#1", "https://a.blob/x#1"])
@pytest.mark.parametrize("record", RECORDS, ids=repr)
def test_a_record_of_an_object_is_sent_as_it_is_whatever_it_holds_and_wherever_it_lies(
    record: bytes, source: str, kept: Kept, standin: Standin, replayed: Replayed
) -> None:
    assert replayed(lines(reject(3, record, source))).report.rejected == 1
    assert [(one.line, one.offset, on_one_line(one.record())) for one in kept.rejects] == [
        (3, 300, on_one_line(record))
    ]
    assert standin.ids() == {}


@pytest.mark.parametrize("record", [b"not\nJSON", b'{"event": "e",\n"broken', PRETTY, b"tab\tseparated", b"\xff\n\xfe"])
def test_a_record_of_a_message_is_sent_as_it_is(record: bytes, kept: Kept, replayed: Replayed) -> None:
    assert replayed(lines(reject(3, record, MESSAGE))).report.rejected == 1
    assert [(one.line, one.offset, on_one_line(one.record())) for one in kept.rejects] == [
        (3, 300, on_one_line(record))
    ]


WHOLE = {
    "gzipped": gzip.compress(event("a") + b"\n" + event("b")),
    "lines": b"\n".join([b"null", event("a"), event("b")]),
    "lines, the first not JSON": b"\n".join([b"{", event("a"), event("b")]),
    "an array": b"[" + event("a") + b",\n" + event("b") + b"]",
    "an array that breaks off": b"[" + event("a") + b",\n" + event("b") + b',{"',
}


@pytest.mark.parametrize("marked", [True, False], ids=["as written now", "as written before"])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_message_is_cut_into_its_records_also_where_its_reject_does_not_say_that_it_is_whole(
    kind: str, marked: bool, standin: Standin, replayed: Replayed
) -> None:
    old = reject(1, WHOLE[kind], MESSAGE)
    assert b"whole" not in msgspec.json.encode(old)
    replayed(lines(msgspec.structs.replace(old, whole=True) if marked else old))
    assert standin.ids() == {"a": 1, "b": 1}


def test_nothing_is_sent_twice_however_often_it_stands_in_the_files(standin: Standin, replayed: Replayed) -> None:
    same = event("a")
    first = replayed(lines(reject(1, same), reject(1, same), reject(2, same)))
    second = replayed(lines(reject(1, same), reject(3, event("b"))))
    assert (first.repeated, first.report.imported) == (1, 2)
    assert (second.repeated, second.report.imported) == (1, 1)
    assert standin.ids() == {"a": 2, "b": 1}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_the_reject_of_the_longest_event_is_sent_whole(
    standin: Standin, replayed: Replayed, pack: Callable[[bytes], bytes]
) -> None:
    """It is longer than the event is: twice as long, if that is full of quotes."""
    long = event("long", text='"' * 499_900)
    assert 999_000 < len(long) < 1_000_000 < len(lines(reject(1, long)))
    outcome = replayed(pack(lines(reject(1, long), reject(2, event("a")))))
    assert (outcome.report.imported, outcome.unreadable) == (2, 0)
    assert standin.ids() == {"long": 1, "a": 1}


def test_the_reject_of_the_longest_message_is_sent_whole(standin: Standin, replayed: Replayed) -> None:
    whole = b"\n".join(event(f"n-{n}", text="\\" * 2_000) for n in range(2_400))
    assert 9_000_000 < len(whole) < 10_000_000
    assert replayed(gzip.compress(lines(reject(1, whole, MESSAGE)))).report.imported == 2_400


def test_the_transform_is_applied(standin: Standin, kept: Kept, replayed: Replayed) -> None:
    content = lines(
        reject(1, event("a", time="then")), reject(2, event("b", drop=True)), reject(3, b'{"event":"no more"}')
    )
    outcome = replayed(content, transform="tests.unit.commands.test_replay:mended")
    assert (outcome.report.imported, outcome.report.dropped, outcome.report.rejected) == (1, 1, 1)
    assert standin.ids() == {"a": 1}
    (again,) = kept.rejects
    assert again.line == 3
    assert re.fullmatch(r"the transform raised KeyError: 'properties' \(test_replay\.py, line \d+\)", again.reason)


def test_lines_that_are_no_rejects_are_named_and_cost_no_other(standin: Standin, replayed: Replayed) -> None:
    rest = rejected_record(FILE, 9, 900, b"", InvalidRecord("from here on: the gzip data is damaged"))
    outcome = replayed(
        b"\n".join([b"not JSON", lines(reject(1, event("a"))), b'{"line":1}', b'{"line":"\xff"}', lines(rest), b"{"])
    )
    assert standin.ids() == {"a": 1}
    assert [why.partition(": ")[0] for why in outcome.complaints] == [
        f"file.jsonl, line {number}" for number in (1, 4, 5, 6, 8)
    ]
    assert outcome.complaints[0].startswith("file.jsonl, line 1: this is no reject: ")
    assert f"it stands for the rest of {FILE}, which could not be read" in outcome.complaints[3]


OF_THE_LOG = (
    "this is a line of the log, which may have a part of the event only: replay the files in the place that IMPORT"
)
HINTS = {
    "an event": (event("a"), "this is an event and no reject: import its file, there is nothing to replay"),
    "a line of the log": (b'{"severity":"WARNING","kind":"reject","source":"s","line":1}', OF_THE_LOG),
    "an entry of the log": (b'{"insertId":"x","jsonPayload":{"kind":"reject"}}', OF_THE_LOG),
    "another object": (b'{"a":1}', "this is no reject: Object missing required field `source`"),
    "an array": (b"[]\n[1]", "this is no reject: "),
    "a text": (b"one\ntwo", "this is no reject: "),
}


@pytest.mark.parametrize("kind", HINTS)
def test_what_is_no_reject_is_said_to_be_what_it_seems(kind: str, standin: Standin, replayed: Replayed) -> None:
    line, hint = HINTS[kind]
    outcome = replayed(lines(reject(1, event("b"))) + line)
    assert outcome.complaints[0].startswith(f"file.jsonl, line 2: {hint}")
    assert standin.ids() == {"b": 1}


def test_of_many_lines_that_are_no_rejects_the_first_are_told_and_all_are_counted(replayed: Replayed) -> None:
    outcome = replayed(b'{"a":1}\n' * 5_000)
    assert (outcome.unreadable, len(outcome.complaints)) == (5_000, 20)


class Failing:
    """A file in a cloud that fails in the middle."""

    name, size = "gs://b/r.jsonl", None

    def __init__(self, error: Exception) -> None:
        self._error = error

    def range(self, start: int, count: int) -> bytes:
        raise self._error

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        yield b"".join(lines(reject(n, event(f"id-{n}", text="x" * 1_000))) for n in range(500))
        raise self._error


@pytest.mark.parametrize(
    ("error", "said"),
    [(ConnectionError("reset"), "ConnectionError: reset"), (SourceCorrupted("bad checksum"), "bad checksum")],
)
def test_what_was_read_before_a_file_failed_is_sent_and_the_failure_is_told(
    error: Exception, said: str, standin: Standin, kept: Kept, pipeline: MakePipeline
) -> None:
    outcome = asyncio.run(replay(pipeline(max_wait=0.01), Failing(error), kept, set()))
    assert outcome.report.imported == len(standin.ids()) > 0
    (complaint,) = outcome.complaints
    assert complaint.startswith("gs://b/r.jsonl, after line ")
    assert complaint.endswith(f": {said}")


def test_what_is_held_does_not_grow_with_the_file(standin_process: Service, tmp_path: Path) -> None:
    """The peak of a process: 300 MB of rejects of 200 kB each. It was 745 MB, and grew with the file."""
    with gzip.open(tmp_path / "r.jsonl.gz", "wb", 1) as file:
        for n in range(1_500):
            file.write(lines(reject(n, event(f"id-{n}", text="x" * 200_000))))
    program = (
        "import os, sys; from bench.measuring import peak_memory; from importer.__main__ import main; "
        "status = main(); print(peak_memory(os.getpid())); sys.exit(status)"
    )
    words = [sys.executable, "-c", program, "replay", str(tmp_path / "r.jsonl.gz")]
    settings = {"MIXPANEL_PROJECT_TOKEN": "t", "MIXPANEL_API_URL": standin_process.url}
    run = subprocess.run(words, cwd=ROOT, env=settings, capture_output=True, text=True, check=True)
    summary, peak = run.stdout.splitlines()
    assert summary == "imported 1,500, dropped 0, rejected again 0, repeated 0, unreadable 0"
    assert int(peak) < 200_000_000


def test_a_file_that_breaks_off_is_sent_as_far_as_it_goes(standin: Standin, replayed: Replayed) -> None:
    rows = [lines(reject(n, event(f"id-{n}"))) for n in range(1, 500)]
    outcome = replayed(gzip.compress(b"".join(rows))[:-20])
    assert standin.ids() == dict.fromkeys((f"id-{n}" for n in range(1, outcome.report.imported + 1)), 1)
    assert 0 < outcome.report.imported < 499
    assert outcome.complaints[-1].endswith("the gzip data breaks off before its end")


def test_while_what_is_rejected_again_cannot_be_kept_the_file_is_not_settled(replayed: Replayed) -> None:
    with pytest.raises(DeliveryError, match="the rejects could not be kept: no room"):
        replayed(lines(reject(1, b"not JSON")), Broken())


# The command


@pytest.fixture
def command(standin: Standin, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs `python -m importer replay` with these places and options, and settings, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIXPANEL_API_URL", standin.url)
    monkeypatch.setenv("MIXPANEL_PROJECT_TOKEN", "demo")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)

    def run(*words: str, **settings: str) -> int:
        monkeypatch.setattr(sys, "argv", ["importer", "replay", *words])
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return main()

    return run


def test_objects_are_replayed_and_removed_once_what_is_rejected_again_is_kept(
    standin: Standin, bucket: Bucket, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.put("rejects/a/1.jsonl.gz", gzip.compress(lines(reject(1, event("a")), reject(2, b"not JSON"))))
    bucket.put("rejects/b/1.jsonl", lines(reject(1, event("a")), reject(3, event("c"))))
    bucket.put("rejects/b/notes.txt", b"not for us")
    assert command("gs://events/rejects/", "--remove", IMPORT_REJECTS="gs://events/rejects") == 1
    assert standin.ids() == {"a": 1, "c": 1}
    assert [
        (one.source, one.line, one.offset, one.event)
        for one in kept_rejects(bucket, f"rejects/{datetime.now(UTC):%Y-%m-%d}/replay/")
    ] == [(FILE, 2, 200, "not JSON")]
    assert len(objects(bucket, "rejects/")) == 2
    said = capsys.readouterr()
    assert said.out == "imported 2, dropped 0, rejected again 1, repeated 1, unreadable 0\n"
    assert f"{FILE}, line 2: " in said.err


def test_a_file_with_lines_that_are_no_rejects_is_not_removed(
    standin: Standin, tmp_path: Path, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "1.jsonl").write_bytes(lines(reject(1, event("a"))) + b"{\n")
    (tmp_path / "kept" / "2.jsonl").write_bytes(lines(reject(2, event("b"))))
    assert command("kept", "--remove") == 1
    assert standin.ids() == {"a": 1, "b": 1}
    assert [path.name for path in tmp_path.rglob("*.jsonl")] == ["1.jsonl"]
    assert "kept/1.jsonl, line 2: this is no reject" in capsys.readouterr().err


def test_a_replay_with_nothing_left_to_do_ends_well(
    standin: Standin, tmp_path: Path, command: Callable[..., int]
) -> None:
    (tmp_path / "r.jsonl").write_bytes(lines(reject(1, event("a"))))
    assert command("r.jsonl") == 0
    assert standin.ids() == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


@pytest.mark.parametrize(
    ("place", "status", "told"),
    [
        ("nowhere.jsonl", 1, "There is nothing at nowhere.jsonl."),
        ("gs://events/nothing", 1, "There is nothing at gs://events/nothing."),
        (
            "gs://no-such-bucket/x",
            2,
            "The replay stopped: gs://no-such-bucket/x cannot be listed: there is no bucket no-such-bucket",
        ),
    ],
)
def test_a_place_with_no_rejects_is_named(
    place: str, status: int, told: str, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(place) == status
    assert told in capsys.readouterr().err


def test_a_dry_run_sends_writes_and_removes_nothing_and_needs_no_credentials(
    standin: Standin,
    tmp_path: Path,
    command: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MIXPANEL_PROJECT_TOKEN")
    file = tmp_path / "r.jsonl"
    file.write_bytes(lines(reject(1, event("a")), reject(2, b"no"), reject(3, event("b", time=1))))
    assert command("r.jsonl", "--dry-run", "--remove") == 1
    assert capsys.readouterr().out == "would import 1, dropped 0, rejected again 2, repeated 0, unreadable 0\n"
    assert standin.summary()["requests"] == 0
    assert [*tmp_path.iterdir()] == [file]


def test_rejects_of_some_days_are_replayed_by_the_day_on_which_they_were_written(
    standin: Standin, bucket: Bucket, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for day, name in (("20250531", "a"), ("20250601", "b"), ("20250603", "c")):
        bucket.put(f"rejects/x/{day}T120000.5Z-00ff.jsonl.gz", gzip.compress(lines(reject(1, event(name), name))))
    bucket.put("rejects/today.jsonl", lines(reject(1, event("d"), "d")))
    assert command("gs://events/rejects/", "--since", "2025-06-01", "--until", "2025-06-02", "--json") == 0
    assert json.loads(capsys.readouterr().out)["imported"] == 1
    assert command("gs://events/rejects/", "--since", "2025-06-03") == 0
    assert standin.ids() == {"b": 1, "c": 1, "d": 1}
    assert command("gs://events/rejects/", "--until", "2025-01-01") == 1
    assert "There is nothing at gs://events/rejects/: 4 files, none of these days." in capsys.readouterr().err
