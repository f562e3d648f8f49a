"""Requests to the stand-in's own API, and answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]


def not_for_strangers(respond: Handler) -> Handler:
    """Rejects what a page from elsewhere makes its reader's browser ask: the header Sec-Fetch-Site tells, or, where a
    name of theirs leads to this machine, the header Host."""

    async def guarded(request: Request) -> Response:
        site = request.headers.get("sec-fetch-site", "none")
        if site not in {"same-origin", "none"} or not _is_address(request.url.hostname or ""):
            return failed(403, "This is not for pages from elsewhere.")
        return await respond(request)

    return guarded


def _is_address(host: str) -> bool:
    """Whether this is an address, or this machine's own name: no other name is asked for what changes things."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


async def body_of(request: Request, most: int) -> bytes | None:
    """The request's body; None if it is more than `most` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        if len(body) <= most:
            body += chunk
    return bytes(body) if len(body) <= most else None


def failed(status: int, text: str) -> Response:
    """An answer that says in a sentence what cannot be done."""
    return json_of({"error": text}, status)


def json_of(content: object, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")
