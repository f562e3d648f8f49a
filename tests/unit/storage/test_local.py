"""Files by their path, and standard input: what formats read when there is no cloud."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from importer.errors import SourceGone, Unreadable
from importer.limits import CHUNK_BYTES
from importer.records import Readable
from importer.storage.local import LocalFile, StandardInput

CONTENT = bytes(range(256)) * 3_000


def test_a_file_comes_in_chunks_from_any_place_and_in_any_range(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(CONTENT)
    file: Readable = LocalFile(path)
    assert (file.name, file.size) == (str(path), len(CONTENT))
    for start in (0, 1, CHUNK_BYTES, len(CONTENT) - 1, len(CONTENT), len(CONTENT) + 1):
        chunks = list(file.chunks(start))
        assert b"".join(chunks) == CONTENT[start:]
        assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)
        assert file.range(start, 10) == CONTENT[start : start + 10]


def test_a_file_that_is_not_there_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "events"
    with pytest.raises(SourceGone, match="there is no file"):
        LocalFile(path)
    path.write_bytes(CONTENT)
    file = LocalFile(path)
    path.unlink()
    with pytest.raises(SourceGone, match="deleted since"):
        file.range(0, 1)
    with pytest.raises(SourceGone, match="deleted since"):
        next(file.chunks())


@pytest.mark.parametrize("start", [0, 5, CHUNK_BYTES, len(CONTENT) + 1])
def test_standard_input_comes_once_and_in_order(start: int) -> None:
    given: Readable = StandardInput(io.BytesIO(CONTENT))
    assert given.size is None
    assert b"".join(given.chunks(start)) == CONTENT[start:]
    with pytest.raises(Unreadable, match="use a file"):
        given.range(0, 1)
