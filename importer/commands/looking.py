"""Files that are read to be looked at: one after the other, and nothing of them is sent."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from importer.commands.places import opened
from importer.commands.terminal import duration, moving, number_of, say
from importer.commands.watched import Watched
from importer.commands.work import File
from importer.formats.content import Content
from importer.objects import DOWNLOAD_SECONDS, reason_of
from importer.records import Block, first_records
from importer.settings import Settings


class Looking:
    """Reads files, and shows how far it has come.

    Args:
        files: what is read. How each ended, it says itself: `done`, `unreadable` or `stopped`, with the reason.
        settings: how they are read.
        most: records of each, at most; by default all.
        is_quiet: whether nothing is shown.
    """

    def __init__(
        self, files: Sequence[File], settings: Settings, most: int | None = None, *, is_quiet: bool = False
    ) -> None:
        self._files = files
        self._settings = settings
        self._most = most
        self._is_quiet = is_quiet
        self._records = 0
        self._started = time.monotonic()
        self.is_stopping = False

    def stop(self) -> None:
        """Has no more read."""
        self.is_stopping = True

    def blocks(self) -> Iterator[tuple[File, Block]]:
        """The blocks of records of all files. What cannot be read costs itself alone."""
        for file in self._files:
            if self.is_stopping:
                return
            file.state, file.began = "importing", time.monotonic()
            try:
                content = Content(Watched(opened(file.entry, self._settings, DOWNLOAD_SECONDS), file), rows="records")
                blocks = content.blocks() if self._most is None else first_records(content.blocks(), self._most)
                for block in blocks:
                    yield file, block
                    self._records += len(block.records)
                    if self.is_stopping:
                        file.state = "stopped"
                        return
            except Exception as error:
                file.state, file.reason = "unreadable", reason_of(error)
                say(f"{file.entry.address} is unreadable: {file.reason}", "red")
            else:
                file.state = "done"

    def shown(self) -> AbstractContextManager[None]:
        """Within it, it is seen how it goes."""
        return moving(self.total, is_quiet=self._is_quiet)

    def total(self) -> str:
        """One line on all of it."""
        ended = sum(file.state not in {"waiting", "importing"} for file in self._files)
        seconds = time.monotonic() - self._started
        parts = [f"{ended:,} of {number_of(len(self._files), 'file')}", number_of(self._records, "record")]
        size = sum(file.entry.size for file in self._files)
        read = sum(min(file.bytes, file.entry.size) for file in self._files)
        if size and read and self._most is None:
            parts.append(f"{read / size:.0%}")
            if seconds > 1:
                parts.append(f"{duration((size - read) * seconds / read)} left")
        return ", ".join(parts)
