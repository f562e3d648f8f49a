"""What a push is answered with, what is held and logged meanwhile, and that nothing is held after it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response

from importer import log
from importer.core.rejects.reject import Reject
from importer.errors import RejectSinkError
from importer.settings import CredentialKind, Credentials, Settings
from importer.sources.pubsub.push import PushSource
from sandbox.clients import Standin
from sandbox.pushes import wrapped

EVENT = b'{"event":"e","properties":{"time":1700000000,"distinct_id":"u","$insert_id":"a","ip":"0"}}'
SUBSCRIPTION = "projects/p/subscriptions/s"


def request(*parts: bytes | None, method: str = "POST", length: int | None = None) -> Request:
    """A request whose body comes in these parts; None where the client is gone."""
    coming = list(parts)

    async def receive() -> dict[str, Any]:
        part = coming.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(coming)}

    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    return Request({"type": "http", "method": method, "headers": headers}, receive)


class Tried:
    """A source of pushes, and what it logs."""

    def __init__(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        log.configure("INFO")
        self.source = PushSource(settings)
        self._capsys = capsys

    async def push(self, *parts: bytes | None, **how: Any) -> Response:
        async with asyncio.timeout(20):
            return await self.source.handle(request(*parts, **how))

    def logged(self, kind: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        return [line for line in lines if line["kind"] == kind]

    @property
    def held(self) -> int:
        """Bytes of memory that are taken, and requests that are open."""
        return self.source.messages.budget.used + self.source.messages.batcher.open


@pytest.fixture
def tried(standin: Standin, capsys: pytest.CaptureFixture[str]) -> Callable[..., Tried]:
    """Makes one with these settings."""

    def make(**changes: Any) -> Tried:
        settings = Settings(Credentials(CredentialKind.PROJECT_TOKEN, "demo", "", None), standin.url, backoff=0.01)
        return Tried(msgspec.structs.replace(settings, **changes), capsys)

    return make


def told(answer: Response) -> tuple[int, bytes, str | None]:
    return answer.status_code, bytes(answer.body), answer.headers.get("retry-after")


async def test_a_message_is_acknowledged_when_it_is_imported_and_counted(
    standin: Standin, tried: Callable[..., Tried]
) -> None:
    pushes = tried()
    body = wrapped(EVENT, "17")
    answer = await pushes.push(body[:10], body[10:], length=len(body))
    assert told(answer) == (204, b"", None)
    assert standin.ids() == {"a": 1}
    (line,) = pushes.logged("import")
    assert (line["read"], line["imported"], line["requests"], line["source"]) == (1, 1, 1, SUBSCRIPTION)
    assert line["bytes"] == len(EVENT)
    assert line["oldest_event_age_seconds"] > 0
    assert line["seconds"] < 10
    assert pushes.held == 0


async def test_a_table_is_rows_for_the_mapping_that_is_set_and_else_its_columns_are_the_events(
    standin: Standin, tried: Callable[..., Tried], tmp_path: Path
) -> None:
    (tmp_path / "shop.toml").write_text('event = "kind"\ntime = { path = "at", unit = "s" }\nuser_id = "user"\n')
    mapped = tried(mapping=str(tmp_path / "shop.toml"))
    assert (await mapped.push(wrapped(b"kind,at,user\nBought,1748779200,17\n"))).status_code == 204
    plain = tried()
    table = b"event,time,distinct_id,$insert_id\nSold,1748779200,17,b\n"
    assert (await plain.push(wrapped(table))).status_code == 204
    assert [line["imported"] for line in plain.logged("import")] == [1, 1]
    assert len(standin.ids()) == 2


@pytest.mark.parametrize("length", [None, 100])
async def test_a_request_that_breaks_off_is_to_come_again(
    length: int | None, standin: Standin, tried: Callable[..., Tried]
) -> None:
    pushes = tried()
    answer = await pushes.push(EVENT[:10], None, length=length)
    assert told(answer) == (503, b"Deliver this again later: the request broke off.\n", "10")
    assert pushes.logged("import") == []
    assert pushes.held == 0


async def test_what_is_no_push_is_answered_with_why_and_counted_nowhere(tried: Callable[..., Tried]) -> None:
    pushes = tried()
    answer = await pushes.push(EVENT, method="PUT")
    assert told(answer) == (400, b"Invalid Pub/Sub push request: a push is a POST and not a PUT.\n", None)
    assert [line["reason"] for line in pushes.logged("invalid push")] == ["a push is a POST and not a PUT"]
    assert pushes.held == 0


async def test_messages_beyond_the_memory_are_to_come_again(standin: Standin, tried: Callable[..., Tried]) -> None:
    pushes = tried(buffer_bytes=1_000, max_wait=0.3)
    open_ = asyncio.create_task(pushes.push(EVENT, length=900))
    others = [asyncio.create_task(pushes.push(EVENT, length=200)) for _ in range(7)]
    answers = [told(await each) for each in [open_, *others]]
    assert answers[0] == (204, b"", None)
    assert answers[1:] == [(429, b"Deliver this again later: too many messages are waiting.\n", "10")] * 7
    assert pushes.held == 0


async def test_messages_that_share_a_failure_are_to_come_again_and_it_is_told_once(
    standin: Standin, tried: Callable[..., Tried]
) -> None:
    standin.faults(**{"503": 1.0})
    pushes = tried(retry_seconds=0.0)
    answers = await asyncio.gather(*(pushes.push(EVENT) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {503}
    assert all(bytes(answer.body).startswith(b"Deliver this again later: Mixpanel ") for answer in answers)
    lines = [json.loads(line) for line in pushes._capsys.readouterr().out.splitlines()]
    assert [(line["kind"], line["severity"]) for line in lines if line["kind"] != "retry"] == [
        ("handed back", "ERROR"),
        ("import", "WARNING"),
    ]
    assert (lines[-1]["read"], lines[-1]["imported"], lines[-1]["handed_back"]) == (3, 0, 3)
    assert pushes.held == 0


async def test_rejects_are_stored_before_a_message_is_acknowledged_and_counted_only_then(
    standin: Standin, tried: Callable[..., Tried], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sink:
        """Stores what it is given, from the second time on."""

        def __init__(self) -> None:
            self.asked: list[str] = []

        def store(self, rejects: Sequence[Reject]) -> None:
            self.asked += [one.event for one in rejects]
            if len(self.asked) == 1:
                raise RejectSinkError("no room")

    sink = Sink()
    monkeypatch.setattr("importer.reject_sinks.place.RejectStore.for_source", lambda *_: sink)
    pushes = tried()
    first = await pushes.push(wrapped(EVENT + b"\nbad"))
    assert told(first) == (503, b"Deliver this again later: the rejects could not be kept: no room.\n", "10")
    second = await pushes.push(wrapped(EVENT + b"\nbad"))
    assert told(second) == (204, b"", None)
    assert sink.asked == ["bad", "bad"]
    assert [
        (line["read"], line["imported"], line["rejected"], line["handed_back"], line["outcome"])
        for line in pushes.logged("import")
    ] == [(2, 1, 0, 1, "handed back"), (2, 1, 1, 0, "done")]
    assert pushes.held == 0


async def test_an_error_of_our_own_is_no_acknowledgement(
    tried: Callable[..., Tried], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def store(self, rejects: Sequence[Reject]) -> None:
            raise LookupError

    monkeypatch.setattr("importer.reject_sinks.place.RejectStore.for_source", lambda *_: Broken())
    pushes = tried()
    with pytest.raises(LookupError):
        await pushes.push(wrapped(b"bad"))
    (line,) = pushes.logged("import")
    assert (line["read"], line["rejected"], line["handed_back"]) == (1, 0, 1)
    assert pushes.held == 0


async def test_at_the_end_what_waits_is_sent_and_what_was_counted_is_told(
    standin: Standin, tried: Callable[..., Tried], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.core.batching.summaries._AT_ONCE", 0)
    pushes = tried(max_wait=3_600.0)
    assert (await pushes.push(EVENT)).status_code == 204
    assert pushes.logged("import") == []
    with ExitStack() as others:
        for _ in range(8):
            others.enter_context(pushes.source.messages.batcher.source())
        waiting = asyncio.create_task(pushes.push(EVENT))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        pushes.source.end()
        assert (await waiting).status_code == 204
    assert pushes.logged("import") == []
    assert (await pushes.push(EVENT)).status_code == 204
    (line,) = pushes.logged("import")
    assert (line["read"], line["imported"]) == (3, 3)
