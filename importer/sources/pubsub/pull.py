"""Pub/Sub by pull: messages come over streams, as many as may wait, and each is acknowledged when all of it is settled.

Google's client keeps the leases of those that wait (https://cloud.google.com/pubsub/docs/pull#streamingpull_api), takes
no more than may be open (flow control), and sends acknowledgements together. Where Mixpanel does not take a message in
time, its lease is let go, not nacked: Pub/Sub delivers it again when the lease ends, and no sooner.
"""

from __future__ import annotations

import asyncio
import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.pubsub_v1 import SubscriberClient
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeError
from google.cloud.pubsub_v1.subscriber.message import Message as Pulled
from google.cloud.pubsub_v1.subscriber.scheduler import Scheduler
from google.cloud.pubsub_v1.types import FlowControl

from importer import log
from importer.core.batching.memory_budget import BudgetExceeded
from importer.errors import DeliveryError, FatalDeliveryError, ImporterError
from importer.messages import Message, MessageImporter
from importer.settings import Settings

_RETRY_SECONDS = 300.0
_LEASE_SECONDS = 15
"""For which a lease is extended at a time, at most: after that, what a process held that died comes to another one."""

_GRACE_SECONDS = 6.0
"""For which the end waits for what is open. A platform gives ten seconds from SIGTERM to SIGKILL:
https://cloud.google.com/run/docs/container-contract#instance-shutdown"""


class PullError(ImporterError):
    """A subscription cannot be pulled; the text names it and says why."""


def client() -> SubscriberClient:
    """Google's client, with the credentials of the process, or for the emulator.

    Raises:
        PullError: there are no credentials.
    """
    try:
        return SubscriberClient()
    except DefaultCredentialsError as error:
        raise PullError(f"Pub/Sub cannot be reached: {error}") from None


class PullSource:
    """Imports what subscriptions hold, until it is told to end. Belongs to the event loop that it is made in.

    Args:
        settings: the process's.
        subscriptions: `projects/PROJECT/subscriptions/NAME` each.
        client: Google's, which the caller closes.
        max_open: messages that wait at a time, in all.
        streams: of each subscription. One carries about 10 MB a second.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: Settings,
        subscriptions: Sequence[str],
        client: SubscriberClient,
        *,
        max_open: int,
        streams: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log.get()
        self._messages = MessageImporter(settings, "Pub/Sub", "pull", _RETRY_SECONDS, clock)
        self._subscriptions = subscriptions
        self._client = client
        self._streams = streams
        count = len(subscriptions) * streams
        self._flow = FlowControl(
            max_messages=max(max_open // count, 1),
            max_bytes=max(settings.buffer_bytes // 2 // count, 1),
            max_duration_per_lease_extension=_LEASE_SECONDS,
        )
        self._loop = asyncio.get_running_loop()
        self._is_ending = asyncio.Event()
        self._error: Exception | None = None
        self._late = 0

    async def run(self) -> None:
        """Imports until `end` is called, and then what is open, for a few seconds.

        Raises:
            PullError: a subscription cannot be pulled.
            FatalDeliveryError: Mixpanel does not take the credentials, or something else that no retry heals.
        """
        streams = [self._open(subscription) for subscription in self._subscriptions for _ in range(self._streams)]
        await self._is_ending.wait()
        self._messages.end()
        for future, _ in streams:
            future.cancel()
        for _, closed in streams:
            await closed.wait()
        await asyncio.sleep(0)
        self._messages.close()
        if self._error:
            raise self._error

    def end(self) -> None:
        """The process was told to end. A signal handler may call it, at any moment."""
        self._loop.call_soon_threadsafe(self._is_ending.set)

    def _open(self, subscription: str) -> tuple[Any, asyncio.Event]:
        """Starts a stream: what cancels it, and what is set once it is closed."""
        closed = asyncio.Event()
        scheduler = _Scheduler(self._loop, lambda pulled: self._loop.create_task(self._import(subscription, pulled)))
        future = self._client.subscribe(
            subscription,
            _called_by_nobody,
            flow_control=self._flow,
            scheduler=scheduler,
            await_callbacks_on_shutdown=True,
        )
        future.add_done_callback(
            lambda ended: self._loop.call_soon_threadsafe(self._closed, subscription, ended, closed)
        )
        return future, closed

    def _closed(self, subscription: str, ended: Any, closed: asyncio.Event) -> None:
        closed.set()
        if not ended.cancelled() and (error := ended.exception()):
            self._fail(PullError(f"{subscription} cannot be pulled: {_reason(error)}"))
        elif not self._is_ending.is_set():
            self._fail(PullError(f"{subscription} cannot be pulled: its stream ended"))

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._is_ending.set()

    async def _import(self, subscription: str, pulled: Pulled) -> None:
        data = pulled.data
        try:
            with self._messages.opened() as opened:
                opened.take(len(data))
                await opened.settle(
                    Message(
                        data,
                        b"" if data else msgspec.json.encode(dict(pulled.attributes)),
                        f"{subscription}#{pulled.message_id}",
                        subscription,
                        pulled.publish_time.isoformat(),
                    )
                )
        except FatalDeliveryError as error:
            pulled.drop()
            self._fail(error)
        except (DeliveryError, BudgetExceeded):
            pulled.drop()
        else:
            acknowledged = pulled.ack_with_response()
            if not acknowledged.done():
                acknowledged.add_done_callback(self._look_at)

    def _look_at(self, acknowledged: Any) -> None:
        """Of a subscription with exactly-once delivery: says so where Pub/Sub did not take the acknowledgement."""
        error = acknowledged.exception()
        if isinstance(error, AcknowledgeError):
            self._late += 1
            if self._late & (self._late - 1) == 0:  # the first, the second, the fourth …
                self._log.warning(
                    f"Pub/Sub did not take an acknowledgement ({error.error_code.name}; {self._late} so far): it "
                    "delivers the message again, and Mixpanel counts its events once",
                    kind="acknowledgement",
                    reason=error.error_code.name,
                )


class _Scheduler(Scheduler):  # type: ignore[misc]  # Google's client has no types
    """Hands messages to the event loop, many at a time: Google's own would give each a turn on a thread.

    Args:
        loop: where they are imported.
        start: starts to import one, there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, start: Callable[[Pulled], asyncio.Task[None]]) -> None:
        self._queue: queue.Queue[Any] = queue.Queue()
        self._loop = loop
        self._start = start
        self._arrived: deque[Pulled] = deque()
        self._will_take = False
        self._open: dict[asyncio.Task[None], Pulled] = {}

    @property
    def queue(self) -> queue.Queue[Any]:
        """What goes back to the client: acknowledgements, and leases that are let go."""
        return self._queue

    def schedule(self, callback: Callable[..., Any], *args: Any, **_: Any) -> None:
        """A message has come. The client's thread of the stream calls this."""
        self._arrived.append(args[0])
        if not self._will_take:
            self._will_take = True
            self._loop.call_soon_threadsafe(self._take)

    def shutdown(self, await_msg_callbacks: bool = False) -> list[Pulled]:
        """Waits for what is open, as long as there is time; what is not settled then goes back to Pub/Sub.

        It is called on a thread of its own, once no more messages come, and while acknowledgements are still sent.
        """
        return asyncio.run_coroutine_threadsafe(self._settle(), self._loop).result()

    async def _settle(self) -> list[Pulled]:
        self._take()
        if self._open:
            await asyncio.wait(tuple(self._open), timeout=_GRACE_SECONDS)
        left = list(self._open.values())
        for task in tuple(self._open):
            task.cancel()
        return left

    def _take(self) -> None:
        self._will_take = False
        while self._arrived:
            pulled = self._arrived.popleft()
            task = self._start(pulled)
            self._open[task] = pulled
            task.add_done_callback(self._open.pop)


def _called_by_nobody(_: Pulled) -> None:
    """Google's client asks for a callback; the scheduler does not call it."""


def _reason(error: BaseException) -> str:
    return (
        error.message if isinstance(error, GoogleAPICallError) and error.message else f"{type(error).__name__}: {error}"
    )
