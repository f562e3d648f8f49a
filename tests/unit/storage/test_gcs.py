"""Downloads from the local bucket, in ranges: whole or not at all, whatever happens on the way."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from typing import Any

import google_crc32c
import pytest
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY

from importer.errors import SourceCorrupted, SourceGone
from importer.storage.checkpoints import ReadTo
from importer.storage.gcs import Access, Download, Object
from sandbox.clients import Bucket

CHUNK, LEAST, MOST = 100, 200, 1_000
CONTENT = random.Random(1).randbytes(12_345)

Open = Callable[..., Download]


@pytest.fixture
def opened(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the object `file`, which is read in many small ranges."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    monkeypatch.setattr("importer.storage.ranges.CHUNK_BYTES", CHUNK)
    monkeypatch.setattr("importer.storage.ranges._MIN_RANGE_BYTES", LEAST)
    monkeypatch.setattr("importer.storage.ranges._MAX_RANGE_BYTES", MOST)
    access = Access(storage.Client(), DEFAULT_RETRY.with_delay(initial=0.001, maximum=0.01).with_timeout(20), 1)

    def open_(generation: str | None = None) -> Download:
        return Download(access, Object(bucket.name, "file", generation))

    return open_


@pytest.mark.parametrize("size", [0, 1, CHUNK, MOST - 1, MOST, MOST + 1, 2 * MOST, len(CONTENT)])
def test_an_object_comes_whole_in_small_chunks(bucket: Bucket, opened: Open, size: int) -> None:
    generation = bucket.put("file", CONTENT[:size])
    download = opened()
    chunks = list(download.chunks())
    assert b"".join(chunks) == CONTENT[:size]
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks)
    assert download.source == f"gs://events/file#{generation}"
    assert bucket.read().get("file", 0) == size


@pytest.mark.parametrize(
    "faults",
    [{"cut": 0.5}, {"503": 0.5}, {"429": 0.5}, {"stall": 0.3, "stall_seconds": 0.01}, {"cut": 0.3, "503": 0.3}],
    ids=["breaks off", "503", "429", "stalls", "mixed"],
)
def test_a_range_that_fails_is_fetched_again_by_itself(bucket: Bucket, opened: Open, faults: dict[str, Any]) -> None:
    bucket.put("file", CONTENT)
    bucket.faults(seed=3, **faults)
    assert b"".join(opened().chunks()) == CONTENT
    assert bucket.read()["file"] < 3 * len(CONTENT)


def test_a_range_that_comes_short_is_fetched_again(
    bucket: Bucket, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("file", CONTENT)
    fetch, asked = storage.Blob.download_as_bytes, 0

    def short_at_first(blob: storage.Blob, **how: Any) -> bytes:
        nonlocal asked
        asked += 1
        content: bytes = fetch(blob, **how)
        return content[:-1] if asked % 2 else content

    monkeypatch.setattr(storage.Blob, "download_as_bytes", short_at_first)
    assert b"".join(opened().chunks()) == CONTENT
    assert asked > 2 * len(CONTENT) / MOST


def test_a_range_that_comes_corrupted_is_known_by_the_end(bucket: Bucket, opened: Open) -> None:
    bucket.put("file", CONTENT)
    bucket.faults(corrupt=0.2, seed=3)
    chunks: list[bytes] = []
    with pytest.raises(SourceCorrupted, match="does not have the object's checksum"):
        chunks.extend(opened().chunks())
    assert len(b"".join(chunks)) == len(CONTENT)


@pytest.mark.parametrize("named", [False, True], ids=["any generation", "a generation"])
@pytest.mark.parametrize("deleted", [False, True], ids=["overwritten", "deleted"])
def test_no_range_is_of_another_generation_than_the_first(
    bucket: Bucket, opened: Open, named: bool, deleted: bool
) -> None:
    generation = bucket.put("file", CONTENT)
    chunks = opened(generation if named else None).chunks()
    got = [next(chunks)]
    if deleted:
        bucket.reset()
    else:
        bucket.put("file", bytes(len(CONTENT)))
    with pytest.raises(SourceGone, match="while it was read"):
        got.extend(chunks)
    assert CONTENT.startswith(b"".join(got))


def test_a_generation_that_is_no_more_is_gone(bucket: Bucket, opened: Open) -> None:
    with pytest.raises(SourceGone):
        opened()
    generation = bucket.put("file", b"old")
    bucket.put("file", b"new")
    with pytest.raises(SourceGone):
        opened(generation)


def test_reading_goes_on_from_where_another_download_came_to(bucket: Bucket, opened: Open) -> None:
    bucket.put("file", CONTENT)
    first = opened()
    for _ in first.chunks():
        pass
    for offset in (0, 1, CHUNK, 5_678, len(CONTENT)):
        read = first.read_before(offset)
        assert offset - CHUNK < read.offset <= offset
        assert read.checksum == google_crc32c.value(CONTENT[: read.offset])
        again = opened()
        again.known(read)
        before = bucket.read()["file"]
        assert b"".join(again.chunks(offset)) == CONTENT[offset:]
        assert bucket.read()["file"] - before == len(CONTENT) - read.offset


def test_what_is_not_known_of_the_beginning_is_read_again_for_the_checksum(bucket: Bucket, opened: Open) -> None:
    bucket.put("file", CONTENT)
    assert b"".join(opened().chunks(5_678)) == CONTENT[5_678:]
    assert bucket.read()["file"] == len(CONTENT)


def test_any_range_comes_by_itself_and_is_tried_again(bucket: Bucket, opened: Open) -> None:
    bucket.put("file", CONTENT)
    bucket.faults(seed=3, cut=0.3)
    download = opened()
    assert download.size == len(CONTENT)
    for start, count in ((0, 1), (12_000, 345), (12_000, 9_999), (12_345, 1), (20_000, 5), (7, 0)):
        assert download.range(start, count) == CONTENT[start : start + count]


def test_a_checksum_that_is_not_of_what_was_read_before_shows_at_the_end(bucket: Bucket, opened: Open) -> None:
    bucket.put("file", CONTENT)
    download = opened()
    download.known(ReadTo(1_000, google_crc32c.value(CONTENT[:999]), "crc32c"))
    with pytest.raises(SourceCorrupted):
        list(download.chunks(1_000))


def test_of_a_very_long_object_the_last_places_are_known(
    bucket: Bucket, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.storage.ranges._MAX_CHECKSUMS", 10)
    bucket.put("file", CONTENT)
    download = opened()
    for _ in download.chunks():
        pass
    assert download.read_before(len(CONTENT) - 5 * CHUNK).offset > len(CONTENT) - 6 * CHUNK
    assert download.read_before(1_000) == ReadTo(kind="crc32c")


def test_no_more_is_read_ahead_than_a_range(bucket: Bucket, opened: Open) -> None:
    bucket.put("file", CONTENT)
    chunks = opened().chunks()
    for _ in range(3):
        next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert bucket.read()["file"] <= 2 * MOST


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_what_comes_is_what_is_stored(bucket: Bucket, opened: Open, encoding: str | None) -> None:
    """Ranges of an object with `Content-Encoding: gzip` are of the gzip data, if nobody unpacks it on the way."""
    stored = gzip.compress(CONTENT)
    bucket.put("file", stored, content_encoding=encoding)
    assert b"".join(opened().chunks()) == stored
