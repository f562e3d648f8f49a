"""What is named on a command line: files, folders and globs, of a disk or a bucket, and standard input."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

from importer.errors import SourceGone, StorageError
from importer.records import Readable
from importer.settings import Settings
from importer.storage.globs import matches
from importer.storage.local import StandardInput
from importer.storage.selection import skip_reason
from importer.storage.store import Entry, Patience, split, store

STANDARD_INPUT = "-"
_GLOB = frozenset("*?[")


def entries(places: Iterable[str], settings: Settings) -> list[Entry]:
    """What lies at the places, each once, in the order in which they are named.

    Args:
        places: paths, folders, `gs://bucket/name`, what names in a bucket begin with, globs of these; `-` for standard
            input.
        settings: what they leave out is left out.

    Raises:
        SourceGone: there is nothing at one of them.
        StorageError: one cannot be looked at.
    """
    found: dict[str, Entry] = {}
    for place in places:
        there = [*_at(place, settings)]
        if not there:
            raise SourceGone(_nothing_at(place))
        found |= {entry.source: entry for entry in there if not skip_reason(entry.address, settings)}
    return [*found.values()]


def opened(entry: Entry, settings: Settings, seconds: float) -> Readable:
    """The object of an entry, as it is now.

    Args:
        seconds: for which a read is tried again.

    Raises:
        SourceGone: there is none any more.
        StorageError: it cannot be looked at.
    """
    if entry.address == STANDARD_INPUT:
        return StandardInput()
    if _is_pipe(entry.address):
        try:
            return StandardInput(Path(entry.address).open("rb"), entry.address)
        except OSError as error:
            raise StorageError(f"{entry.address} cannot be read: {error.strerror or error}") from error
    return store(entry.address, Patience(seconds, settings.timeout, settings.backoff)).open(entry.address)


def _at(place: str, settings: Settings) -> Iterator[Entry]:
    if place == STANDARD_INPUT:
        yield Entry(STANDARD_INPUT, "standard input", 0, time.time())
    elif "://" in place:
        yield from _in_bucket(place, settings)
    elif _is_pipe(place):
        yield Entry(place, place, 0, time.time())
    elif _GLOB & {*place} and not Path(place).exists():
        for path in sorted(glob(place, recursive=True)):
            if Path(path).is_file():
                yield from store(path).entries(path)
    else:
        yield from store(place).entries(place)


def _is_pipe(place: str) -> bool:
    """Whether it is read as standard input is, such as what a shell makes of `<(zcat events.gz)`."""
    path = Path(place)
    return "://" not in place and path.exists() and not path.is_file() and not path.is_dir()


def _in_bucket(place: str, settings: Settings) -> Iterator[Entry]:
    """One object, if there is one of this very name; else those whose names begin so, or match."""
    objects = store(place, Patience(timeout=settings.timeout, backoff=settings.backoff))
    plain = place
    if _GLOB & {*split(place)[1]}:
        plain = place[: min(place.index(sign) for sign in _GLOB if sign in place)]
    found = objects.entries(plain)
    if plain != place:
        yield from (entry for entry in found if matches(split(entry.address)[1], [split(place)[1]]))
        return
    for entry in found:  # in the order of their names: the very one comes first
        yield entry
        if entry.address == place:
            return


def _nothing_at(place: str) -> str:
    if "://" in place:
        return f"there is nothing at {place}: no object's name begins so, or matches"
    if _GLOB & {*place}:
        return f"there is nothing at {place}: no file's path matches"
    return f"there is no file or folder {place}" if not Path(place).exists() else f"there is no file in {place}"
