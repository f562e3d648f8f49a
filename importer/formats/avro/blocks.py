"""The frame of an Avro object container file: header, and blocks of rows, each decompressed within bounds."""

from __future__ import annotations

import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib

from importer.errors import SettingsError, Unreadable

_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_RAW_DEFLATE = -15  # zlib's wbits: no header, the largest window
_MAX_HEADER_BYTES = 4 << 20
_MAX_BLOCK_BYTES = 64 << 20
"""Of one block, as it is stored and decompressed. Writers begin another after 16 kB to a few MB."""

_MAX_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself.

    Attributes:
        schema: as JSON has it.
        codec: what its blocks are compressed with.
        sync: what stands after each block.
        size: bytes of the header.
    """

    schema: Any
    codec: str
    sync: bytes
    size: int


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """Some rows of the file.

    Attributes:
        offset: where the block begins, in bytes of the file.
        rows: how many there are.
        data: their bytes, decompressed.
    """

    offset: int
    rows: int
    data: bytes


class _Bytes:
    """The file's bytes in order: so many at a time, however they come."""

    def __init__(self, chunks: Iterator[bytes], offset: int = 0) -> None:
        self._chunks = chunks
        self._held = b""
        self._at = 0
        self.offset = offset

    def read(self, count: int) -> bytes:
        """Raises:
        Unreadable: there are fewer.
        """
        if len(self._held) - self._at < count:
            parts = [self._held[self._at :]]
            size = len(parts[0])
            while size < count:
                chunk = next(self._chunks, None)
                if chunk is None:
                    raise Unreadable("the Avro file breaks off")
                parts.append(chunk)
                size += len(chunk)
            self._held, self._at = b"".join(parts), 0
        data = self._held[self._at : self._at + count]
        self._at += count
        self.offset += count
        return data

    def is_at_end(self) -> bool:
        while self._at == len(self._held):
            chunk = next(self._chunks, None)
            if chunk is None:
                return True
            self._held, self._at = chunk, 0
        return False

    def rest(self) -> Iterator[bytes]:
        """All that was not read."""
        yield self._held[self._at :]
        yield from self._chunks

    def number(self) -> int:
        """A variable-length, zig-zag coded integer."""
        value = 0
        for nth in range(_MAX_VARINT_BYTES):
            byte = self.read(1)[0]
            value |= (byte & 0x7F) << (7 * nth)
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
        raise Unreadable(f"the Avro file is damaged: there is no number at byte {self.offset}")


def read_header(chunks: Iterator[bytes]) -> tuple[Header, Iterator[bytes]]:
    """The header, and all that follows it.

    Raises:
        Unreadable: it is none, or is longer than a header can be.
    """
    data = _Bytes(chunks)
    if data.read(len(_MAGIC)) != _MAGIC:
        raise Unreadable("this is no Avro file")
    metadata: dict[bytes, bytes] = {}
    while count := data.number():
        if count < 0:
            data.number()  # the bytes of what follows
        for _ in range(abs(count)):
            key = _field(data)
            metadata[key] = _field(data)
    sync = data.read(_SYNC_BYTES)
    codec = metadata.get(b"avro.codec", b"null").decode(errors="replace")
    try:
        schema = json.loads(metadata[b"avro.schema"])
    except (KeyError, ValueError, RecursionError) as error:
        raise Unreadable(f"the Avro file's schema cannot be read: {type(error).__name__}") from None
    return Header(schema, codec, sync, data.offset), data.rest()


def _field(data: _Bytes) -> bytes:
    size = data.number()
    if not 0 <= size <= _MAX_HEADER_BYTES - data.offset:
        raise Unreadable(f"the Avro file's header is damaged, or is more than {_MAX_HEADER_BYTES} bytes")
    return data.read(size)


class Blocks:
    """The blocks of a file, in order.

    Args:
        header: the file's.
        chunks: its bytes from the start of a block on.
        offset: where that is.

    Raises:
        Unreadable: (also while they are read) the file is damaged, or asks for more memory than a block may take.
    """

    def __init__(self, header: Header, chunks: Iterator[bytes], offset: int) -> None:
        self._sync = header.sync
        self._data = _Bytes(chunks, offset)
        self._decompress = _decompressor(header.codec)

    def __iter__(self) -> Iterator[StoredBlock]:
        data = self._data
        while not data.is_at_end():
            offset = data.offset
            rows, size = data.number(), data.number()
            if rows < 0 or not 0 <= size <= _MAX_BLOCK_BYTES:
                raise Unreadable(
                    f"the Avro block at byte {offset} says that it has {rows} rows in {size} bytes: it is damaged, or "
                    f"has more than {_MAX_BLOCK_BYTES} bytes"
                )
            try:
                content = self._decompress(data.read(size))
            except _TooLarge:
                raise Unreadable(f"the Avro block at byte {offset} has more than {_MAX_BLOCK_BYTES} bytes") from None
            except Unreadable:
                raise
            except Exception as error:  # each codec has errors of its own
                raise Unreadable(f"the Avro block at byte {offset} is damaged: {error}") from None
            if rows > len(content):
                raise Unreadable(
                    f"the Avro block at byte {offset} says that it has {rows} rows in {len(content)} bytes"
                )
            if data.read(_SYNC_BYTES) != self._sync:
                raise Unreadable(f"the Avro block at byte {offset} is damaged: it does not end where it says")
            yield StoredBlock(offset, rows, content)


class _TooLarge(Exception):
    """It decompresses to more than a block may have."""


def _decompressor(codec: str) -> Callable[[bytes], bytes]:
    """What decompresses a block.

    Raises:
        Unreadable: there is no such codec.
    """
    found = _CODECS.get(codec)
    if found is None:
        raise Unreadable(f"the Avro file is compressed with {codec[:40]!r}, which is none of {', '.join(_CODECS)}")
    return found


def _bounded(content: bytes, rest: object = b"") -> bytes:
    if rest or len(content) > _MAX_BLOCK_BYTES:
        raise _TooLarge
    return content


def _deflate(data: bytes) -> bytes:
    stream = isal_zlib.decompressobj(_RAW_DEFLATE)
    return _bounded(stream.decompress(data, _MAX_BLOCK_BYTES), stream.unconsumed_tail)


def _bzip2(data: bytes) -> bytes:
    stream = bz2.BZ2Decompressor()
    return _bounded(stream.decompress(data, _MAX_BLOCK_BYTES + 1))


def _xz(data: bytes) -> bytes:
    stream = lzma.LZMADecompressor(memlimit=_MAX_BLOCK_BYTES)
    return _bounded(stream.decompress(data, _MAX_BLOCK_BYTES + 1))


def _snappy(data: bytes) -> bytes:
    cramjam = _cramjam()
    body, checksum = data[:-4], int.from_bytes(data[-4:], "big")
    if cramjam.snappy.decompress_raw_len(body) > _MAX_BLOCK_BYTES:
        raise _TooLarge
    content = bytes(cramjam.snappy.decompress_raw(body))
    if zlib.crc32(content) != checksum:
        raise Unreadable("the Avro file is damaged: a block does not have its checksum")
    return content


def _zstandard(data: bytes) -> bytes:
    from backports import zstd  # noqa: PLC0415

    return _bounded(zstd.ZstdDecompressor().decompress(data, _MAX_BLOCK_BYTES + 1))


def _lz4(data: bytes) -> bytes:
    size = int.from_bytes(data[:4], "little")
    if size > _MAX_BLOCK_BYTES:
        raise _TooLarge
    return bytes(_cramjam().lz4.decompress_block(data))


def _cramjam() -> Any:
    try:
        import cramjam  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"Snappy and LZ4 need cramjam: pip install 'mixpanel-importer[formats]' ({error})."
        ) from None
    return cramjam


_CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": _bounded,
    "deflate": _deflate,
    "snappy": _snappy,
    "zstandard": _zstandard,
    "bzip2": _bzip2,
    "xz": _xz,
    "lz4": _lz4,
}
