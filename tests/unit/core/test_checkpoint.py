"""Checkpoints: from wherever a run left off, the next one goes on as if it had never stopped."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from typing import Any

import msgspec
import pytest
from cloudevents.http import CloudEvent
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importer import log
from importer.core.checkpoint import Checkpoint, Counts
from importer.core.ordered.run import Limits, Progress, run
from importer.core.rejects.reject import Reject
from importer.core.report import Report
from importer.errors import StorageError, Unreadable
from importer.formats.content import Content
from importer.formats.held import Held, Stream
from importer.records import Position, Record
from importer.settings import CredentialKind, Credentials, Settings
from importer.sources.gcs.source import BucketSource
from importer.storage.checkpoints import StoredCheckpoints
from importer.storage.gcs import Access, Download, GcsStore, Object
from importer.storage.paths import folder_of
from sandbox.clients import Bucket, Standin
from tests.faults.trouble import objects, stored
from tests.unit.conftest import Kept, MakePipeline

GOOD = b'{"event":"e","properties":{"time":1700000000,"distinct_id":"u"}}'
REFUSED = GOOD.replace(b'"u"', b'"null"')
PRETTY = json.dumps(json.loads(GOOD), indent=1).encode()


@pytest.fixture(autouse=True)
def _log() -> None:
    log.configure("INFO")


# What is read on from a mark

ROWS = st.lists(
    st.sampled_from(
        [GOOD, GOOD, GOOD, REFUSED, b"null", b"{", b'{"event":"e', b"]", b"[", b"", b" \t", b"not JSON", b"\xff", b"}"]
    ),
    max_size=12,
)


@st.composite
def contents(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Content as it is read, and as it is stored."""
    rows = [GOOD, *draw(ROWS)]
    line_end = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"]))
    if draw(st.booleans()):
        rows = [draw(st.sampled_from([row, row, PRETTY])) for row in rows]
        content = b"[" + line_end + (b"," + line_end).join(rows) + line_end + b"]"
    else:
        content = line_end.join(rows)
    content = b"\xef\xbb\xbf" * draw(st.booleans()) + content + line_end * draw(st.booleans())
    places = sorted(draw(st.lists(st.integers(0, len(content)), max_size=3)))
    members = [content[a:b] for a, b in pairwise([0, *places, len(content)])]
    return content, draw(st.sampled_from([content, gzip.compress(content), b"".join(map(gzip.compress, members))]))


def read(blocks: Iterator[Any]) -> tuple[list[Record], str | None]:
    found: list[Record] = []
    try:
        for record in chain.from_iterable(blocks):
            if record[2].strip():  # blank lines come or not, and are no records
                found.append(record)  # noqa: PERF401 (what came before the exception counts)
    except Unreadable as error:
        return found, str(error)
    return found, None


@given(contents(), st.data())
def test_after_any_mark_come_the_records_that_come_there_from_the_start(
    drawn: tuple[bytes, bytes], data: st.DataObject
) -> None:
    content, kept = drawn
    whole, error = read(Content(Held(kept)).blocks())
    n = data.draw(st.integers(0, len(whole) - 1))
    found = Content(Held(kept))
    read(found.blocks())
    mark = found.mark(*whole[n][:2])
    assert (mark.compression is not None) == (kept != content)
    assert read(Content(Held(kept), mark).blocks()) == (whole[n:], error)
    cut = data.draw(st.integers(mark.stored, len(kept)))
    assert read(Content(Stream([kept[:cut], kept[cut:]]), mark).blocks()) == (whole[n:], error)


class Saved(list[Checkpoint]):
    """Checkpoints in a list."""

    def save(self, checkpoint: Checkpoint) -> None:
        self.append(checkpoint)

    def forget(self) -> None:
        self.clear()


def counted(report: Report) -> tuple[int, ...]:
    return report.read, report.imported, report.rejected, report.dropped


def placed(rejects: list[Reject]) -> list[tuple[int, int, str, str]]:
    return [(one.line, one.offset, one.event, one.reason) for one in rejects]


def without_distinct_id(record: dict[str, Any]) -> Any:
    """A transform that drops some and doubles others."""
    record["properties"]["distinct_id"] = ""
    return [record, {**record, "event": "again"}] if len(record) > 1 else None


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(contents(), st.integers(1, 3), st.booleans(), st.integers(0, 99))
def test_the_counts_at_a_checkpoint_and_those_after_it_are_those_of_the_whole(
    pipeline: MakePipeline, drawn: tuple[bytes, bytes], batch_events: int, transformed: bool, share: int
) -> None:
    kept = drawn[1]
    through = pipeline(
        concurrency=1,  # so that each batch is settled before the next, and there are checkpoints
        batch_events=batch_events,
        transform="tests.unit.core.test_checkpoint:without_distinct_id" if transformed else None,
    )
    content, first, saved = Content(Held(kept)), Kept(), Saved()
    whole = run(through, "s", content.blocks(), first, Limits(10), progress=Progress(saved, content.mark, every=-1))
    if not saved:
        return
    at = saved[len(saved) * share // 100]  # how many there are depends on who is faster
    assert at.counts.imported + at.counts.rejected + at.counts.dropped == at.counts.report().read
    second = Kept()
    rest = run(through, "s", Content(Held(kept), at.mark).blocks(), second, Limits(10), report=at.counts.report())
    assert counted(rest) == counted(whole)
    assert placed(first.rejects[: at.counts.rejected]) + placed(second.rejects) == placed(first.rejects)
    assert rest.unreadable == whole.unreadable


@given(st.builds(Counts, *[st.integers(0, 1 << 40)] * 7, st.floats(0, 1e6)))
def test_counting_goes_on_from_a_checkpoint(counts: Counts) -> None:
    assert Counts.of(counts.report(), counts.bytes) == counts


# Where it is kept


@pytest.fixture
def access(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Access:
    """The way to the local bucket, with little patience."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    return Access(storage.Client(), DEFAULT_RETRY.with_delay(initial=0.01).with_timeout(0.1), 5)


Open = Callable[[], tuple[Download, StoredCheckpoints]]


@pytest.fixture
def opened(access: Access, bucket: Bucket) -> Open:
    """Opens the object `file`, as it is now, with its checkpoints."""

    def open_() -> tuple[Download, StoredCheckpoints]:
        download = Download(access, Object(bucket.name, "file"))
        return download, StoredCheckpoints(GcsStore(access), f"gs://{bucket.name}/own/", download)

    return open_


def checkpoint(offset: int, *, compressed: bool = False) -> Checkpoint:
    mark = Position(offset, 7, "ndjson", "gzip" if compressed else None, stored=0 if compressed else offset)
    return Checkpoint(mark, Counts(imported=5, rejected=1, bytes=offset, seconds=0.5))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_checkpoint_is_found_again_with_where_to_read_on_from(bucket: Bucket, opened: Open, compressed: bool) -> None:
    bucket.put("file", b"x" * 1_000_000)
    download, checkpoints = opened()
    assert checkpoints.load() is None
    for _ in download.chunks():
        pass
    for offset in (300_000, 600_000):
        checkpoints.save(checkpoint(offset, compressed=compressed))
    download, checkpoints = opened()
    found = checkpoints.load()
    assert found == checkpoint(600_000, compressed=compressed)
    assert download.read_before(found.mark.stored).offset == (0 if compressed else 524_288)
    before = bucket.read().get("file", 0)
    assert b"".join(download.chunks(found.mark.stored)) == b"x" * (1_000_000 - found.mark.stored)
    assert bucket.read()["file"] - before == 1_000_000 - (0 if compressed else 524_288)
    checkpoints.forget()
    checkpoints.forget()
    assert opened()[1].load() is None


def test_a_finished_object_has_a_receipt_and_no_checkpoint(bucket: Bucket, opened: Open) -> None:
    generation = bucket.put("file", b"")
    _, checkpoints = opened()
    checkpoints.save(checkpoint(0))
    assert not checkpoints.is_done()
    checkpoints.finish({"imported": 5})
    assert opened()[1].is_done()
    (name,) = objects(bucket, "own/")
    assert json.loads(stored(bucket, name)) == {"source": f"gs://events/file#{generation}", "counts": {"imported": 5}}


def test_a_checkpoint_speaks_of_one_generation_alone(bucket: Bucket, opened: Open) -> None:
    bucket.put("file", b"old")
    _, old = opened()
    old.save(checkpoint(2))
    old.finish({})
    old.save(checkpoint(2))
    bucket.put("file", b"new")
    _, new = opened()
    assert (new.load(), new.is_done()) == (None, False)


def test_a_checkpoint_that_cannot_be_saved_leaves_the_one_before_and_a_line(
    bucket: Bucket, opened: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.put("file", b"x" * 9)
    download, checkpoints = opened()
    checkpoints.save(checkpoint(1))
    bucket.faults(upload_503=1.0)
    checkpoints.save(checkpoint(2))
    bucket.end_trouble()
    found = checkpoints.load()
    assert found == checkpoint(1)
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["kind"], line["severity"]) == ("checkpoint", "WARNING")
    source, name = download.source, f"own/{folder_of(download.source)}/checkpoint.json"
    assert line["message"].startswith(
        f"The checkpoint of {source} was not saved: gs://events/{name} cannot be written: RetryError: "
    )


def test_a_receipt_that_cannot_be_saved_is_told_of_as_a_receipt(
    bucket: Bucket, opened: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.put("file", b"x" * 9)
    download, checkpoints = opened()
    checkpoints.save(checkpoint(1))
    bucket.faults(upload_503=1.0)
    checkpoints.finish({"imported": 5})
    bucket.end_trouble()
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    source, name = download.source, f"own/{folder_of(download.source)}/receipt.json"
    assert (line["kind"], line["severity"], line["source"]) == ("receipt", "WARNING", source)
    assert line["message"].startswith(
        f"The receipt of {source} was not saved, so a second delivery imports the object again: "
        f"gs://events/{name} cannot be written: RetryError: "
    )
    assert (checkpoints.load(), checkpoints.is_done()) == (None, False)


def test_an_object_that_is_wanted_again_has_neither_receipt_nor_checkpoint(bucket: Bucket, opened: Open) -> None:
    bucket.put("file", b"x" * 9)
    _, checkpoints = opened()
    checkpoints.finish({"imported": 5})
    checkpoints.save(checkpoint(1))
    checkpoints.start_again()
    assert (checkpoints.load(), checkpoints.is_done()) == (None, False)
    assert objects(bucket, "own/") == []


def test_while_the_bucket_cannot_be_read_nobody_starts_at_the_beginning(bucket: Bucket, opened: Open) -> None:
    bucket.put("file", b"")
    _, checkpoints = opened()
    checkpoints.save(checkpoint(0))
    bucket.faults(**{"503": 1.0})
    for ask in (checkpoints.load, checkpoints.is_done, checkpoints.forget):
        with pytest.raises(StorageError, match=r"^gs://events/own/.*json cannot be (read|deleted): RetryError: .* 503"):
            ask()


GENUINE = msgspec.json.encode({"mark": Position(9, 2, "ndjson"), "counts": Counts(), "read": {"offset": 0}})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON",
        b"{}",
        b"[]",
        b"\xff",
        GENUINE[:-9],
        GENUINE.replace(b"9", b'"9"'),
        GENUINE.replace(b'"format":"ndjson"', b'"in_array":false,"compressed":false'),
        GENUINE.replace(b"ndjson", b"of-tomorrow"),
    ],
    ids=[
        *("empty", "no JSON", "foreign", "an array", "no text", "cut off", "of other types"),
        *("of an earlier version", "of a format unknown here"),
    ],
)
def test_a_checkpoint_that_makes_no_sense_is_passed_over_with_a_line_and_the_file_starts_at_its_beginning(
    standin: Standin, bucket: Bucket, access: Access, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [GOOD.replace(b'"u"', b'"u-%d"' % n) for n in range(20)]
    generation = bucket.put("file", b"\n".join(lines))
    bucket.put(f"own/events/file/{generation}/checkpoint.json", content)
    token = Credentials(CredentialKind.PROJECT_TOKEN, "a-token", "", None)
    source = BucketSource(Settings(token, standin.url, checkpoints="gs://events/own"))
    kind = "google.cloud.storage.object.v1.finalized"
    event = CloudEvent({"type": kind, "source": "s"}, {"bucket": "events", "name": "file", "generation": generation})
    source.handle(event)
    assert standin.summary()["imported"] == 20
    assert objects(bucket, "own/") == [f"own/events/file/{generation}/receipt.json"]
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["kind"], line.get("imported")) for line in said] == [("checkpoint", None), ("import", 20)]
    assert "cannot be read, so the import starts at the beginning" in said[0]["message"]
    source.handle(event)
    assert standin.summary()["imported"] == 20
