"""The command line: `python -m importer replay PLACE …`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import msgspec

from importer import log
from importer.commands.replay import Replay, replay
from importer.core.pipeline import Pipeline
from importer.core.rejects import Reject, RejectSink
from importer.errors import DeliveryError, RejectSinkError, SettingsError, Unreadable
from importer.reject_sinks.place import sinks
from importer.settings import Settings, from_environment

_CHUNK_BYTES = 1 << 20


class _File(Protocol):
    """A file of rejects, wherever it lies."""

    @property
    def name(self) -> str: ...

    def chunks(self) -> Iterator[bytes]: ...

    def remove(self) -> None: ...


def main() -> int:
    """Runs one command.

    Returns:
        The exit status: 0 when everything was imported, 1 when some was refused again or could not be read, 2 when
        Mixpanel did not take it, a bucket cannot be looked into or the settings are wrong.
    """
    given = _arguments()
    try:
        settings = from_environment(os.environ)
        log.configure("ERROR")
        files = [file for place in given.places for file in _files(place)]
        if not files:
            print(f"There is nothing at {', '.join(given.places)}.", file=sys.stderr)
            return 1
        return asyncio.run(_replay(settings, files, remove=given.remove))
    except (SettingsError, DeliveryError, Unreadable) as error:
        print(f"The replay stopped: {error}", file=sys.stderr)
        return 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m importer", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "replay",
        help="send rejects again, after their cause was mended",
        description="Sends rejects again, through the same checks and the transform that IMPORT_TRANSFORM names. The "
        "settings are the functions' own (environment variables). What is refused again is written to "
        "IMPORT_REJECTS, or to a file here when that is not set.",
    )
    command.add_argument("places", nargs="+", metavar="PLACE", help="gs://bucket/prefix, or a local file")
    command.add_argument(
        "--remove",
        action="store_true",
        help="delete each file once all of it is settled",
    )
    return parser.parse_args()


async def _replay(settings: Settings, files: list[_File], *, remove: bool) -> int:
    pipeline = Pipeline(settings)
    seen: set[bytes] = set()
    total = Replay()
    with ExitStack() as open_files:
        again = _sink(settings, open_files)
        for number, file in enumerate(files, 1):
            at = f"{number} of {len(files)}: {file.name}"

            def tell(count: int, at: str = at) -> None:
                print(f"{at}: {count:,} read", file=sys.stderr)

            outcome = await replay(pipeline, file.name, file.chunks(), again, seen, tell)
            report = outcome.report
            print(f"{at}: imported {report.imported:,}, refused again {report.rejected:,}", file=sys.stderr)
            for reject in report.first_rejects:
                print(f"  {reject.source}, line {reject.line}: {reject.field or ''} {reject.reason}", file=sys.stderr)
            for why in outcome.unreadable:
                print(f"  {why}", file=sys.stderr)
            if remove and not outcome.unreadable:
                file.remove()
            total.report.imported += report.imported
            total.report.rejected += report.rejected
            total.report.dropped += report.dropped
            total.repeated += outcome.repeated
            total.unreadable += outcome.unreadable
    pipeline.close()
    print(
        f"imported {total.report.imported:,}, dropped {total.report.dropped:,}, refused again "
        f"{total.report.rejected:,}, repeated {total.repeated:,}, unreadable {len(total.unreadable):,}"
    )
    return 1 if total.report.rejected or total.unreadable else 0


def _files(place: str) -> list[_File]:
    """The files at a place, oldest first, as they are now: what the replay writes does not come back to it."""
    if place.startswith("gs://"):
        return [*_objects(place)]
    path = Path(place)
    if path.is_dir():
        return [_LocalFile(one) for one in sorted(path.rglob("*")) if one.is_file()]
    return [_LocalFile(path)] if path.exists() else []


def _objects(place: str) -> Iterator[_File]:
    from google.cloud import storage  # noqa: PLC0415

    bucket, _, prefix = place.removeprefix("gs://").partition("/")
    with _told(place):
        blobs = list(storage.Client().list_blobs(bucket, prefix=prefix))
    for blob in blobs:
        if blob.name.endswith((".jsonl.gz", ".jsonl")):
            yield _Object(f"gs://{bucket}/{blob.name}", blob)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Whatever goes wrong with the storage service becomes a sentence."""
    try:
        yield
    except Exception as error:
        raise Unreadable(f"{name} cannot be read: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class _LocalFile:
    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def chunks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    def remove(self) -> None:
        self.path.unlink()


class _Object:
    """An object of rejects in a bucket."""

    def __init__(self, name: str, blob: Any) -> None:
        self.name = name
        self._blob = blob

    def chunks(self) -> Iterator[bytes]:
        # The importer writes none larger than 8 MB uncompressed, but for a single reject.
        with _told(self.name):
            content: bytes = self._blob.download_as_bytes(raw_download=True)
        yield content

    def remove(self) -> None:
        self._blob.delete()


def _sink(settings: Settings, open_files: ExitStack) -> RejectSink:
    """Where what is refused again goes: the same place as the functions' rejects, or a file here."""
    make = sinks(settings.rejects)
    return make("replay") if make else open_files.enter_context(_FileSink())


class _FileSink:
    """A local file of rejects, made when there is one to write."""

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
                print(f"What is refused again is written to {self._path}.", file=sys.stderr)
            self._file.writelines(msgspec.json.encode(one) + b"\n" for one in rejects)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RejectSinkError(f"{self._path}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
