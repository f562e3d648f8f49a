"""Compressed content: gzip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from isal import igzip_lib, isal_zlib

from importer.errors import Unreadable
from importer.limits import CHUNK_BYTES

GZIP = b"\x1f\x8b"
"""What gzipped content starts with."""

_GZIP_SLICE = 1 << 15
_GZIP_MEMBER = 31  # zlib's wbits: a gzip header and trailer around the largest window


def decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompresses gzip, member after member, at most `CHUNK_BYTES` at a time."""
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


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Small slices: after each of many small members, what is left of a slice is copied."""
    for chunk in chunks:
        for start in range(0, len(chunk), _GZIP_SLICE):
            yield chunk[start : start + _GZIP_SLICE]
