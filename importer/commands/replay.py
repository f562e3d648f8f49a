"""`replay`: rejects sent again, after their cause was mended."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime

import click

from importer.commands.days import Bounds
from importer.commands.dry_run import DryRun
from importer.commands.options import Command, as_json, settings_here
from importer.commands.reject_file import Replay, replay
from importer.commands.terminal import moving, number_of, say, show_json, write
from importer.core.pipeline import Pipeline
from importer.core.rejects.reject import Reject, RejectSink
from importer.reject_sinks.file import FileSink
from importer.reject_sinks.place import RejectStore
from importer.settings import Settings
from importer.storage.store import Entry, store

_stamp = re.compile(r"(?<!\d)(20\d\d)(\d\d)(\d\d)T\d{6}").search
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command(
    cls=Command,
    short_help="Send rejects again, after their cause was mended.",
    examples=[
        "replay gs://my-state/rejects/my-events/2025/06/",
        "replay gs://my-state/rejects/ --since 2025-06-01 --dry-run",
        "replay --remove rejects-20250601T120000.jsonl",
    ],
)
@click.argument("places", nargs=-1, required=True, metavar="PLACE…")
@click.option("--since", type=_DAY, metavar="DAY", help="Only what was rejected on this day or later (2025-06-01).")
@click.option("--until", type=_DAY, metavar="DAY", help="Only what was rejected on this day or before.")
@click.option("--dry-run", is_flag=True, help="Read, check and count; send nothing, write nothing.")
@click.option("--remove", is_flag=True, help="Delete each file once all of it is settled.")
@as_json
def command(
    places: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    dry_run: bool,
    remove: bool,
    as_json: bool,
) -> int:
    """Sends rejects again, through the same checks, and the mapping and transform that are set.

    A PLACE is gs://bucket/prefix or s3://…, a local file or a folder. What is rejected again is written to
    IMPORT_REJECTS, or to a file here when that is not set. To send anything twice is safe.
    """
    settings = settings_here(sends=not dry_run)
    bounds = Bounds.of(since, until, None)
    found = [entry for place in places for entry in _files(place)]
    files = [entry.address for entry in found if not bounds.are_set or bounds.choose([_day(entry)])]
    if not files:
        on = f": {number_of(len(found), 'file')}, none of these days" if found else ""
        say(f"There is nothing at {', '.join(places)}{on}.")
        return 1
    total = asyncio.run(_replay_all(settings, files, is_dry=dry_run, removes=remove and not dry_run, is_quiet=as_json))
    report = total.report
    if as_json:
        show_json({**report.counts(), "repeated": total.repeated, "unreadable": total.unreadable, "files": len(files)})
    else:
        write(
            f"{'would import' if dry_run else 'imported'} {report.imported:,}, dropped {report.dropped:,}, "
            f"rejected again {report.rejected:,}, repeated {total.repeated:,}, unreadable {total.unreadable:,}"
        )
    return 1 if report.rejected or total.unreadable else 0


class _Nowhere:
    """Where a dry run puts what is rejected again."""

    def store(self, rejects: Sequence[Reject]) -> None:
        pass


async def _replay_all(settings: Settings, files: list[str], *, is_dry: bool, removes: bool, is_quiet: bool) -> Replay:
    pipeline = DryRun(settings) if is_dry else Pipeline(settings)
    seen: set[bytes] = set()
    total = Replay()
    at, read = "", 0

    def told(count: int) -> None:
        nonlocal read
        read = count

    with ExitStack() as opened:
        again: RejectSink | None = _Nowhere() if is_dry else RejectStore(settings.rejects).for_source("replay")
        again = again or opened.enter_context(FileSink())
        opened.enter_context(moving(lambda: f"{at}: {read:,} read", is_quiet=is_quiet))
        for number, file in enumerate(files, 1):
            at, read = f"{number} of {len(files)}: {file}", 0
            objects = store(file)
            outcome = await replay(pipeline, objects.open(file), again, seen, told)
            if not is_quiet:
                _say(at, outcome)
            if removes and not outcome.unreadable:
                objects.delete(file)
            total.report += outcome.report
            total.repeated += outcome.repeated
            total.unreadable += outcome.unreadable
    pipeline.close()
    return total


def _files(place: str) -> list[Entry]:
    """The files at a place, in order, as they are now: what the replay writes does not come back to it.

    In a bucket, those that are called as rejects are; on a disk, whatever is named.
    """
    found = store(place).entries(place)
    return [one for one in found if "://" not in one.address or one.address.endswith((".jsonl.gz", ".jsonl"))]


def _day(entry: Entry) -> date:
    """The day on which its rejects were written, in UTC: its name says so, or else its place."""
    if found := _stamp(entry.address.rpartition("/")[2]):
        try:
            return date(*map(int, found.groups()))
        except ValueError:
            pass
    return datetime.fromtimestamp(entry.written, UTC).date()


def _say(at: str, outcome: Replay) -> None:
    """Says what became of one file."""
    report = outcome.report
    say(f"{at}: imported {report.imported:,}, rejected again {report.rejected:,}")
    for one in report.first_rejects:
        say(f"  {one.source}, line {one.line}: {one.field or ''} {one.reason}")
    for why in outcome.complaints:
        say(f"  {why}")
    if more := outcome.unreadable - len(outcome.complaints):
        say(f"  and {more:,} more {'lines that are no rejects' if more > 1 else 'line that is none'}")
