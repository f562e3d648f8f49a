"""The floor: what any importer in Python has to do with an event, and nothing else: split, check, gzip. No network.

python -m bench.contenders.floor FILE
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from isal import igzip_lib
from msgspec import Struct, field

from bench.contenders.child import Counted, measured

_CHUNK = 1 << 18
_BATCH = 2000


class _Properties(Struct, gc=False):
    time: int | float
    distinct_id: str | int | float
    insert_id: str | None = field(name="$insert_id", default=None)


class _Event(Struct, gc=False):
    event: str
    properties: _Properties


def run(path: Path) -> Counted:
    """Does it with every line of a file."""
    check = msgspec.json.Decoder(_Event).decode
    counted = Counted()
    batch: list[bytes] = []
    for line in _lines(path):
        check(line)
        batch.append(line)
        if len(batch) == _BATCH:
            _pack(batch, counted)
            batch = []
    if batch:
        _pack(batch, counted)
    return counted


def _lines(path: Path) -> Iterator[bytes]:
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            lines = (tail + chunk).split(b"\n")
            tail = lines.pop()
            yield from lines
    if tail:
        yield tail


def _pack(batch: list[bytes], counted: Counted) -> None:
    text = b"\n".join(batch)
    counted.events += len(batch)
    counted.bytes += len(text) + len(batch)
    counted.requests += 1
    counted.wire += len(igzip_lib.compress(text, 1, igzip_lib.COMP_GZIP))


if __name__ == "__main__":
    measured(lambda: run(Path(sys.argv[1])))
