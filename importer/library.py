"""The importer as a library: records, a file or many files into Mixpanel, from anybody's process.

The parts that send are made once for a process and its settings, and kept: also in a process that was forked from one
that has them, which makes its own. Nothing global is touched; the log is the standard library's (see `log`).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from importer import log
from importer.core.ordered.run import run
from importer.core.pipeline import Pipeline
from importer.core.rejects.reject import RejectSink
from importer.core.report import HandedBack, Report
from importer.errors import SourceGone
from importer.limits import CHUNK_BYTES
from importer.objects import DOWNLOAD_SECONDS, Imported, OnProgress, import_object, limits, told
from importer.records import Block, Readable
from importer.reject_sinks.place import RejectStore
from importer.settings import Settings, from_environment, not_settings
from importer.storage.checkpoints import Resumable, checkpoints_of
from importer.storage.store import Patience, store

_MAX_BLOCK_RECORDS = 1_000


def settings_from(variables: Mapping[str, str]) -> Settings:
    """Reads the settings out of variables, such as `os.environ`, by the names that README.md lists.

    A name that looks like a setting and is none is warned of in the log.

    Raises:
        SettingsError: one is missing, malformed, or contradicts another.
    """
    settings = from_environment(variables)
    for sentence in not_settings(variables):
        log.get().warning(sentence, kind="settings")
    return settings


def import_records(
    records: Iterable[bytes],
    *,
    source: str,
    settings: Settings,
    rejects: RejectSink | None = None,
    time_limit: float | None = None,
    on_progress: OnProgress | None = None,
    on_wait: Callable[[float], None] | None = None,
) -> Report:
    """Imports records, each the bytes of one JSON object.

    Args:
        records: read as they are needed; no more than a few thousand are held.
        source: what rejects say they came from; the line of a reject is the number of its record, the first being 1.
        settings: see `settings_from`.
        rejects: where rejects are stored; by default the place that `IMPORT_REJECTS` names, or the log alone.
        time_limit: seconds that this may take; by default what the settings say.
        on_progress: is told the counts so far, twice a second at most.
        on_wait: is told the seconds of each wait for the rate limit, on a thread of the importer's.

    Returns:
        What became of the records: each is imported, dropped, or a reject that is stored.

    Raises:
        HandedBack: not all of them are; its `report` says how many. Doing all of it again is safe.
        SettingsError: the settings name something that cannot be loaded.
    """
    started = time.monotonic()
    pipeline, reject_store = _parts(settings, on_wait)
    report = Report()
    blocks = told(_blocks(records), report, on_progress)
    sink = rejects or reject_store.for_source(source)
    return run(pipeline, source, blocks, sink, limits(settings, started, time_limit), report)


def import_file(
    address: str,
    *,
    settings: Settings,
    rejects: RejectSink | None = None,
    again: bool = False,
    time_limit: float | None = None,
    on_progress: OnProgress | None = None,
    on_wait: Callable[[float], None] | None = None,
) -> Report:
    """Imports a file: any format that is known, compressed or not.

    With `IMPORT_CHECKPOINTS`, it goes on where it was handed back, and a file that was imported to its end is not read
    again: then the report has nothing in it.

    Args:
        address: `gs://bucket/name`, `s3://bucket/key`, or a path.
        again: whether a file that was imported before is imported again.
        settings, rejects, time_limit, on_progress, on_wait: see `import_records`.

    Returns:
        What became of its records; `unreadable` says why it could not be read to its end, if it could not.

    Raises:
        SourceGone: there is no such file, or it was overwritten or deleted meanwhile.
        StorageError: it cannot be looked at.
        HandedBack, SettingsError: see `import_records`.
    """
    started = time.monotonic()
    pipeline, reject_store = _parts(settings, on_wait)
    reading = _opened(address, settings)
    source = reading.source if isinstance(reading, Resumable) else reading.name
    try:
        imported = import_object(
            pipeline,
            reading,
            source,
            rejects or reject_store.for_source(source),
            limits(settings, started, time_limit),
            checkpoints_of(reading, settings) if isinstance(reading, Resumable) else None,
            again=again,
            on_progress=on_progress,
        )
    except HandedBack as handed_back:
        Imported("handed back", handed_back.report, str(handed_back)).log(source)
        raise
    imported.log(source)
    if imported.outcome == "gone":
        raise SourceGone(f"{source}: {imported.reason}")
    return imported.report


def import_files(
    addresses: Iterable[str],
    *,
    settings: Settings,
    rejects: RejectSink | None = None,
    again: bool = False,
    on_progress: OnProgress | None = None,
) -> dict[str, Report]:
    """Imports files, one after the other; an address may also be a folder, or what names in a bucket begin with.

    Returns:
        The report of each, by its address. `sum(reports.values(), Report())` is that of all.

    Raises:
        SourceGone: there is nothing at one of the addresses; nothing was imported.
        HandedBack, StorageError, SettingsError: see `import_file`; the files before are done, and doing all of them
            again is safe.
    """
    files = [file for address in addresses for file in _files(address)]
    return {
        file: import_file(file, settings=settings, rejects=rejects, again=again, on_progress=on_progress)
        for file in files
    }


def _opened(address: str, settings: Settings) -> Readable:
    try:
        return store(address, Patience(DOWNLOAD_SECONDS, settings.timeout, settings.backoff)).open(address)
    except SourceGone:
        raise SourceGone(f"there is nothing at {address}") from None


def _files(address: str) -> list[str]:
    found = [*store(address).list(address)]
    if not found:
        raise SourceGone(f"there is nothing at {address}")
    return found


def _blocks(records: Iterable[bytes]) -> Iterator[Block]:
    """The records, some at a time; each counts as a line of its own."""
    some: list[bytes] = []
    line, offset, size = 1, 0, 0
    for record in records:
        if not isinstance(record, bytes):
            raise TypeError(f"a record is bytes, and this is {type(record).__name__}")
        some.append(record)
        size += len(record) + 1
        if size >= CHUNK_BYTES or len(some) >= _MAX_BLOCK_RECORDS:
            yield Block(some, line, offset, size)
            line, offset = line + len(some), offset + size
            some, size = [], 0
    if some:
        yield Block(some, line, offset, size)


_LOCKS: dict[int, threading.Lock] = {}


def _parts(settings: Settings, on_wait: Callable[[float], None] | None = None) -> tuple[Pipeline, RejectStore]:
    """What sends, of this process. A lock of the process that it was forked from may be held there for ever."""
    process = os.getpid()
    with _LOCKS.setdefault(process, threading.Lock()):
        made = _made(process, settings)
    if on_wait:
        made[0].tell_waits(on_wait)
    return made


@cache
def _made(_process: int, settings: Settings) -> tuple[Pipeline, RejectStore]:
    return Pipeline(settings), RejectStore(settings.rejects)
