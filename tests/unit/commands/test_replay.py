"""Replay: what is sent again and what is not, what is written again, and what is said of lines that are no rejects."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from importer import log
from importer.__main__ import main
from importer.commands.replay import Replay, replay
from importer.core.rejects import Reject, RejectSink, rejected_record
from importer.errors import DeliveryError, InvalidRecord, RejectSinkError
from sandbox.clients import Bucket, Standin
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
    """Replays files; what is refused again goes to `kept`, and what was sent once is not sent again."""
    seen: set[bytes] = set()

    def run(content: bytes, sink: RejectSink = kept, **changes: Any) -> Replay:
        return asyncio.run(replay(pipeline(max_wait=0.01, **changes), "file.jsonl", [content], sink, seen))

    return run


def test_what_is_refused_again_is_written_again_as_it_was(standin: Standin, kept: Kept, replayed: Replayed) -> None:
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


def test_a_message_that_was_refused_whole_is_sent_record_by_record(
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
    monkeypatch.setattr("importer.core.source._MAX_BAD", 2_000)
    monkeypatch.setattr("importer.core.source._MAX_BLANK", 2_000)
    whole = filler * 3_000 + event("last")
    message = msgspec.structs.replace(reject(1, whole, MESSAGE), whole=True, records=2_000)
    outcome = replayed(lines(message))
    assert standin.ids() == {"last": 1}
    assert outcome.report.rejected == (3_000 if filler == b"7\n" else 0)


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
    assert (outcome.report.imported, outcome.unreadable) == (2, [])
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
    assert [(one.line, one.reason) for one in kept.rejects] == [(3, "the transform raised KeyError: 'properties'")]


def test_lines_that_are_no_rejects_are_named_and_cost_no_other(standin: Standin, replayed: Replayed) -> None:
    rest = rejected_record(FILE, 9, 900, b"", InvalidRecord("from here on: the gzip data is damaged"))
    outcome = replayed(
        b"\n".join([b"not JSON", lines(reject(1, event("a"))), b'{"line":1}', b'{"line":"\xff"}', lines(rest), b"{"])
    )
    assert standin.ids() == {"a": 1}
    assert [why.partition(": ")[0] for why in outcome.unreadable] == [
        f"file.jsonl, line {number}" for number in (1, 4, 5, 6, 8)
    ]
    assert outcome.unreadable[0].startswith("file.jsonl, line 1: this is no reject: ")
    assert f"it stands for the rest of {FILE}, which could not be read" in outcome.unreadable[3]


def test_a_file_that_breaks_off_is_sent_as_far_as_it_goes(standin: Standin, replayed: Replayed) -> None:
    rows = [lines(reject(n, event(f"id-{n}"))) for n in range(1, 500)]
    outcome = replayed(gzip.compress(b"".join(rows))[:-20])
    assert standin.ids() == dict.fromkeys((f"id-{n}" for n in range(1, outcome.report.imported + 1)), 1)
    assert 0 < outcome.report.imported < 499
    assert outcome.unreadable[-1].endswith("the gzip data breaks off before its end")


def test_while_what_is_refused_again_cannot_be_kept_the_file_is_not_settled(replayed: Replayed) -> None:
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


def test_objects_are_replayed_and_removed_once_what_is_refused_again_is_kept(
    standin: Standin, bucket: Bucket, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.put("rejects/a/1.jsonl.gz", gzip.compress(lines(reject(1, event("a")), reject(2, b"not JSON"))))
    bucket.put("rejects/b/1.jsonl", lines(reject(1, event("a")), reject(3, event("c"))))
    bucket.put("rejects/b/notes.txt", b"not for us")
    assert command("gs://events/rejects/", "--remove", IMPORT_REJECTS="gs://events/rejects") == 1
    assert standin.ids() == {"a": 1, "c": 1}
    assert [(one.source, one.line, one.offset, one.event) for one in kept_rejects(bucket, "rejects/replay/")] == [
        (FILE, 2, 200, "not JSON")
    ]
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
        ("gs://no-such-bucket/x", 2, "The replay stopped: gs://no-such-bucket/x cannot be listed: NotFound: 404"),
    ],
)
def test_a_place_with_no_rejects_is_named(
    place: str, status: int, told: str, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(place) == status
    assert told in capsys.readouterr().err
