"""Compressed content: gzip and zstd, unpacked a chunk at a time, whatever it unpacks to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from isal import igzip_lib, isal_zlib

from importer.errors import Unreadable
from importer.limits import CHUNK_BYTES

_SLICE = 1 << 15
"""Bytes that are handed over at a time: after each of many small members, what is left of a slice is copied."""

_GZIP_MEMBER = 31  # zlib's wbits: a gzip header and trailer around the largest window
_SKIPPABLE = tuple(bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16))
"""What a frame that holds no content starts with: pzstd and seekable files begin with one."""


@dataclass(frozen=True, slots=True)
class Compression:
    """A way to compress.

    Attributes:
        name: what a position calls it.
        starts: what compressed content starts with, one of these.
        decompressed: decompresses chunks, at most `CHUNK_BYTES` at a time. Raises `Unreadable`.
    """

    name: str
    starts: tuple[bytes, ...]
    decompressed: Callable[[Iterable[bytes]], Iterator[bytes]]


def compression_of(head: bytes) -> Compression | None:
    """What content is compressed with, by its first bytes."""
    return next((one for one in _COMPRESSIONS if head.startswith(one.starts)), None)


def _from_gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Member after member."""
    member = isal_zlib.decompressobj(_GZIP_MEMBER)
    for data in _slices(chunks):
        while data:
            if member.eof:
                data = data.lstrip(b"\0")  # padding, as tapes and some tools leave it
                if not data:
                    break
                member = isal_zlib.decompressobj(_GZIP_MEMBER)
            try:
                yield member.decompress(data, CHUNK_BYTES)
            except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub calls it a variable
                raise Unreadable(f"the gzip data is damaged: {error}") from None
            data = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise Unreadable("the gzip data breaks off before its end")


def _from_zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Frame after frame. A window of up to 128 MB is held, which is what the `zstd` program takes, too."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415

    frame = zstd.ZstdDecompressor()
    for data in _slices(chunks):
        while data or not (frame.eof or frame.needs_input):
            if frame.eof:
                frame = zstd.ZstdDecompressor()
            try:
                yield frame.decompress(data, CHUNK_BYTES)
            except zstd.ZstdError as error:
                raise Unreadable(f"the zstd data is damaged: {error}") from None
            data = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise Unreadable("the zstd data breaks off before its end")


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _SLICE):
            yield chunk[start : start + _SLICE]


_COMPRESSIONS = (
    Compression("gzip", (b"\x1f\x8b",), _from_gzip),
    Compression("zstd", (b"\x28\xb5\x2f\xfd", *_SKIPPABLE), _from_zstd),
)
