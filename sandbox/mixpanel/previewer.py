"""The program that makes one preview (see `sandbox.mixpanel.preview`), of the content on its standard input:

python -m sandbox.mixpanel.previewer --mapping auto --transform mapping:to_mixpanel < events.jsonl
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import msgspec

from importer.core.explanation import Explained, Explainer, Explanation
from importer.errors import SettingsError, Unreadable
from importer.formats.content import Content
from importer.formats.held import Held
from importer.mappings import ready
from importer.records import is_blank
from sandbox.mixpanel.preview import Outcome, Preview, Previewed

MAX_RECORDS = 100

_MAX_TEXT = 20_000
_MAX_TOUCHES = 300


def make(content: bytes, explainer: Explainer, *, name: str, is_cut: bool, as_records: bool) -> Preview:
    """Previews the first records in `content`."""
    read = Content(Held(content, name), rows="records" if as_records else "events")
    previewed: list[Previewed] = []
    recognised: Counter[str] = Counter()
    format_, more, unreadable = "", False, None
    try:
        format_ = read.format
        found = _complete(read, is_cut=is_cut)
        for line, record in islice(found, MAX_RECORDS):
            explained = explainer.explain(record)
            recognised[ready.VENDORS[explained.recognised].title if explained.recognised else ""] += 1
            previewed.append(_previewed(line, explained))
        more = next(found, None) is not None
    except Unreadable as error:
        more, unreadable = is_cut, None if is_cut and previewed else str(error)
    recognised.pop("", None)
    return Preview(previewed, format_, dict(recognised), more or is_cut, unreadable)


def _complete(read: Content, *, is_cut: bool) -> Iterator[tuple[int, bytes]]:
    """The records, but for the last of content that is cut: it may be half of one."""
    last: tuple[int, bytes] | None = None
    for line, _, record in read.records():
        if is_blank(record):
            continue
        if last is not None:
            yield last
        last = line, record
    if last is not None and not is_cut:
        yield last


def _previewed(line: int, explained: Explanation) -> Previewed:
    shown = _record(explained.record, explained.recognised)
    return Previewed(line, shown, explained.recognised, [_outcome(one) for one in explained.outcomes])


def _outcome(one: Explained) -> Outcome:
    event = None if one.event is None else _indented(one.event)
    return Outcome(one.fate, event, one.touches[:_MAX_TOUCHES], one.reason, one.field, one.by)


def _record(record: bytes, recognised: str | None) -> str:
    """A record as one can read it: JSON indented, a line of Snowplow's by the names of its fields."""
    if recognised == "snowplow" and not record.lstrip().startswith(b"{"):
        fields = ready.decoder("snowplow")(record)
        if isinstance(fields, dict):
            return _indented(msgspec.json.encode({name: value for name, value in fields.items() if value != ""}))
    return _indented(record)


def _indented(text: bytes) -> str:
    with contextlib.suppress(msgspec.MsgspecError, RecursionError):
        text = msgspec.json.format(text, indent=2)
    return text[:_MAX_TEXT].decode(errors="replace")


def main() -> None:
    """Previews what comes on standard input."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.mixpanel.previewer", description="What would become of some records."
    )
    parser.add_argument("--mapping", metavar="NAME|FILE")
    parser.add_argument("--transform", metavar="MODULE:FUNCTION")
    parser.add_argument("--name", default="", help="what the file is called")
    parser.add_argument("--cut", action="store_true", help="this is only the beginning of a file")
    given = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        default_ip = None if os.environ.get("IMPORT_DEFAULT_IP") == "none" else "0"
        try:
            explainer = Explainer(given.mapping, given.transform, default_ip, os.environ)
        except SettingsError as error:
            sys.exit(str(error).replace("\n", " "))
        content = sys.stdin.buffer.read()
        made = make(content, explainer, name=given.name, is_cut=given.cut, as_records=bool(given.mapping))
    sys.stdout.buffer.write(msgspec.json.encode(made))


if __name__ == "__main__":
    main()
