"""The program that makes one preview (see `sandbox.mixpanel.preview`), of the records on its standard input:

python -m sandbox.mixpanel.previewer --transform mapping:to_mixpanel < events.jsonl
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from itertools import islice

import msgspec

from importer.core.preparation import Preparer
from importer.errors import SettingsError, Unreadable
from importer.formats.content import Content
from importer.formats.held import Held
from importer.mappings.loading import load
from importer.mixpanel import judge
from importer.records import Transform, is_blank
from sandbox.mixpanel.preview import Preview, Previewed

MAX_RECORDS = 100

_MAX_TEXT = 20_000


def make(text: bytes, transform: Transform | None) -> Preview:
    """Previews the first records in `text`."""
    previewed: list[Previewed] = []
    preparer = Preparer(None, transform=transform)
    try:
        found = ((line, record) for line, _, record in Content(Held(text)).records() if not is_blank(record))
        for line, record in islice(found, MAX_RECORDS):
            previewed.append(_one(line, record, preparer))
        more = next(found, None) is not None
    except Unreadable as error:
        return Preview(previewed, unreadable=str(error))
    return Preview(previewed, more=more)


def _one(line: int, record: bytes, preparer: Preparer) -> Previewed:
    text = _shown(record)
    prepared = preparer.prepare(record)
    for invalid in prepared.rejected:
        return Previewed(line, text, reason=invalid.reason, field=invalid.field, by="importer")
    for event in prepared.events:
        refused = judge.examine(event, [event], time.time()).rejected
        if refused:
            problem = refused[0].problem
            return Previewed(line, text, _indented(prepared.events), problem.message, problem.field, by="Mixpanel")
    return Previewed(line, text, _indented(prepared.events))


def _indented(events: Sequence[bytes]) -> list[str]:
    return [_shown(msgspec.json.format(event, indent=2)) for event in events]


def _shown(text: bytes) -> str:
    return text[:_MAX_TEXT].decode(errors="replace")


def main() -> None:
    """Previews what comes on standard input."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.mixpanel.previewer", description="What would become of some records."
    )
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
