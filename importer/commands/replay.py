"""`replay`: rejects sent again, after their cause was mended."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack

import click

from importer.commands.options import Command, settings_here
from importer.commands.reject_file import Replay, replay
from importer.core.pipeline import Pipeline
from importer.reject_sinks.file import FileSink
from importer.reject_sinks.place import RejectStore
from importer.settings import Settings
from importer.storage.store import store


@click.command(
    cls=Command,
    short_help="Send rejects again, after their cause was mended.",
    examples=["replay gs://my-state/rejects/my-events/2025/06/", "replay --remove rejects-20250601T120000.jsonl"],
)
@click.argument("places", nargs=-1, required=True, metavar="PLACE…")
@click.option("--remove", is_flag=True, help="Delete each file once all of it is settled.")
def command(places: tuple[str, ...], remove: bool) -> int:
    """Sends rejects again, through the same checks, and the mapping and transform that are set.

    A PLACE is gs://bucket/prefix or s3://…, a local file or a folder. What is rejected again is written to
    IMPORT_REJECTS, or to a file here when that is not set.
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
        f"repeated {total.repeated:,}, unreadable {total.unreadable:,}"
    )
    return 1 if report.rejected or total.unreadable else 0


async def _replay_all(settings: Settings, files: list[str], *, remove: bool) -> Replay:
    pipeline = Pipeline(settings)
    seen: set[bytes] = set()
    total = Replay()
    with ExitStack() as open_files:
        again = RejectStore(settings.rejects).for_source("replay") or open_files.enter_context(FileSink())
        for number, file in enumerate(files, 1):
            at = f"{number} of {len(files)}: {file}"

            def tell(count: int, at: str = at) -> None:
                print(f"{at}: {count:,} read", file=sys.stderr)

            objects = store(file)
            outcome = await replay(pipeline, objects.open(file), again, seen, tell)
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
    for why in outcome.complaints:
        print(f"  {why}", file=sys.stderr)
    if more := outcome.unreadable - len(outcome.complaints):
        print(
            f"  and {more:,} more {'lines that are no rejects' if more > 1 else 'line that is none'}", file=sys.stderr
        )
