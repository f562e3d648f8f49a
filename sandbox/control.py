"""The stand-in's own API, under /sandbox/: what came in, what was refused, and the switches that make trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox.faults import SwitchError
from sandbox.store import Store

if TYPE_CHECKING:
    from sandbox.mixpanel import Sandbox

MOST = 10_000
"""Rows that one request may ask for."""


def routes(sandbox: Sandbox) -> list[Route]:
    """The routes of the API, for the sandbox given."""
    api = _Api(sandbox)
    return [
        Route("/sandbox/summary", api.summary),
        Route("/sandbox/ids", api.ids),
        Route("/sandbox/events", api.events),
        Route("/sandbox/requests", api.requests),
        Route("/sandbox/rejects", api.rejects),
        Route("/sandbox/reset", api.reset, methods=["POST"]),
        Route("/sandbox/faults", api.faults),
        Route("/sandbox/faults", api.change_faults, methods=["POST"]),
    ]


class _Api:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def summary(self, _: Request) -> Response:
        return _json(self._sandbox.store.summary())

    async def ids(self, _: Request) -> Response:
        return StreamingResponse(_all_ids(self._sandbox.store), media_type="text/plain")

    async def events(self, request: Request) -> Response:
        return _json(self._sandbox.store.events(_limit(request)))

    async def requests(self, request: Request) -> Response:
        return _json(_newest(self._sandbox.store.requests, _limit(request)))

    async def rejects(self, request: Request) -> Response:
        return _json(_newest(self._sandbox.store.rejects, _limit(request)))

    async def reset(self, _: Request) -> Response:
        self._sandbox.reset()
        return _json({})

    async def faults(self, _: Request) -> Response:
        return _json(self._sandbox.faults.shown())

    async def change_faults(self, request: Request) -> Response:
        try:
            self._sandbox.faults.change(msgspec.json.decode(await request.body(), type=dict[str, Any]))
        except (msgspec.DecodeError, SwitchError) as error:
            return _json({"error": str(error)}, 400)
        return _json(self._sandbox.faults.shown())


async def _all_ids(store: Store) -> AsyncIterator[str]:
    for chunk in store.ids():
        yield chunk


def _limit(request: Request) -> int:
    asked = request.query_params.get("limit", "100")
    return min(int(asked), MOST) if asked.isdigit() else 100


def _newest(rows: Iterable[Any], limit: int) -> list[Any]:
    return list(rows)[::-1][:limit]


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
