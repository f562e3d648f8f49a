"""A real server that answers as a test tells it to, and the events that tests send to it."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from importer.mixpanel.batch import Packed, pack
from importer.mixpanel.client.client import Client
from importer.settings import CredentialKind, Credentials, Settings

Events = list[dict[str, Any]]
Answer = tuple[int, dict[str, str], Any]
"""Status, headers, and the body: bytes, or what becomes JSON."""


@dataclass
class Scripted:
    """A server that gives the answers it was told to, one a request, the last again and again."""

    answers: list[Answer | Callable[[Events], Answer]]
    url: str = ""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0

    def counts(self) -> list[int]:
        """How many events each request had."""
        return [len(events_of(body)) for _, _, body in self.requests]

    def ids(self, nth: int) -> list[str]:
        """The insert ids of the events in the nth request."""
        return [event["properties"]["$insert_id"] for event in events_of(self.requests[nth][2])]


@contextmanager
def scripted(*answers: Answer | Callable[[Events], Answer], tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """Serves `answers`; one that is a function is asked, with the events of the request."""
    script = Scripted(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            script.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            script.requests.append((self.path, dict(self.headers), body))
            answer = script.answers[min(len(script.requests), len(script.answers)) - 1]
            status, headers, content = answer(events_of(body)) if callable(answer) else answer
            wire = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(wire))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(wire)

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Handler, tls) as port:
        script.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        yield script


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server on 127.0.0.1."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def ok(count: int) -> Answer:
    return 200, {}, {"code": 200, "num_records_imported": count, "status": "OK"}


def partly(*records: Any, imported: Any) -> Answer:
    """A 400 that says which events failed."""
    return 400, {}, {"code": 400, "error": "some", "failed_records": records, "num_records_imported": imported}


def takes_all(events: Events) -> Answer:
    return ok(len(events))


def event(number: int, name: str = "Signup", **properties: Any) -> bytes:
    known = {"time": 1_700_000_000, "distinct_id": "user-1", "$insert_id": f"id-{number}"}
    return json.dumps({"event": name, "properties": {**known, **properties}}).encode()


def batch(*numbers: int, **properties: Any) -> Packed:
    return pack([event(number, **properties) for number in numbers])


def events_of(body: bytes) -> Events:
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


class Clock:
    """A clock that only goes when someone sleeps, as it is told to: at once."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def client_of(server: Scripted, clock: Callable[[], float] = time.monotonic, **changes: Any) -> Iterator[Client]:
    """A client that sends to `server` with a project token."""
    token = Credentials(CredentialKind.PROJECT_TOKEN, "a-token", "", None)
    settings = msgspec.structs.replace(Settings(token, server.url, backoff=0.02, timeout=5), **changes)
    client = Client(settings, clock)
    try:
        yield client
    finally:
        client.close()
