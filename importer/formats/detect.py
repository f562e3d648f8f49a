"""What content is, as its first bytes tell."""

from __future__ import annotations

import re

import msgspec

from importer.formats.compression import compression_of
from importer.formats.reader import Head

_SNOWPLOW_TABS = 130
_is_snowplow = re.compile(rb"(?:[^\t]*\t){6}[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\t").match
_check = msgspec.json.Decoder(msgspec.Raw).decode

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

_READS = "it takes JSON and CSV, also packed with gzip or zstd, Parquet and Avro"

_PACKED = "repack it, {} | gzip > FILE.gz"
_STARTS: dict[bytes, tuple[str, str]] = {
    b"\x89PNG": ("a PNG image", _READS),
    b"\xff\xd8\xff": ("a JPEG image", _READS),
    b"GIF8": ("a GIF image", _READS),
    b"%PDF": ("a PDF document", _READS),
    b"ORC": ("ORC", "convert it to Parquet"),
    b"SQLite format 3": ("an SQLite database", "export its table as CSV or JSON lines"),
    b"BZh": ("bzip2", _PACKED.format("bzcat FILE.bz2")),
    b"\xfd7zXZ": ("xz", _PACKED.format("xzcat FILE.xz")),
    b"\x5d\x00\x00": ("lzma", _PACKED.format("xzcat FILE.lzma")),
    b"LZIP": ("lzip", _PACKED.format("lzip -dc FILE.lz")),
    b"\x04\x22\x4d\x18": ("lz4", _PACKED.format("lz4cat FILE.lz4")),
    b"\xff\x06\x00\x00sNaPpY": ("snappy", _PACKED.format("snzip -dc FILE.sz")),
    b"\x1f\x9d": ("Unix compress", _PACKED.format("zcat FILE.Z")),
    b"PK\x03\x04": ("a ZIP archive", _PACKED.format("unzip -p FILE.zip")),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", _PACKED.format("7z x -so FILE.7z")),
    b"Rar!": ("a RAR archive", _PACKED.format("unrar p -inul FILE.rar")),
    **dict.fromkeys(_UTF16_MARKS, ("UTF-16 text", "convert it, iconv -f UTF-16 -t UTF-8 FILE")),
}
"""What other content starts with: what it is, and what to do about it."""

_TAR = b"ustar"
_TAR_AT = 257
"""https://www.gnu.org/software/tar/manual/html_node/Standard.html"""

holds_controls = re.compile(rb"[\x00-\x08\x0e-\x1f]").search


def not_event_data(head: Head) -> str | None:
    """What the content seems to be if it is no event data, and what to do about it. One line that could be an event
    makes it event data, and so does one that is not all in the head, since that cannot be told."""
    if other := known_by_its_start(head.content):
        return other
    rows = [row for row in head.content.splitlines() if row.strip()]
    if not rows or any(is_object(row) or is_snowplow(row) for row in rows):
        return None
    first = rows[0].strip()
    if first.startswith(b"{") or is_json(first) or _cannot_be_told(head, rows):
        return None
    what = "XML or HTML" if first.startswith(b"<") else f"something that starts with {_beginning(head.content)}"
    return f"{what}: {_READS}"


def _beginning(content: bytes) -> str:
    """The first of it as one can read it: a text, or the bytes in hexadecimal."""
    first = content.strip()[:24]
    text = first.decode(errors="replace").rstrip("\ufffd")
    if text and text.replace("\n", " ").isprintable():
        return '"' + " ".join(text.split()) + '"'
    return f"the bytes {first[:8].hex(' ')}"


def known_by_its_start(content: bytes) -> str | None:
    """What content is that says so itself and is no text, and what to do about it."""
    for start, (what, advice) in _STARTS.items():
        if content.startswith(start):
            return f"{what}: {advice}"
    if packed := compression_of(content):
        return f"{packed.name} within {packed.name} within {packed.name}: unpack it"
    if _is_framed(content):
        return "Avro or Protobuf framed for a schema registry: have it written as JSON, or as Avro with its schema"
    if content.startswith(_TAR, _TAR_AT):
        return f"a tar archive: {_PACKED.format('tar -xOf FILE.tar')}"
    return None


def _is_framed(content: bytes) -> bool:
    """Whether it starts as messages do that Confluent's serializers write: a zero, and a schema's number.
    https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format"""
    return len(content) > 5 and content[0] == 0 and content[1] == 0


def _cannot_be_told(head: Head, rows: list[bytes]) -> bool:
    """Whether the last line, which goes on after the head, may be an event."""
    if head.is_all:
        return False
    if len(rows) == 1:
        return not holds_controls(head.content)
    return rows[-1].lstrip().startswith((b"{", b"["))


def has_old_line_ends(head: Head) -> bool:
    """Whether lines end as they did on old Macs: with a carriage return alone."""
    return b"\r" in head.content and b"\n" not in head.content


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
