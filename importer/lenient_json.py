"""JSON that its grammar allows and a fast decoder rejects: read slowly, and written so that every decoder reads it."""

from __future__ import annotations

import codecs
import json
from typing import Any

from importer.errors import InvalidRecord


def value_of(record: bytes) -> Any:
    """The record as a Python value.

    Raises:
        InvalidRecord: it is not UTF-8 or not JSON; the reason says where it stops to be.
        ValueError: it holds a number with too many digits.
        RecursionError: it is nested too deeply.
    """
    record = record.removeprefix(codecs.BOM_UTF8)  # where files with a byte order mark were joined
    try:
        return _decode(record.decode())
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"is not UTF-8: byte 0x{record[error.start]:02x} at position {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidRecord(f"is not JSON: {error.msg.removesuffix(' at')} at character {error.pos}") from None


def canonical(value: Any) -> bytes:
    """The value as JSON that every decoder reads.

    An escaped half of a surrogate pair (`\\ud83d` alone, where a program cut a text in the middle of an emoji) becomes
    U+FFFD, as browsers show it: JSON's grammar allows it, but it is no character. Of a key that an object has twice,
    the last stays.

    Raises:
        ValueError: it holds a number that is too large.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _no_constant(name: str) -> Any:
    raise InvalidRecord(f"is not JSON: {name} is no JSON number")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode
