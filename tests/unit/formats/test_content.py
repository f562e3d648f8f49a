"""Bytes to records: what content is known to be, and how it is cut, however it comes."""

from __future__ import annotations

import gzip
import io
import json
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise, repeat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from importer.errors import Unreadable
from importer.formats.content import Content, records_of_message
from importer.formats.held import Held, Stream
from importer.formats.json.lines import lines
from importer.limits import CHUNK_BYTES, MAX_EVENT_BYTES
from importer.records import Record
from sandbox.events import BAD_KINDS, Events

MARK = b"\xef\xbb\xbf"
TWO = b'{"a":1}\n{"b":2}\n'
CUT = [(1, 0, b'{"a":1}'), (2, 8, b'{"b":2}')]


def records(content: bytes, size: int = CHUNK_BYTES) -> list[Record]:
    return list(Content(Stream(content[n : n + size] for n in range(0, len(content), size))).records())


def read(chunks: Iterable[bytes]) -> tuple[list[Record], str | None]:
    found: list[Record] = []
    try:
        for record in Content(Stream(chunks)).records():
            found.append(record)  # noqa: PERF402 (what came before the exception counts)
    except Unreadable as error:
        return found, str(error)
    return found, None


def not_blank(blocks: Iterable[Iterable[Record]]) -> list[Record]:
    return [record for block in blocks for record in block if record[2].strip()]


def texts(found: Iterable[Record]) -> list[bytes]:
    return [record for _, _, record in found if record.strip()]


LINES = {
    "lines": (TWO, CUT),
    "no last line break": (TWO[:-1], CUT),
    "Windows' line ends": (TWO.replace(b"\n", b"\r\n"), [(1, 0, b'{"a":1}'), (2, 9, b'{"b":2}')]),
    "a byte order mark": (MARK + TWO, [(1, 3, b'{"a":1}'), (2, 11, b'{"b":2}')]),
    "one line": (b'{"a":1}', [(1, 0, b'{"a":1}')]),
    "nothing": (b"", []),
    "a byte order mark alone": (MARK, []),
    "a bad line first": (b'null\n{"b":2}', [(1, 0, b"null"), (2, 5, b'{"b":2}')]),
    "HTML first": (b'<html>\n{"b":2}', [(1, 0, b"<html>"), (2, 7, b'{"b":2}')]),
    "an array cut short first": (b"[1,2\n" + TWO, [(1, 0, b"[1,2"), (2, 5, b'{"a":1}'), (3, 13, b'{"b":2}')]),
    "an array first": (b"[1]\n" + TWO, [(1, 0, b"[1]"), (2, 4, b'{"a":1}'), (3, 12, b'{"b":2}')]),
    "only arrays": (b"[1]\n[2]\n", [(1, 0, b"[1]"), (2, 4, b"[2]")]),
    "only null": (b"null\n", [(1, 0, b"null")]),
    "an array": (b'[{"a":1},{"b":2}]', [(1, 1, b'{"a":1}'), (1, 9, b'{"b":2}')]),
    "an array of lines": (b'[\n{"a":1},\n{"b":2}\n]', [(2, 2, b'{"a":1}'), (3, 11, b'{"b":2}')]),
    "an array of one line": (b'[\n{"a":1}\n]', [(2, 2, b'{"a":1}')]),
    "an array that starts on the bracket's line": (
        b'[{"a":1},\n{"b":2}\n]',
        [(1, 1, b'{"a":1}'), (2, 10, b'{"b":2}')],
    ),
    "an array with commas first": (b'[{"a":1}\n,{"b":2}\n]', [(1, 1, b'{"a":1}'), (2, 10, b'{"b":2}')]),
    "an array, with a mark": (MARK + b'[{"a":1}]', [(1, 4, b'{"a":1}')]),
    "an empty array": (b"[]\n", []),
}


@pytest.mark.parametrize(("content", "expected"), LINES.values(), ids=LINES.keys())
@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, lambda content: gzip.compress(gzip.compress(content))],
    ids=["plain", "gzipped", "gzipped twice"],
)
def test_records_come_with_their_line_and_offset(
    content: bytes, expected: list[Record], pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(content)
    assert [r for r in records(packed) if r[2].strip()] == expected
    assert records(packed) == records(packed, 1)


def test_blank_lines_count_as_lines_and_hold_nothing() -> None:
    found = records(b'\n \r\n{"a":1}\n\n\n{"b":2}\n\n')
    assert [(line, record) for line, _, record in found if record.strip()] == [(3, b'{"a":1}'), (6, b'{"b":2}')]


NO_EVENTS = {
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 50, "a PNG image"),
    "JPEG": (b"\xff\xd8\xff\xe0" + bytes(100), "a JPEG image"),
    "PDF": (b"%PDF-1.7\n{}\n", "a PDF document"),
    "ZIP": (b"PK\x03\x04" + bytes(100), "a ZIP archive"),
    "bzip2": (b"BZh91AY&SY" + bytes(100), "bzip2"),
    "UTF-16": ('{"a":1}\n'.encode("utf-16"), "UTF-16 text"),
    "a web page": (b"<!DOCTYPE html>\n<p>{}</p>\n", "XML or HTML"),
    "words": (b"Dear customer,\n\nwe are sorry.\n", 'something that starts with "Dear customer, we are'),
    "bytes of no known kind": (b"\x00\x01\x02", "something that starts with the bytes 00 01 02: "),
    "random bytes": (random.Random(3).randbytes(CHUNK_BYTES), "something that starts with"),
    "gzip three times over": (gzip.compress(gzip.compress(gzip.compress(TWO))), "gzip within gzip within gzip"),
}


@pytest.mark.parametrize(("content", "what"), NO_EVENTS.values(), ids=NO_EVENTS.keys())
@pytest.mark.parametrize("size", [CHUNK_BYTES, 1], ids=["at once", "byte by byte"])
def test_what_is_no_event_data_is_one_error(content: bytes, what: str, size: int) -> None:
    found, reason = read(content[n : n + size] for n in range(0, len(content), size))
    assert found == []
    assert reason is not None
    assert reason.startswith(f"this is no event data but {what}")


@pytest.mark.parametrize("kind", BAD_KINDS)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_bad_line_never_makes_a_file_of_events_anything_else(kind: str, at: int) -> None:
    good = list(Events(2, seed=4).records())
    bad = BAD_KINDS[kind](next(Events(1, seed=5).records()))
    assert texts(records(b"\n".join([*good[:at], bad, *good[at:]]))) == [*good[:at], bad, *good[at:]]


def members(*contents: bytes) -> bytes:
    return b"".join(gzip.compress(content) for content in contents)


GZIPPED = {
    "of several members": members(b'{"a":1}\n', b'{"b":2}\n'),
    "of members that end within a line": members(b'{"a"', b':1}\n{"b":2', b"}\n"),
    "of empty members as well": members(b"", b'{"a":1}\n', b"", b'{"b":2}\n', b""),
    "padded with zeros": members(b'{"a":1}\n') + bytes(100_000) + members(b'{"b":2}\n') + bytes(7),
    "twice, of several members": gzip.compress(members(b'{"a":1}\n', b'{"b":2}\n')),
    "the mark in a member of its own": members(b"\xef", b"\xbb\xbf", b'{"a":1}\n{"b":2}\n'),
}


@pytest.mark.parametrize("content", GZIPPED.values(), ids=GZIPPED.keys())
def test_gzip_in_all_its_forms(content: bytes) -> None:
    assert texts(records(content)) == texts(records(content, 1)) == [b'{"a":1}', b'{"b":2}']


@pytest.mark.parametrize("size", [1, 65_537, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
@pytest.mark.parametrize("line", [b"{}\n", b'{"a":"xyz"}\n'])
def test_gzip_gives_out_all_it_holds_however_well_it_was_packed(size: int, line: bytes) -> None:
    plain = line * (size // len(line) + 1)
    for level in (1, 9):
        assert sum(len(record) + 1 for _, _, record in records(gzip.compress(plain, level))) == len(plain)


LARGE = b"".join(b'{"n":%d,"more":"%s"}\n' % (n, random.Random(n).randbytes(40).hex().encode()) for n in range(20_000))


def spoiled(packed: bytes) -> Iterator[tuple[str, bytes, str]]:
    middle = len(packed) // 2
    yield "cut in the middle", packed[:middle], "breaks off before its end"
    yield "cut before its checksum", packed[:-8], "breaks off before its end"
    yield "cut in its checksum", packed[:-1], "breaks off before its end"
    yield "a wrong checksum", packed[:-8] + b"\1\2\3\4" + packed[-4:], "is damaged"
    yield "a wrong length", packed[:-4] + bytes(4), "is damaged"
    yield "words after it", packed + b"and so much more", "is damaged"
    yield "the start of another member after it", packed + packed[:5], "breaks off before its end"


@pytest.mark.parametrize(
    ("content", "reason"), [(c, r) for _, c, r in spoiled(gzip.compress(LARGE))], ids=[n for n, _, _ in spoiled(b"12")]
)
def test_damaged_gzip_is_read_as_far_as_it_can_be_trusted_and_no_further(content: bytes, reason: str) -> None:
    found, why = read([content])
    assert reason in str(why)
    assert len(found) > 5_000
    assert texts(found) == LARGE.splitlines()[: len(found)]


def test_a_gzip_file_that_breaks_off_at_its_start_is_one_error() -> None:
    packed = gzip.compress(TWO)
    for size in range(2, 11):
        assert read([packed[:size]]) == ([], "the gzip data breaks off before its end")


def test_a_line_too_long_to_be_an_event_is_passed_over_and_its_neighbours_keep_their_places() -> None:
    long = b'{"x":"' + b"x" * 2 * MAX_EVENT_BYTES + b'"}'
    content = b'{"a":1}\n' + long + b'\n{"b":2}\n' + long
    for size in (CHUNK_BYTES, 77_777, len(content)):
        found = not_blank([records(content, size)])
        assert [(line, offset) for line, offset, _ in found] == [
            (1, 0),
            (2, 8),
            (3, 9 + len(long)),
            (4, 17 + len(long)),
        ]
        assert [len(record) >= MAX_EVENT_BYTES for _, _, record in found] == [False, True, False, True]
        assert long.startswith(found[1][2])


@pytest.mark.parametrize("start", [b'{"a":"', b'[{"a":"', b"[[", b"{}\n\n"])
def test_where_no_record_ends_for_long_blank_ones_come_meanwhile(start: bytes) -> None:
    chunks = [start + b" " * CHUNK_BYTES, *repeat(b" " * CHUNK_BYTES, 9)]
    found, _ = read(chunks)
    assert sum(not record.strip() for _, _, record in found) >= 9


def bomb(start: bytes, size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(start), *(packer.compress(b"x" * 1_000_000) for _ in range(size // 1_000_000))]
    return b"".join(parts) + packer.flush()


ENDLESS: dict[str, Callable[[int], Iterable[bytes]]] = {
    "lines": lambda n: repeat((b'{"a":"' + b"x" * 850 + b'"}\n') * 50, n),
    "a line": lambda n: [TWO, *repeat(b"x" * 50_000, n)],
    "blank lines": lambda n: repeat(b" " * 50_000 + b"\n", n),
    "a gzip bomb": lambda n: [bomb(TWO, n * 50_000)],
    "a gzip bomb in gzip": lambda n: [gzip.compress(bomb(TWO, n * 50_000))],
    "a gzip of many members": lambda n: [gzip.compress(TWO), *repeat(gzip.compress(b"x" * 5_000) * 10, n)],
    "gzip of zeros between members": lambda n: [gzip.compress(TWO), *repeat(bytes(50_000), n)],
}


@pytest.mark.parametrize("endless", ENDLESS.values(), ids=ENDLESS.keys())
def test_nothing_makes_memory_grow_with_the_length_of_the_content(endless: Callable[[int], Iterable[bytes]]) -> None:
    def most_held(chunks: int) -> int:
        given = Content(Stream(endless(chunks))).records()
        tracemalloc.start()
        for _ in given:
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert most_held(400) < most_held(200) * 1.2 + 500_000 < 20_000_000


def test_a_file_that_comes_out_of_gzip_as_it_went_in_has_an_end() -> None:
    """Like the one of https://research.swtch.com/zip, but finite: gzip within gzip, fifty times."""
    packed = TWO
    for _ in range(50):
        packed = gzip.compress(packed)
    assert read([packed]) == ([], read([packed])[1])
    assert "gzip within gzip" in str(read([packed])[1])


PLACES = st.lists(st.integers(0, 400), max_size=12)
JSON_LINES = st.lists(
    st.dictionaries(st.text(max_size=3), st.text(max_size=5) | st.integers(), max_size=2).map(json.dumps)
    | st.sampled_from(["", " ", "null", "[", "]", "{", '"', "\r", "<p>", "[1]", "[1,", "é"]),
    max_size=10,
)


def pieces(content: bytes, places: list[int]) -> list[bytes]:
    return [content[a:b] for a, b in pairwise([0, *sorted(p for p in places if p < len(content)), len(content)])]


@given(JSON_LINES, st.booleans(), PLACES)
@example(["[1]", '{"event":1}'], False, [1])
def test_any_content_in_any_pieces_gives_the_same_records(rows: list[str], mark: bool, places: list[int]) -> None:
    content = MARK * mark + "\n".join(rows).encode()
    whole = read([content])
    assert read(pieces(content, places)) == whole
    packed = gzip.compress(content)
    assert read(pieces(packed, places)) == whole
    assert read([members(*pieces(content, places))]) == whole


@given(st.binary(max_size=300), PLACES)
@example(b"\x1f\x8b", [1])
@example(b"\x1f\x8b\x08", [1, 2])
@example(b"\xef\xbb\xbf{}", [1, 2])
def test_any_bytes_in_any_pieces_give_the_same_records_or_the_same_error(content: bytes, places: list[int]) -> None:
    assert read(pieces(content, places)) == read([content])


@given(JSON_LINES, st.booleans())
def test_lines_are_cut_as_everybody_cuts_them(rows: list[str], mark: bool) -> None:
    content = MARK * mark + b'{"event":1}\n' + "\n".join(rows).encode()
    for line, offset, record in records(content):
        assert record == content[len(MARK) * mark :].split(b"\n")[line - 1].removesuffix(b"\r")
        assert content[offset : offset + len(record)] == record


@given(JSON_LINES, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_reading_goes_on_from_any_record_as_if_it_had_never_stopped(
    rows: list[str], mark: bool, array: bool, packed: bool, data: st.DataObject
) -> None:
    rows = ['{"event":1}', *rows]
    if array:
        rows = ["[", *(row + "," for row in rows if row.startswith("{") and len(row) > 1), '{"last":1}', "]"]
    content = MARK * mark + "\n".join(rows).encode()
    whole = not_blank([records(content)])
    n = data.draw(st.integers(0, len(whole) - 1))
    stored = gzip.compress(content) if packed else content
    found = Content(Held(stored))
    place = [found.mark(line, offset) for line, offset, _ in not_blank([found.records()])][n]
    assert not_blank(Content(Held(stored), place).blocks()) == whole[n:]
    assert (place.compression, place.stored) == (("gzip", 0) if packed else (None, place.offset))


MESSAGES = {
    "one event": (b'{"a":1}', [(1, 0, b'{"a":1}')]),
    "one event on several lines": (b'{\n"a":1\n}', [(1, 0, b'{"a":1}')]),
    "lines": (TWO, CUT),
    "an array": (b'[{"a":1}]', [(1, 1, b'{"a":1}')]),
    "gzipped lines": (gzip.compress(TWO), CUT),
}


@pytest.mark.parametrize(("data", "expected"), MESSAGES.values(), ids=MESSAGES.keys())
def test_a_message_holds_one_event_or_several(data: bytes, expected: list[Record]) -> None:
    assert [r for r in records_of_message(data, 1_000) if r[2].strip()] == expected


def test_a_message_that_is_a_table_may_not_be_more_than_it_should_either() -> None:
    written = io.BytesIO()
    texts = pa.array(["x" * 1_000] * 5_000)
    pq.write_table(pa.table({"event": texts.dictionary_encode(), "time": [1] * 5_000}), written)
    assert len(written.getvalue()) < 100_000
    with pytest.raises(Unreadable, match="records of more than 1000000 bytes"):
        list(records_of_message(written.getvalue(), 1_000_000))


def test_a_message_may_not_unpack_to_more_than_it_should() -> None:
    with pytest.raises(Unreadable, match="decompresses to more than 1000000 bytes"):
        list(records_of_message(bomb(TWO, 5_000_000), 1_000_000))
    with pytest.raises(Unreadable, match="no data"):
        list(records_of_message(b"", 1_000))


PARTS = {
    "{}": b"{}",
    "nothing": b"",
    "a carriage return": b"{}\r",
    "more than ASCII": '{"é":1}'.encode(),
    "too long": b"x" * MAX_EVENT_BYTES,
    "more than a chunk": b"{}\n" * 90_000,
}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(list(PARTS)), max_size=6))
def test_a_block_knows_how_much_it_takes_up_and_whether_it_is_lines(parts: list[str]) -> None:
    content = b"".join(PARTS[part] + b"\n" for part in parts)
    counted = lines_before = 0
    for block in lines(content[n : n + CHUNK_BYTES] for n in range(0, len(content), CHUNK_BYTES)):
        for line, offset, record in block:
            lines_before += content.count(b"\n", counted, offset)
            counted = offset
            assert (line, content[offset : offset + len(record)]) == (1 + lines_before, record)
        assert not block.are_ascii or all(map(bytes.isascii, block.records))
        if block.are_lines:
            if block.places is None:
                assert content[block.offset : block.offset + block.size] == b"".join(
                    each + b"\n" for each in block.records
                )
            assert block.size == sum(len(each) + 1 for each in block.records)
            assert not any(b"\r" in record for record in block.records)
            assert max(map(len, block.records)) < MAX_EVENT_BYTES
