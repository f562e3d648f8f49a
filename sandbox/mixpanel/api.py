"""The stand-in's own API, under /sandbox/: what came in, what was refused, and the switches that make trouble.

GET answers with JSON; where there are many rows with the newest first, `limit` of them (100):

    summary    the counts
    ids        as text, a line `$insert_id<TAB>times seen` for each event held
    events     those kept in full; `event`, `user` and `source` are texts that the event's are to contain
    requests, rejects, sources, faults
    reading    of each object in the local bucket that is at work, the share of its bytes that was read
    stream     server-sent events, see `sandbox.mixpanel.feed`
    download   the rejects as they are stored, lines of JSON; `source` is a text that theirs is to contain

POST takes JSON unless said otherwise:

    faults     turns the switches given, see `sandbox.mixpanel.faults.Switches`
    reset      forgets everything, the rejects that are stored too
    log        the importer's log, line by line
    upload     a file's content, with its `name` in the query: writes it to the local bucket
    publish    a message's data: publishes it to the local topic
    preview    {"text": …}: what would become of some records, see `sandbox.mixpanel.preview`
    preview_file  the same of a file's content, with its `name`, and `cut=1` where it is only the beginning
    profile    a file's content, with its `name`: what is odd about its records, and the lines that mend it
    mapping    {"name": … or null}: what the functions and previews apply from now on, as IMPORT_MAPPING
    mapping_file  a mapping file's text: writes it to the file that is picked; GET gives what is there
    transform  {"name": "module:function" or null}: what a preview applies from now on
    send_again sends the rejects that are stored again
    around     what the program that runs all this says of it, see `sandbox.mixpanel.surroundings.Surroundings`
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox.mixpanel import feed, page_api
from sandbox.mixpanel.responses import failed, json_of, not_for_strangers
from sandbox.mixpanel.state import Sandbox
from sandbox.mixpanel.store import Store
from sandbox.mixpanel.stored_rejects import stored_rejects
from sandbox.mixpanel.surroundings import Surroundings
from sandbox.mixpanel.wanted import Wanted
from sandbox.switches import SwitchError

MOST = 10_000
"""Rows that one request may ask for."""


def routes(sandbox: Sandbox) -> list[Route]:
    """The routes of the API, for the sandbox given."""
    api = _Api(sandbox)
    reading = (api.summary, api.ids, api.events, api.requests, api.rejects, api.sources, api.faults, api.stream)
    writing = (api.reset, api.log, api.around)
    return [
        *(Route(f"/sandbox/{each.__name__}", each) for each in reading),
        *(Route(f"/sandbox/{each.__name__}", not_for_strangers(each), methods=["POST"]) for each in writing),
        Route("/sandbox/faults", not_for_strangers(api.change_faults), methods=["POST"]),
        *page_api.routes(sandbox),
    ]


class _Api:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def summary(self, _: Request) -> Response:
        return json_of(self._sandbox.store.summary())

    async def ids(self, _: Request) -> Response:
        return StreamingResponse(_all_ids(self._sandbox.store), media_type="text/plain")

    async def events(self, request: Request) -> Response:
        wanted = Wanted.by(request)
        found = (pair for pair in self._sandbox.store.newest() if wanted.includes(*pair))
        return json_of(
            [
                {"event": msgspec.Raw(line), "at": batch.at, "request": batch.request, "source": batch.source}
                for batch, line in islice(found, _limit(request))
            ]
        )

    async def requests(self, request: Request) -> Response:
        return json_of(_newest(self._sandbox.store.requests, _limit(request)))

    async def rejects(self, request: Request) -> Response:
        return json_of(_newest(self._sandbox.store.rejects, _limit(request)))

    async def sources(self, request: Request) -> Response:
        return json_of(self._sandbox.reports.newest_sources()[: _limit(request)])

    async def stream(self, request: Request) -> Response:
        return feed.stream(self._sandbox, request)

    async def reset(self, _: Request) -> Response:
        if rejects := stored_rejects(self._sandbox.around, self._sandbox.bucket):
            await run_in_threadpool(rejects.clear)
        self._sandbox.reset()
        return json_of({})

    async def log(self, request: Request) -> Response:
        return json_of({"taken": self._sandbox.hear(await request.body())})

    async def around(self, request: Request) -> Response:
        try:
            self._sandbox.around = msgspec.json.decode(await request.body(), type=Surroundings)
        except msgspec.DecodeError as error:
            return failed(400, f"{error}.")
        return json_of({})

    async def faults(self, _: Request) -> Response:
        return json_of(self._sandbox.faults.shown())

    async def change_faults(self, request: Request) -> Response:
        try:
            self._sandbox.faults.change(msgspec.json.decode(await request.body(), type=dict[str, Any]))
        except (msgspec.DecodeError, SwitchError) as error:
            return failed(400, str(error))
        return json_of(self._sandbox.faults.shown())


async def _all_ids(store: Store) -> AsyncIterator[str]:
    for chunk in store.known.lines():
        yield chunk


def _limit(request: Request) -> int:
    asked = request.query_params.get("limit", "100")
    return min(int(asked), MOST) if asked.isdigit() else 100


def _newest(rows: Iterable[Any], limit: int) -> list[Any]:
    return list(rows)[::-1][:limit]
