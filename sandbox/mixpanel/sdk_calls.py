"""What the official SDKs ask beside /import: events as they happen (/track), and profiles (/engage, /groups).

Answered as far as that is published; whatever else is asked gets a sentence in JSON. Each is a row on the page.

https://developer.mixpanel.com/reference/track-event, https://developer.mixpanel.com/reference/profile-set,
https://developer.mixpanel.com/reference/group-set-property
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from importer.mixpanel import judge, rules
from sandbox.mixpanel import request as wire
from sandbox.mixpanel.state import Sandbox
from sandbox.mixpanel.store import REJECT_TEXT, Batch, Reject, Request

MAX_AGE = 5 * 86_400
"""Seconds: /track takes no event that is older."""
MAX_OBJECTS = 2_000

_OPERATIONS = (
    "$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete",
)  # fmt: skip
_MAX_BYTES = 10_000_000

Objects = list[dict[str, Any]]


class CallError(Exception):
    """What was sent is not taken; the text is a sentence."""


def routes(sandbox: Sandbox) -> list[Route]:
    """The routes of these calls, and of all that nothing else answers: to be the last."""
    calls = _Calls(sandbox)
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return [
        Route("/track", calls.track, methods=["GET", "POST"]),
        Route("/engage", calls.engage, methods=["GET", "POST"]),
        Route("/groups", calls.groups, methods=["GET", "POST"]),
        Route("/{path:path}", calls.unknown, methods=methods),
    ]


class _Calls:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def track(self, request: HttpRequest) -> Response:
        """Takes events, each with a project's token among its properties."""
        return await self._answered(request, self._track)

    async def engage(self, request: HttpRequest) -> Response:
        """Checks changes of user profiles."""
        return await self._answered(request, lambda call, found: _check_profiles(call, found, ("$distinct_id",)))

    async def groups(self, request: HttpRequest) -> Response:
        """Checks changes of group profiles."""
        keys = ("$group_key", "$group_id")
        return await self._answered(request, lambda call, found: _check_profiles(call, found, keys))

    async def unknown(self, request: HttpRequest) -> Response:
        """Says that nothing here answers that, and what does."""
        said = (
            f"The sandbox's stand-in has no {request.method} {request.url.path}: it answers /import, /track, /engage "
            "and /groups, as far as they are published."
        )
        call = _Call(self._sandbox, request, await request.body())
        call.finish(404, said)
        return Response(msgspec.json.encode({"status": 0, "error": said}), 404, media_type="application/json")

    async def _answered(self, request: HttpRequest, take: Callable[[_Call, Objects], str]) -> Response:
        """The answer in the form that was asked for: `1` or `0`, or with `verbose` an object with the reason."""
        call = _Call(self._sandbox, request, await request.body())
        error: str | None = None
        try:
            call.finish(200, take(call, call.objects()))
        except CallError as reason:
            error = str(reason)
            call.finish(200 if call.is_form else 400, error)
        if call.is_verbose or not call.is_form:
            body = msgspec.json.encode({"status": 0 if error else 1, "error": error})
            status = 400 if error and not call.is_form else 200
            return Response(body, status, media_type="application/json")
        return Response(b"0" if error else b"1", media_type="application/json")

    def _track(self, call: _Call, found: Objects) -> str:
        now = time.time()
        lines = [msgspec.json.encode(_completed(event, now)) for event in found]
        try:
            verdict = judge.examine(b"\n".join(lines), lines, now)
        except rules.NotJsonError as error:
            raise CallError(f"data is not JSON: {error}") from None
        store = self._sandbox.store
        call.duplicates = store.take(Batch(call.n, now, "", verdict.good_lines), verdict.good)
        call.imported = len(verdict.good)
        call.rejects = [
            Reject(
                at=now,
                request=call.n,
                source="",
                index=one.index,
                insert_id=one.insert_id,
                field=one.problem.field,
                message=one.problem.message,
                event=lines[one.index][:REJECT_TEXT].decode(errors="replace"),
            )
            for one in verdict.rejected
        ]
        if call.rejects:
            raise CallError(call.rejects[0].message)
        return ""


class _Call:
    """One of these calls, and the row that it becomes."""

    def __init__(self, sandbox: Sandbox, request: HttpRequest, body: bytes) -> None:
        self.n = sandbox.store.begin()
        self._sandbox = sandbox
        self._request = request
        self._wire = body
        self._body = body
        self._began = time.perf_counter()
        self._form: wire.Legacy | None = None
        self.imported = self.duplicates = 0
        self.rejects: Sequence[Reject] = ()
        signature = wire.signature(request.headers)
        self._auth = signature.kind if signature else "none"
        self.is_form = request.method == "GET" or wire.is_legacy(request.headers)
        self.is_verbose = request.query_params.get("verbose") == "1"

    def objects(self) -> Objects:
        """What was sent: one object, or several.

        Raises:
            CallError: nothing that can be read.
        """
        try:
            self._body = wire.unpack(self._request.headers, self._wire, _MAX_BYTES)
            content = self._body
            if self.is_form:
                query = self._request.url.query.encode() if self._request.method == "GET" else self._body
                form = wire.read_legacy(query)
                self.is_verbose = self.is_verbose or form.verbose
                content = form.events
            found = [msgspec.json.decode(line) for line in wire.split_legacy(content)]
        except (wire.UnreadableError, wire.TooLargeError, rules.NotJsonError, msgspec.DecodeError) as error:
            raise CallError(f"data cannot be read: {error or 'it is too large'}") from None
        if not found or len(found) > MAX_OBJECTS or not all(isinstance(one, dict) for one in found):
            raise CallError(f"data must be an object, or an array of 1 to {MAX_OBJECTS:,} objects")
        return found

    def finish(self, status: int, said: str) -> None:
        """Books the call."""
        request = Request(
            n=self.n,
            at=time.time(),
            events=self.imported + len(self.rejects),
            bytes=len(self._body),
            wire_bytes=len(self._wire),
            seconds=time.perf_counter() - self._began,
            status=status,
            imported=self.imported,
            duplicates=self.duplicates,
            rejected=len(self.rejects),
            user_agent=self._request.headers.get("user-agent", ""),
            auth=self._auth,
            source="",
            fault=None,
            path=self._request.url.path,
            encoding=self._request.headers.get("content-encoding", ""),
            reason=said,
        )
        self._sandbox.finish(request, self.rejects)


def _completed(event: dict[str, Any], now: float) -> dict[str, Any]:
    """The event with what Mixpanel fills in: the time, and an id of its own.

    Raises:
        CallError: it has no token, or is too old.
    """
    properties = event.get("properties")
    if not isinstance(properties, dict) or not isinstance(properties.get("token"), str) or not properties["token"]:
        raise CallError("an event must have properties with the project's token")
    rest = {name: value for name, value in properties.items() if name != "token"}
    given = rest.setdefault("time", int(now))
    if isinstance(given, int | float) and (given / 1000 if given > now * 10 else given) < now - MAX_AGE:
        raise CallError("/track takes events of the last five days: send this one to /import")
    rest.setdefault("distinct_id", "")
    rest.setdefault("$insert_id", uuid.uuid4().hex)
    return {"event": event.get("event"), "properties": {**rest, "distinct_id": str(rest["distinct_id"])}}


def _check_profiles(_: _Call, found: Objects, keys: Sequence[str]) -> str:
    """Checks changes of profiles; they are not kept.

    Raises:
        CallError: one of them is none.
    """
    for change in found:
        if not isinstance(change.get("$token"), str) or not change["$token"]:
            raise CallError("a change of a profile must have $token")
        for key in keys:
            if change.get(key) in (None, ""):
                raise CallError(f"a change of a profile must have {key}")
        if not any(operation in change for operation in _OPERATIONS):
            raise CallError(f"a change of a profile must have one of {', '.join(_OPERATIONS)}")
    many = f"{len(found):,} changes" if len(found) > 1 else "1 change"
    return f"{many} of profiles: checked, and not kept"
