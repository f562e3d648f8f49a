"""Pub/Sub as a source: each push is held open until Mixpanel has its events, and answered then.

So an acknowledgement means what it says, and thousands of messages share a few requests (`gathering`).
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from types import FrameType

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from importer import log
from importer.confirming import SharedSink
from importer.formats import records_of_message
from importer.gathering import Gatherer
from importer.mixpanel import NotTaken
from importer.pipeline import Pipeline
from importer.push import MAX_PUSH_BYTES, Message, NoPush, message
from importer.rejects import Reject, RejectLog
from importer.settings import Settings
from importer.sinks import sinks

_PATIENCE = 10.0
_RETRY_AFTER = "10"
_REPORT_EVERY = 30.0


class PushSource:
    """Imports messages, one `handle` for each push. Belongs to one event loop.

    Raises:
        SettingsError: the settings name a transform that cannot be loaded.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log.get()
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._gatherer = Gatherer(
            Pipeline(settings, clock), _PATIENCE if settings.patience is None else settings.patience
        )
        make_sink = sinks(settings.rejects)
        self._log_whole = RejectLog(most=None, characters=None, severity="ERROR")
        self._kept = SharedSink(make_sink("messages")) if make_sink else None
        self._room = settings.buffer_bytes
        self._most_uncompressed = settings.buffer_bytes // 2
        self._failure: BaseException | None = None
        self._interval = _Interval(clock())
        self._ending = False
        _before_sigterm(self._end)

    async def handle(self, request: Request) -> Response:
        """Answers a push.

        Returns:
            204: everything in the message is imported, dropped, or kept as a reject. Pub/Sub may forget it.
            503: Mixpanel did not take it in time; Pub/Sub is to deliver it again, later.
            429: the memory for messages that wait is used up; the same.
            400: this is no push.
        """
        self._gatherer.open += 1
        try:
            answer = await self._answer(request)
        finally:
            self._gatherer.open -= 1
        if self._ending and not self._gatherer.open:
            self._summarize()
        return answer

    async def _answer(self, request: Request) -> Response:
        held = 0
        try:
            held = _announced(request)
            if held > self._room:
                return _later(429, "too many messages are waiting")
            self._room -= held
            return await self._import(message(await _body(request), request.headers))
        except NoPush as error:
            self._log.warning(f"This is no push of Pub/Sub's: {error}.", kind="no push", reason=str(error))
            return PlainTextResponse(f"This is no push of Pub/Sub's: {error}.\n", 400)
        except ClientDisconnect:
            return _later(503, "the request broke off")
        finally:
            self._room += held

    async def _import(self, pushed: Message) -> Response:
        self._note(pushed)
        try:
            rejects = await self._gatherer.take(
                pushed.source, records_of_message(pushed.data, self._most_uncompressed), pushed.data
            )
            await self._keep(rejects)
        except NotTaken as error:
            self._tell_once(error)
            return _later(503, str(error))
        return Response(status_code=204)

    async def _keep(self, rejects: list[Reject]) -> None:
        """Makes the rejects safe. Where no place is set for them, the log is it: each is written there whole."""
        if self._kept is not None and rejects:
            await self._kept.keep(rejects)
            return
        for one in rejects:
            self._log_whole.add(one)

    def _tell_once(self, error: NotTaken) -> None:
        """One line for a batch that was not taken, however many messages had a part in it."""
        if error.__cause__ is not self._failure:
            self._failure = error.__cause__
            self._log.error(f"Messages are handed back to Pub/Sub: {error}", kind="handed back", reason=str(error))

    def _note(self, pushed: Message) -> None:
        interval = self._interval
        interval.subscriptions.add(pushed.subscription)
        if pushed.published:
            interval.oldest = min(interval.oldest, pushed.published)
        if interval.timer is None:
            interval.timer = self._loop.call_later(_REPORT_EVERY, self._summarize)

    def _summarize(self) -> None:
        """The one line for all the messages of an interval."""
        interval, self._interval = self._interval, _Interval(self._clock())
        if interval.timer is None:
            return
        interval.timer.cancel()
        report = self._gatherer.new_report()
        report.seconds = self._clock() - interval.started
        report.oldest_event_age_seconds = max(time.time() - interval.oldest, 0.0)
        source = ", ".join(sorted(filter(None, interval.subscriptions))) or "push"
        tell = self._log.warning if report.rejected or report.handed_back else self._log.info
        tell(
            f"{source}: read {report.read}, imported {report.imported}, rejected {report.rejected}, "
            f"dropped {report.dropped}, handed back {report.handed_back} in {report.seconds:.1f} s",
            kind="import",
            source=source,
            outcome="handed back" if report.handed_back else "done",
            **report.counts(),
        )

    def _end(self) -> None:
        """The process was told to end: what waits is sent at once."""
        self._ending = True
        self._loop.call_soon_threadsafe(self._gatherer.hurry)
        if not self._gatherer.open:
            self._loop.call_soon_threadsafe(self._summarize)


class _Interval:
    """What is known of the messages since the last summary. The time is only running once there is one."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.subscriptions: set[str] = set()
        self.oldest = float("inf")
        self.timer: asyncio.TimerHandle | None = None


def _before_sigterm(do: Callable[[], None]) -> None:
    """Has `do` called on SIGTERM, before what is called already (the server's own orderly end)."""
    then = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        do()
        if callable(then):
            then(number, frame)

    signal.signal(signal.SIGTERM, on_sigterm)


def _announced(request: Request) -> int:
    """The length of a request's body, as its header has it; 0 where it has none.

    Raises:
        NoPush: it is more than a push can be.
    """
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdigit() else 0
    if size > MAX_PUSH_BYTES:
        raise NoPush(f"a body of {size} bytes is more than a push can have")
    return size


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_PUSH_BYTES:
            raise NoPush(f"a body of more than {MAX_PUSH_BYTES} bytes is more than a push can have")
        parts.append(part)
    return b"".join(parts)


def _later(status: int, reason: str) -> Response:
    return PlainTextResponse(f"Deliver this again later: {reason}.\n", status, headers={"Retry-After": _RETRY_AFTER})
