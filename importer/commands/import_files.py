"""Import: files into Mixpanel, from where an earlier run left off."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from importer.commands import summary
from importer.commands.dry_run import DryRun
from importer.commands.interrupts import INTERRUPTED, stopped_by_signals
from importer.commands.options import Command, as_json, settings_here
from importer.commands.places import STANDARD_INPUT, entries
from importer.commands.progress import Progress
from importer.commands.state import with_state
from importer.commands.terminal import either, say, sentences
from importer.commands.work import AT_ONCE, File, How, Reasons, Work
from importer.core.pipeline import Pipeline
from importer.reject_sinks.file import FileSink
from importer.reject_sinks.place import RejectStore
from importer.settings import Settings
from importer.storage.leases import Leases

_REJECTS_SAID = "Rejects are written to {0}; once their cause is mended: replay {0}"


@click.command(
    "import",
    cls=Command,
    short_help="Import files, folders, objects of a bucket or standard input.",
    examples=[
        "import events.jsonl.gz",
        "import --dry-run 'exports/2025-06-*.csv'",
        "import gs://my-events/2025/06/01/ --region eu --env-file production.env",
        "import --limit 10 --json events.parquet",
    ],
)
@click.argument("places", nargs=-1, required=True, metavar="SOURCE…")
@click.option("--again", is_flag=True, help="Import what was imported before, too.")
@click.option("--dry-run", is_flag=True, help="Read, check and count; send nothing.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="The first N records of each file, to try things out."
)
@click.option(
    "--at-once", type=click.IntRange(1, 64), default=AT_ONCE, metavar="N", help=f"Files at a time ({AT_ONCE})."
)
@click.option("--progress", "says", is_flag=True, help="Say how it goes with --json, too.")
@as_json
def command(
    places: tuple[str, ...], again: bool, dry_run: bool, limit: int | None, at_once: int, says: bool, as_json: bool
) -> int:
    """Imports files into Mixpanel: any format, compressed or not.

    A SOURCE is a path, a folder, gs://bucket/name or s3://…, what names in a bucket begin with, a glob of these, or -
    for standard input. Ctrl-C stops in order, and the same command goes on from there: a file that was imported to
    its end is not imported again. Rejects go to IMPORT_REJECTS, or to a file here when that is not set.
    """
    settings = with_state(settings_here(sends=not dry_run))
    files = [File(entry) for entry in entries(places, settings)]
    if not files:
        say("IMPORT_INCLUDE and IMPORT_EXCLUDE leave nothing to import.")
        return 0
    how = How(at_once, again, limit, keeps=not dry_run and limit is None)
    return imported(settings, files, how, is_dry=dry_run, as_json=as_json, says=says)


def imported(
    settings: Settings,
    files: Sequence[File],
    how: How,
    leases: Leases | None = None,
    *,
    is_dry: bool = False,
    as_json: bool = False,
    says: bool = False,
) -> int:
    """Imports files, shows how it goes and what became of them, and says how to go on.

    Returns:
        The exit status.
    """
    started = time.monotonic()
    pipeline = DryRun(settings) if is_dry else Pipeline(settings)
    progress = Progress(files, is_quiet=as_json and not says)
    with rejects_kept(settings, is_kept=not is_dry) as reasons:
        work = Work(pipeline, reasons, progress, how, leases)
        with sentences(), stopped_by_signals(work.stop), progress.shown():
            work.all(files)
        seconds = time.monotonic() - started
    if as_json:
        summary.show_for_machines(files, seconds, reasons, **summary.failure(work.failure))
    else:
        summary.show(files, seconds, reasons, title="would import" if is_dry else "imported")
        _say_how_to_go_on(work, files, how)
    if work.failure:
        say(f"The import stopped: {work.failure}", "red")
    return INTERRUPTED if work.is_stopping and not work.failure else summary.status(files)


@contextmanager
def rejects_kept(settings: Settings, *, is_kept: bool = True) -> Iterator[Reasons]:
    """What stores rejects: in the place that the settings name, or in a file here."""
    if not is_kept:
        yield Reasons(None)
    elif settings.rejects:
        yield Reasons(RejectStore(settings.rejects).for_source)
    else:
        with FileSink(_REJECTS_SAID) as file:
            yield Reasons(lambda _: file)


def _say_how_to_go_on(work: Work, files: Sequence[File], how: How) -> None:
    skipped = [file for file in files if file.state == "skipped"]
    if skipped:
        was, it = either(len(skipped), "was it", "were them").split()
        say(f"{len(skipped):,} of {len(files):,} {was} imported before; --again imports {it} again.")
    left = [file for file in files if file.state in {"waiting", "stopped", "handed back", "importing"}]
    if not left or not work.is_stopping:
        return
    if not how.keeps or any(file.entry.address == STANDARD_INPUT for file in left):
        say("It was stopped, and is to be done from the beginning: sending events a second time is safe.", "yellow")
    else:
        say(
            f"{len(left):,} of {len(files):,} {either(len(left), 'is', 'are')} not finished: "
            "the same command goes on from there.",
            "yellow",
        )
