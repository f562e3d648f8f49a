"""Sends pushes as Pub/Sub does: a closed number of senders, each with one request open, answer by answer.

A load generator for benchmarks and tests. It checks every answer, and keeps which message got which.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sandbox.events import Events, Shape
from sandbox.topic import server as topic


@dataclass(slots=True)
class Answers:
    """What came of the pushes.

    Attributes:
        status: the status of the last answer to each message, by its index; 0 where the connection broke.
        hold: seconds that each answered push was held open.
        seconds: from the first push to the last answer.
    """

    status: dict[int, int] = field(default_factory=dict)
    hold: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def counts(self) -> Counter[int]:
        """How many messages got which answer."""
        return Counter(self.status.values())

    def percentile(self, share: float) -> float:
        """The hold time (seconds) that this share of the pushes did not exceed."""
        ordered = sorted(self.hold)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def wrapped(data: bytes, message_id: str = "1", subscription: str = "projects/p/subscriptions/s") -> bytes:
    """The body of a push that carries `data` as Pub/Sub wraps it."""
    return topic.wrapped(data, {}, message_id, subscription, "2026-01-02T03:04:05.678Z")


def bodies(count: int, shape: Shape = "dense", seed: int = 1) -> list[bytes]:
    """Push bodies of `count` messages, one made-up event in each."""
    made = Events(count, shape, seed).records()
    return [wrapped(event, str(index)) for index, event in enumerate(made)]


async def send(url: str, pushes: Iterable[bytes], senders: int, seconds: float | None = None) -> Answers:
    """Sends each push once, `senders` at a time, over connections that stay open.

    Args:
        seconds: when it breaks off; what has no answer by then does not count. By default it goes on to the end.
    """
    answers = Answers()
    waiting = iter(enumerate(pushes))
    started = time.perf_counter()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(_sender(url, waiting, answers) for _ in range(senders)))
    answers.seconds = time.perf_counter() - started
    return answers


async def _sender(url: str, waiting: Iterator[tuple[int, bytes]], answers: Answers) -> None:
    address = urlsplit(url)
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    for index, body in waiting:
        began = time.perf_counter()
        try:
            if reader is None or writer is None:
                reader, writer = await asyncio.open_connection(address.hostname, address.port)
            head = (
                f"POST / HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answers.status[index], stays_open = await _answer(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            answers.status[index], stays_open = 0, False
        if writer is not None and not stays_open:
            writer.close()
            reader = writer = None
        answers.hold.append(time.perf_counter() - began)
    if writer is not None:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status, and whether the connection can be used again."""
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    if (at := lowered.find(b"content-length:")) >= 0:
        length = int(lowered[at + 15 : lowered.index(b"\r\n", at)])
        if length:
            await reader.readexactly(length)
    return int(head[9:12]), b"\r\nconnection: close" not in lowered


def main() -> None:
    parser = argparse.ArgumentParser(description="Sends made-up events as Pub/Sub pushes.")
    parser.add_argument("url")
    parser.add_argument("--messages", type=int, default=10_000, metavar="N")
    parser.add_argument("--senders", type=int, default=100, metavar="N", help="requests open at the same time")
    parser.add_argument("--shape", choices=["dense", "small"], default="dense")
    given = parser.parse_args()
    answers = asyncio.run(send(given.url, bodies(given.messages, given.shape), given.senders))
    rate = given.messages / answers.seconds
    print(
        f"{given.messages:,} messages in {answers.seconds:.2f} s, {rate:,.0f} a second; "
        f"answers {dict(answers.counts())}; held open "
        f"p50 {answers.percentile(0.5) * 1000:.0f} ms, p99 {answers.percentile(0.99) * 1000:.0f} ms"
    )


if __name__ == "__main__":
    main()
