"""The importer as a library: records and files into Mixpanel, from a process that is somebody else's."""

from __future__ import annotations

import gzip
import json
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

import importer
from importer import library, log, objects
from importer.core.rejects.reject import Reject
from sandbox.clients import Bucket, Standin
from tests.faults.trouble import kept_rejects


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    """The log as it is where nobody has set it up."""
    log.use(log.StandardLog(logging.getLogger("importer")))
    yield
    log.configure()


@pytest.fixture
def variables(standin: Standin, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    return {"MIXPANEL_PROJECT_TOKEN": "t", "MIXPANEL_API_URL": standin.url, "IMPORT_BACKOFF": "0.01"}


@pytest.fixture
def settings(variables: dict[str, str]) -> importer.Settings:
    return importer.settings_from(variables)


def event(identifier: str, **properties: Any) -> bytes:
    known = {"time": 1_700_000_000, "distinct_id": "u", "$insert_id": identifier}
    return json.dumps({"event": "e", "properties": {**known, **properties}}).encode()


class Sink:
    def __init__(self) -> None:
        self.rejects: list[Reject] = []

    def store(self, rejects: Sequence[Reject]) -> None:
        self.rejects += rejects


def test_records_are_imported_and_each_is_accounted_for(standin: Standin, settings: importer.Settings) -> None:
    sink = Sink()
    rows = [event("a"), b"not JSON", event("b"), event("c", time=1), b'{\n"event": 1}']
    report = importer.import_records(iter(rows), source="mine", settings=settings, rejects=sink)
    assert (report.read, report.imported, report.rejected, report.dropped) == (5, 2, 3, 0)
    assert standin.ids() == {"a": 1, "b": 1}
    assert [(one.source, one.line, one.offset, one.record()) for one in sink.rejects] == [
        ("mine", line, sum(len(row) + 1 for row in rows[: line - 1]), rows[line - 1]) for line in (2, 4, 5)
    ]


@pytest.mark.parametrize(("count", "bytes_each"), [(0, 0), (1_000, 10), (2_501, 10), (700, 1_000)])
def test_any_number_of_records_of_any_size_comes_whole(
    count: int, bytes_each: int, standin: Standin, settings: importer.Settings
) -> None:
    rows = [event(f"id-{n}", text="x" * bytes_each) for n in range(count)]
    sink = Sink()
    rows[500:501] = [b"null"] * (count > 500)
    report = importer.import_records(rows, source="s", settings=settings, rejects=sink)
    good = count - (count > 500)
    assert (report.read, report.imported) == (count, good)
    assert len(standin.ids()) == good
    assert [(one.line, one.offset) for one in sink.rejects] == [(501, sum(map(len, rows[:500])) + 500)] * (count > 500)


def test_records_are_read_as_they_are_needed(settings: importer.Settings) -> None:
    """However many there are, what is held of them is bounded: here the first block alone is read ahead of the rest."""
    blocks = library._blocks(event(f"id-{n}") for n in range(10**12))
    assert [len(next(blocks).records) for _ in range(3)] == [1_000] * 3


def test_what_is_no_bytes_is_handed_back_with_a_sentence(settings: importer.Settings) -> None:
    with pytest.raises(importer.HandedBack, match="TypeError: a record is bytes, and this is str") as raised:
        importer.import_records([event("a"), "{}"], source="s", settings=settings)  # type: ignore[list-item]
    assert isinstance(raised.value.__cause__, TypeError)


def test_what_mixpanel_does_not_take_is_handed_back_with_a_report(standin: Standin, variables: dict[str, str]) -> None:
    standin.faults(**{"503": 1.0})
    settings = importer.settings_from(variables | {"IMPORT_RETRY_SECONDS": "0"})
    with pytest.raises(importer.HandedBack) as raised:
        importer.import_records([event("a"), b"null"], source="s", settings=settings)
    assert (raised.value.report.read, raised.value.report.handed_back) == (2, 2)


def test_rejects_go_where_the_settings_say_or_to_the_log(
    bucket: Bucket, variables: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    importer.import_records([b"null"], source="s1", settings=importer.settings_from(variables))
    (line,) = [one for one in caplog.records if vars(one)["fields"]["kind"] == "reject"]
    assert (vars(line)["fields"]["source"], vars(line)["fields"]["event"]) == ("s1", "null")
    stored = importer.settings_from(variables | {"IMPORT_REJECTS": "gs://events/rejects"})
    importer.import_records([b"null"], source="s2", settings=stored)
    assert [(one.source, one.line) for one in kept_rejects(bucket)] == [("s2", 1)]


def test_progress_is_told_now_and_then_and_what_was_told_stays_as_it_was(
    settings: importer.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_PROGRESS_SECONDS", -1)
    told: list[importer.Report] = []
    rows = [event(f"id-{n}") for n in range(2_500)]
    report = importer.import_records(rows, source="s", settings=settings, on_progress=told.append)
    assert [one.read for one in told] == [1_000, 2_000, 2_500]
    assert report.imported == 2_500
    monkeypatch.setattr(objects, "_PROGRESS_SECONDS", 60)
    told.clear()
    importer.import_records(rows, source="s", settings=settings, on_progress=told.append)
    assert told == []


@pytest.mark.parametrize("place", ["a bucket", "a disk"])
def test_a_file_is_imported_wherever_it_lies(
    place: str, standin: Standin, bucket: Bucket, settings: importer.Settings, tmp_path: Path
) -> None:
    content = gzip.compress(b"\n".join([event("a"), b"null", event("b")]))
    if place == "a bucket":
        source = f"gs://events/in/1.gz#{bucket.put('in/1.gz', content)}"
    else:
        (tmp_path / "1.gz").write_bytes(content)
        source = f"{tmp_path}/1.gz#{(tmp_path / '1.gz').stat().st_mtime_ns}.{len(content)}"
    sink = Sink()
    report = importer.import_file(source.rpartition("#")[0], settings=settings, rejects=sink)
    assert (report.read, report.imported, report.rejected) == (3, 2, 1)
    assert [(one.source, one.line) for one in sink.rejects] == [(source, 2)]
    assert standin.ids() == {"a": 1, "b": 1}


@pytest.mark.parametrize("place", ["a bucket", "a disk"])
def test_a_file_with_a_receipt_is_imported_again_only_if_it_is_wanted_again_or_has_changed(
    place: str, standin: Standin, bucket: Bucket, variables: dict[str, str], tmp_path: Path
) -> None:
    settings = importer.settings_from(variables | {"IMPORT_CHECKPOINTS": "gs://events/own"})

    def write(content: bytes) -> str:
        if place == "a bucket":
            bucket.put("in", content)
            return "gs://events/in"
        (tmp_path / "in").write_bytes(content)
        return str(tmp_path / "in")

    address = write(event("a"))
    reports = [importer.import_file(address, settings=settings, again=again) for again in (False, False, True, False)]
    assert [one.imported for one in reports] == [1, 0, 1, 0]
    write(event("b"))
    assert importer.import_file(address, settings=settings).imported == 1
    assert standin.ids() == {"a": 2, "b": 1}


def test_a_file_that_makes_no_sense_says_so_in_its_report(tmp_path: Path, settings: importer.Settings) -> None:
    (tmp_path / "image").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    report = importer.import_file(str(tmp_path / "image"), settings=settings)
    assert (report.read, report.rejected) == (1, 1)
    assert report.unreadable
    assert report.unreadable.startswith("this is no event data but a PNG image")


@pytest.mark.parametrize("address", ["gs://events/nothing", "/no/such/file"])
def test_a_file_that_is_not_there_is_gone(address: str, settings: importer.Settings) -> None:
    with pytest.raises(importer.SourceGone, match=rf"^there is nothing at {address}$"):
        importer.import_file(address, settings=settings)


def test_an_object_that_is_overwritten_while_it_is_read_is_gone(
    standin: Standin, bucket: Bucket, settings: importer.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = bucket.put("in", b"\n".join(event(f"id-{n}", text="x" * 1_000) for n in range(9_000)))

    def overwrite(_: importer.Report) -> None:
        bucket.put("in", b"")

    monkeypatch.setattr(objects, "_PROGRESS_SECONDS", -1)
    with pytest.raises(importer.SourceGone) as raised:
        importer.import_file("gs://events/in", settings=settings, on_progress=overwrite)
    assert str(raised.value).startswith(f"gs://events/in#{generation}: it has been deleted or overwritten")


def test_what_is_handed_back_is_logged_with_its_name(
    standin: Standin, variables: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x").write_bytes(event("a"))
    standin.faults(**{"503": 1.0})
    with pytest.raises(importer.HandedBack):
        importer.import_file(
            str(tmp_path / "x"), settings=importer.settings_from(variables | {"IMPORT_RETRY_SECONDS": "0"})
        )
    (line,) = [vars(one)["fields"] for one in caplog.records if vars(one)["fields"]["kind"] == "import"]
    assert (line["outcome"], line["source"].partition("#")[0]) == ("handed back", str(tmp_path / "x"))


@pytest.mark.parametrize("ask", [importer.import_file, lambda address, **how: importer.import_files([address], **how)])
def test_an_address_of_a_cloud_that_is_not_known_is_told(ask: Any, settings: importer.Settings) -> None:
    with pytest.raises(
        importer.StorageError, match=r"^abc://b/x is nothing that is known here: an address begins with"
    ):
        ask("abc://b/x", settings=settings)


def test_files_are_imported_in_order_and_each_has_its_report(
    standin: Standin, bucket: Bucket, settings: importer.Settings, tmp_path: Path
) -> None:
    bucket.put("in/2", event("c") + b"\n" + event("d"))
    bucket.put("in/1", event("b"))
    (tmp_path / "x").write_bytes(event("a"))
    reports = importer.import_files([str(tmp_path), "gs://events/in/"], settings=settings)
    assert [(name, one.imported) for name, one in reports.items()] == [
        (str(tmp_path / "x"), 1),
        ("gs://events/in/1", 1),
        ("gs://events/in/2", 2),
    ]
    assert sum(reports.values(), importer.Report()).imported == 4


def test_where_one_of_the_addresses_has_nothing_no_file_is_imported(
    standin: Standin, settings: importer.Settings, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(event("a"))
    with pytest.raises(importer.SourceGone, match=r"^there is nothing at gs://events/nothing$"):
        importer.import_files([str(tmp_path), "gs://events/nothing"], settings=settings)
    assert standin.ids() == {}


def test_a_time_limit_ends_the_reading_in_time(settings: importer.Settings) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield event("a", text="x" * 10_000)

    with pytest.raises(importer.HandedBack, match=r"^the time limit came before the end"):
        importer.import_records(endless(), source="s", settings=settings, time_limit=0.5)


def test_a_misspelt_setting_is_warned_of(variables: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    importer.settings_from(variables | {"IMPORT_REJECT": "x"})
    (record,) = caplog.records
    assert record.getMessage() == "IMPORT_REJECT is not a setting: IMPORT_REJECTS may be meant."
    assert vars(record)["fields"] == {"kind": "settings"}


def test_a_process_makes_one_pipeline_for_its_settings(settings: importer.Settings) -> None:
    same = msgspec.structs.replace(settings)
    other = msgspec.structs.replace(settings, concurrency=3)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(library._parts(same)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {*map(id, found)} == {id(library._parts(settings)[0])}
    assert library._parts(other)[0] is not library._parts(settings)[0]


def test_a_forked_process_makes_its_own_and_imports(standin: Standin, settings: importer.Settings) -> None:
    """Also if another thread was making one at that moment: its lock is never let go in the child."""
    importer.import_records([event("parent")], source="s", settings=settings)
    with library._LOCKS[os.getpid()]:
        child = os.fork()
        if not child:
            report = importer.import_records([event("child")], source="s", settings=settings)
            os._exit(0 if report.imported == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert standin.ids() == {"parent": 1, "child": 1}
