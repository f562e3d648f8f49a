"""Rejects in a file here: lines of JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from importer.core.rejects import Reject
from importer.errors import RejectSinkError


class FileSink:
    """Stores rejects in a file of the current folder, made when there is one to store. Leaving its block closes it."""

    def __init__(self) -> None:
        self._path = Path(f"rejects-{datetime.now(UTC):%Y%m%dT%H%M%S}.jsonl")
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def store(self, rejects: Sequence[Reject]) -> None:
        """See `rejects.RejectSink`."""
        try:
            if self._file is None:
                self._file = self._path.open("ab")
                print(f"What is rejected again is written to {self._path}.", file=sys.stderr)
            self._file.writelines(msgspec.json.encode(one) + b"\n" for one in rejects)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RejectSinkError(f"{self._path}: {error.strerror}") from error
