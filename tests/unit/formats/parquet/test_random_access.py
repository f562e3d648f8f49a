"""What is stored as a file that is read anywhere: the same bytes, in few ranges, and not too much held."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.formats.parquet.random_access import File, Pieces

K = 1 << 10
CONTENT = random.Random(1).randbytes(3 << 20)


class Stored:
    """Bytes, and the ranges of them that were asked for, in kibibytes."""

    name = "x"

    def __init__(self, content: bytes = CONTENT, lacks: int = 0) -> None:
        self.content = content
        self.size = len(content)
        self.lacks = lacks
        self.asked: list[tuple[float, float]] = []

    def range(self, start: int, count: int) -> bytes:
        self.asked.append((start / K, count / K))
        return self.content[start : start + count - self.lacks]

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        yield self.content[start:]


def test_reading_on_takes_twice_as_much_each_time_up_to_a_megabyte() -> None:
    stored = Stored(CONTENT * 2)
    pieces = Pieces(stored)
    for start in range(0, 5_000 * K, 16 * K):
        assert pieces.read(start, 10) == stored.content[start : start + 10]
    assert stored.asked == [(0, 32), (32, 64), (96, 128), (224, 256), (480, 512), (992, 1024), (2016, 1024),
                            (3040, 1024), (4064, 1024)]  # fmt: skip


def test_reading_elsewhere_takes_little_and_what_is_held_is_not_asked_for_again() -> None:
    stored = Stored()
    pieces = Pieces(stored)
    for start in (0, 1_600 * K, 800 * K, 0, 1_601 * K, 831 * K):
        assert pieces.read(start, 100) == CONTENT[start : start + 100]
    assert stored.asked == [(0, 32), (1_600, 32), (800, 32)]
    assert pieces.read(16 * K - 5, 10) == CONTENT[16 * K - 5 : 16 * K + 5]
    assert pieces.read(700 * K, 200 * K) == CONTENT[700 * K : 900 * K]
    assert stored.asked[3:] == [(688, 112), (832, 80)]


@pytest.mark.parametrize(("readers", "asked"), [(1, 32), (300, 16)])
def test_many_readers_share_what_may_be_held(readers: int, asked: int) -> None:
    stored = Stored()
    pieces = Pieces(stored)
    pieces.share(readers)
    pieces.read(0, 1)
    assert stored.asked == [(0, asked)]


def test_each_reader_goes_on_by_itself() -> None:
    stored = Stored()
    pieces = Pieces(stored)
    pieces.share(2)
    for start in (0, 1_600, 32, 1_632):
        pieces.read(start * K, 1)
    assert stored.asked == [(0, 32), (1_600, 32), (32, 64), (1_632, 64)]
    pieces.share(1)
    for start in (2_400, 2_608, 2_432):
        pieces.read(start * K, 1)
    assert stored.asked[4:] == [(2_400, 32), (2_608, 32), (2_432, 32)], "one place goes on, the one read last"


def test_no_more_is_held_than_may_be() -> None:
    stored = Stored(bytes(40 << 20))
    pieces = Pieces(stored)
    for start in range(0, 40 << 20, 1 << 20):
        pieces.read(start, 1 << 20)
    assert sum(map(len, pieces._held.values())) == 16 << 20


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 90_000)), max_size=12), st.integers(1, 4))
def test_whatever_is_read_is_what_is_stored(reads: list[tuple[int, int]], readers: int) -> None:
    stored = Stored(CONTENT[:150_001])
    pieces = Pieces(stored)
    pieces.share(readers)
    for start, count in reads:
        assert pieces.read(start, count) == stored.content[start : start + count]


def test_a_range_that_lacks_bytes_is_a_failure_that_is_kept() -> None:
    pieces = Pieces(Stored(lacks=3))
    with pytest.raises(ConnectionError, match="32768 bytes were asked for from byte 0 on, and 32765 came"):
        pieces.read(0, 1)
    assert isinstance(pieces.failure, ConnectionError)


def test_a_file_is_read_from_where_it_stands() -> None:
    file = File(Pieces(Stored(CONTENT[:100])))
    assert (file.readable(), file.seekable(), file.tell()) == (True, True, 0)
    assert file.read(10) == CONTENT[:10]
    assert file.seek(5, 1) == 15
    assert file.read(5) == CONTENT[15:20]
    assert file.seek(-8, 2) == 92
    assert (file.read(), file.tell(), file.read(5)) == (CONTENT[92:100], 100, b"")
    assert file.seek(3) == 3
    assert file.read(None) == CONTENT[3:100]
