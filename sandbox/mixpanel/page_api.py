"""What the page asks for: files and messages sent, previews, another mapping, rejects sent again.

It is a part of the API under /sandbox/; see `sandbox.mixpanel.api`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec
import requests
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox.clients import Bucket
from sandbox.mixpanel.preview import MAX_BYTES, MAX_FILE_BYTES, PreviewError, preview
from sandbox.mixpanel.profiling import profile
from sandbox.mixpanel.publishing import MAX_MESSAGE_BYTES, publish
from sandbox.mixpanel.responses import Handler, body_of, failed, json_of, not_for_strangers
from sandbox.mixpanel.state import Sandbox
from sandbox.mixpanel.store import RECENT_REJECTS
from sandbox.mixpanel.stored_rejects import ResendError, stored_rejects
from sandbox.mixpanel.surroundings import ask_for_mapping
from sandbox.variables import mapping_file

MAX_READING = 20
"""Objects at work of which it is told how far they are read."""
MAX_UPLOADED = 200_000_000
"""Bytes of a file uploaded through the page."""


def routes(sandbox: Sandbox) -> list[Route]:
    """The routes of what the page asks for."""
    asked = _Asked(sandbox)
    writing: list[Handler] = [asked.upload, asked.publish, asked.preview, asked.preview_file, asked.profile]
    writing += [asked.mapping, asked.transform, asked.send_again]
    return [
        Route("/sandbox/download", asked.download),
        Route("/sandbox/reading", asked.reading),
        Route("/sandbox/mapping_file", not_for_strangers(asked.mapping_text)),
        Route("/sandbox/mapping_file", not_for_strangers(asked.write_mapping), methods=["POST"]),
        *(Route(f"/sandbox/{each.__name__}", not_for_strangers(each), methods=["POST"]) for each in writing),
    ]


class _Asked:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def upload(self, request: Request) -> Response:
        bucket, name = self._sandbox.bucket, request.query_params.get("name", "")
        if bucket is None:
            return failed(409, "There is no bucket here: start with --bucket-url.")
        if not name:
            return failed(400, "The file needs a name.")
        if (content := await body_of(request, MAX_UPLOADED)) is None:
            return failed(413, f"The page uploads at most {MAX_UPLOADED:,} bytes; use curl or gcloud storage cp.")
        try:
            generation = await run_in_threadpool(bucket.put, name, content)
        except requests.RequestException as error:
            return failed(502, f"The bucket at {bucket.url} did not take it: {type(error).__name__}.")
        return json_of({"name": f"gs://{bucket.name}/{name}", "generation": generation})

    async def reading(self, _: Request) -> Response:
        bucket = self._sandbox.bucket
        names = [source.name for source in self._sandbox.reports.newest_sources() if source.work][:MAX_READING]
        try:
            return json_of(await run_in_threadpool(shares_read, bucket, names) if bucket else {})
        except requests.RequestException:
            return json_of({})

    async def publish(self, request: Request) -> Response:
        around = self._sandbox.around
        if not around.topic and not around.gcloud_topic:
            return failed(409, "There is no topic here: `make sandbox` starts one.")
        if (data := await body_of(request, MAX_MESSAGE_BYTES)) is None or not data:
            return failed(400, f"A message has 1 to {MAX_MESSAGE_BYTES:,} bytes.")
        try:
            return json_of({"id": await run_in_threadpool(publish, around.topic, around.gcloud_topic, data)})
        except requests.RequestException as error:
            return failed(502, f"The topic did not take it: {type(error).__name__}.")

    async def preview(self, request: Request) -> Response:
        if (content := await body_of(request, MAX_BYTES)) is None:
            return failed(413, f"A preview takes at most {MAX_BYTES:,} bytes.")
        try:
            return await self._previewed(msgspec.json.decode(content, type=dict[str, str])["text"].encode())
        except (msgspec.DecodeError, KeyError):
            return failed(400, 'A preview takes {"text": …}.')

    async def preview_file(self, request: Request) -> Response:
        if (content := await body_of(request, MAX_FILE_BYTES)) is None:
            return failed(413, f"A preview takes at most {MAX_FILE_BYTES:,} bytes of a file.")
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
            return failed(422, str(error))
        return json_of(made)

    async def profile(self, request: Request) -> Response:
        if (content := await body_of(request, MAX_FILE_BYTES)) is None:
            return failed(
                413, f"A profile takes at most {MAX_FILE_BYTES:,} bytes here; `python -m importer profile` any."
            )
        around, name = self._sandbox.around, request.query_params.get("name", "")
        try:
            return json_of(await profile(content, name, around.mapping, around.environment))
        except PreviewError as error:
            return failed(422, str(error))

    async def mapping(self, request: Request) -> Response:
        try:
            name = (_names(await request.body())["name"] or "").strip() or None
        except (msgspec.DecodeError, KeyError):
            return failed(400, 'A mapping is {"name": "auto"}, a ready mapping, a file (*.toml), or null for none.')
        self._sandbox.picked(name)
        ask_for_mapping(name)
        return json_of({})

    async def mapping_text(self, _: Request) -> Response:
        file = mapping_file(self._sandbox.around.mapping)
        try:
            return json_of({"text": file.read_text(encoding="utf-8") if file and file.exists() else None})
        except (OSError, UnicodeDecodeError) as error:
            return failed(409, f"{file} cannot be read: {error}.")

    async def write_mapping(self, request: Request) -> Response:
        file = mapping_file(self._sandbox.around.mapping)
        if file is None:
            return failed(409, "Pick a mapping file first.")
        if (content := await body_of(request, MAX_BYTES)) is None:
            return failed(413, f"A mapping file has at most {MAX_BYTES:,} bytes here.")
        try:
            file.write_bytes(content)
        except OSError as error:
            return failed(409, f"{file} cannot be written: {error.strerror}.")
        return json_of({})

    async def transform(self, request: Request) -> Response:
        try:
            name = _names(await request.body())["name"]
        except (msgspec.DecodeError, KeyError):
            return failed(400, 'A transform is {"name": "module:function"}, or null for none.')
        self._sandbox.around = msgspec.structs.replace(self._sandbox.around, transform=name)
        return json_of({})

    async def download(self, request: Request) -> Response:
        rejects = stored_rejects(self._sandbox.around, self._sandbox.bucket)
        if rejects is None:
            return failed(409, "The rejects are not stored here, but in the log alone.")
        wanted = request.query_params.get("source", "")
        headers = {"Content-Disposition": 'attachment; filename="rejects.jsonl"'}
        return StreamingResponse(rejects.lines(wanted), media_type="application/x-ndjson", headers=headers)

    async def send_again(self, _: Request) -> Response:
        rejects = stored_rejects(self._sandbox.around, self._sandbox.bucket)
        if rejects is None:
            return failed(409, "The rejects are not stored here, but in the log alone.")
        if self._sandbox.around.functions.state == "down":
            return failed(409, "The functions do not run, and the rejects would fare no better: mend that first.")
        began = time.time()
        try:
            outcome = await rejects.send_again(self._sandbox.around)
            again = await run_in_threadpool(rejects.newest, RECENT_REJECTS)
        except ResendError as error:
            return failed(502, str(error))
        self._sandbox.reports.sent_again(again, outcome.rejected, began)
        return json_of(outcome)


def _names(body: bytes) -> dict[str, str | None]:
    return msgspec.json.decode(body, type=dict[str, str | None])


def shares_read(bucket: Bucket, names: Iterable[str]) -> dict[str, float]:
    """Of each object of these names (`gs://bucket/name#generation`) in this bucket, the share of it that was read."""
    read, shares = bucket.read(), {}
    for full in names:
        name = full.removeprefix(f"gs://{bucket.name}/").rpartition("#")[0]
        if name in read and (size := bucket.size(name)):
            shares[full] = min(read[name] / size, 1.0)
    return shares
