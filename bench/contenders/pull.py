"""The pull source alone: messages that a stream in this process hands over, to Mixpanel, acknowledged.

    python -m bench.contenders.pull MESSAGES

with the importer's settings in the environment. The stream is made up (Google's client takes 50 µs a message besides,
and its emulator gives 2,000 a second); messages, flow control and acknowledgements are as Google's client has them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec
from google.cloud.pubsub_v1.subscriber.message import Message
from google.cloud.pubsub_v1.types import FlowControl, PubsubMessage

from importer import bootstrap
from importer.sources.pubsub.pull import PullSource
from sandbox.events import Events

_MAX_OPEN = 10_000


class Stream:
    """In the place of Google's client: one stream, which hands over as many messages as may be open."""

    def __init__(self, count: int) -> None:
        self._bodies = list(Events(count, "small", seed=1).records())
        self.acknowledged = 0
        self.seconds = self.processor_seconds = 0.0
        self.source: PullSource
        self._future: Future[None] = Future()

    def subscribe(
        self, _: str, callback: Callable[..., Any], *, flow_control: FlowControl, scheduler: Any, **__: Any
    ) -> Stream:
        self._scheduler = scheduler
        self._room = threading.Semaphore(flow_control.max_messages)
        threading.Thread(target=self._give, args=(callback,), daemon=True).start()
        threading.Thread(target=self._take, daemon=True).start()
        return self

    def add_done_callback(self, do: Callable[[Any], None]) -> None:
        self._future.add_done_callback(do)

    def cancel(self) -> None:
        self._future.set_result(None)

    def _give(self, callback: Callable[..., Any]) -> None:
        made = [PubsubMessage(data=body, message_id=str(n))._pb for n, body in enumerate(self._bodies)]
        self.seconds, self.processor_seconds = -time.monotonic(), -time.process_time()
        for number, message in enumerate(made):
            self._room.acquire()
            self._scheduler.schedule(callback, Message(message, str(number), 0, self._scheduler.queue))

    def _take(self) -> None:
        while self.acknowledged < len(self._bodies):
            self._scheduler.queue.get()
            self.acknowledged += 1
            self._room.release()
        self.seconds += time.monotonic()
        self.processor_seconds += time.process_time()
        self.source.end()


async def pull(count: int) -> Stream:
    """Imports that many messages."""
    stream = Stream(count)
    stream.source = PullSource(
        bootstrap.settings_of_a_worker(os.environ), ["projects/p/subscriptions/s"], stream, max_open=10_000
    )
    await stream.source.run()
    return stream


def main() -> None:
    """Imports, and writes a line of JSON: messages, and seconds from the first to the last,
    of the clock and of the processor."""
    with asyncio.Runner(loop_factory=bootstrap.event_loop) as runner:
        stream = runner.run(pull(int(sys.argv[1])))
    found = {
        "messages": stream.acknowledged,
        "seconds": stream.seconds,
        "processor_seconds": stream.processor_seconds,
    }
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
