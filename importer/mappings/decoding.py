"""A record's bytes as the object they are, for mappings: integers exact, and a reason where they are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from importer import lenient_json
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

    All its fields have defaults. An object may come as a text of JSON, as a table's cell has it. What else is of
    another type than its field counts as absent.
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

    def of_bytes(self, outcome: Callable[[T], Outcome]) -> Mapping:
        """Makes a mapping of one that gives one outcome for a record's fields."""
        read = self.read

        def mapping(record: bytes) -> list[Outcome]:
            fields = read(record)
            return [fields if fields.__class__ is InvalidRecord else outcome(fields)]  # type: ignore[arg-type]

        return mapping

    def of_objects(self, outcome: Callable[[T], Outcome]) -> Callable[[dict[str, Any]], list[Outcome]]:
        """The same of records that are decoded already."""
        return lambda record: [outcome(self.convert(record))]

    def convert(self, record: dict[str, Any]) -> T:
        """The fields of a record that is decoded already."""
        while True:
            try:
                return msgspec.convert(record, self._shape)
            except msgspec.ValidationError as error:
                record = _without(record, _path_of(error))


def _path_of(error: msgspec.ValidationError) -> list[str]:
    """Where it is that something is of another type: `… - at `$.context.page`` is `context`, `page`."""
    return str(error).rpartition(" - at `$.")[2].removesuffix("`").split(".")


def _without(record: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """The record without what is there, or with the object that is there as a text; without all that is on the way if
    that is not found."""
    name, *rest = path
    if name not in record:
        return {}
    inner = record[name]
    if isinstance(inner, str) and inner.startswith("{") and isinstance(found := decode(inner.encode()), dict):
        return record | {name: found}
    if rest and isinstance(inner, dict) and rest[0] in inner:
        return record | {name: _without(inner, rest)}
    return {key: value for key, value in record.items() if key != name}


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
    try:
        value = lenient_json.value_of(record)
        if not isinstance(value, dict):
            raise InvalidRecord("is not a JSON object")
        return _decode(lenient_json.canonical(value))
    except RecursionError:
        raise InvalidRecord("is nested too deeply") from None
    except (ValueError, msgspec.MsgspecError):
        raise InvalidRecord("holds a number that is too large") from None
