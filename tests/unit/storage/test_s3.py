"""Downloads from S3, in ranges: of one writing of an object, whole or not at all, whatever happens on the way."""

from __future__ import annotations

import base64
import io
import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from awscrt import checksums
from boto3.s3.transfer import TransferConfig

from importer.errors import SourceCorrupted, SourceGone, StorageError
from importer.storage.checkpoints import ReadTo
from importer.storage.s3 import download as s3_download
from importer.storage.s3.access import Access
from importer.storage.s3.download import Download, Object
from importer.storage.store import Patience, Store, store
from sandbox.aws.clients import Cloud
from sandbox.processes import ROOT

CHUNK, LEAST, MOST = 100, 200, 1_000
CONTENT = random.Random(1).randbytes(12_345)
QUICK = Patience(total=20, timeout=1, backoff=0.001)

Open = Callable[..., Download]


@pytest.fixture
def opened(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the object `a file`, which is read in many small ranges."""
    monkeypatch.setattr("importer.storage.ranges.CHUNK_BYTES", CHUNK)
    monkeypatch.setattr("importer.storage.ranges._MIN_RANGE_BYTES", LEAST)
    monkeypatch.setattr("importer.storage.ranges._MAX_RANGE_BYTES", MOST)

    def open_(etag: str | None = None, version: str | None = None) -> Download:
        return Download(Access(QUICK), Object(cloud.bucket, "a file", etag, version))

    return open_


@pytest.mark.parametrize("size", [0, 1, MOST, MOST + 1, len(CONTENT)])
def test_an_object_comes_whole_in_small_chunks(cloud: Cloud, opened: Open, size: int) -> None:
    etag = cloud.put("a file", CONTENT[:size])
    download = opened()
    chunks = list(download.chunks())
    assert b"".join(chunks) == CONTENT[:size]
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks)
    assert (download.source, download.size) == (f"s3://events/a file#{etag}", size)
    assert 0 <= download.age() < 60


@pytest.mark.parametrize(
    "faults",
    [{"cut": 0.3}, {"503": 0.3}, {"429": 0.3}, {"stall": 0.2, "stall_seconds": 0.01}],
    ids=["breaks off", "503", "429", "stalls"],
)
def test_a_range_that_fails_is_fetched_again_by_itself(cloud: Cloud, opened: Open, faults: dict[str, Any]) -> None:
    cloud.put("a file", CONTENT)
    cloud.faults(seed=3, **faults)
    assert b"".join(opened().chunks()) == CONTENT
    assert cloud.read()["a file"] < 3 * len(CONTENT)


def test_what_does_not_come_in_time_is_told(cloud: Cloud) -> None:
    cloud.put("a file", CONTENT)
    cloud.faults(**{"503": 1.0})
    objects = store("s3://events/x", Patience(total=0.1, timeout=1, backoff=0.01))
    with pytest.raises(StorageError, match=r"^s3://events/a file cannot be read: 503: Service Unavailable|SlowDown"):
        objects.open("s3://events/a file")


KINDS: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "CRC32": lambda data: (zlib.crc32(data), 4),
    "CRC32C": lambda data: (checksums.crc32c(data), 4),
    "CRC64NVME": lambda data: (checksums.crc64nvme(data), 8),
}


@pytest.fixture(params=KINDS)
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """S3 keeps a checksum of this kind, whichever moto does."""
    value, size = KINDS[request.param](CONTENT)
    shown = base64.b64encode(value.to_bytes(size, "big")).decode()
    _heads(monkeypatch, **{f"Checksum{request.param}": shown, "ChecksumType": "FULL_OBJECT"})
    return str(request.param)


def _heads(monkeypatch: pytest.MonkeyPatch, **said: str | None) -> None:
    """Has S3 say so of an object's checksum, and nothing else."""
    call = Access.call

    def head(access: Access, verb: str, **what: Any) -> dict[str, Any]:
        answer = call(access, verb, **what)
        return {name: value for name, value in answer.items() if "Checksum" not in name} | said

    monkeypatch.setattr(Access, "call", head)


def test_a_range_that_comes_corrupted_is_known_by_the_end(cloud: Cloud, opened: Open, kept: str) -> None:
    cloud.put("a file", CONTENT)
    assert b"".join(opened().chunks()) == CONTENT
    cloud.faults(corrupt=0.2, seed=3)
    with pytest.raises(SourceCorrupted, match=rf"does not have the object's checksum \({kept.lower()} "):
        list(opened().chunks())


def test_reading_goes_on_from_where_another_download_came_to(cloud: Cloud, opened: Open, kept: str) -> None:
    cloud.put("a file", CONTENT)
    first = opened()
    for _ in first.chunks():
        pass
    for offset in (0, 1, 5_678, len(CONTENT)):
        read = first.read_before(offset)
        assert offset - CHUNK < read.offset <= offset
        again = opened()
        again.known(read)
        before = cloud.read()["a file"]
        assert b"".join(again.chunks(offset)) == CONTENT[offset:]
        assert cloud.read()["a file"] - before == len(CONTENT) - read.offset
    wrong = opened()
    wrong.known(ReadTo(1_000, 1, kept.lower()))
    with pytest.raises(SourceCorrupted):
        list(wrong.chunks(1_000))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"ChecksumCRC32": "AAAAAA==", "ChecksumType": "COMPOSITE"},
        {"ChecksumCRC32": "AAAAAA==-3"},
        {"ChecksumSHA256": "AAAA", "ChecksumType": "FULL_OBJECT"},
    ],
    ids=["none", "of the parts", "of the parts, as of old", "that cannot be gone on with"],
)
def test_without_a_checksum_of_the_whole_nothing_is_read_twice(
    cloud: Cloud, opened: Open, said: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.put("a file", CONTENT)
    _heads(monkeypatch, **said)
    download = opened()
    assert b"".join(download.chunks(5_678)) == CONTENT[5_678:]
    assert cloud.read()["a file"] == len(CONTENT) - 5_678
    assert download.read_before(77) == ReadTo(77)


def test_what_another_reading_knew_by_another_checksum_is_read_again(cloud: Cloud, opened: Open) -> None:
    """A command may have what computes a checksum where the function has not."""
    cloud.put("a file", CONTENT)
    download = opened()
    download.known(ReadTo(1_000))
    assert b"".join(download.chunks(1_000)) == CONTENT[1_000:]
    assert cloud.read()["a file"] == len(CONTENT)


def test_where_a_checksum_cannot_be_computed_the_length_is_what_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "awscrt", None)
    head = {"ETag": '"e"', "ChecksumCRC64NVME": "AAAAAAAAAAA=", "ChecksumType": "FULL_OBJECT"}
    assert s3_download._checksum(head) is None


def test_an_upload_in_parts_is_read_whole_and_listed_as_it_is_opened(cloud: Cloud) -> None:
    """Of which S3, and moto, may keep a checksum of the parts' checksums."""
    content = random.Random(2).randbytes(11 << 20)
    in_parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    cloud.s3.upload_fileobj(io.BytesIO(content), cloud.bucket, "big", Config=in_parts)
    objects = store("s3://events/", QUICK)
    download = objects.open("s3://events/big")
    assert b"".join(download.chunks()) == content
    assert isinstance(download, Download)
    [entry] = objects.entries("s3://events/big")
    assert entry.source == download.source
    assert download.source.endswith("-3")


@pytest.mark.parametrize("address", ["s3://UPPER CASE/x", "s3://no-such-bucket/x"])
def test_what_is_no_bucket_is_a_sentence(cloud: Cloud, address: str) -> None:
    with pytest.raises(StorageError, match=rf"^{address} cannot be read: [^\n]+$"):
        store(address, QUICK).read(address)


@pytest.mark.parametrize("deleted", [False, True], ids=["overwritten", "deleted"])
def test_no_range_is_of_another_writing_than_the_first(cloud: Cloud, opened: Open, deleted: bool) -> None:
    cloud.put("a file", CONTENT)
    chunks = opened().chunks()
    got = [next(chunks)]
    if deleted:
        cloud.s3.delete_object(Bucket=cloud.bucket, Key="a file")
    else:
        cloud.put("a file", bytes(len(CONTENT)))
    with pytest.raises(SourceGone, match="while it was read"):
        got.extend(chunks)
    assert CONTENT.startswith(b"".join(got))


def test_a_writing_that_is_no_more_is_gone(cloud: Cloud, opened: Open) -> None:
    with pytest.raises(SourceGone, match="deleted or overwritten since"):
        opened()
    etag = cloud.put("a file", b"old")
    assert opened(etag).source == opened(f'"{etag}"').source
    cloud.put("a file", b"new")
    with pytest.raises(SourceGone, match="overwritten since"):
        opened(etag)


def test_a_version_is_read_also_when_it_is_not_the_last_any_more(cloud: Cloud, opened: Open) -> None:
    cloud.s3.put_bucket_versioning(Bucket=cloud.bucket, VersioningConfiguration={"Status": "Enabled"})
    version = cloud.s3.put_object(Bucket=cloud.bucket, Key="a file", Body=CONTENT)["VersionId"]
    etag = opened().source.rpartition("#")[2]
    cloud.put("a file", b"new")
    assert b"".join(opened(etag, version).chunks()) == CONTENT
    mark = cloud.s3.delete_object(Bucket=cloud.bucket, Key="a file")["VersionId"]
    for gone in (None, mark):
        with pytest.raises(SourceGone):
            opened(None, gone)


def test_any_range_comes_by_itself_and_is_tried_again(cloud: Cloud, opened: Open) -> None:
    cloud.put("a file", CONTENT)
    cloud.faults(seed=3, cut=0.3)
    download = opened()
    for start, count in ((0, 1), (12_000, 345), (12_000, 9_999), (12_345, 1), (20_000, 5), (7, 0)):
        assert download.range(start, count) == CONTENT[start : start + count]


def test_names_are_taken_as_they_are(cloud: Cloud) -> None:
    names = ["a b/ü+%41.jsonl", "a/../b", "#?&=", "a//b", "."]
    objects = store("s3://events/", QUICK)
    for name in names:
        cloud.put(name, name.encode())
        assert objects.read(f"s3://events/{name}") == name.encode()
    assert sorted(objects.list("s3://events/")) == sorted(f"s3://events/{name}" for name in names)


def test_a_list_goes_on_over_its_pages(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        cloud.put(f"{number}", b"x")
    objects = store("s3://events/", QUICK)
    call = Access.call
    monkeypatch.setattr(Access, "call", lambda access, verb, **what: call(access, verb, MaxKeys=2, **what))
    assert [*objects.list("s3://events/")] == [f"s3://events/{number}" for number in range(5)]


def test_a_write_whose_answer_is_lost_is_made_again(cloud: Cloud) -> None:
    objects: Store = store("s3://events-state/", QUICK)
    cloud.faults(seed=1, upload_cut=0.4, upload_503=0.2)
    for number in range(10):
        objects.write(f"s3://events-state/{number}", b"%d" % number)
    cloud.end_trouble()
    assert cloud.keys() == sorted(map(str, range(10)))


def test_where_nobody_is_logged_in_the_sentence_says_what_to_do(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{cloud.url}/")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/none")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
    with pytest.raises(StorageError, match=r"nobody is logged in at AWS here .* run 'aws configure'"):
        store("s3://events/", QUICK).read("s3://events/x")


def test_a_client_is_a_process_s_own(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Access(QUICK).client is Access(QUICK).client
    before = Access(QUICK).client
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert Access(QUICK).client is not before


def test_other_clouds_do_not_need_amazon_s_library() -> None:
    code = "import sys; from importer.storage.store import store; store('a'); print('botocore' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
