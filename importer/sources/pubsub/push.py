"""Pub/Sub as a source: each push is held open until Mixpanel has its events, and answered then.

So an acknowledgement means what it says, and thousands of messages share a few requests (`gathering`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from importer import log
from importer.core.batcher import Batcher
from importer.core.buffered_rejects import BufferedRejectSink
from importer.core.pipeline import Pipeline
from importer.core.rejects import Reject, RejectLog
from importer.errors import DeliveryError
from importer.formats.content import records_of_message
from importer.reject_sinks.place import sinks
from importer.settings import Settings
from importer.sources.pubsub.message import MAX_PUSH_BYTES, InvalidPush, Message, head, message

_RETRY_SECONDS = 10.0
_RETRY_AFTER = "10"
_REPORT_EVERY = 30.0
_MAX_NAMED = 10
"""Subscriptions named in one summary."""

_RECORD_BYTES = 250
"""What an event takes of memory beyond its text."""

_DONE = Response(status_code=204)


class PushSource:
    """Imports messages, one `handle` for each push. Belongs to one event loop.

    Raises:
        SettingsError: the settings name a transform that cannot be loaded.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log.get()
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._batcher = Batcher(
            Pipeline(settings, clock), _RETRY_SECONDS if settings.retry_seconds is None else settings.retry_seconds
        )
        make_sink = sinks(settings.rejects)
        self._log_whole = RejectLog(most=None, characters=None, severity="ERROR")
        self._buffered_sink = BufferedRejectSink(make_sink("messages")) if make_sink else None
        self._room = MemoryBudget(settings.buffer_bytes)
        self._most_uncompressed = settings.buffer_bytes // 2
        self._failure: BaseException | None = None
        self._interval = _Interval()
        self._ending = False

    async def handle(self, request: Request) -> Response:
        """Answers a push.

        Returns:
            204: everything in the message is imported, dropped, or kept as a reject. Pub/Sub may forget it.
            503: Mixpanel did not take it in time; Pub/Sub is to deliver it again, later.
            429: the memory for messages that wait is used up; the same.
            400: this is no push.
        """
        share = Reservation(self._room)
        self._batcher.open += 1
        try:
            pushed = await _message(request, share)
            self._note(pushed)
            records = records_of_message(pushed.data, self._most_uncompressed)
            whole = pushed.data or pushed.attributes
            if rejects := await self._batcher.deliver(pushed.source, records, whole, share.take_record):
                await self._keep(rejects)
        except InvalidPush as error:
            self._log.warning(f"Invalid Pub/Sub push request: {error}.", kind="invalid push", reason=str(error))
            return PlainTextResponse(f"Invalid Pub/Sub push request: {error}.\n", 400)
        except DeliveryError as error:
            self._tell_once(error)
            return _later(503, str(error))
        except BudgetExceeded:
            return _later(429, "too many messages are waiting")
        except ClientDisconnect:
            return _later(503, "the request broke off")
        else:
            return _DONE
        finally:
            share.give_back()
            self._batcher.open -= 1
            if self._ending and not self._batcher.open:
                self._summarize()

    async def _keep(self, rejects: list[Reject]) -> None:
        """Makes the rejects safe. Where no place is set for them, the log is it: each is written there whole."""
        if self._buffered_sink is not None:
            await self._buffered_sink.store(rejects)
            return
        for one in rejects:
            self._log_whole.add(one)

    def _tell_once(self, error: DeliveryError) -> None:
        """One line for a batch that was not taken, however many messages had a part in it."""
        if error.__cause__ is not self._failure:
            self._failure = error.__cause__
            self._log.error(f"Messages are handed back to Pub/Sub: {error}", kind="handed back", reason=str(error))

    def _note(self, pushed: Message) -> None:
        interval = self._interval
        if interval.timer is None:
            interval.started = self._clock()
            interval.timer = self._loop.call_later(_REPORT_EVERY, self._summarize)
        if len(interval.subscriptions) < _MAX_NAMED:
            interval.subscriptions.add(pushed.subscription)
        if pushed.published and not "" < interval.oldest <= pushed.published:
            interval.oldest = pushed.published

    def _summarize(self) -> None:
        """The one line for all the messages of an interval."""
        interval, self._interval = self._interval, _Interval()
        if interval.timer is None:
            return
        interval.timer.cancel()
        report = self._batcher.new_report()
        report.seconds = self._clock() - interval.started
        report.oldest_event_age_seconds = _age(interval.oldest)
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

    def end(self) -> None:
        """The process was told to end: sends at once what waits. A signal handler may call it, at any moment."""
        self._ending = True
        self._loop.call_soon_threadsafe(self._batcher.flush)
        if not self._batcher.open:
            self._loop.call_soon_threadsafe(self._summarize)


class _Interval:
    """What is known of the messages since the last summary. It begins with the first of them."""

    def __init__(self) -> None:
        self.started = 0.0
        self.subscriptions: set[str] = set()
        self.oldest = ""  # the text of a time in UTC; such texts are in the order of their times
        self.timer: asyncio.TimerHandle | None = None


class BudgetExceeded(Exception):
    """The memory for messages that wait is used up."""


class MemoryBudget:
    """The memory for messages that wait: `size` bytes, of which `used` are."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0


class Reservation:
    """What one message takes of the room. While it is the only one it may take more, so that none is too large ever."""

    __slots__ = ("_room", "held")

    def __init__(self, room: MemoryBudget) -> None:
        self._room = room
        self.held = 0

    def take(self, size: int) -> None:
        """Takes `size` bytes more.

        Raises:
            BudgetExceeded: others have the memory.
        """
        room = self._room
        if room.used + size > room.size and room.used > self.held:
            raise BudgetExceeded
        room.used += size
        self.held += size

    def take_record(self, size: int) -> None:
        """Takes what a record of `size` bytes needs: a small message can decompress to very many.

        Raises:
            BudgetExceeded: others have the memory.
        """
        self.take(size + _RECORD_BYTES)

    def give_back(self) -> None:
        """Gives back all of it."""
        self._room.used -= self.held
        self.held = 0


async def _message(request: Request, share: Reservation) -> Message:
    """Reads a push, its memory taken from `share` beforehand.

    Raises:
        InvalidPush: it is none.
        BudgetExceeded: there is no memory for it.
        ClientDisconnect: it broke off.
    """
    if request.method != "POST":
        raise InvalidPush(f"a push is a POST and not a {request.method}")
    headers = head(request.scope["headers"])
    share.take(headers.length or 0)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        received = await request.receive()
        if received["type"] == "http.disconnect":
            raise ClientDisconnect
        part = received.get("body", b"")
        more = received.get("more_body", False)
        size += len(part)
        if size > MAX_PUSH_BYTES:
            raise InvalidPush(f"a body of more than {MAX_PUSH_BYTES} bytes is more than a push can have")
        if headers.length is None:
            share.take(len(part))
        parts.append(part)
    return message(parts[0] if len(parts) == 1 else b"".join(parts), headers)


def _age(time_as_text: str) -> float:
    """Seconds since then; 0 where that is no time."""
    try:
        then = datetime.fromisoformat(time_as_text)
        return max((datetime.now(UTC) - then.replace(tzinfo=then.tzinfo or UTC)).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return 0.0


def _later(status: int, reason: str) -> Response:
    told = reason.removesuffix(".")
    return PlainTextResponse(f"Deliver this again later: {told}.\n", status, headers={"Retry-After": _RETRY_AFTER})
