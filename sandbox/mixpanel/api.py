"""The stand-in's own API, under /sandbox/: what came in, what was refused, and the switches that make trouble.

GET answers with JSON; where there are many rows with the newest first, `limit` of them (100):

    summary    the counts
    ids        as text, a line `$insert_id<TAB>times seen` for each event held
    events     those kept in full; `event`, `user` and `source` are texts that the event's are to contain
    requests, rejects, sources, faults
    stream     server-sent events, see `sandbox.mixpanel.feed`

POST takes JSON unless said otherwise:

    faults     turns the switches given, see `sandbox.mixpanel.faults.Switches`
    reset      forgets everything
    log        the importer's log, line by line
    upload     a file's content, with its `name` in the query: writes it to the local bucket
    preview    {"text": …}: what would become of some records, see `sandbox.mixpanel.preview`
    transform  {"name": "module:function" or null}: what a preview applies from now on
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import islice
from typing import Any

import msgspec
import requests
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox.mixpanel import feed
from sandbox.mixpanel.preview import MAX_BYTES, PreviewError, preview
from sandbox.mixpanel.state import Sandbox
from sandbox.mixpanel.store import Store
from sandbox.switches import SwitchError

Handler = Callable[[Request], Awaitable[Response]]

MOST = 10_000
"""Rows that one request may ask for."""
MAX_UPLOADED = 200_000_000
"""Bytes of a file uploaded through the page."""


def routes(sandbox: Sandbox) -> list[Route]:
    """The routes of the API, for the sandbox given."""
    api = _Api(sandbox)
    reading = (api.summary, api.ids, api.events, api.requests, api.rejects, api.sources, api.faults, api.stream)
    writing = (api.reset, api.log, api.upload, api.preview, api.transform)
    return [
        *(Route(f"/sandbox/{each.__name__}", each) for each in reading),
        *(Route(f"/sandbox/{each.__name__}", _not_for_strangers(each), methods=["POST"]) for each in writing),
        Route("/sandbox/faults", _not_for_strangers(api.change_faults), methods=["POST"]),
    ]


def _not_for_strangers(respond: Handler) -> Handler:
    """Refuses what a page from elsewhere makes its reader's browser ask (the header Sec-Fetch-Site tells)."""

    async def guarded(request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return _error(403, "This is not for pages from elsewhere.")
        return await respond(request)

    return guarded


class _Api:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def summary(self, _: Request) -> Response:
        return _json(self._sandbox.store.summary())

    async def ids(self, _: Request) -> Response:
        return StreamingResponse(_all_ids(self._sandbox.store), media_type="text/plain")

    async def events(self, request: Request) -> Response:
        wanted = feed.Wanted.by(request)
        found = (pair for pair in self._sandbox.store.newest() if wanted.includes(*pair))
        return _json(
            [
                {"event": msgspec.Raw(line), "at": batch.at, "request": batch.request, "source": batch.source}
                for batch, line in islice(found, _limit(request))
            ]
        )

    async def requests(self, request: Request) -> Response:
        return _json(_newest(self._sandbox.store.requests, _limit(request)))

    async def rejects(self, request: Request) -> Response:
        return _json(_newest(self._sandbox.store.rejects, _limit(request)))

    async def sources(self, request: Request) -> Response:
        return _json(self._sandbox.reports.newest_sources()[: _limit(request)])

    async def stream(self, request: Request) -> Response:
        return feed.stream(self._sandbox, request)

    async def reset(self, _: Request) -> Response:
        self._sandbox.reset()
        return _json({})

    async def log(self, request: Request) -> Response:
        return _json({"taken": self._sandbox.hear(await request.body())})

    async def upload(self, request: Request) -> Response:
        bucket, name = self._sandbox.bucket, request.query_params.get("name", "")
        if bucket is None:
            return _error(409, "There is no bucket here: start with --bucket-url.")
        if not name:
            return _error(400, "The file needs a name.")
        if (content := await _body(request, MAX_UPLOADED)) is None:
            return _error(413, f"The page uploads at most {MAX_UPLOADED:,} bytes; use curl or gcloud storage cp.")
        try:
            generation = await run_in_threadpool(bucket.put, name, content)
        except requests.RequestException as error:
            return _error(502, f"The bucket at {bucket.url} did not take it: {type(error).__name__}.")
        return _json({"name": f"gs://{bucket.name}/{name}", "generation": generation})

    async def preview(self, request: Request) -> Response:
        if (content := await _body(request, MAX_BYTES)) is None:
            return _error(413, f"A preview takes at most {MAX_BYTES:,} bytes.")
        try:
            text = msgspec.json.decode(content, type=dict[str, str])["text"]
            return _json(await preview(text.encode(), self._sandbox.transform))
        except (msgspec.DecodeError, KeyError):
            return _error(400, 'A preview takes {"text": …}.')
        except PreviewError as error:
            return _error(422, str(error))

    async def transform(self, request: Request) -> Response:
        try:
            self._sandbox.transform = msgspec.json.decode(await request.body(), type=dict[str, str | None])["name"]
        except (msgspec.DecodeError, KeyError):
            return _error(400, 'A transform is {"name": "module:function"}, or null for none.')
        return _json({})

    async def faults(self, _: Request) -> Response:
        return _json(self._sandbox.faults.shown())

    async def change_faults(self, request: Request) -> Response:
        try:
            self._sandbox.faults.change(msgspec.json.decode(await request.body(), type=dict[str, Any]))
        except (msgspec.DecodeError, SwitchError) as error:
            return _error(400, str(error))
        return _json(self._sandbox.faults.shown())


async def _all_ids(store: Store) -> AsyncIterator[str]:
    for chunk in store.known.lines():
        yield chunk


async def _body(request: Request, most: int) -> bytes | None:
    """The request's body; None if it is more than `most` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        if len(body) <= most:
            body += chunk
    return bytes(body) if len(body) <= most else None


def _limit(request: Request) -> int:
    asked = request.query_params.get("limit", "100")
    return min(int(asked), MOST) if asked.isdigit() else 100


def _newest(rows: Iterable[Any], limit: int) -> list[Any]:
    return list(rows)[::-1][:limit]


def _error(status: int, text: str) -> Response:
    return _json({"error": text}, status)


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
