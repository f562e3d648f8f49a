"""Replay: rejects sent again, after their cause was mended, through the same checks and the same transform.

What is refused again is written again, with the source, line and offset that it has had from the first.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from importer.core.batcher import Batcher
from importer.core.buffered_rejects import BufferedRejectSink
from importer.core.pipeline import Pipeline
from importer.core.rejects import Reject, RejectSink
from importer.core.report import Report
from importer.errors import DeliveryError, Unreadable
from importer.formats.content import Content, records_of_message
from importer.formats.held import Stream
from importer.records import Record

_MAX_OPEN = 8_000
_RETRY_SECONDS = 120.0
_FIRST_TOLD = 5
_MAX_REJECT_BYTES = 64_000_000
"""Bytes of one reject, at most: a message has up to 10 MB, and JSON writes some characters as six."""


@dataclass(slots=True)
class Replay:
    """What became of the rejects that were sent again.

    Attributes:
        report: the counts; `rejected` were refused again.
        repeated: rejects that stood in the files more than once; they were sent once.
        unreadable: lines that are no rejects, or carry no record to send, with why.
    """

    report: Report = field(default_factory=Report)
    repeated: int = 0
    unreadable: list[str] = field(default_factory=list)


async def replay(
    pipeline: Pipeline,
    name: str,
    chunks: Iterable[bytes],
    again: RejectSink,
    seen: set[bytes],
    tell: Callable[[int], None] = lambda _: None,
) -> Replay:
    """Sends the rejects of one file again.

    Args:
        pipeline: what they go through.
        name: the file's, for what cannot be read.
        chunks: the file's bytes: rejects as lines of JSON, gzipped or not.
        again: where those go that are refused again.
        seen: the rejects that were sent already, in this file or another; those of this one are added.
        tell: told now and then how many rejects have been read.

    Returns:
        What became of them.

    Raises:
        DeliveryError: Mixpanel or the sink did not take all; it is safe to send the file once more.
    """
    outcome = Replay()
    batcher = Batcher(pipeline, pipeline.settings.retry_seconds or _RETRY_SECONDS)
    kept = BufferedRejectSink(again)
    room = asyncio.Semaphore(_MAX_OPEN)
    failures: list[DeliveryError] = []
    first: list[Reject] = []

    async def send(reject: Reject, record: bytes) -> None:
        try:
            refused = await batcher.deliver(reject.source, _records(reject, record, pipeline), record)
            if refused := [_in_place_of(reject, one) for one in refused]:
                await kept.store(refused)
                first.extend(refused[: _FIRST_TOLD - len(first)])
        except DeliveryError as error:
            failures.append(error)
        finally:
            batcher.open -= 1
            room.release()

    async with asyncio.TaskGroup() as sending:
        for number, (reject, record) in enumerate(_read(name, chunks, seen, outcome), 1):
            await room.acquire()
            batcher.open += 1
            sending.create_task(send(reject, record))
            if number % 1_000 == 0:
                tell(number)
                await asyncio.sleep(0)
            if failures:
                break
    outcome.report = batcher.new_report()
    outcome.report.first_rejects = first
    if failures:
        raise failures[0]
    return outcome


def _read(name: str, chunks: Iterable[bytes], seen: set[bytes], outcome: Replay) -> Iterator[tuple[Reject, bytes]]:
    """The rejects of a file, each once, and the record that each carries."""
    line = 0
    try:
        for line, _, text in Content(Stream(chunks, name), longest=_MAX_REJECT_BYTES).records():
            if not text.strip():
                continue
            try:
                reject = msgspec.json.decode(text, type=Reject)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                outcome.unreadable.append(f"{name}, line {line}: this is no reject: {error}")
                continue
            if not reject.event:
                outcome.unreadable.append(
                    f"{name}, line {line}: it stands for the rest of {reject.source}, which could not be read: "
                    "mend that object and write it to the bucket again"
                )
                continue
            key = hashlib.sha256(f"{reject.source}\n{reject.offset}\n{reject.event}".encode()).digest()[:16]
            if key in seen:
                outcome.repeated += 1
                continue
            seen.add(key)
            yield reject, reject.record()
    except Unreadable as error:
        outcome.unreadable.append(f"{name}, after line {line}: {error}")


def _records(reject: Reject, record: bytes, pipeline: Pipeline) -> Iterator[Record]:
    """The records of a reject, at the place that it names, so that they are refused there again if they are.

    An object is refused record by record; a message that cannot be read is refused whole, and may hold several.
    """
    if reject.source.startswith("gs://"):
        yield reject.line, reject.offset, record
        return
    for line, offset, one in records_of_message(record, pipeline.settings.buffer_bytes):
        yield reject.line + line - 1, reject.offset + offset, one


def _in_place_of(reject: Reject, refused: Reject) -> Reject:
    """What was refused again, at the place that it had, which a message that cannot be read does not tell."""
    if refused.event != reject.event:
        return refused
    return msgspec.structs.replace(refused, line=reject.line, offset=reject.offset)
