"""The files that are imported: made once, kept outside the project, the same on every machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import asdict, replace

from sandbox.events import Events, Shape

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mixpanel-importer-bench"
"""What is made or installed for benchmarks, and not worth to be made again each time."""


class Sample(Struct, frozen=True):
    """A file of `count` events, as often as `times` says; for the rest see `sandbox.events.Events`."""

    count: int
    shape: Shape = "dense"
    bad_share: float = 0.0
    insert_ids: bool = True
    gzip: bool = False
    seed: int = 1
    times: int = 1

    @property
    def events(self) -> int:
        """How many there are, good and bad."""
        return self.count * self.times

    def path(self) -> Path:
        """The file, made if it is not there yet."""
        CACHE.mkdir(parents=True, exist_ok=True)
        name = "-".join(str(value).lower() for value in asdict(self).values())
        path = CACHE / f"events-{name}.jsonl{'.gz' if self.gzip else ''}"
        if not path.exists():
            unfinished = path.with_name(f"{path.name}.{os.getpid()}")
            with unfinished.open("wb") as file:
                self._write(file)
            unfinished.replace(path)
        return path

    def bytes(self) -> int:
        """Its uncompressed size."""
        return replace(self, gzip=False).path().stat().st_size

    def _write(self, file: BinaryIO) -> None:
        if self.times > 1:
            once = replace(self, times=1).path().read_bytes()
            for _ in range(self.times):
                file.write(once)
            return
        events = Events(self.count, self.shape, self.seed, bad_share=self.bad_share, insert_ids=self.insert_ids)
        events.write(file, gzip=self.gzip)
