"""A local bucket that tells a function of each object written to it.

It is gcp-storage-emulator in memory, with its own ways of taking in and giving out objects where the emulator's differ
from Google's (each is named where it is done), and a trigger (`sandbox.bucket.eventarc`) that hears of every write.
Google's clients reach it through `STORAGE_EMULATOR_HOST`, and so do `curl` and `gcloud storage`. Run as a program, it
prints one line of JSON with its "url" and "bucket" when it is ready:

    python -m sandbox.bucket --port 9023 --bucket events --function-url http://localhost:8080

Trouble can be asked for under /sandbox/faults (see `sandbox.bucket.faults`).
"""

from __future__ import annotations

import argparse
import email.message
import gzip
import io
import json
import logging
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from gcp_storage_emulator.exceptions import Conflict, NotFound
from gcp_storage_emulator.handlers import buckets, objects
from gcp_storage_emulator.server import RequestHandler, Router
from gcp_storage_emulator.storage import Storage

from sandbox.bucket.eventarc import Trigger
from sandbox.bucket.faults import Kind, StorageFaults
from sandbox.switches import SwitchError

Resource = dict[str, Any]
"""An object as the storage API shows it: https://cloud.google.com/storage/docs/json_api/v1/objects#resource"""

_BUCKET = r"(?:/storage/v1)?/b/([^/]+)"


class Server:
    """The bucket `name`, served on 127.0.0.1 from entering its `with` block to leaving it.

    Args:
        name: the bucket that is made, whose objects fire events. Others can be made, and fire none.
        port: 0 is any free one.
        trigger: delivers the events.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, name: str = "events", port: int = 0, trigger: Trigger | None = None) -> None:
        self.name = name
        self.trigger = trigger or Trigger()
        storage = _Storage(name, self.trigger)
        self._http = _HTTPServer(("127.0.0.1", port), partial(_Handler, storage))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.1,), name="bucket", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.trigger.close()
        self._http.shutdown()
        self._http.server_close()


class _HTTPServer(ThreadingHTTPServer):
    """Answers each client in a thread of its own, where the emulator has one for all."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Storage(Storage):  # type: ignore[misc]
    """The emulator's storage, in memory, telling `trigger` of each object written to the bucket `watched`."""

    def __init__(self, watched: str, trigger: Trigger) -> None:
        super().__init__(use_memory_fs=True)
        self.lock = threading.RLock()
        self.watched = watched
        self.trigger = trigger
        self.faults = StorageFaults()
        self._last_generation = 0
        buckets.create_bucket(watched, self)

    def create_file(
        self, bucket_name: str, file_name: str, content: bytes, file_obj: Resource, file_id: str | None = None
    ) -> None:
        """Every way of writing an object ends here: uploads, copies, compositions."""
        with self.lock:
            self._stamp(file_obj, len(content))
            super().create_file(bucket_name, file_name, content, file_obj, file_id)
        if bucket_name == self.watched:
            self.trigger.fire(dict(file_obj))

    def current(self, bucket: str, name: str) -> tuple[Resource, bytes] | None:
        """The live generation of an object and its content."""
        with self.lock:
            try:
                return dict(self.get_file_obj(bucket, name)), self.get_file(bucket, name, show_error=False)
            except NotFound:
                return None

    def reset(self) -> None:
        """Empties all buckets, forgets their events, and ends all trouble."""
        with self.lock:
            self.faults.reset()
            self.trigger.reset()
            self.wipe(keep_buckets=True)

    def _stamp(self, resource: Resource, size: int) -> None:
        """Makes it a new generation, born now.

        The emulator counts given metadata as a change (metageneration 2), gives a resumable upload the generation and
        time of its beginning, a composition its size as a number, and leaves names unquoted in links.
        """
        generation = self._last_generation = max(self._last_generation + 1, time.time_ns() // 1000)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        bucket, name = resource["bucket"], resource["name"]
        path = f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        host = str(resource.get("mediaLink", "")).split("/download/", 1)[0]
        resource.update(
            id=f"{bucket}/{name}/{generation}",
            selfLink=host + path,
            mediaLink=f"{host}/download{path}?generation={generation}&alt=media",
            generation=str(generation),
            metageneration="1",
            size=str(size),
            timeCreated=now,
            updated=now,
            timeStorageClassUpdated=now,
        )

    def _write_config_to_file(self) -> None:
        """Nothing: in memory there is no file, yet the emulator renders all metadata to JSON at each write."""

    def _bucket_soft_delete_retention_seconds(self, bucket_name: str) -> int:
        """Zero: what is deleted here need not stay in memory for a week."""
        return 0


class _Handler(RequestHandler):  # type: ignore[misc]
    """Answers one connection: uploads and downloads itself, the rest through the emulator.

    HTTP/1.1, so that connections stay open and curl is not kept waiting for its `100 Continue`.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    storage: _Storage
    rfile: io.BufferedIOBase
    path: str

    def _answer(self) -> None:
        try:
            self.body = _body(self.headers, self.rfile)
            self._route(self.headers.get("X-HTTP-Method-Override") or self.command)
        except (ValueError, LookupError, TypeError) as error:
            self._send_json({"error": {"code": 400, "message": repr(error)}}, HTTPStatus.BAD_REQUEST)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 (names the base class looks for)

    def _route(self, method: str) -> None:
        self.path = self.path.removeprefix("/resumable")  # gcloud's way to say what uploadType says again
        url = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        for verb, pattern, respond in _ROUTES:
            if verb == method and (found := re.fullmatch(pattern, url.path)):
                respond(self, *map(unquote, found.groups()))
                return
        if found := re.fullmatch(f"{_BUCKET}/o/([^/]+)", url.path):
            current = self.storage.current(*map(unquote, found.groups()))
            if fate := self.storage.faults.next("metadata", unquote(found[2])):
                self._send(HTTPStatus(int(fate)))
                return
            if refusal := self._refusal(current and current[0]):
                self._send(refusal)
                return
        self._emulate(method)

    def _emulate(self, method: str) -> None:
        """Has the emulator answer. It finds the body as if it came in one piece."""
        for name in ("Transfer-Encoding", "Content-Length"):
            del self.headers[name]
        self.headers["Content-Length"] = str(len(self.body))
        connection, self.rfile = self.rfile, io.BytesIO(self.body)
        try:
            with self.storage.lock:
                Router(self).handle(method)
        finally:
            self.rfile = connection

    # Uploads

    def insert(self, bucket: str) -> None:
        """Uploads by the JSON API: https://cloud.google.com/storage/docs/uploading-objects.

        The emulator parses an upload of type application/json, reads multipart uploads with an email parser (four
        times their size in memory, and not gcloud's at all), fails at empty ones, and takes `contentEncoding` for the
        content's type.
        """
        kind = self.query.get("uploadType")
        if "upload_id" in self.query:
            self._emulate("POST")
            return
        body = self.body
        if self.headers.get("Content-Encoding") == "gzip":  # compressed on the way only, by gcloud's --gzip-in-flight
            body = gzip.decompress(body)
        metadata: Resource = {}
        content_type, content = self.headers.get("Content-Type"), body
        if kind == "multipart":
            metadata, content_type, content = _related(body, self.headers)
        elif kind == "resumable":
            metadata = json.loads(body or b"{}")
        if "contentEncoding" in self.query:
            metadata["contentEncoding"] = self.query["contentEncoding"]
        name = self.query.get("name") or metadata.get("name", "")
        # Of those who write under the same condition at once, one is the first.
        with self.storage.lock if "ifGenerationMatch" in self.query else nullcontext():
            self._insert(bucket, name, content, content_type, metadata, kind)

    def _insert(
        self, bucket: str, name: str, content: bytes, content_type: str | None, metadata: Resource, kind: str | None
    ) -> None:
        current = self.storage.current(bucket, name)
        if not name or kind not in {"media", "multipart", "resumable"}:
            self._send(HTTPStatus.BAD_REQUEST)
        elif refusal := self._refusal(current and current[0]):
            self._send(refusal)
        elif kind == "resumable":
            self._emulate("POST")
        else:
            self._store(bucket, name, content, content_type, metadata)

    def put(self, bucket: str, name: str) -> None:
        """Uploads by the XML API, `curl -T`. `Content-Encoding` is the object's here; the emulator takes it off."""
        metadata = {"contentEncoding": self.headers.get("Content-Encoding")}
        self._store(bucket, name, self.body, self.headers.get("Content-Type"), metadata)

    def storage_layout(self, bucket: str) -> None:
        """What `gcloud storage mv` asks first; the emulator does not know it."""
        self._send_json({"kind": "storage#storageLayout", "bucket": bucket, "locationType": "multi-region"})

    def _store(self, bucket: str, name: str, content: bytes, content_type: str | None, metadata: Resource) -> None:
        fate = self.storage.faults.next("upload", name)
        if fate == "upload_503":
            self._send(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        host = f"http://{self.headers.get('Host')}"
        content_type = content_type or "application/octet-stream"
        resource = objects._make_object_resource(host, bucket, name, content_type, str(len(content)), metadata)
        try:
            objects._checksums(content, resource)
            self.storage.create_file(bucket, name, content, resource)
        except NotFound:
            self._send_json({"error": {"code": 404, "message": f"There is no bucket {bucket}."}}, HTTPStatus.NOT_FOUND)
        except Conflict as error:
            self._send_json({"error": {"code": 400, "message": str(error)}}, HTTPStatus.BAD_REQUEST)
        else:
            if fate == "upload_cut":
                self._hang_up()
            else:
                self._send_json(resource)

    # Downloads

    def get(self, bucket: str, name: str) -> None:
        """An object's metadata, or with alt=media its content."""
        if self.query.get("alt") == "media":
            self.download(bucket, name)
            return
        if fate := self.storage.faults.next("metadata", name):
            self._send(HTTPStatus(int(fate)))
            return
        current = self.storage.current(bucket, name)
        refusal = self._refusal(current and current[0])
        if current is None or refusal:
            self._send(refusal or HTTPStatus.NOT_FOUND)
        else:
            self._send_json(current[0])

    def download(self, bucket: str, name: str) -> None:
        """An object's content, or a range of it: https://cloud.google.com/storage/docs/json_api/v1/objects/get.

        The emulator copies the whole object for each range, takes no notice of `generation`, answers 206 beyond the
        end, and gives out gzipped objects without saying so.
        """
        fate = self.storage.faults.next("download", name)
        if fate and fate.isdigit():
            self._send(HTTPStatus(int(fate)))
            return
        current = self.storage.current(bucket, name)
        refusal = self._refusal(current and current[0])
        if current is None or refusal:
            self._send(refusal or HTTPStatus.NOT_FOUND)
            return
        resource, content = current
        headers = _object_headers(resource)
        if resource.get("contentEncoding") == "gzip" and "gzip" not in self.headers.get("Accept-Encoding", ""):
            # Decompressive transcoding, which ranges do not go with: https://cloud.google.com/storage/docs/transcoding
            del headers["Content-Encoding"]
            self._send(HTTPStatus.OK, gzip.decompress(content), headers)
            return
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not asked or asked[0] == "bytes=-":
            headers["x-goog-hash"] = f"crc32c={resource['crc32c']},md5={resource['md5Hash']}"
            self._send_content(name, HTTPStatus.OK, memoryview(content), headers, fate)
            return
        size = len(content)
        first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
        beyond = min(int(asked[2]) + 1, size) if asked[1] and asked[2] else size
        if first >= beyond:
            self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers={"Content-Range": f"bytes */{size}"})
            return
        headers["Content-Range"] = f"bytes {first}-{beyond - 1}/{size}"
        self._send_content(name, HTTPStatus.PARTIAL_CONTENT, memoryview(content)[first:beyond], headers, fate)

    def _send_content(
        self, name: str, status: HTTPStatus, content: memoryview, headers: dict[str, str], fate: Kind | None
    ) -> None:
        """Sends an object's content, or with trouble some of it."""
        whole, middle = len(content), len(content) // 2
        if fate == "corrupt":
            content = memoryview(_spoiled(content, middle))
        elif fate in {"cut", "stall"}:
            content = content[:middle]
        self.storage.faults.count(name, len(content))
        self._send(status, content, {**headers, "Content-Length": str(whole)})
        if fate == "stall":
            self.wfile.flush()
            time.sleep(self.storage.faults.switches.stall_seconds)
        if fate in {"cut", "stall"}:
            self._hang_up()

    def _hang_up(self) -> None:
        """Ends the connection, whatever the client still waits for."""
        self.close_connection = True

    def _refusal(self, resource: Resource | None) -> HTTPStatus | None:
        """What to refuse the request with, which names a generation that is not current or a condition that fails.

        https://cloud.google.com/storage/docs/request-preconditions; the emulator takes no notice of any.
        """
        generation = resource["generation"] if resource else "0"
        asked = self.query.get
        if asked("generation", generation) != generation:
            return HTTPStatus.NOT_FOUND
        if asked("ifGenerationMatch", generation) != generation:
            return HTTPStatus.PRECONDITION_FAILED
        if resource and asked("ifMetagenerationMatch", resource["metageneration"]) != resource["metageneration"]:
            return HTTPStatus.PRECONDITION_FAILED
        if asked("ifGenerationNotMatch") == generation:
            return HTTPStatus.NOT_MODIFIED if self.command == "GET" else HTTPStatus.PRECONDITION_FAILED
        return None

    # Control, by the demo and the tests

    def deliveries(self) -> None:
        """The events and what became of them."""
        self._send_json(self.storage.trigger.deliveries())

    def send_to(self) -> None:
        """Says which function gets the events."""
        self.storage.trigger.send_to(json.loads(self.body)["url"])
        self._send_json({})

    def change_faults(self) -> None:
        """Turns the switches that make trouble."""
        try:
            self.storage.faults.change(json.loads(self.body))
        except SwitchError as error:
            self._send_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        else:
            self._send_json({})

    def read(self) -> None:
        """How many bytes of each object were read."""
        self._send_json(self.storage.faults.read())

    def reset(self) -> None:
        """Forgets everything."""
        self.storage.reset()
        self._send_json({})

    def _send_json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=UTF-8"})

    def _send(
        self, status: HTTPStatus, content: bytes | memoryview = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        headers = headers or {}
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED and "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        return "sandbox"


_ROUTES: tuple[tuple[str, str, Callable[..., None]], ...] = (
    ("GET", "/sandbox/deliveries", _Handler.deliveries),
    ("POST", "/sandbox/function", _Handler.send_to),
    ("POST", "/sandbox/faults", _Handler.change_faults),
    ("GET", "/sandbox/read", _Handler.read),
    ("POST", "/sandbox/reset", _Handler.reset),
    ("POST", rf"(?:/upload)?{_BUCKET}/o", _Handler.insert),
    ("GET", rf"{_BUCKET}/storageLayout", _Handler.storage_layout),
    ("GET", rf"/download{_BUCKET}/o/(.+)", _Handler.download),
    ("GET", rf"{_BUCKET}/o/([^/]+)", _Handler.get),
    ("GET", r"/(?!storage/|b/|batch/)([^/]+)/(.+)", _Handler.download),
    ("PUT", r"/(?!upload/|storage/|b/)([^/]+)/(.+)", _Handler.put),
)


def _spoiled(content: memoryview, at: int) -> bytes:
    """The content with one bit turned."""
    spoiled = bytearray(content)
    spoiled[at : at + 1] = bytes(byte ^ 1 for byte in spoiled[at : at + 1])
    return bytes(spoiled)


def _body(headers: email.message.Message, connection: io.BufferedIOBase) -> bytes:
    """The request's body to its very end, so that the next request on the connection starts where it should."""
    if headers.get("Transfer-Encoding", "").lower() != "chunked":
        return connection.read(int(headers.get("Content-Length") or 0))
    chunks: list[bytes] = []
    while size := int(connection.readline().split(b";")[0], 16):
        chunks.append(connection.read(size))
        connection.readline()
    while connection.readline().strip():
        pass  # trailers
    return b"".join(chunks)


def _related(body: bytes, headers: email.message.Message) -> tuple[Resource, str, bytes]:
    """The metadata, content type and content of a multipart/related upload, the content untouched.

    gcloud puts the boundary in single quotes, which are none in MIME, and ends lines without carriage returns.
    """
    boundary = b"--" + str(headers.get_param("boundary")).strip("'").encode()
    line_break = b"\r\n" if body.startswith(boundary + b"\r\n") else b"\n"
    _, described, content = body.split(boundary + line_break, 2)
    content = content[: content.rindex(line_break + boundary)]
    _, metadata = described.split(2 * line_break, 1)
    content_headers, content = content.split(2 * line_break, 1)
    content_type = email.message_from_bytes(content_headers).get_content_type()
    return json.loads(metadata), content_type, content


def _object_headers(resource: Resource) -> dict[str, str]:
    """The headers that describe an object with its content."""
    encoding = resource.get("contentEncoding")
    given = {
        "Content-Type": resource["contentType"],
        "Content-Encoding": encoding,
        "ETag": f'"{resource["etag"]}"',
        "x-goog-generation": resource["generation"],
        "x-goog-metageneration": resource["metageneration"],
        "x-goog-stored-content-encoding": encoding or "identity",
        "x-goog-stored-content-length": resource["size"],
        **{f"x-goog-meta-{name}": value for name, value in (resource.get("metadata") or {}).items()},
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def _trigger(given: argparse.Namespace) -> Trigger:
    return Trigger(given.function_url, first_wait=given.first_wait, longest_wait=given.longest_wait)


def main() -> None:
    """Serves a bucket as the command line says until SIGTERM or Ctrl-C."""
    arguments = argparse.ArgumentParser(prog="python -m sandbox.bucket", description="Serves a local bucket.")
    arguments.add_argument("--port", type=int, default=9023, help="0 is any free one (default: %(default)s)")
    arguments.add_argument("--bucket", default="events", metavar="NAME", help="default: %(default)s")
    arguments.add_argument("--function-url", metavar="URL", help="the function that is told of each object written")
    arguments.add_argument(
        "--first-wait", type=float, default=1.0, metavar="SECONDS", help="before a delivery is repeated (default: 1)"
    )
    arguments.add_argument(
        "--longest-wait", type=float, default=10.0, metavar="SECONDS", help="that it is ever repeated after (10)"
    )
    given = arguments.parse_args()
    logging.disable(logging.CRITICAL)  # the emulator logs what clients do, as errors
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        server = Server(given.bucket, given.port, _trigger(given))
    except OSError as error:
        sys.exit(f"Port {given.port} cannot be had: {error.strerror}. Choose another with --port.")
    with server:
        print(json.dumps({"url": server.url, "bucket": server.name}), flush=True)
        ending.wait()


if __name__ == "__main__":
    main()
