"""The rejects in a file, sent again through the same checks, mapping and transform, each once.

What is rejected again is stored again, with the source, line and offset that it has had from the first.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import msgspec

from importer.core.batching.batcher import Batcher
from importer.core.batching.source import Source
from importer.core.pipeline import Pipeline
from importer.core.rejects.buffered import BufferedRejectSink
from importer.core.rejects.reject import Reject, RejectSink
from importer.core.report import Report
from importer.errors import DeliveryError, ImporterError
from importer.formats.compression import compression_of
from importer.formats.content import Content, records_of_message
from importer.formats.detect import is_json
from importer.formats.reader import Rows
from importer.records import Readable, Record

_MAX_OPEN_BYTES = 24_000_000
"""What is held of rejects on their way: of their records, that is, and another two or three times that of what is made
of them."""

_REJECT_BYTES = 3_000
"""What a reject on its way takes beyond its record."""

_MAX_REJECT_BYTES = 64_000_000
"""Bytes of one reject, at most: a message has up to 10 MB, and JSON writes some characters as six."""

_RETRY_SECONDS = 120.0
_MAX_SHOWN_REJECTS = 5
_MAX_SHOWN_LINES = 20


@dataclass(slots=True)
class Replay:
    """What became of the rejects that were sent again.

    Attributes:
        report: the counts; `rejected` were rejected again.
        repeated: rejects that stood in the files more than once; they were sent once.
        unreadable: lines that are no rejects, or carry no record to send.
        complaints: what is wrong with the first of these.
    """

    report: Report = field(default_factory=Report)
    repeated: int = 0
    unreadable: int = 0
    complaints: list[str] = field(default_factory=list)

    def complain(self, what: str) -> None:
        """Counts a line that cannot be sent."""
        self.unreadable += 1
        if len(self.complaints) < _MAX_SHOWN_LINES:
            self.complaints.append(what)


async def replay(
    pipeline: Pipeline,
    file: Readable,
    again: RejectSink,
    seen: set[bytes],
    tell: Callable[[int], None] = lambda _: None,
) -> Replay:
    """Sends the rejects of one file again.

    Args:
        pipeline: what they go through.
        file: rejects as lines of JSON, gzipped or not.
        again: where those go that are rejected again.
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
    room = _Room(_MAX_OPEN_BYTES)
    failures: list[DeliveryError] = []
    first: list[Reject] = []

    async def send(opened: ExitStack, source: Source, reject: Reject, record: bytes) -> None:
        try:
            with opened:
                rejected = await source.deliver(reject.source, _records(reject, record, pipeline), record)
                if rejected := [_in_place_of(reject, record, one) for one in rejected]:
                    await kept.store(rejected)
                    first.extend(rejected[: _MAX_SHOWN_REJECTS - len(first)])
        except DeliveryError as error:
            failures.append(error)
        finally:
            room.release(len(record) + _REJECT_BYTES)

    async with asyncio.TaskGroup() as sending:
        for number, (reject, record) in enumerate(_read(file, seen, outcome), 1):
            await room.take(len(record) + _REJECT_BYTES)
            opened = ExitStack()
            source = opened.enter_context(batcher.source(is_bounded=False))
            sending.create_task(send(opened, source, reject, record))
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


class _Room:
    """The memory for rejects on their way. One alone may take more than there is: none is too large for ever."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._released = asyncio.Event()

    async def take(self, size: int) -> None:
        """Takes `size` bytes, as soon as there are so many."""
        while self._used and self._used + size > self._size:
            self._released.clear()
            await self._released.wait()
        self._used += size

    def release(self, size: int) -> None:
        """Gives `size` bytes back."""
        self._used -= size
        self._released.set()


def _read(file: Readable, seen: set[bytes], outcome: Replay) -> Iterator[tuple[Reject, bytes]]:
    """The rejects of a file, each once and without its text, and the record that each carries."""
    line = 0
    try:
        for line, _, text in Content(file, longest=_MAX_REJECT_BYTES).records():
            if not text.strip():
                continue
            try:
                reject = msgspec.json.decode(text, type=Reject)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                outcome.complain(f"{file.name}, line {line}: {_hint(text) or f'this is no reject: {error}'}")
                continue
            if not reject.event:
                outcome.complain(
                    f"{file.name}, line {line}: it stands for the rest of {reject.source}, which could not be read: "
                    "mend that object and write it to the bucket again"
                )
                continue
            key = hashlib.sha256(f"{reject.source}\n{reject.offset}\n{reject.event}".encode()).digest()[:16]
            if key in seen:
                outcome.repeated += 1
                continue
            seen.add(key)
            record = reject.record()
            yield msgspec.structs.replace(reject, event=""), record
    except Exception as error:  # of whichever cloud the file is in: what was read before is sent
        reason = str(error) if isinstance(error, ImporterError) else f"{type(error).__name__}: {error}"
        outcome.complain(f"{file.name}, after line {line}: {reason}")


def _hint(line: bytes) -> str | None:
    """What a line is that is no reject, where it is a mistake that is easily made."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not isinstance(found, dict):
        return None
    if "event" in found and "properties" in found:
        return "this is an event and no reject: import its file, there is nothing to replay"
    if "jsonPayload" in found or found.get("kind") == "reject":
        return (
            "this is a line of the log, which may have a part of the event only: replay the files in the place that "
            "IMPORT_REJECTS names"
        )
    return None


def _records(reject: Reject, record: bytes, pipeline: Pipeline) -> Iterator[Record]:
    """The records of a reject, at the place that it names, so that they are rejected there again if they are.

    Mostly it is one. A message that could not be read is rejected whole, and may hold several. Where several were
    folded into one reject, each is a line of it.
    """
    if reject.records > 1 and not reject.whole:
        yield from ((reject.line, reject.offset, one) for one in record.split(b"\n"))
    elif reject.whole or _was_whole(reject.source, record):
        rows: Rows = "records" if pipeline.settings.mapping else "events"
        for line, offset, one in records_of_message(record, pipeline.settings.buffer_bytes, rows):
            yield reject.line + line - 1, reject.offset + offset, one
    else:
        yield reject.line, reject.offset, record


def _was_whole(source: str, record: bytes) -> bool:
    """Whether this is a whole message, rejected before rejects said so themselves: it holds several records, if any."""
    if "://" in source:
        return False
    if record.startswith(b"[") or compression_of(record) is not None:
        return True
    if b"\n" not in record or is_json(record):
        return False
    return any(line.startswith(b"{") and is_json(line) for line in record.split(b"\n"))


def _in_place_of(reject: Reject, record: bytes, again: Reject) -> Reject:
    """What was rejected again, at the place that it had, which a message that cannot be read does not tell."""
    if again.record() != record:
        return again
    return msgspec.structs.replace(again, line=reject.line, offset=reject.offset)
