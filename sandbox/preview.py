"""What would become of some records, without importing them: by the transform, the importer, and Mixpanel's rules.

Each preview runs in a process of its own, so that the transform is always the one on disk, and one that fails, hangs or
prints does no harm:

    python -m sandbox.preview --transform mapping:to_mixpanel < events.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from itertools import islice

import msgspec
from msgspec import Struct

from importer.event import Invalid, Transform, is_blank, prepare
from importer.formats import Unreadable, records
from importer.settings import SettingsError
from importer.transform import load
from sandbox import rules
from sandbox.processes import ROOT

MOST_RECORDS = 100
MOST_BYTES = 5_000_000
PATIENCE = 10.0
"""Seconds after which a preview is given up."""

_MOST_TEXT = 20_000


class Previewed(Struct, frozen=True):
    """One record: the events it becomes, indented, or why it would be refused, by the importer or by Mixpanel."""

    line: int
    record: str
    events: Sequence[str] = ()
    reason: str | None = None
    field: str | None = None
    by: str | None = None


class Preview(Struct, frozen=True):
    """Some records, previewed.

    `more` says that there were more of them; `unreadable`, why there is an end to what can be read.
    """

    records: Sequence[Previewed] = ()
    more: bool = False
    unreadable: str | None = None


async def preview(text: bytes, transform: str | None) -> Preview:
    """Previews the records in `text`, which may be in any form that the importer takes.

    Raises:
        PreviewError: the transform cannot be loaded, or took too long; the text is a sentence.
    """
    command = [sys.executable, "-m", "sandbox.preview", *(["--transform", transform] if transform else [])]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        made, said = await asyncio.wait_for(process.communicate(text), PATIENCE)
    except TimeoutError:
        raise PreviewError(f"The preview was given up after {PATIENCE:g} seconds.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise PreviewError(said.decode(errors="replace").strip().rsplit("\n", 1)[-1] or "The preview failed.")
    return msgspec.json.decode(made, type=Preview)


class PreviewError(Exception):
    """There is no preview; the text is a sentence that says why."""


def make(text: bytes, transform: Transform | None) -> Preview:
    """Previews the first records in `text`."""
    previewed: list[Previewed] = []
    found = ((line, record) for line, _, record in records([text]) if not is_blank(record))
    try:
        for line, record in islice(found, MOST_RECORDS):
            previewed.append(_one(line, record, transform))
        more = next(found, None) is not None
    except Unreadable as error:
        return Preview(previewed, unreadable=str(error))
    return Preview(previewed, more=more)


def _one(line: int, record: bytes, transform: Transform | None) -> Previewed:
    text = _shown(record)
    try:
        events = prepare(record, transform)
    except Invalid as error:
        return Previewed(line, text, reason=error.reason, field=error.field, by="importer")
    for event in events:
        refused = rules.examine(event, [event], time.time()).refused
        if refused:
            problem = refused[0].problem
            return Previewed(line, text, _indented(events), problem.message, problem.field, by="Mixpanel")
    return Previewed(line, text, _indented(events))


def _indented(events: Sequence[bytes]) -> list[str]:
    return [_shown(msgspec.json.format(event, indent=2)) for event in events]


def _shown(text: bytes) -> str:
    return text[:_MOST_TEXT].decode(errors="replace")


def main() -> None:
    """Previews what comes on standard input."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.preview", description="What would become of some records.")
    parser.add_argument("--transform", metavar="MODULE:FUNCTION")
    name = parser.parse_args().transform
    with contextlib.redirect_stdout(sys.stderr):
        try:
            transform = load(name) if name else None
        except SettingsError as error:
            sys.exit(str(error))
        made = make(sys.stdin.buffer.read(), transform)
    sys.stdout.buffer.write(msgspec.json.encode(made))


if __name__ == "__main__":
    main()
