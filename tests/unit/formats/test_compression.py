"""zstd, as gzip: streamed, frame after frame, in bounded memory; and what is packed otherwise is one clear sentence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat

import pytest
from backports import zstd

from importer.errors import Unreadable
from importer.formats.content import Content
from importer.formats.held import Held, Stream
from importer.limits import CHUNK_BYTES

TWO = b'{"a":1}\n{"b":2}\n'
LARGE = b"".join(b'{"n":%d,"more":"%s"}\n' % (n, random.Random(n).randbytes(40).hex().encode()) for n in range(20_000))
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"


def texts(chunks: Iterable[bytes]) -> tuple[list[bytes], str | None]:
    found: list[bytes] = []
    try:
        found.extend(record for _, _, record in Content(Stream(chunks)).records() if record)
    except Unreadable as error:
        return found, str(error)
    return found, None


def sliced(content: bytes, size: int) -> Iterator[bytes]:
    return (content[n : n + size] for n in range(0, len(content), size))


def frames(*contents: bytes) -> bytes:
    return b"".join(map(zstd.compress, contents))


PACKED = {
    "one frame": frames(TWO),
    "several frames": frames(b'{"a":1}\n', b'{"b":2}\n'),
    "frames that end within a line": frames(b'{"a"', b':1}\n{"b":2', b"}\n"),
    "empty frames as well": frames(b"", b'{"a":1}\n', b"", b'{"b":2}\n', b""),
    "a frame that holds nothing first, as pzstd writes": SKIPPABLE
    + frames(b'{"a":1}\n')
    + SKIPPABLE
    + frames(b'{"b":2}\n'),
    "in gzip": gzip.compress(frames(TWO)),
    "gzip in it": zstd.compress(gzip.compress(TWO)),
    "an array": frames(b'[{"a":1},{"b":2}]'),
    "an array, twice": frames(frames(b'[{"a":1},{"b":2}]')),
}


@pytest.mark.parametrize("content", PACKED.values(), ids=PACKED.keys())
def test_zstd_in_all_its_forms(content: bytes) -> None:
    expected = [b'{"a":1}', b'{"b":2}'], None
    assert texts([content]) == texts(sliced(content, 1)) == expected


def test_a_million_small_frames_are_read_in_no_time() -> None:
    assert texts([zstd.compress(b"{}\n") * 100_000])[0] == [b"{}"] * 100_000


def spoiled(packed: bytes) -> Iterator[tuple[str, bytes, str]]:
    yield "cut in the middle", packed[: len(packed) // 2], "breaks off before its end"
    yield "cut at its end", packed[:-1], "breaks off before its end"
    yield "words after it", packed + b"and so much more", "is damaged"
    yield "the start of another after it", packed + packed[:5], "breaks off before its end"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(content, reason) for _, content, reason in spoiled(zstd.compress(LARGE))],
    ids=[name for name, _, _ in spoiled(b"12")],
)
def test_damaged_zstd_is_read_as_far_as_it_can_be_and_no_further(content: bytes, reason: str) -> None:
    found, why = texts(sliced(content, CHUNK_BYTES))
    assert f"the zstd data {reason}" in str(why)
    assert len(found) > 1_000
    assert found == LARGE.splitlines()[: len(found)]


def test_a_window_that_memory_should_not_hold_is_one_error() -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 29}
    packer = zstd.ZstdCompressor(options=options)
    content = b"".join(packer.compress(random.Random(1).randbytes(1 << 20)) for _ in range(3)) + packer.flush()
    found, why = texts([content])
    assert found == []
    assert "the zstd data is damaged" in str(why)
    assert "too much memory" in str(why)


def test_a_bomb_is_unpacked_a_chunk_at_a_time() -> None:
    packer = zstd.ZstdCompressor()
    content = packer.compress(TWO) + b"".join(packer.compress(piece) for piece in repeat(bytes(1_000_000), 300))
    content += packer.flush()
    assert len(content) < 100_000
    tracemalloc.start()
    records = sum(1 for _ in Content(Held(content)).records())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert records > 2
    assert most < 20_000_000


def test_a_message_may_not_unpack_to_more_than_it_should() -> None:
    with pytest.raises(Unreadable, match="decompresses to more than 1000000 bytes"):
        list(Content(Held(zstd.compress(TWO + b"x" * 5_000_000)), most=1_000_000).records())


@pytest.mark.parametrize("pack", [zstd.compress, lambda c: gzip.compress(zstd.compress(c))], ids=["zstd", "in gzip"])
def test_reading_goes_on_from_any_record_of_it(pack: Callable[[bytes], bytes]) -> None:
    content = Content(Held(pack(LARGE)))
    whole = [*content.records()]
    for n in (0, 1, 4_321, len(whole) - 1):
        position = content.mark(*whole[n][:2])
        assert position.compression in {"zstd", "gzip+zstd"}
        assert [*Content(Held(pack(LARGE)), position).records()] == whole[n:]


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("events.jsonl", content)
    return file.getvalue()


def tarred(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("events.jsonl")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


OTHERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "bzip2": (bz2.compress, "bzip2: repack it, bzcat FILE.bz2 | gzip > FILE.gz"),
    "xz": (lzma.compress, "xz: repack it, xzcat FILE.xz | gzip > FILE.gz"),
    "lzma": (lambda c: lzma.compress(c, lzma.FORMAT_ALONE), "lzma: repack it, xzcat FILE.lzma | gzip > FILE.gz"),
    "ZIP": (zipped, "a ZIP archive: repack it, unzip -p FILE.zip | gzip > FILE.gz"),
    "tar": (tarred, "a tar archive: repack it, tar -xOf FILE.tar | gzip > FILE.gz"),
    "tar and gzip": (lambda c: gzip.compress(tarred(c)), "a tar archive: repack it"),
    "bzip2 in gzip": (lambda c: gzip.compress(bz2.compress(c)), "bzip2: repack it"),
    "zstd three times": (lambda c: frames(frames(frames(c))), "zstd within zstd within zstd: unpack it"),
}


@pytest.mark.parametrize(("pack", "sentence"), OTHERS.values(), ids=OTHERS.keys())
def test_what_is_packed_otherwise_is_one_sentence_that_says_how_to_convert_it(
    pack: Callable[[bytes], bytes], sentence: str
) -> None:
    found, reason = texts([pack(LARGE)])
    assert found == []
    assert f"this is no event data but {sentence}" in str(reason)
