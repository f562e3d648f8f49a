"""Pub/Sub as a source: each push is held open until Mixpanel has its events, and answered then.

So an acknowledgement means what it says, and thousands of messages share a few requests (`core.batching`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from importer import log
from importer.core.batching.memory_budget import BudgetExceeded
from importer.errors import DeliveryError
from importer.messages import Message, MessageImporter, OpenMessage
from importer.settings import Settings
from importer.sources.pubsub.message import MAX_PUSH_BYTES, InvalidPush, head, message

_RETRY_SECONDS = 10.0
_RETRY_AFTER = "10"

_DONE = Response(status_code=204)


class PushSource:
    """Imports messages, one `handle` for each push. Belongs to one event loop.

    Attributes:
        messages: what imports them.

    Raises:
        SettingsError: the settings name a transform that cannot be loaded.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log.get()
        self.messages = MessageImporter(settings, "Pub/Sub", "push", _RETRY_SECONDS, clock)

    async def handle(self, request: Request) -> Response:
        """Answers a push.

        Returns:
            204: everything in the message is imported, dropped, or kept as a reject. Pub/Sub may forget it.
            503: Mixpanel did not take it in time; Pub/Sub is to deliver it again, later.
            429: the memory for messages that wait is used up; the same.
            400: this is no push.
        """
        try:
            with self.messages.opened() as opened:
                await opened.settle(await _message(request, opened))
        except InvalidPush as error:
            self._log.warning(f"Invalid Pub/Sub push request: {error}.", kind="invalid push", reason=str(error))
            return PlainTextResponse(f"Invalid Pub/Sub push request: {error}.\n", 400)
        except DeliveryError as error:
            return _later(503, str(error))
        except BudgetExceeded as error:
            return _later(429, str(error))
        except ClientDisconnect:
            return _later(503, "the request broke off")
        else:
            return _DONE

    def end(self) -> None:
        """The process was told to end: sends at once what waits. A signal handler may call it, at any moment."""
        self.messages.end()


async def _message(request: Request, opened: OpenMessage) -> Message:
    """Reads a push, its memory taken beforehand.

    Raises:
        InvalidPush: it is none.
        BudgetExceeded: there is no memory for it.
        ClientDisconnect: it broke off.
    """
    if request.method != "POST":
        raise InvalidPush(f"a push is a POST and not a {request.method}")
    headers = head(request.scope["headers"])
    opened.take(headers.length or 0)
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
            opened.take(len(part))
        parts.append(part)
    return message(parts[0] if len(parts) == 1 else b"".join(parts), headers)


def _later(status: int, reason: str) -> Response:
    told = reason.removesuffix(".")
    return PlainTextResponse(f"Deliver this again later: {told}.\n", status, headers={"Retry-After": _RETRY_AFTER})
