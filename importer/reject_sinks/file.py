"""Rejects in a file here: lines of JSON."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from importer.core.rejects.reject import Reject
from importer.errors import RejectSinkError


class FileSink:
    """Stores rejects in a file of the current folder, made when there is one to store. Leaving its block closes it.

    Safe to use from several threads.

    Attributes:
        path: the file's.
    """

    def __init__(self, said: str = "What is rejected again is written to {}.") -> None:
        self.path = Path(f"rejects-{datetime.now(UTC):%Y%m%dT%H%M%S}.jsonl")
        self._said = said
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # on a full disk: of what could not be written, `store` has told
                self._file.close()

    def store(self, rejects: Sequence[Reject]) -> None:
        """See `core.rejects.reject.RejectSink`."""
        with self._lock:
            try:
                self._store(rejects)
            except OSError as error:
                raise RejectSinkError(f"{self.path}: {error.strerror}") from error

    def _store(self, rejects: Sequence[Reject]) -> None:
        if self._file is None:
            self._file = self.path.open("ab")
            print(self._said.format(self.path), file=sys.stderr)
        self._file.writelines(msgspec.json.encode(one) + b"\n" for one in rejects)
        self._file.flush()
        os.fsync(self._file.fileno())
