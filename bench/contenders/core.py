"""The import core alone: from a local file to Mixpanel, in a process of its own.

    python -m bench.contenders.core FILE [--without-end] [--unpaced]

with the importer's settings in the environment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bench.contenders.child import Counted, measured
from importer import bootstrap, log
from importer.core.ordered.run import Limits
from importer.core.ordered.run import run as import_blocks
from importer.core.pipeline import Pipeline
from importer.formats.content import Content
from importer.formats.held import Stream
from importer.limits import CHUNK_BYTES
from importer.mixpanel.client.rate_limit import RateLimiter

PATIENCE = 300.0


def run(pipeline: Pipeline, chunks: Iterator[bytes], source: str) -> Counted:
    """Imports them all.

    Raises:
        HandedBack: Mixpanel did not take them.
    """
    limits = Limits(PATIENCE)
    report = import_blocks(pipeline, source, Content(Stream(chunks)).blocks(), None, limits)
    return Counted(report.read, report.bytes + report.read)


def chunks_of(path: Path, *, without_end: bool = False) -> Iterator[bytes]:
    """A file in the pieces that a download comes in; if asked, from its start again whenever it ends."""
    with path.open("rb") as file:
        while True:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
            if not without_end:
                return
            file.seek(0)


def change_one_property(event: dict[str, object]) -> dict[str, object]:
    """A transform as most are: one property, changed."""
    event["properties"]["imported_by"] = "bench"  # type: ignore[index]
    return event


def no_pace(_pace: RateLimiter, _events: int) -> float:
    """In place of `RateLimiter.acquire`: each sender goes at once, and sleeps by itself when it is refused."""
    return 0.0


def main() -> None:
    """Imports the file that the command line names."""
    if "--unpaced" in sys.argv:
        RateLimiter.acquire = no_pace  # type: ignore[assignment, method-assign]
    settings = bootstrap.settings()
    log.configure("ERROR")
    path = Path(sys.argv[1])
    chunks = chunks_of(path, without_end="--without-end" in sys.argv)
    pipeline = Pipeline(settings)
    measured(lambda: run(pipeline, chunks, path.name))
    pipeline.close()


if __name__ == "__main__":
    main()
