"""The local bucket: Google's own clients write to it and read from it, and a function hears of each object."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from cloudevents.http import from_http
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage.blob import Blob

from sandbox.bucket.eventarc import Trigger
from sandbox.bucket.server import Server
from sandbox.clients import Bucket
from sandbox.delivery import Deliverer

AWKWARD = bytes(range(256)) * 3 + b"a\r\nb\n\nc\r\r\n--x--\r\n\r"
"""Content that a mail parser would not leave alone."""


@dataclass
class Sink:
    """A function that answers as told: with `answers` in turn (None hangs up), then 200."""

    answers: list[int | None] = field(default_factory=list)
    got: list[tuple[float, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def events(self) -> list[Any]:
        """What came in, read by the CloudEvents library that the framework uses."""
        return [from_http(headers, body) for _, headers, body in list(self.got)]


@contextmanager
def listening(answers: Sequence[int | None] = ()) -> Iterator[Sink]:
    sink = Sink(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sink.got.append((time.monotonic(), {k.lower(): v for k, v in self.headers.items()}, body))
            if (status := sink.answers.pop(0) if sink.answers else 200) is not None:
                self.send_response(status)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield sink
    server.shutdown()
    server.server_close()


@pytest.fixture
def sink(bucket: Bucket) -> Iterator[Sink]:
    with listening() as sink:
        bucket.send_events_to(sink.url)
        yield sink


@pytest.fixture
def google(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> storage.Bucket:
    """The bucket through google-cloud-storage, pointed at it as its users would."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    return storage.Client(project="local", credentials=AnonymousCredentials()).bucket(bucket.name)  # type: ignore[no-untyped-call]


def test_a_written_object_becomes_the_event_that_google_sends(
    bucket: Bucket, sink: Sink, google: storage.Bucket
) -> None:
    blob = google.blob("2025/06/01.jsonl")
    blob.metadata = {"team": "web"}
    blob.upload_from_string('{"event":"a"}\n', content_type="application/x-ndjson")
    bucket.wait_until_delivered(1)
    (event,) = sink.events()
    attributes = event.get_attributes()
    assert attributes["type"] == "google.cloud.storage.object.v1.finalized"
    assert attributes["source"] == "//storage.googleapis.com/projects/_/buckets/events"
    assert attributes["subject"] == "objects/2025/06/01.jsonl"
    blob.reload()
    assert event.data == event.data | {
        "bucket": "events",
        "name": "2025/06/01.jsonl",
        "generation": str(blob.generation),
        "metageneration": "1",
        "size": "14",
        "contentType": "application/x-ndjson",
        "crc32c": blob.crc32c,
        "md5Hash": blob.md5_hash,
        "metadata": {"team": "web"},
        "timeCreated": attributes["time"],
        "updated": attributes["time"],
    }


def test_overwriting_fires_again_with_a_new_generation_and_an_id_of_its_own(bucket: Bucket, sink: Sink) -> None:
    generations = [bucket.put("a.jsonl", b"1\n"), bucket.put("a.jsonl", b"2\n")]
    bucket.wait_until_delivered(2)
    assert sorted(event.data["generation"] for event in sink.events()) == generations
    assert len({event["id"] for event in sink.events()}) == 2


def test_reading_changing_and_deleting_fire_nothing(bucket: Bucket, sink: Sink, google: storage.Bucket) -> None:
    bucket.put("a.jsonl", b"1\n")
    blob = google.get_blob("a.jsonl")
    assert blob is not None
    blob.metadata = {"seen": "yes"}
    blob.patch()
    blob.delete()
    bucket.put("last", b"")
    bucket.wait_until_delivered(2)
    assert sorted(event.data["name"] for event in sink.events()) == ["a.jsonl", "last"]


def test_other_buckets_fire_nothing(bucket: Bucket, sink: Sink, google: storage.Bucket) -> None:
    elsewhere = google.client.create_bucket("rejects")
    elsewhere.blob("a").upload_from_string("1")
    bucket.put("b", b"2")
    assert [delivery["name"] for delivery in bucket.wait_until_delivered()] == ["b"]


@pytest.mark.parametrize("answer", [500, 429, 404, 302, None])
def test_an_event_comes_again_later_and_later_until_it_is_taken(answer: int | None) -> None:
    with listening([answer, answer]) as sink, Server(trigger=Trigger(sink.url, first_wait=0.1)) as server:
        client = Bucket(server.url, server.name)
        client.put("a.jsonl", b"1\n")
        (delivery,) = client.wait_until_delivered()
        assert (delivery["attempts"], delivery["status"]) == (3, 200)
        first, second, third = (at for at, _, _ in sink.got)
        assert second - first >= 0.1
        assert third - second >= 0.2
        assert len({event["id"] for event in sink.events()}) == 1


def test_one_events_trouble_does_not_hold_up_the_others() -> None:
    with listening([500]) as sink, Server(trigger=Trigger(sink.url, first_wait=60)) as server:
        client = Bucket(server.url, server.name)
        for name in "abc":
            client.put(name, b"1\n")
        while len(sink.got) < 3:
            time.sleep(0.01)
        assert sum(delivery["delivered"] for delivery in client.deliveries()) >= 1


def test_none_is_given_up_however_many_come_after_it() -> None:
    with listening([500] * 10) as sink:
        deliverer = Deliverer(sink.url, in_flight=1, first_wait=0.1, timeout=10, told_of=3)
        for number in range(10):
            deliverer.deliver({}, str(number).encode())
        while len(sink.got) < 20:
            time.sleep(0.01)
        deliverer.close()
    assert len({body for _, _, body in sink.got}) == 10


def test_events_wait_for_a_function_that_is_not_there_yet(bucket: Bucket) -> None:
    bucket.put("early", b"1\n")
    bucket.send_events_to("http://127.0.0.1:1")
    while bucket.deliveries()[0]["attempts"] == 0:
        time.sleep(0.01)
    with listening() as sink:
        bucket.send_events_to(sink.url)
        bucket.wait_until_delivered(timeout=5)
        assert sink.events()[0].data["name"] == "early"


def test_a_reset_forgets_objects_and_events(bucket: Bucket, google: storage.Bucket) -> None:
    bucket.put("a", b"1")
    bucket.reset()
    assert bucket.deliveries() == []
    assert list(google.list_blobs()) == []


@pytest.mark.parametrize(
    "content", [b"", b"{}\n" * 3, AWKWARD, AWKWARD * 20_000], ids=["empty", "lines", "awkward", "15 MB"]
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/gzip"])
def test_googles_client_reads_back_what_it_wrote(content: bytes, content_type: str, google: storage.Bucket) -> None:
    google.blob("dir/näme 1#?.jsonl").upload_from_string(content, content_type=content_type)
    blob = google.get_blob("dir/näme 1#?.jsonl")
    assert blob is not None
    assert (blob.size, blob.content_type, blob.metageneration) == (len(content), content_type, 1)
    assert blob.download_as_bytes() == content


def test_curl_writes_and_reads_with_no_more_than_an_address(
    bucket: Bucket, google: storage.Bucket, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(AWKWARD * 3000)
    upload = f"{bucket.url}/upload/storage/v1/b/events/o?uploadType=media"
    for command in (
        ["--data-binary", f"@{file}", f"{upload}&name=one"],
        ["--data-binary", f"@{file}", "-H", "Content-Type: application/json", f"{upload}&name=two"],
        ["-T", str(file), f"{bucket.url}/events/three"],
        ["-T", "-", f"{bucket.url}/events/four"],
    ):
        with file.open("rb") as stdin:
            subprocess.run(["curl", "-fsS", "-o", "/dev/null", *command], check=True, stdin=stdin)
    contents = {blob.name: blob.download_as_bytes() for blob in google.list_blobs()}
    assert contents == dict.fromkeys(["one", "two", "three", "four"], file.read_bytes())


def test_a_gzipped_object_is_given_out_as_stored_or_plain_as_the_client_can(
    bucket: Bucket, google: storage.Bucket
) -> None:
    plain = b'{"event":"a"}\n' * 1000
    stored = gzip.compress(plain)
    bucket.put("a.jsonl", stored, "application/x-ndjson", content_encoding="gzip")
    blob = google.get_blob("a.jsonl")
    assert blob is not None
    assert (blob.content_encoding, blob.content_type, blob.size) == ("gzip", "application/x-ndjson", len(stored))
    assert blob.download_as_bytes(raw_download=True) == stored
    assert blob.download_as_bytes() == plain
    unaware = requests.get(
        f"{bucket.url}/events/a.jsonl", headers={"Accept-Encoding": "", "Range": "bytes=0-9"}, timeout=9
    )
    assert (unaware.status_code, unaware.content) == (200, plain)
    assert bucket.deliveries()[0]["name"] == "a.jsonl"


def test_an_xml_upload_keeps_its_content_encoding(bucket: Bucket, google: storage.Bucket) -> None:
    stored = gzip.compress(b"{}\n")
    requests.put(
        f"{bucket.url}/events/a", data=stored, headers={"Content-Encoding": "gzip"}, timeout=9
    ).raise_for_status()
    blob = google.get_blob("a")
    assert blob is not None
    assert (blob.content_encoding, blob.size) == ("gzip", len(stored))


def test_ranges_are_those_of_http(bucket: Bucket) -> None:
    bucket.put("a", b"0123456789")

    def get(asked: str) -> tuple[int, bytes, str | None]:
        answer = requests.get(f"{bucket.url}/events/a", headers={"Range": f"bytes={asked}"}, timeout=9)
        return answer.status_code, answer.content, answer.headers.get("Content-Range")

    assert get("2-4") == (206, b"234", "bytes 2-4/10")
    assert get("8-99") == (206, b"89", "bytes 8-9/10")
    assert get("7-") == (206, b"789", "bytes 7-9/10")
    assert get("-2") == (206, b"89", "bytes 8-9/10")
    assert get("10-") == (416, b"", "bytes */10")


def test_a_generation_is_there_until_it_is_overwritten(bucket: Bucket, google: storage.Bucket) -> None:
    old = google.blob("a", generation=int(bucket.put("a", b"old")))
    assert old.download_as_bytes() == b"old"
    new = google.blob("a", generation=int(bucket.put("a", b"new")))
    assert new.download_as_bytes() == b"new"
    with pytest.raises(NotFound):
        old.download_as_bytes()
    with pytest.raises(NotFound):
        old.reload()
    with pytest.raises(NotFound):
        old.delete()


def test_preconditions_hold(bucket: Bucket, google: storage.Bucket) -> None:
    blob: Blob = google.blob("a")
    blob.upload_from_string("1", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        google.blob("a").upload_from_string("2", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        google.blob("a").download_as_bytes(if_generation_match=blob.generation + 1)
    google.blob("a").upload_from_string("2", if_generation_match=blob.generation)
    with pytest.raises(PreconditionFailed):
        google.blob("a").delete(if_generation_match=blob.generation)
    assert google.blob("a").download_as_bytes() == b"2"


def test_a_large_object_is_written_in_parts_and_read_in_ranges(
    bucket: Bucket, sink: Sink, google: storage.Bucket
) -> None:
    content = os.urandom(3 << 20)
    google.blob("large", chunk_size=1 << 20).upload_from_string(content)
    bucket.wait_until_delivered(1)
    assert sink.events()[0].data["size"] == str(len(content))
    with google.blob("large").open("rb", chunk_size=1 << 18) as reader:
        assert reader.read(5) == content[:5]
        assert reader.read() == content[5:]


def test_renaming_an_object_writes_it_under_its_new_name(bucket: Bucket, sink: Sink, google: storage.Bucket) -> None:
    bucket.put("incoming/a", AWKWARD, "text/plain", content_encoding="identity")
    google.rename_blob(google.blob("incoming/a"), "ready/a")
    bucket.wait_until_delivered(2)
    assert sorted(event.data["name"] for event in sink.events()) == ["incoming/a", "ready/a"]
    assert [(blob.name, blob.download_as_bytes()) for blob in google.list_blobs()] == [("ready/a", AWKWARD)]


def test_many_clients_are_served_at_a_time(bucket: Bucket, google: storage.Bucket) -> None:
    with requests.get(f"{bucket.url}/sandbox/deliveries", timeout=9, stream=True):
        threads = [threading.Thread(target=bucket.put, args=(f"{n}", b"x" * 10_000)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(list(google.list_blobs())) == len(bucket.deliveries()) == 20
    assert len({delivery["generation"] for delivery in bucket.deliveries()}) == 20


def test_nonsense_is_refused_and_the_bucket_lives_on(bucket: Bucket) -> None:
    upload = f"{bucket.url}/upload/storage/v1/b/events/o"
    broken = {"Content-Type": "multipart/related; boundary=x"}
    assert requests.post(f"{upload}?uploadType=multipart", data="y", headers=broken, timeout=9).status_code == 400
    assert requests.post(f"{upload}?uploadType=other&name=a", data="y", timeout=9).status_code == 400
    assert requests.post(upload.replace("events", "none") + "?uploadType=media&name=a", timeout=9).status_code == 404
    assert bucket.deliveries() == []


def test_a_port_that_is_taken_gets_a_sentence(bucket: Bucket) -> None:
    port = bucket.url.rpartition(":")[2]
    ended = subprocess.run(
        [sys.executable, "-m", "sandbox.bucket", "--port", port], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == f"Port {port} cannot be had: Address already in use. Choose another with --port.\n"


needs_gcloud = pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")


def gcloud(bucket: Bucket, directory: Path, *command: str) -> None:
    """Runs `gcloud storage` against the bucket, as the sandbox tells its users to."""
    environment = {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{bucket.url}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CONFIG": str(directory / "gcloud"),
    }
    subprocess.run(
        ["gcloud", "storage", *command], check=True, capture_output=True, timeout=60, env=os.environ | environment
    )


@needs_gcloud
def test_gcloud_storage_moves(bucket: Bucket, sink: Sink, tmp_path: Path) -> None:
    bucket.put("incoming/a", b"1")
    gcloud(bucket, tmp_path, "mv", "gs://events/incoming/a", "gs://events/ready/a")
    bucket.wait_until_delivered(2)
    assert sorted(event.data["name"] for event in sink.events()) == ["incoming/a", "ready/a"]


@needs_gcloud
@pytest.mark.parametrize(
    ("size", "options"),
    [(100, []), (9_000_000, []), (100, ["--gzip-local-all"]), (100, ["--gzip-in-flight-all"])],
    ids=["small", "resumable", "stored gzipped", "gzipped on the way"],
)
def test_gcloud_storage_writes_and_an_event_is_fired(
    size: int, options: list[str], bucket: Bucket, sink: Sink, tmp_path: Path
) -> None:
    file = tmp_path / "my events.jsonl"
    file.write_bytes((AWKWARD * (size // len(AWKWARD) + 1))[:size] + b"\r")
    gcloud(bucket, tmp_path, "cp", *options, str(file), "gs://events/")
    bucket.wait_until_delivered(1)
    data = json.loads(sink.got[0][2])
    assert data["name"] == "my events.jsonl"
    assert data.get("contentEncoding") == ("gzip" if "--gzip-local-all" in options else None)
    assert requests.get(f"{bucket.url}/events/my%20events.jsonl", timeout=9).content == file.read_bytes()
