"""Pub/Sub as a source: each push is held open until Mixpanel has its events, and answered then.

So an acknowledgement means what it says, and thousands of messages share a few requests (`core.batcher`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from importer import log
from importer.core.batching.batcher import Batcher
from importer.core.batching.memory_budget import BudgetExceeded, MemoryBudget, Reservation
from importer.core.batching.summaries import Summaries
from importer.core.pipeline import Pipeline
from importer.core.rejects.buffered import BufferedRejectSink
from importer.core.rejects.reject import Reject
from importer.errors import DeliveryError
from importer.formats.content import records_of_message
from importer.formats.reader import Rows
from importer.reject_sinks.log import LogSink
from importer.reject_sinks.place import RejectStore
from importer.settings import Settings
from importer.sources.pubsub.message import MAX_PUSH_BYTES, InvalidPush, Message, head, message

_RETRY_SECONDS = 10.0
_RETRY_AFTER = "10"

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
        sink = RejectStore(settings.rejects).for_source("messages")
        self._log_sink = LogSink()
        self._buffered_sink = BufferedRejectSink(sink, logged=settings.log_rejects) if sink else None
        self._budget = MemoryBudget(settings.buffer_bytes)
        self._most_uncompressed = settings.buffer_bytes // 2
        self._rows: Rows = "records" if settings.mapping else "events"
        self._failure: BaseException | None = None
        self._summaries = Summaries(self._batcher, "push", clock)

    async def handle(self, request: Request) -> Response:
        """Answers a push.

        Returns:
            204: everything in the message is imported, dropped, or kept as a reject. Pub/Sub may forget it.
            503: Mixpanel did not take it in time; Pub/Sub is to deliver it again, later.
            429: the memory for messages that wait is used up; the same.
            400: this is no push.
        """
        began = self._clock()
        pushed: Message | None = None
        reservation = Reservation(self._budget)
        try:
            with self._batcher.source(reservation) as source:
                pushed = await _message(request, reservation)
                records = records_of_message(pushed.data, self._most_uncompressed, self._rows)
                if rejects := await source.deliver(pushed.source, records, pushed.data or pushed.attributes):
                    await self._keep(rejects)
        except InvalidPush as error:
            self._log.warning(f"Invalid Pub/Sub push request: {error}.", kind="invalid push", reason=str(error))
            return PlainTextResponse(f"Invalid Pub/Sub push request: {error}.\n", 400)
        except DeliveryError as error:
            self._tell_once(error)
            return _later(503, str(error))
        except BudgetExceeded as error:
            return _later(429, str(error))
        except ClientDisconnect:
            return _later(503, "the request broke off")
        else:
            return _DONE
        finally:
            reservation.release()
            if pushed is None:
                self._summaries.consider()
            else:
                self._summaries.answer(pushed.subscription, pushed.published, began)

    def end(self) -> None:
        """The process was told to end: sends at once what waits. A signal handler may call it, at any moment."""
        self._loop.call_soon_threadsafe(self._batcher.flush)
        self._loop.call_soon_threadsafe(self._summaries.end)

    async def _keep(self, rejects: list[Reject]) -> None:
        """Makes the rejects safe. Where no place is set for them, the log is it: each is written there whole."""
        if self._buffered_sink is not None:
            await self._buffered_sink.store(rejects)
        else:
            self._log_sink.store(rejects)

    def _tell_once(self, error: DeliveryError) -> None:
        """One line for a batch that was not taken, however many messages had a part in it."""
        if error.__cause__ is not self._failure:
            self._failure = error.__cause__
            self._log.error(f"Messages are handed back to Pub/Sub: {error}", kind="handed back", reason=str(error))


async def _message(request: Request, reservation: Reservation) -> Message:
    """Reads a push, its memory taken from `reservation` beforehand.

    Raises:
        InvalidPush: it is none.
        BudgetExceeded: there is no memory for it.
        ClientDisconnect: it broke off.
    """
    if request.method != "POST":
        raise InvalidPush(f"a push is a POST and not a {request.method}")
    headers = head(request.scope["headers"])
    reservation.take(headers.length or 0)
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
            reservation.take(len(part))
        parts.append(part)
    return message(parts[0] if len(parts) == 1 else b"".join(parts), headers)


def _later(status: int, reason: str) -> Response:
    told = reason.removesuffix(".")
    return PlainTextResponse(f"Deliver this again later: {told}.\n", status, headers={"Retry-After": _RETRY_AFTER})
