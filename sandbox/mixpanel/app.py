"""A stand-in for Mixpanel's `POST /import` that checks what the real one checks and answers as it does.

    python -m sandbox.mixpanel --port 8081

It prints `{"url": …}` when it accepts connections; with `--tls` also the address for HTTPS, and the certificate. What
it took is found under /sandbox/, where trouble can be asked for as well (see `sandbox.mixpanel.api`). Its behaviour
follows https://developer.mixpanel.com/reference/import-events.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import struct
import time
from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.datastructures import Headers, QueryParams
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from importer.mixpanel import judge, rules
from sandbox.clients import Bucket
from sandbox.mixpanel import answers, api, page, request, sdk_calls
from sandbox.mixpanel.answers import Answer
from sandbox.mixpanel.faults import TAKEN_FIRST, Faults, Kind
from sandbox.mixpanel.state import Sandbox
from sandbox.mixpanel.store import REJECT_TEXT, Batch, Reject, Request, Store
from sandbox.serve import serve

MAX_WIRE_BYTES = 64_000_000
"""Bytes of a request's body that are kept, as sent; the rest is read and dropped."""

SOURCE_HEADER = "x-import-source"
"""A request may say with this header where its events are from (percent-encoded), for the live view to tell."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def create_app(sandbox: Sandbox | None = None) -> Starlette:
    """The stand-in as an ASGI application, over a state of its own or the one given."""
    sandbox = sandbox or Sandbox()
    return Starlette(
        routes=[
            Route("/import", ImportEndpoint(sandbox), methods=["GET", "POST"]),
            *api.routes(sandbox),
            *page.routes(),
            *sdk_calls.routes(sandbox),
        ]
    )


class ImportEndpoint:
    """`POST /import`, as an ASGI application, because trouble needs the connection in hand."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = await _read(receive)
        if scope["method"] == "GET":  # as the SDK for Node sends one event
            scope, wire = {**scope, "headers": _headers_of_a_form(scope)}, scope["query_string"]
        started = time.perf_counter()
        store, faults = self._sandbox.store, self._sandbox.faults
        n, fate = store.begin(), faults.next()
        call = _Call(n, Headers(scope=scope), QueryParams(scope["query_string"]))
        answer = _handle(self._sandbox, call, wire, fate)
        delay = faults.delay() + (faults.switches.hang_seconds if fate == "hang" else 0)
        seconds = time.perf_counter() - started + delay
        self._sandbox.finish(call.record(answer, len(wire), seconds, fate), answer.rejects)
        if delay:
            await asyncio.sleep(delay)
        if fate in _CUT:
            await _cut(receive)
        else:
            await _send(answer, fate, faults, receive, send)


class _Call:
    """A request's number and head."""

    def __init__(self, n: int, headers: Headers, query: QueryParams) -> None:
        self.n, self.headers = n, headers
        self.project_id = query.get("project_id", "")
        self.strict = query.get("strict")
        self.verbose = query.get("verbose") == "1"
        self.source = unquote(headers.get(SOURCE_HEADER, ""))
        self.signature = request.signature(headers)

    def record(self, answer: Answer, wire_bytes: int, seconds: float, fate: int | Kind | None) -> Request:
        return Request(
            n=self.n,
            at=time.time(),
            events=answer.events,
            bytes=answer.bytes,
            wire_bytes=wire_bytes,
            seconds=seconds,
            status=None if fate in _CUT else answer.status,
            imported=answer.imported,
            duplicates=answer.duplicates,
            rejected=len(answer.rejects),
            user_agent=self.headers.get("user-agent", ""),
            auth=self.signature.kind if self.signature else "none",
            source=self.source,
            fault=None if fate is None else str(fate),
            encoding=self.headers.get("content-encoding", "").strip().lower().replace("identity", ""),
            reason=_WHAT_BEFELL.get(fate, answer.reason) if isinstance(fate, str) else answer.reason,
        )


_CUT = frozenset({"cut_before", "cut_after"})
_WHAT_BEFELL: Mapping[str, str] = {
    "cut_before": "the connection was reset before anything was taken",
    "cut_after": "the events were taken, and then the connection was reset without an answer",
    "hang": "the events were taken, and the answer came late",
    "truncated": "the events were taken, and the answer broke off before its end",
    "html": "a web page was answered, and nothing was taken",
    "garbage": "the events were taken, and the answer was not JSON",
    "short_count": "only a part of the events was taken, as the answer says",
}


def _handle(sandbox: Sandbox, call: _Call, wire: bytes, fate: int | Kind | None) -> Answer:
    """What a request that suffers `fate` does and gets answered."""
    if isinstance(fate, int):
        return answers.error(fate)
    if fate is not None and fate not in TAKEN_FIRST:
        return answers.page()
    answer = _answer(sandbox, call, wire, short=fate == "short_count")
    if fate == "garbage":
        answer.status, answer.body = 200, b'{"code": 200, "num_rec'
    return answer


def _answer(sandbox: Sandbox, call: _Call, wire: bytes, *, short: bool) -> Answer:
    legacy = request.is_legacy(call.headers)
    limit = sandbox.faults.switches.max_bytes
    form = None
    try:
        body = request.unpack(call.headers, wire, limit)
        form = request.read_legacy(body) if legacy else None
        if refusal := _unauthorized(sandbox.faults, call, form):
            answer = answers.error(401, refusal)
        elif sandbox.count_only:
            answer = _count(sandbox.store, call, body)
        else:
            lines = request.split_legacy(form.events) if form else request.split(call.headers, body)
            answer = _import(sandbox, call, form.events if form else body, lines, short=short)
        answer.bytes = len(body)
    except request.TooLargeError:
        answer = answers.error(413, f"request exceeds max limit of {limit} bytes")
    except (request.UnreadableError, rules.NotJsonError) as error:
        answer = answers.error(400, f"invalid request body: {error}")
    return answers.in_old_form(answer, verbose=form.verbose or call.verbose) if form and call.strict is None else answer


def _unauthorized(faults: Faults, call: _Call, form: request.Legacy | None) -> str | None:
    """Why the request's signature is not accepted, if it is not."""
    signed, switches = call.signature, faults.switches
    if switches.unauthorized:
        return "Invalid credentials"
    if signed is None:
        return None if form and form.api_key else "Basic auth with a service account or a project token is required"
    if switches.credentials is not None and not signed.matches(switches.credentials):
        return "Invalid credentials"
    if signed.password and not call.project_id:
        return "project_id is required with a service account"
    return None


def _count(store: Store, call: _Call, body: bytes) -> Answer:
    answer = answers.ok(request.count(call.headers, body))
    answer.events = answer.imported
    store.count(answer.events)
    return answer


def _import(sandbox: Sandbox, call: _Call, body: bytes, lines: list[bytes], *, short: bool) -> Answer:
    """Takes what is good of the events in `lines`; of these, half, where `short`."""
    faults, now = sandbox.faults, time.time()
    switches = faults.switches
    if len(lines) > switches.max_events:
        return answers.error(413, f"request exceeds max limit of {switches.max_events} events")
    if faults.exceeds_rate(now, len(lines), len(body)):
        return answers.error(429)
    if switches.unnamed_400 and switches.unnamed_400.encode() in body:
        return answers.error(400, "invalid request body")
    verdict = judge.examine(body, lines, now)
    taken = len(verdict.good) // 2 if short else len(verdict.good)
    duplicates = sandbox.store.take(Batch(call.n, now, call.source, verdict.good_lines[:taken]), verdict.good[:taken])
    if verdict.rejected and call.strict == "1":
        answer = answers.partial(taken, verdict.rejected, switches.insert_id_spelling)
    else:
        answer = answers.ok(taken)
    answer.events, answer.duplicates = len(lines), duplicates
    answer.rejects = [_reject(call, now, refused, lines[refused.index]) for refused in verdict.rejected]
    return answer


def _reject(call: _Call, now: float, refused: judge.Rejected, line: bytes) -> Reject:
    return Reject(
        at=now,
        request=call.n,
        source=call.source,
        index=refused.index,
        insert_id=refused.insert_id,
        field=refused.problem.field,
        message=refused.problem.message,
        event=line[: REJECT_TEXT * 4].decode(errors="replace")[:REJECT_TEXT],
    )


def _headers_of_a_form(scope: Scope) -> list[tuple[bytes, bytes]]:
    """A GET's headers, with those of the form that its query is: `data=…&verbose=1`."""
    kept = [(name, value) for name, value in scope["headers"] if name not in {b"content-type", b"content-encoding"}]
    return [*kept, (b"content-type", b"application/x-www-form-urlencoded")]


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_WIRE_BYTES:
            parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _send(answer: Answer, fate: int | Kind | None, faults: Faults, receive: Receive, send: Send) -> None:
    truncated = fate == "truncated"
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    after = faults.switches.retry_after
    if after is not None and answer.status in {429, 503}:
        dated = faults.switches.retry_after_date
        text = formatdate(time.time() + after, usegmt=True) if dated else f"{after:g}"
        headers.append((b"retry-after", text.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = answer.body[: len(answer.body) // 2] if truncated else answer.body
    await send({"type": "http.response.body", "body": body, "more_body": truncated})
    if truncated:
        _transport(receive).close()
        await _until_gone(receive)


async def _cut(receive: Receive) -> None:
    """Resets the connection under the request (RST, not FIN), as a dying server or a firewall does."""
    transport = _transport(receive)
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
    await _until_gone(receive)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _transport(receive: Receive) -> asyncio.Transport:
    """The connection that a request came over: uvicorn's `receive` is a method of what holds it."""
    transport: asyncio.Transport = receive.__self__.transport  # type: ignore[attr-defined]
    return transport


def main() -> None:
    """Serves the stand-in until told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.mixpanel", description="A stand-in for Mixpanel's /import."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=0, help="what the choice of troubled requests follows from")
    parser.add_argument("--count-only", action="store_true", help="count events, and neither check nor keep them")
    parser.add_argument("--credentials", metavar="USER:SECRET|TOKEN", help="accept only these")
    parser.add_argument("--bucket-url", help="the local bucket's address, to which the page can upload files")
    parser.add_argument("--bucket", default="events", help="the local bucket's name")
    parser.add_argument("--tls", action="store_true", help="speak HTTPS as well, with a certificate made at the start")
    parser.add_argument("--tls-port", type=int, default=8443, help="where (default: %(default)s; 0 takes a free one)")
    parser.add_argument("--mapping", metavar="NAME|FILE", help="what the page's preview applies, such as auto")
    parser.add_argument("--transform", metavar="MODULE:FUNCTION", help="the same")
    given = parser.parse_args()
    sandbox = Sandbox(
        seed=given.seed,
        count_only=given.count_only,
        credentials=given.credentials,
        bucket=Bucket(given.bucket_url, given.bucket) if given.bucket_url else None,
        mapping=given.mapping or os.environ.get("IMPORT_MAPPING") or None,
        transform=given.transform or os.environ.get("IMPORT_TRANSFORM") or None,
    )
    serve(create_app(sandbox), given.host, given.port, given.tls_port if given.tls else None)


if __name__ == "__main__":
    main()
