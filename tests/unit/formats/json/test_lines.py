"""Lines by themselves: whatever ends them and however they come, each is where it is, and what is said of it is so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.formats.json.lines import lines
from importer.records import Block, Record, is_blank


def pieces(content: bytes, *sizes: int) -> list[bytes]:
    """The content in pieces of these sizes, the last of them again and again."""
    found = []
    for size in [*sizes, *[sizes[-1]] * len(content)]:
        if content:
            found.append(content[:size])
            content = content[size:]
    return found


def expected(content: bytes, offset: int, line: int) -> list[Record]:
    """What is no blank line, with its place, by the plainest way there is."""
    found = []
    for one in content.split(b"\n"):
        if not is_blank(one):
            found.append((line, offset, one.removesuffix(b"\r")))
        line += 1
        offset += len(one) + 1
    return found


def read(blocks: list[Block]) -> list[Record]:
    return [one for block in blocks for one in block if not is_blank(one[2])]


TEXT = st.lists(
    st.sampled_from([b"a", b"bb", b"\n", b"\n\n", b"\r\n", b"\r\n\r\n", b"\r", b"\xc3\xbc", b" "]), max_size=30
)


@given(TEXT, st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 50), st.integers(1, 9))
def test_each_line_is_where_it_is(parts: list[bytes], sizes: list[int], offset: int, line: int) -> None:
    content = b"".join(parts)
    blocks = [*lines(pieces(content, *sizes), offset, line)]
    assert read(blocks) == expected(content, offset, line)
    for block in blocks:
        assert block.size == sum(map(len, block.records)) + len(block.records) or block.records == [b""]
        assert not block.are_lines or not any(b"\n" in one or b"\r" in one for one in block.records)
        assert not block.are_ascii or all(one.isascii() for one in block.records)
        for nth, (at, begins, record) in enumerate(block):
            if not is_blank(record):
                assert block.place(nth) == (at, begins)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("blank", [0, 1, 2, 3])
def test_blank_lines_before_between_and_after_count(end: bytes, blank: int) -> None:
    content = b"x" + end + end * blank + b"a" + end + end * blank + b"b" + end * blank + end
    assert read([*lines([content])]) == expected(content, 0, 1)
    assert read([*lines([end * blank + content])]) == expected(end * blank + content, 0, 1)


def test_what_is_known_of_plain_lines_is_said() -> None:
    (block, *_) = lines([b"aa\nb\n"])
    assert (block.records, block.line, block.offset, block.size) == ([b"aa", b"b"], 1, 0, 5)
    assert (block.are_lines, block.are_ascii, block.places) == (True, True, None)
    (windows, *_) = lines([b"aa\r\nb\r\n"])
    assert (windows.records, windows.size, windows.are_lines) == ([b"aa", b"b"], 5, True)
    (other, *_) = lines(["ü\n".encode()])
    assert (other.are_lines, other.are_ascii) == (True, False)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_of_a_line_that_is_too_long_a_part_comes_and_what_follows_is_where_it_is(end: bytes, size: int) -> None:
    content = b"a" + end + b"x" * 50 + end + b"b" + end + b"y" * 50
    found = [one for one in read([*lines(pieces(content, size), longest=10)]) if one[2] in {b"a", b"b"}]
    assert found == [one for one in expected(content, 0, 1) if one[2] in {b"a", b"b"}]
    for block in lines(pieces(content, size), longest=10):
        assert max(map(len, block.records)) <= max(10, size)
