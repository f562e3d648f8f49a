"""The files that are imported: made once, kept outside the project, the same on every machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, cast

import msgspec
from isal import igzip
from msgspec import Struct
from msgspec.structs import asdict, replace

from importer.mappings import ready
from sandbox import vendors
from sandbox.events import Events, Shape

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mixpanel-importer-bench"
"""What is made or installed for benchmarks, and not worth to be made again each time."""


Layout = Literal["lines", "crlf", "blank lines", "array", "array of lines", "pretty array"]
"""How the events lie in the file. Of blank lines there is one in `_BLANK_EVERY`."""

_BLANK_EVERY = 200
_AT_A_TIME = 500


class File(Protocol):
    """A file that is imported; hashable, equal where the file is the same."""

    @property
    def events(self) -> int:
        """How many there are, good and bad."""

    @property
    def bad_share(self) -> float:
        """The part of them that are bad."""

    def path(self) -> Path:
        """The file, made if it is not there yet."""

    def bytes(self) -> int:
        """The uncompressed size of its events as lines."""


class Sample(Struct, frozen=True):
    """A file of `count` events, as often as `times` says; for the rest see `sandbox.events.Events`.

    Attributes:
        vendor: whose records it holds, `count` of them (see `sandbox.vendors`); None for Mixpanel's own events.
        ips: whether events have an `ip`: complete ones do, since the importer adds one to those that have none.
    """

    count: int
    shape: Shape = "dense"
    bad_share: float = 0.0
    insert_ids: bool = True
    gzip: bool = False
    seed: int = 1
    times: int = 1
    layout: Layout = "lines"
    ips: bool = True
    vendor: str | None = None

    @property
    def events(self) -> int:
        """How many there are, good and bad; of a vendor's records, those that its mapping makes."""
        return (_made(self.path(), self.vendor) if self.vendor else self.count) * self.times

    def path(self) -> Path:
        """The file, made if it is not there yet."""
        CACHE.mkdir(parents=True, exist_ok=True)
        name = "-".join(str(value).lower().replace(" ", "_") for value in asdict(self).values())
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
        if self.gzip:
            with igzip.IGzipFile("", "wb", 1, file, 0) as compressing:  # type: ignore[no-untyped-call]
                self._lay(cast(BinaryIO, compressing))
        else:
            self._lay(file)

    def _lay(self, file: BinaryIO) -> None:
        start, between, end = _LAYOUTS[self.layout]
        file.write(start)
        records = _records(self)
        first = True
        while some := list(islice(records, _AT_A_TIME)):
            file.write((b"" if first else between) + between.join(some))
            first = False
        file.write(end)


@cache
def _made(path: Path, vendor: str) -> int:
    """How many events a vendor's file holds."""
    to_mixpanel = ready.module(vendor).to_mixpanel
    with path.open("rb") as file:
        return sum(isinstance(one, dict) for line in file for one in to_mixpanel(line.rstrip(b"\n")))


_LAYOUTS: dict[Layout, tuple[bytes, bytes, bytes]] = {
    "lines": (b"", b"\n", b"\n"),
    "crlf": (b"", b"\r\n", b"\r\n"),
    "blank lines": (b"", b"\n", b"\n"),
    "array": (b"[", b",", b"]"),
    "array of lines": (b"[\n", b",\n", b"\n]\n"),
    "pretty array": (b"[\n", b",\n", b"\n]\n"),
}
"""What stands before the events, between them, and after them."""


def _records(sample: Sample) -> Iterator[bytes]:
    if sample.vendor:
        yield from vendors.records(sample.vendor, sample.count, sample.seed)
        return
    events = Events(sample.count, sample.shape, sample.seed, bad_share=sample.bad_share, insert_ids=sample.insert_ids)
    for number, record in enumerate(events.records()):
        if sample.ips:
            record = record.replace(b'"time":', b'"ip":"198.51.100.%d","time":' % (number % 256), 1)
        if sample.layout == "pretty array":
            record = b"  " + msgspec.json.format(record, indent=2).replace(b"\n", b"\n  ")
        elif sample.layout == "blank lines" and number % _BLANK_EVERY == 0:
            record = b"\n" + record
        yield record
