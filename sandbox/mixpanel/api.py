"""The stand-in's own API, under /sandbox/: what came in, what was refused, and the switches that make trouble.

GET answers with JSON; where there are many rows with the newest first, `limit` of them (100):

    summary    the counts
    ids        as text, a line `$insert_id<TAB>times seen` for each event held
    events     those kept in full; `event`, `user` and `source` are texts that the event's are to contain
    requests, rejects, sources, faults
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

import ipaddress
import time
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
from sandbox.mixpanel.preview import MAX_BYTES, MAX_FILE_BYTES, PreviewError, preview
from sandbox.mixpanel.profiling import profile
from sandbox.mixpanel.publishing import MAX_MESSAGE_BYTES, publish
from sandbox.mixpanel.state import Sandbox
from sandbox.mixpanel.store import RECENT_REJECTS, Store
from sandbox.mixpanel.stored_rejects import ResendError, StoredRejects
from sandbox.mixpanel.surroundings import Surroundings, ask_for_mapping
from sandbox.switches import SwitchError
from sandbox.variables import mapping_file

Handler = Callable[[Request], Awaitable[Response]]

MOST = 10_000
"""Rows that one request may ask for."""
MAX_UPLOADED = 200_000_000
"""Bytes of a file uploaded through the page."""


def routes(sandbox: Sandbox) -> list[Route]:
    """The routes of the API, for the sandbox given."""
    api = _Api(sandbox)
    reading = [api.summary, api.ids, api.events, api.requests, api.rejects, api.sources, api.faults, api.stream]
    reading += [api.download]
    writing = [api.reset, api.log, api.upload, api.publish, api.preview, api.preview_file, api.mapping, api.transform]
    writing += [api.profile, api.send_again, api.around]
    return [
        *(Route(f"/sandbox/{each.__name__}", each) for each in reading),
        *(Route(f"/sandbox/{each.__name__}", _not_for_strangers(each), methods=["POST"]) for each in writing),
        Route("/sandbox/faults", _not_for_strangers(api.change_faults), methods=["POST"]),
        Route("/sandbox/mapping_file", _not_for_strangers(api.mapping_text)),
        Route("/sandbox/mapping_file", _not_for_strangers(api.write_mapping), methods=["POST"]),
    ]


def _not_for_strangers(respond: Handler) -> Handler:
    """Rejects what a page from elsewhere makes its reader's browser ask: the header Sec-Fetch-Site tells, or, where a
    name of theirs leads to this machine, the header Host."""

    async def guarded(request: Request) -> Response:
        site = request.headers.get("sec-fetch-site", "none")
        if site not in {"same-origin", "none"} or not _is_address(request.url.hostname or ""):
            return _error(403, "This is not for pages from elsewhere.")
        return await respond(request)

    return guarded


def _is_address(host: str) -> bool:
    """Whether this is an address, or this machine's own name: no other name is asked for what changes things."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


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
        if rejects := self._stored_rejects():
            await run_in_threadpool(rejects.clear)
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

    async def publish(self, request: Request) -> Response:
        around = self._sandbox.around
        if not around.topic and not around.gcloud_topic:
            return _error(409, "There is no topic here: `make sandbox` starts one.")
        if (data := await _body(request, MAX_MESSAGE_BYTES)) is None or not data:
            return _error(400, f"A message has 1 to {MAX_MESSAGE_BYTES:,} bytes.")
        try:
            return _json({"id": await run_in_threadpool(publish, around.topic, around.gcloud_topic, data)})
        except requests.RequestException as error:
            return _error(502, f"The topic did not take it: {type(error).__name__}.")

    async def preview(self, request: Request) -> Response:
        if (content := await _body(request, MAX_BYTES)) is None:
            return _error(413, f"A preview takes at most {MAX_BYTES:,} bytes.")
        try:
            return await self._previewed(msgspec.json.decode(content, type=dict[str, str])["text"].encode())
        except (msgspec.DecodeError, KeyError):
            return _error(400, 'A preview takes {"text": …}.')

    async def preview_file(self, request: Request) -> Response:
        if (content := await _body(request, MAX_FILE_BYTES)) is None:
            return _error(413, f"A preview takes at most {MAX_FILE_BYTES:,} bytes of a file.")
        query = request.query_params
        return await self._previewed(content, query.get("name", ""), is_cut=query.get("cut") == "1")

    async def _previewed(self, content: bytes, name: str = "", *, is_cut: bool = False) -> Response:
        around = self._sandbox.around
        try:
            made = await preview(
                content,
                mapping=around.mapping,
                transform=around.transform,
                environment=around.environment,
                name=name,
                is_cut=is_cut,
            )
        except PreviewError as error:
            return _error(422, str(error))
        return _json(made)

    async def profile(self, request: Request) -> Response:
        if (content := await _body(request, MAX_FILE_BYTES)) is None:
            return _error(
                413, f"A profile takes at most {MAX_FILE_BYTES:,} bytes here; `python -m importer profile` any."
            )
        around, name = self._sandbox.around, request.query_params.get("name", "")
        try:
            return _json(await profile(content, name, around.mapping, around.environment))
        except PreviewError as error:
            return _error(422, str(error))

    async def mapping(self, request: Request) -> Response:
        try:
            name = (_names(await request.body())["name"] or "").strip() or None
        except (msgspec.DecodeError, KeyError):
            return _error(400, 'A mapping is {"name": "auto"}, a ready mapping, a file (*.toml), or null for none.')
        self._sandbox.picked(name)
        ask_for_mapping(name)
        return _json({})

    async def mapping_text(self, _: Request) -> Response:
        file = mapping_file(self._sandbox.around.mapping)
        try:
            return _json({"text": file.read_text(encoding="utf-8") if file and file.exists() else None})
        except (OSError, UnicodeDecodeError) as error:
            return _error(409, f"{file} cannot be read: {error}.")

    async def write_mapping(self, request: Request) -> Response:
        file = mapping_file(self._sandbox.around.mapping)
        if file is None:
            return _error(409, "Pick a mapping file first.")
        if (content := await _body(request, MAX_BYTES)) is None:
            return _error(413, f"A mapping file has at most {MAX_BYTES:,} bytes here.")
        try:
            file.write_bytes(content)
        except OSError as error:
            return _error(409, f"{file} cannot be written: {error.strerror}.")
        return _json({})

    async def transform(self, request: Request) -> Response:
        try:
            name = _names(await request.body())["name"]
        except (msgspec.DecodeError, KeyError):
            return _error(400, 'A transform is {"name": "module:function"}, or null for none.')
        self._sandbox.around = msgspec.structs.replace(self._sandbox.around, transform=name)
        return _json({})

    async def around(self, request: Request) -> Response:
        try:
            self._sandbox.around = msgspec.json.decode(await request.body(), type=Surroundings)
        except msgspec.DecodeError as error:
            return _error(400, f"{error}.")
        return _json({})

    async def download(self, request: Request) -> Response:
        rejects = self._stored_rejects()
        if rejects is None:
            return _error(409, "The rejects are not stored here, but in the log alone.")
        wanted = request.query_params.get("source", "")
        headers = {"Content-Disposition": 'attachment; filename="rejects.jsonl"'}
        return StreamingResponse(rejects.lines(wanted), media_type="application/x-ndjson", headers=headers)

    async def send_again(self, _: Request) -> Response:
        rejects = self._stored_rejects()
        if rejects is None:
            return _error(409, "The rejects are not stored here, but in the log alone.")
        if self._sandbox.around.functions.state == "down":
            return _error(409, "The functions do not run, and the rejects would fare no better: mend that first.")
        began = time.time()
        try:
            outcome = await rejects.send_again(self._sandbox.around)
            again = await run_in_threadpool(rejects.newest, RECENT_REJECTS)
        except ResendError as error:
            return _error(502, str(error))
        self._sandbox.reports.sent_again(again, outcome.rejected, began)
        return _json(outcome)

    def _stored_rejects(self) -> StoredRejects | None:
        where, bucket = self._sandbox.around.rejects, self._sandbox.bucket
        return StoredRejects(bucket.url, where) if where and bucket else None

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


def _names(body: bytes) -> dict[str, str | None]:
    return msgspec.json.decode(body, type=dict[str, str | None])


def _limit(request: Request) -> int:
    asked = request.query_params.get("limit", "100")
    return min(int(asked), MOST) if asked.isdigit() else 100


def _newest(rows: Iterable[Any], limit: int) -> list[Any]:
    return list(rows)[::-1][:limit]


def _error(status: int, text: str) -> Response:
    return _json({"error": text}, status)


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
