"""`profile`: what would be tracked, and what Mixpanel's limits and advice say of it. Nothing is sent."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from importer.commands.interrupts import INTERRUPTED, stopped_by_signals
from importer.commands.looking import Looking
from importer.commands.options import Command, as_json, settings_here
from importer.commands.places import entries
from importer.commands.terminal import say, show_json
from importer.commands.work import File
from importer.errors import SettingsError
from importer.profile.advice import FIRST_LINE
from importer.settings import Settings

if TYPE_CHECKING:
    from importer.profile.profiler import Profiler


@click.command(
    cls=Command,
    short_help="Say what would be tracked, and what is odd about it.",
    examples=[
        "profile events.jsonl.gz",
        "profile gs://my-events/2025/06/ --sample 0.1 --html profile.html",
        "profile export.csv --mapping segment --write-filters mapping.toml",
        "profile --limit 100000 --json 'exports/*.parquet'",
    ],
)
@click.argument("places", nargs=-1, required=True, metavar="SOURCE…")
@click.option(
    "--sample",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    metavar="SHARE",
    help="Look at a share of the records, such as 0.1.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N records of each file.")
@click.option("--write-filters", metavar="FILE", help="Write a mapping file (*.toml) that mends what is found.")
@click.option("--html", "html", metavar="FILE", help="Write one page with plots that opens anywhere.")
@as_json
def command(
    places: tuple[str, ...],
    sample: float,
    limit: int | None,
    write_filters: str | None,
    html: str | None,
    as_json: bool,
) -> int:
    """Looks at all events of the sources, and says what would be tracked: events, properties, users; and what does not
    go well with Mixpanel, with the lines of a mapping file that mend it. Nothing is sent.

    A SOURCE is what `import` takes. Without IMPORT_MAPPING each record's shape is recognised (auto). Ends with 1 where
    there is something to look at.
    """
    settings = settings_here(sends=False)
    _check_paths(write_filters, html)
    files = [File(entry) for entry in entries(places, settings)]
    if not files:
        say("IMPORT_INCLUDE and IMPORT_EXCLUDE leave nothing to look at.")
        return 0
    # Decoded events are no garbage: looking for it among them would take a third of the time.
    gc.set_threshold(100_000, 50, 100)
    return _profiled(settings, files, sample, limit, write_filters, html, as_json=as_json)


def _profiled(
    settings: Settings,
    files: Sequence[File],
    sample: float,
    limit: int | None,
    write_filters: str | None,
    html: str | None,
    *,
    as_json: bool,
) -> int:
    from importer.commands.profile_view import show  # noqa: PLC0415

    profiler = _profiler(settings, sample)
    looking = Looking(files, settings, limit, is_quiet=as_json)
    with stopped_by_signals(looking.stop, "Stopping: what was read so far is shown."), looking.shown():
        begun: File | None = None
        for file, block in looking.blocks():
            if file is not begun:
                profiler.begin(file.entry.address)
                begun = file
            profiler.add(block, file.entry.address)
    for file in files:
        if file.reason or file.state != "done":
            profiler.end(file.entry.address, file.reason or "not read to its end")
    profile = profiler.profile()
    if write_filters:
        _write(write_filters, profiler.filters(profile))
        say(f"The mapping file is {write_filters}: look at its lines, then set IMPORT_MAPPING={write_filters}")
    if html:
        from importer.profile.html import page  # noqa: PLC0415

        _write(html, page(profile))
        say(f"The page is {html}")
    if as_json:
        show_json(profile)
    else:
        show(profile)
    if looking.is_stopping:
        return INTERRUPTED
    if any(file.state == "unreadable" for file in files):
        return 2 if not profile.count else 1
    return int(any(one.level != "note" for one in profile.findings))


def _profiler(settings: Settings, sample: float) -> Profiler:
    try:
        from importer.profile.profiler import How, Profiler  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"datasketches", "numpy"}:
            raise
        raise SettingsError(
            "a profile takes the package datasketches: pip install 'mixpanel-importer[profile]'"
        ) from None
    return Profiler(How(settings.mapping or "auto", settings.transform, os.environ, sample))


def _check_paths(write_filters: str | None, html: str | None) -> None:
    """Says what is wrong with where something is to be written before all of the data is read for it.

    Raises:
        SettingsError: something is.
    """
    if write_filters and not write_filters.endswith(".toml"):
        raise SettingsError(f"--write-filters is {write_filters}, and a mapping file's name ends in .toml.")
    for path in filter(None, (write_filters, html)):
        folder = Path(path).parent
        if not folder.is_dir():
            raise SettingsError(f"{path} cannot be written: there is no folder {folder}.")
        if Path(path).is_dir():
            raise SettingsError(f"{path} cannot be written: it is a folder.")
        if Path(path).is_file() and not _is_ours(path):
            raise SettingsError(f"{path} is there already, and no profile wrote it: give another name.")


def _is_ours(path: str) -> bool:
    """Whether an earlier profile wrote a file, so that another may take its place."""
    try:
        with Path(path).open("rb") as file:
            return file.read(100).startswith((FIRST_LINE.encode(), b"<!doctype html>")) or not (
                Path(path).stat().st_size
            )
    except OSError:
        return False


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}.") from None
