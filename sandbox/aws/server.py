"""S3 and SQS on this machine: moto's server, with a bucket that tells a queue of each object written to it.

boto3 and the AWS command line reach it through `AWS_ENDPOINT_URL`, and `curl -T file URL/BUCKET/KEY` writes an object.
Run as a program, it prints one line of JSON with its "url", "bucket", "state" (a bucket for rejects and checkpoints),
"queue" and "dead_letters" when it is ready:

    python -m sandbox.aws --port 5000 --bucket events

Trouble with S3 can be asked for under /sandbox/faults, as with the local bucket (see `sandbox.bucket.faults`).
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from sandbox.aws.clients import Cloud
from sandbox.bucket.faults import Kind, Request, StorageFaults
from sandbox.switches import SwitchError

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Server:
    """S3 and SQS, served on 127.0.0.1 from entering its `with` block to leaving it.

    Args:
        bucket: whose objects are announced.
        port: 0 is any free one.
        visibility: seconds after which a message comes again that was not deleted.
        receives: after which a message is a dead letter.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, bucket: str = "events", port: int = 0, visibility: int = 30, receives: int = 20) -> None:
        listening = socket.create_server(("127.0.0.1", port), backlog=128)
        self._troubled = _Troubled(self._set_up)
        self._http = make_server(
            *("127.0.0.1", listening.getsockname()[1], self._troubled),
            threaded=True,
            request_handler=_Quiet,
            fd=listening.detach(),
        )
        self._http.daemon_threads = True  # type: ignore[attr-defined]
        self.cloud = Cloud(f"http://127.0.0.1:{self._http.port}", bucket, visibility, receives)

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.1,), name="aws", daemon=True).start()
        self.cloud.set_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()

    def _set_up(self) -> None:
        self.cloud.set_up()


class _Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (werkzeug's name)
        pass


class _Troubled:
    """moto's application, behind what can go wrong on the way to S3."""

    def __init__(self, set_up: Callable[[], None]) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._set_up = set_up
        self._faults = StorageFaults()
        self._writing = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/sandbox/"):
            return self._control(path, environ, start_response)
        found = _s3_request(environ)
        if found is None:
            return self._to_moto(environ, start_response)
        request, key = found
        fate = self._faults.next(request, key)
        if fate in {"429", "503", "upload_503"}:
            status = "429 Too Many Requests" if fate == "429" else "503 Slow Down"
            return _answer(start_response, status, _SLOW_DOWN, "application/xml")
        # moto looks whether a condition holds, and then writes, as two steps.
        with self._writing if request == "upload" else nullcontext():
            answer = b"".join(self._to_moto(environ, start_response))
        if fate == "upload_cut":
            _break_off(environ)
        return self._download(key, answer, fate, environ) if request == "download" else [answer]

    def _to_moto(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    def _download(self, key: str, content: bytes, fate: Kind | None, environ: Environ) -> Iterator[bytes]:
        self._faults.count(key, len(content))
        half = len(content) // 2
        if fate == "corrupt":
            content = content[:half] + bytes(byte ^ 1 for byte in content[half : half + 1]) + content[half + 1 :]
        if fate not in {"cut", "stall"}:
            yield content
            return
        yield content[:half]
        if fate == "stall":
            time.sleep(self._faults.switches.stall_seconds)
        _break_off(environ)

    def _control(self, path: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if path == "/sandbox/read":
            return _answer(start_response, "200 OK", json.dumps(self._faults.read()).encode())
        if path == "/sandbox/reset":
            self._faults.reset()
            self._to_moto({**environ, "PATH_INFO": "/moto-api/reset", "REQUEST_METHOD": "POST"}, lambda *_: None)
            self._set_up()
        elif path == "/sandbox/faults":
            try:
                self._faults.change(json.loads(body))
            except (SwitchError, ValueError) as error:
                return _answer(start_response, "400 Bad Request", f"{error}\n".encode(), "text/plain")
        return _answer(start_response, "200 OK", b"{}")


def _s3_request(environ: Environ) -> tuple[Request, str] | None:
    """What a request wants of S3, and of which object; None where it is for another service."""
    signed = environ.get("HTTP_AUTHORIZATION", "")
    if "/s3/" not in signed.partition("Signature=")[0] and (signed or environ["REQUEST_METHOD"] == "POST"):
        return None
    method, key = environ["REQUEST_METHOD"], environ["PATH_INFO"].lstrip("/").partition("/")[2]
    key = key.encode("latin-1", "replace").decode("utf-8", "replace")
    if not key or parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True).keys() & {"notification"}:
        return ("metadata", "") if signed else None
    if method == "PUT":
        return "upload", key
    return ("download" if method == "GET" else "metadata"), key


def _answer(start_response: StartResponse, status: str, body: bytes, kind: str = "application/json") -> Iterable[bytes]:
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def _break_off(environ: Environ) -> None:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


def main() -> None:
    """Serves as the command line says until SIGTERM or Ctrl-C."""
    arguments = argparse.ArgumentParser(prog="python -m sandbox.aws", description="Serves a local S3 and SQS.")
    arguments.add_argument("--port", type=int, default=5000, help="0 is any free one (default: %(default)s)")
    arguments.add_argument("--bucket", default="events", metavar="NAME", help="default: %(default)s")
    arguments.add_argument(
        "--visibility", type=int, default=30, metavar="SECONDS", help="before a message comes again (%(default)s)"
    )
    arguments.add_argument(
        "--receives", type=int, default=20, metavar="N", help="before a message is a dead letter (%(default)s)"
    )
    given = arguments.parse_args()
    logging.disable(logging.CRITICAL)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        server = Server(given.bucket, given.port, given.visibility, given.receives)
    except OSError as error:
        sys.exit(f"Port {given.port} cannot be had: {error.strerror}. Choose another with --port.")
    with server:
        cloud = server.cloud
        places = {
            "bucket": cloud.bucket,
            "state": cloud.state,
            "queue": cloud.queue,
            "dead_letters": cloud.dead_letters,
        }
        print(json.dumps({"url": cloud.url, **places}), flush=True)
        ending.wait()
