"""Backfill: history into Mixpanel, the newest day first, for as long as it takes.

What is done, receipts say; of what is being done, leases. So it can be stopped at any time, and go on in a week, and
several of it share the work: the tasks of a Cloud Run job, or two of them by mistake.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime

import click
import msgspec

from importer.commands.days import Bounds, Day, chosen, say_plan, show, show_for_machines
from importer.commands.import_files import rejects_kept
from importer.commands.interrupts import INTERRUPTED, stopped_by_signals
from importer.commands.options import Command, as_json, settings_here
from importer.commands.places import entries
from importer.commands.progress import Progress
from importer.commands.state import with_state
from importer.commands.summary import failure
from importer.commands.terminal import count, either, number_of, say, sentences
from importer.commands.work import AT_ONCE, File, How, Reasons, Work
from importer.core.pipeline import Pipeline
from importer.errors import SettingsError
from importer.settings import Settings
from importer.storage.leases import Leases
from importer.storage.receipts import Receipts
from importer.storage.store import Entry, store

_WAIT = 1.0
"""Seconds after which it is looked again whether others have finished what they had begun."""


@click.command(
    cls=Command,
    short_help="Import history, the newest day first.",
    examples=[
        "backfill gs://my-archive/events/ --days 30",
        "backfill gs://my-archive/events/ --since 2024-01-01 --events-per-second 10000",
        "backfill gs://my-archive/exports/ --pattern 'export-DD.MM.YYYY' --yes",
    ],
)
@click.argument("prefix")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="The first day (2024-01-31).")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="The last day.")
@click.option("--days", type=click.IntRange(1), metavar="N", help="Only the newest N days.")
@click.option(
    "--pattern", metavar="TEXT", help="How names tell days, with YYYY, MM and DD; found by itself where usual."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--at-once", type=click.IntRange(1, 64), default=AT_ONCE, metavar="N", help=f"Objects at a time ({AT_ONCE})."
)
@as_json
def command(
    prefix: str,
    since: datetime | None,
    until: datetime | None,
    days: int | None,
    pattern: str | None,
    yes: bool,
    at_once: int,
    as_json: bool,
) -> int:
    """Imports all objects at PREFIX (gs://bucket/prefix, s3://…, or a folder), the newest day first.

    It says first what there is to do and what that takes, and asks. Stop it whenever you like: the same command goes on
    where it was, in a week, too. Several of it share the work, as the tasks of a Cloud Run job do.
    """
    settings = with_state(_shared(settings_here(), os.environ))
    found = entries([prefix], settings)
    wanted = chosen(found, pattern, Bounds.of(since, until, days))
    receipts = Receipts(store(settings.checkpoints or ""), settings.checkpoints or "", prefix)
    receipts.tidy()
    left = [Day(name, [one for one in each if not receipts.is_done(one.source)]) for name, each in wanted.items()]
    left = [day for day in left if day.entries]
    total = sum(map(len, wanted.values()))
    say_plan(total, left, settings)
    if not left:
        if as_json:
            show_for_machines(left, Reasons(None))
        return 0
    if not yes and not _is_wanted():
        return 2
    return _backfilled(settings, left, at_once, as_json=as_json)


def _is_wanted() -> bool:
    if not sys.stdin.isatty():
        say("There is no terminal to ask in, so nothing is imported: --yes goes on without asking.")
        return False
    return click.confirm("Go on?", err=True)


def _backfilled(settings: Settings, left: Sequence[Day], at_once: int, *, as_json: bool) -> int:
    place = settings.checkpoints or ""
    with rejects_kept(settings) as reasons, Leases(store(place), place) as leases:
        work = Work(Pipeline(settings), reasons, Progress([]), How(at_once), leases)
        with sentences(), stopped_by_signals(work.stop):
            for number, day in enumerate(left, 1):
                _import(
                    work,
                    day,
                    [File(one) for one in _in_our_order(day.entries)],
                    f"{number:,} of {number_of(len(left), 'day')}",
                )
            _wait_for_others(work, left)
    if as_json:
        show_for_machines(left, reasons, **failure(work.failure))
    else:
        show(left, reasons)
    unfinished = sum(day.unfinished for day in left)
    if work.failure:
        say(f"The backfill stopped: {work.failure}", "red")
    if unfinished:
        say(
            f"{number_of(unfinished, 'object')} {either(unfinished, 'is', 'are')} not finished: "
            "the same command goes on from there.",
            "yellow",
        )
    if work.is_stopping and not work.failure:
        return INTERRUPTED
    return 2 if unfinished else int(any(day.report.rejected for day in left))


def _import(work: Work, day: Day, files: Sequence[File], of: str) -> None:
    """Imports some objects of a day. The next day begins when each of them has come to its end."""
    if work.is_stopping:
        return
    started = time.monotonic()
    work.watcher = progress = Progress(files, f"{day.name} ({of})", is_each=False)
    with progress.shown():
        work.all(files)
    day.add(files, time.monotonic() - started)
    say(f"{progress.total()}{', others have ' + count(len(day.leased)) if day.leased else ''}")


def _wait_for_others(work: Work, left: Sequence[Day]) -> None:
    """Sees to it that what others had begun is finished: if they do not, this does."""
    while not work.is_stopping and (waiting := [day for day in left if day.leased]):
        for day in waiting:
            started = time.monotonic()
            files = [File(one.entry) for one in day.leased]
            work.watcher = Progress(files, is_quiet=True)
            work.all(files)
            day.add(files, time.monotonic() - started)
        if not work.is_stopping and any(day.leased for day in left):
            time.sleep(_WAIT)


def _in_our_order(found: Sequence[Entry]) -> list[Entry]:
    """Where several tasks share the work, each begins with a share of its own, so that they do not meet."""
    task, tasks = _task(os.environ)
    shares: list[list[Entry]] = [[] for _ in range(tasks)]
    for one in found:
        shares[zlib.crc32(one.source.encode()) % tasks].append(one)
    return [one for share in [*shares[task:], *shares[:task]] for one in share]


def _shared(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """The settings of one task: of a ceiling that is meant for all of them, it has its part."""
    _, tasks = _task(environment)
    if not settings.events_per_second or tasks == 1:
        return settings
    return msgspec.structs.replace(settings, events_per_second=settings.events_per_second / tasks)


def _task(environment: Mapping[str, str]) -> tuple[int, int]:
    """Which task of a Cloud Run job this is, and of how many:
    https://cloud.google.com/run/docs/container-contract#jobs-env-vars"""
    try:
        task, tasks = (
            int(environment.get(f"CLOUD_RUN_TASK_{name}", one)) for name, one in (("INDEX", 0), ("COUNT", 1))
        )
    except ValueError:
        raise SettingsError("CLOUD_RUN_TASK_INDEX and CLOUD_RUN_TASK_COUNT must be whole numbers.") from None
    return (task, tasks) if 0 <= task < tasks else (0, 1)
