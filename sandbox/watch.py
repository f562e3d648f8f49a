"""Notices files that are new or changed, by looking at them again and again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_State = tuple[int, int]
"""A file's time of change (nanoseconds) and size (bytes)."""


class Changes:
    """Tells which of the files that `find` names have changed, appeared or gone since it was made.

    A change counts once the file was found the same twice in a row: a file that is being written is not told of yet.
    """

    def __init__(self, find: Callable[[], Iterable[Path]]) -> None:
        self._find = find
        self._seen = self._look()
        self._told = dict(self._seen)

    def settled(self) -> list[Path]:
        """Looks, and gives what has changed and settled since it was last told of."""
        now = self._look()
        found = [
            path
            for path in sorted(now.keys() | self._told.keys())
            if now.get(path) != self._told.get(path) and now.get(path) == self._seen.get(path)
        ]
        self._seen = now
        for path in found:
            if path in now:
                self._told[path] = now[path]
            else:
                del self._told[path]
        return found

    def follow(self) -> None:
        """Takes what `find` names anew as known, and forgets what it names no more: neither is a change."""
        now = self._look()
        for known in (self._seen, self._told):
            for path in known.keys() - now.keys():
                del known[path]
            known.update({path: now[path] for path in now.keys() - known.keys()})

    def _look(self) -> dict[Path, _State]:
        states = {}
        for path in self._find():
            try:
                status = path.stat()
            except OSError:
                continue
            states[path] = (status.st_mtime_ns, status.st_size)
        return states


def files_under(folder: Path) -> Iterator[Path]:
    """The files in a folder and its folders, less those that are hidden or an editor's backups."""
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and not name.endswith("~"):
                yield Path(directory, name)
