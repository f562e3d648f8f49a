"""What content is, as its first bytes tell."""

from __future__ import annotations

import re

import msgspec

from importer.formats.compression import GZIP

_SNOWPLOW_TABS = 130
_is_snowplow = re.compile(rb"(?:[^\t]*\t){6}[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\t").match
_check = msgspec.json.Decoder(msgspec.Raw).decode

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MAGIC_NUMBERS = {
    GZIP: "gzip within gzip within gzip",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"ORC": "ORC",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    **dict.fromkeys(UTF16_MARKS, "UTF-16 text"),
}


def is_array(head: bytes) -> bool:
    """Whether this is an array: not so if its first line is one by itself and others follow, or if these show that they
    are no elements, since there is no comma between them."""
    text = head.lstrip()
    if not text.startswith(b"["):
        return False
    rows = [row.rstrip() for row in text.split(b"\n") if row.strip()]
    if len(rows) > 1 and is_json(rows[0]):
        return False
    elements_ = sum(row.endswith(b",") and is_object(row[:-1]) for row in rows)
    lines_ = sum(map(is_object, rows))
    return lines_ < 2 or lines_ <= elements_


def not_event_data(head: bytes) -> str | None:
    """What the content seems to be if it is no event data. One line that could be an event makes it event data."""
    for magic, what in _MAGIC_NUMBERS.items():
        if head.startswith(magic):
            return what
    rows = [row for row in head.splitlines() if row.strip()]
    if not rows or any(is_object(row) or is_snowplow(row) for row in rows):
        return None
    first = rows[0].strip()
    if first == b"{" and len(rows) > 1:
        return "JSON that stands on several lines"
    if first.startswith(b"{") or is_json(first):
        return None
    return "XML or HTML" if first.startswith(b"<") else f"something that starts with {head.strip()[:24]!r}"


def is_snowplow(line: bytes) -> bool:
    """Whether this is one of Snowplow's enriched events: 131 fields with tabs between, the seventh its id.

    https://docs.snowplow.io/docs/pipeline/enriched-tsv-format/
    """
    return line.count(b"\t") == _SNOWPLOW_TABS and _is_snowplow(line) is not None


def is_object(text: bytes) -> bool:
    return text.lstrip().startswith(b"{") and is_json(text)


def is_json(text: bytes) -> bool:
    try:
        _check(text)  # builds nothing: a list of lists would take thirty times the text's memory
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True
