"""A record's bytes as the object they are, for mappings: integers exact, and a reason where they are none."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct

from importer.errors import InvalidRecord
from importer.mappings.outcome import Mapping, Outcome

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_NOTHING: dict[str, Any] = {}

T = TypeVar("T", bound=Struct)


def decode(record: bytes) -> dict[str, Any] | InvalidRecord:
    """The record as a dict, its integers exact whatever their size; it never raises.

    An escaped half of a surrogate pair (`\\ud83d` alone, where a program cut a text in the middle of an emoji) becomes
    U+FFFD; of a key that an object has twice, the last stays.

    Returns:
        The object, or the reason why the record is none.
    """
    try:
        return _decode(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        try:
            return _decode_otherwise(record)
        except InvalidRecord as reason:
            return reason


class Shape(Generic[T]):
    """Reads records as a Struct that names the fields a mapping looks at: twice as fast as all of them in a dict.

    Its fields are `Any = None`, or a Struct like itself, or a dict, `or None`: what is no object where one should be
    counts as absent.
    """

    def __init__(self, shape: type[T]) -> None:
        self._shape = shape
        self._decode = msgspec.json.Decoder(shape).decode

    def read(self, record: bytes) -> T | InvalidRecord:
        """The record's fields, or the reason why it is no object."""
        try:
            return self._decode(record)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            decoded = decode(record)
            return decoded if isinstance(decoded, InvalidRecord) else self.convert(decoded)

    def convert(self, record: dict[str, Any]) -> T:
        """The fields of a record that is decoded already."""
        try:
            return msgspec.convert(record, self._shape)
        except msgspec.ValidationError:
            return msgspec.convert(_with_objects_alone(record, self._shape), self._shape)


def _with_objects_alone(record: dict[str, Any], shape: type[Struct]) -> dict[str, Any]:
    """The record without what is no object where the shape has one."""
    found = dict(record)
    for name, hint in get_type_hints(shape).items():
        inner = next((one for one in get_args(hint) if one is not type(None)), Any)
        if inner is Any or name not in found:
            continue
        value = found[name]
        if not isinstance(value, dict):
            found[name] = None
        elif isinstance(inner, type) and issubclass(inner, Struct):
            found[name] = _with_objects_alone(value, inner)
    return found


def of_objects(outcomes: Callable[[dict[str, Any]], list[Outcome]]) -> Mapping:
    """Makes a mapping of records out of one of decoded objects."""

    def mapping(record: bytes) -> list[Outcome]:
        decoded = decode(record)
        return outcomes(decoded) if decoded.__class__ is dict else [decoded]

    return mapping


def as_object(value: object) -> dict[str, Any]:
    """The value where it is an object, else an empty one (which is not to be changed)."""
    return value if isinstance(value, dict) else _NOTHING


def _decode_otherwise(record: bytes) -> dict[str, Any]:
    """Decodes what the fast decoder rejects and JSON's grammar allows.

    Raises:
        InvalidRecord: it is no JSON object.
    """
    text = record.removeprefix(codecs.BOM_UTF8)  # where files with a byte order mark were joined
    try:
        value = json.loads(text.decode(), parse_constant=_no_constant)
        if not isinstance(value, dict):
            raise InvalidRecord("is not a JSON object")
        whole = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return _decode(whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode())
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"is not UTF-8: byte 0x{text[error.start]:02x} at position {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidRecord(f"is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise InvalidRecord("is nested too deeply") from None
    except (ValueError, msgspec.MsgspecError):
        raise InvalidRecord("holds a number that is too large") from None


def _no_constant(name: str) -> Any:
    raise InvalidRecord(f"is not JSON: {name} is no JSON number")
