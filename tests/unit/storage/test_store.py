"""Objects by address: the same verbs do the same, wherever the objects lie."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from importer.errors import SourceGone, StorageError
from importer.storage import gcs
from importer.storage.gcs import GcsStore
from importer.storage.local import LocalStore
from importer.storage.store import Patience, Store, lies_in, split, store
from sandbox.clients import Bucket
from sandbox.processes import ROOT

QUICK = Patience(total=0.2, timeout=1, backoff=0.01)


@pytest.fixture
def objects(place: str) -> Store:
    return store(place, QUICK)


def test_an_address_says_which_store_it_is_in(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    assert isinstance(store("gs://b/x"), GcsStore)
    assert all(isinstance(store(address), LocalStore) for address in ("a/b", "/a/b", "gs", "file:name", "./gs:/a"))


def test_an_address_of_a_cloud_that_is_not_known_is_told() -> None:
    with pytest.raises(StorageError) as raised:
        store("ftp://b/x")
    assert (
        str(raised.value)
        == "ftp://b/x is nothing that is known here: an address begins with gs:// or s3://, or is a path"
    )


def test_what_was_written_is_read_whole_and_in_part(place: str, objects: Store) -> None:
    assert objects.read(f"{place}/a/1.json") is None
    objects.write(f"{place}/a/1.json", b"old")
    objects.write(f"{place}/a/1.json", b"0123456789")
    assert objects.read(f"{place}/a/1.json") == b"0123456789"
    reading = objects.open(f"{place}/a/1.json")
    assert (reading.name, reading.size) == (f"{place}/a/1.json", 10)
    assert (reading.range(3, 2), reading.range(8, 9), reading.range(10, 1)) == (b"34", b"89", b"")
    assert b"".join(reading.chunks(4)) == b"456789"


def test_what_is_not_there_is_gone(place: str, objects: Store) -> None:
    with pytest.raises(SourceGone):
        objects.open(f"{place}/nothing")
    objects.delete(f"{place}/nothing")
    assert [*objects.list(f"{place}/nothing")] == []


def test_what_lies_at_an_address_is_listed_in_order(place: str, objects: Store) -> None:
    names = ["b/2.json", "b/1.json", "a.json", "c.json", "b/d/e/3.json"]
    for name in names:
        objects.write(f"{place}/{name}", b"x")
    assert [*objects.list(place)] == [f"{place}/{name}" for name in sorted(names)]
    assert [*objects.list(f"{place}/b")] == [f"{place}/b/{name}" for name in ("1.json", "2.json", "d/e/3.json")]
    assert [*objects.list(f"{place}/b/1.json")] == [f"{place}/b/1.json"]


def test_a_list_says_what_each_object_is(place: str, objects: Store) -> None:
    objects.write(f"{place}/a", b"12345")
    objects.write(f"{place}/b", b"")
    found = [*objects.entries(place)]
    assert [(one.address, one.size) for one in found] == [(f"{place}/a", 5), (f"{place}/b", 0)]
    assert all(abs(one.written - time.time()) < 60 for one in found)
    assert [one.source for one in found] == [objects.open(one.address).source for one in found]  # type: ignore[attr-defined]


def test_of_those_who_write_in_the_place_of_one_version_one_succeeds(place: str, objects: Store) -> None:
    address = f"{place}/lease"
    assert objects.read_version(address) is None
    with ThreadPoolExecutor(8) as threads:
        first = [*threads.map(lambda n: objects.write_version(address, b"%d" % n, None), range(8))]
    content, version = objects.read_version(address) or (b"", "")
    assert [found for found in first if found] == [version]
    assert first[int(content)] == version
    second = objects.write_version(address, b"later", version)
    assert second not in {None, version}
    assert objects.write_version(address, b"too late", version) is None
    assert objects.read_version(address) == (b"later", second)
    objects.delete(address)
    assert objects.write_version(address, b"too late", second) is None
    assert objects.write_version(address, b"again", None)


def test_what_was_deleted_is_there_no_more_and_may_be_deleted_twice(place: str, objects: Store) -> None:
    objects.write(f"{place}/a", b"x")
    objects.write(f"{place}/b", b"y")
    for _ in range(2):
        objects.delete(f"{place}/a")
    assert [*objects.list(place)] == [f"{place}/b"]
    assert objects.read(f"{place}/a") is None


def test_gzipped_content_is_read_as_it_was_written(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from a bucket, whose service unpacks what says that it is packed."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    bucket.put("own/a.gz", b"\x1f\x8bnot really", content_encoding="gzip")
    assert store("gs://events/own/a.gz").read("gs://events/own/a.gz") == b"\x1f\x8bnot really"


VERBS: dict[str, Any] = {
    "listed": lambda objects, address: [*objects.list(address)],
    "listed in full": lambda objects, address: [*objects.entries(address)],
    "read under its version": lambda objects, address: objects.read_version(address),
    "written under a version": lambda objects, address: objects.write_version(address, b"x", None),
    "read": lambda objects, address: objects.read(address),
    "written": lambda objects, address: objects.write(address, b"x"),
    "deleted": lambda objects, address: objects.delete(address),
}


@pytest.mark.parametrize("verb", VERBS)
def test_what_a_bucket_does_not_do_is_a_sentence_that_names_the_object(
    verb: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    done = verb.partition(" ")[0]
    if done != "written":
        bucket.put("own/a", b"x")
    bucket.faults(**{"upload_503" if done == "written" else "503": 1.0})
    address = "gs://no-such-bucket/a" if done == "listed" else "gs://events/own/a"
    why = "there is no bucket no-such-bucket$" if done == "listed" else "RetryError: .* 503"
    with pytest.raises(StorageError, match=rf"^{address} cannot be {done}: {why}"):
        VERBS[verb](store(address, QUICK), address)


@pytest.mark.parametrize("verb", VERBS)
def test_what_a_disk_does_not_do_is_a_sentence_that_names_the_file(verb: str, tmp_path: Path) -> None:
    address = str(tmp_path if verb == "deleted" else tmp_path / ("n" * 300))
    done = verb.partition(" ")[0]
    with pytest.raises(StorageError, match=rf"^{address} cannot be {done}: (File name too long|Is a directory)$"):
        VERBS[verb](LocalStore(), address)
    assert [*tmp_path.iterdir()] == []


def test_half_a_file_is_never_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the place of the one before, nor among those that are listed."""
    file = tmp_path / "file"
    files = LocalStore()
    files.write(str(file), b"old")

    def no_room(_: int) -> None:
        assert ([*files.list(str(tmp_path))], file.read_bytes()) == ([str(file)], b"old")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(StorageError, match=r"cannot be written: No space left on device$"):
        files.write(str(file), b"new")
    assert (file.read_bytes(), [*tmp_path.iterdir()]) == (b"old", [file])


def test_what_begins_with_a_dot_is_not_listed(tmp_path: Path) -> None:
    files = LocalStore()
    for name in (".git/config", ".hidden", "a/.b", "a/c"):
        files.write(str(tmp_path / name), b"x")
    assert [*files.list(str(tmp_path))] == [str(tmp_path / "a/c")]
    assert [*files.list(str(tmp_path / ".hidden"))] == [str(tmp_path / ".hidden")]


def test_one_client_serves_a_process(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    assert gcs.access(QUICK).client is gcs.access(Patience()).client
    before = gcs.access(QUICK).client
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert gcs.access(QUICK).client is not before


def test_a_file_needs_no_cloud() -> None:
    """What a cloud's library brings is imported only for an address of that cloud."""
    code = (
        "import sys; from importer.storage.store import store; store('a'); print('google.cloud.storage' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_an_address_is_split_in_one_place() -> None:
    assert split("gs://b/a/b c#d") == ("b", "a/b c#d")
    assert split("gs://b") == ("b", "")


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("gs://b/own/a", True),
        ("gs://b/own/a/b", True),
        ("gs://b/owner", False),
        ("gs://b/own", False),
        ("gs://c/own/a", False),
    ],
)
@pytest.mark.parametrize("place", ["gs://b/own", "gs://b/own/"])
def test_what_lies_in_a_folder_begins_with_its_whole_name(address: str, place: str, inside: bool) -> None:
    assert lies_in(address, place) is inside
