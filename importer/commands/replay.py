"""Replay: rejects sent again, after their cause was mended, through the same checks and the same transform.

What is refused again is written again, with the source, line and offset that it has had from the first.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import click
import msgspec

from importer.commands.options import Command, settings_here
from importer.core.batcher import Batcher
from importer.core.buffered_rejects import BufferedRejectSink
from importer.core.pipeline import Pipeline
from importer.core.rejects import Reject, RejectSink
from importer.core.report import Report
from importer.core.source import Source
from importer.errors import DeliveryError, Unreadable
from importer.formats.content import Content, records_of_message
from importer.formats.held import Stream
from importer.records import Record
from importer.reject_sinks.file import FileSink
from importer.reject_sinks.place import sinks
from importer.settings import Settings
from importer.storage.store import store

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

    async def send(opened: ExitStack, source: Source, reject: Reject, record: bytes) -> None:
        try:
            with opened:
                refused = await source.deliver(reject.source, _records(reject, record, pipeline), record)
                if refused := [_in_place_of(reject, one) for one in refused]:
                    await kept.store(refused)
                    first.extend(refused[: _FIRST_TOLD - len(first)])
        except DeliveryError as error:
            failures.append(error)
        finally:
            room.release()

    async with asyncio.TaskGroup() as sending:
        for number, (reject, record) in enumerate(_read(name, chunks, seen, outcome), 1):
            await room.acquire()
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

    An object is refused record by record; a message that cannot be read is refused whole, and may hold several. Where
    several were folded into one reject, each is a line of it.
    """
    if reject.records > 1 and not reject.whole:
        yield from ((reject.line, reject.offset, one) for one in record.split(b"\n"))
        return
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


@click.command(
    cls=Command,
    short_help="Send rejects again, after their cause was mended.",
    examples=["replay gs://my-state/rejects/my-events/2025/06/", "replay --remove rejects-20250601T120000.jsonl"],
)
@click.argument("places", nargs=-1, required=True, metavar="PLACE…")
@click.option("--remove", is_flag=True, help="Delete each file once all of it is settled.")
def command(places: tuple[str, ...], remove: bool) -> int:
    """Sends rejects again, through the same checks, and the mapping and transform that are set.

    A PLACE is gs://bucket/prefix, a local file or a folder. What is rejected again is written to IMPORT_REJECTS, or to
    a file here when that is not set.
    """
    settings = settings_here()
    files = [file for place in places for file in _files(place)]
    if not files:
        print(f"There is nothing at {', '.join(places)}.", file=sys.stderr)
        return 1
    total = asyncio.run(_replay_all(settings, files, remove=remove))
    report = total.report
    print(
        f"imported {report.imported:,}, dropped {report.dropped:,}, rejected again {report.rejected:,}, "
        f"repeated {total.repeated:,}, unreadable {len(total.unreadable):,}"
    )
    return 1 if report.rejected or total.unreadable else 0


async def _replay_all(settings: Settings, files: list[str], *, remove: bool) -> Replay:
    pipeline = Pipeline(settings)
    seen: set[bytes] = set()
    total = Replay()
    with ExitStack() as open_files:
        make_sink = sinks(settings.rejects)
        again = make_sink("replay") if make_sink else open_files.enter_context(FileSink())
        for number, file in enumerate(files, 1):
            at = f"{number} of {len(files)}: {file}"

            def tell(count: int, at: str = at) -> None:
                print(f"{at}: {count:,} read", file=sys.stderr)

            objects = store(file)
            outcome = await replay(pipeline, file, objects.open(file).chunks(), again, seen, tell)
            _say(at, outcome)
            if remove and not outcome.unreadable:
                objects.delete(file)
            total.report += outcome.report
            total.repeated += outcome.repeated
            total.unreadable += outcome.unreadable
    pipeline.close()
    return total


def _files(place: str) -> list[str]:
    """The files at a place, in order, as they are now: what the replay writes does not come back to it.

    In a bucket, those that are called as rejects are; on a disk, whatever is named.
    """
    found = store(place).list(place)
    return [file for file in found if "://" not in file or file.endswith((".jsonl.gz", ".jsonl"))]


def _say(at: str, outcome: Replay) -> None:
    """Says what became of one file."""
    report = outcome.report
    print(f"{at}: imported {report.imported:,}, rejected again {report.rejected:,}", file=sys.stderr)
    for one in report.first_rejects:
        print(f"  {one.source}, line {one.line}: {one.field or ''} {one.reason}", file=sys.stderr)
    for why in outcome.unreadable:
        print(f"  {why}", file=sys.stderr)
