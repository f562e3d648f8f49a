"""Where rejects are kept: how they are cut into objects, what these are called, and when they count as kept."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain, pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from importer.core.rejects.reject import Reject, RejectSink, rejected_record
from importer.errors import InvalidRecord, RejectSinkError
from importer.reject_sinks.objects import parts
from importer.reject_sinks.place import RejectStore
from importer.storage.paths import folder_of
from sandbox.clients import Bucket
from tests.faults.trouble import kept_rejects, objects, stored

SOURCE = "gs://events/file#1"

Make = Callable[..., RejectSink]


def reject(line: int, size: int = 10) -> Reject:
    return rejected_record(SOURCE, line, 0, b"x" * size, InvalidRecord("no"))


@given(st.lists(st.binary(max_size=12), max_size=30), st.integers(1, 40))
def test_a_part_holds_as_many_lines_as_fit_and_one_at_the_least(lines: list[bytes], most: int) -> None:
    made = list(parts(iter(lines), most))
    assert [*chain(*made)] == lines
    assert all(len(part) == 1 or sum(map(len, part)) <= most for part in made)
    assert all(sum(map(len, part)) + len(after[0]) > most for part, after in pairwise(made))


NAMES = st.text(min_size=1, max_size=200) | st.text("./%2E~#é", min_size=1, max_size=1_024)


def source(name: str) -> str:
    return f"gs://bucket/{name}#17"


@given(NAMES)
@example("../../etc/passwd")
@example("..")
@example("a\r\nb\x00\x1b[31m")
@example("x" * 1_024)
def test_a_folder_has_a_name_that_any_object_may_have(name: str) -> None:
    folder = folder_of(source(name))
    assert ".." not in folder.split("/")
    assert folder.isascii()
    assert folder.isprintable()
    assert len(folder) <= 512


@given(NAMES, NAMES)
@example("../a", "%2E%2E/a")
@example("x" * 1_000, "x" * 1_001)
def test_no_two_sources_share_a_folder(one: str, other: str) -> None:
    assert (folder_of(source(one)) == folder_of(source(other))) == (one == other)


@pytest.fixture
def make(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes sinks in the local bucket."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)

    def made(source: str, seconds: float = 60.0) -> RejectSink:
        found = RejectStore(f"gs://{bucket.name}/rejects/", seconds).for_source(source)
        assert found
        return found

    return made


def test_rejects_lie_in_their_order_in_the_folder_of_their_source(
    bucket: Bucket, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.reject_sinks.objects._PART_BYTES", 1_000)
    kept = [reject(line, size=3_000 if line == 50 else 10) for line in range(100)]
    sink = make(SOURCE)
    sink.store(kept[:70])
    sink.store(kept[70:])
    assert kept_rejects(bucket) == kept
    names = objects(bucket, "")
    assert {name.rpartition("/")[0] for name in names} == {f"rejects/{datetime.now(UTC):%Y-%m-%d}/events/file/1"}
    assert all(name.endswith(".jsonl.gz") for name in names)
    sizes = [len(gzip.decompress(stored(bucket, name))) for name in names]
    assert [size > 1_000 + 10 for size in sizes].count(True) == 1
    assert len(sizes) > 10


def test_no_more_than_a_part_is_held_beyond_the_rejects(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.reject_sinks.objects._PART_BYTES", 500_000)
    many = [reject(line, size=200_000) for line in range(50)]
    sink = make(SOURCE)
    sink.store(many[:1])
    tracemalloc.start()
    sink.store(many)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5_000_000


def test_what_the_bucket_does_not_take_is_not_kept(bucket: Bucket, make: Make) -> None:
    bucket.faults(upload_503=1.0)
    with pytest.raises(
        RejectSinkError, match=r"^gs://events/rejects/[0-9-]+/events/file/1/.*gz cannot be written.*503"
    ):
        make(SOURCE, seconds=0.1).store([reject(1)])
    assert not objects(bucket, "")


def test_what_the_bucket_did_not_confirm_is_not_kept_and_kept_again_it_is_there(bucket: Bucket, make: Make) -> None:
    bucket.faults(upload_cut=1.0)
    with pytest.raises(RejectSinkError):
        make(SOURCE, seconds=0.1).store([reject(1)])
    bucket.end_trouble()
    make(SOURCE).store([reject(1)])
    assert {one.line for one in kept_rejects(bucket)} == {1}


def test_trouble_on_the_way_keeps_each_reject_once(bucket: Bucket, make: Make) -> None:
    """With this seed the first try is answered with 503, and the second one's answer is lost."""
    bucket.faults(upload_503=0.5, upload_cut=0.3, seed=11)
    make(SOURCE).store([reject(1), reject(2)])
    assert [one.line for one in kept_rejects(bucket)] == [1, 2]


def test_a_bucket_that_does_not_exist_is_named(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    elsewhere = RejectStore("gs://no-such-bucket/rejects").for_source(SOURCE)
    assert elsewhere
    with pytest.raises(RejectSinkError, match=r"there is no bucket no-such-bucket"):
        elsewhere.store([reject(1)])


def test_on_a_disk_they_lie_as_in_a_bucket(tmp_path: Path) -> None:
    sink = RejectStore(str(tmp_path / "rejects")).for_source(SOURCE)
    assert sink
    sink.store([reject(1), reject(2)])
    (file,) = tmp_path.rglob("*.jsonl.gz")
    assert file.parent == tmp_path / f"rejects/{datetime.now(UTC):%Y-%m-%d}/events/file/1"
    assert [json.loads(line)["line"] for line in gzip.decompress(file.read_bytes()).splitlines()] == [1, 2]


def test_what_a_disk_does_not_take_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "rejects").write_bytes(b"a file, and no folder")
    sink = RejectStore(str(tmp_path / "rejects")).for_source(SOURCE)
    assert sink
    with pytest.raises(RejectSinkError, match=rf"^{tmp_path}/rejects/.* cannot be written: "):
        sink.store([reject(1)])


def test_without_a_place_there_is_no_sink() -> None:
    assert RejectStore(None).for_source(SOURCE) is None
