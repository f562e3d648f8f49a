"""Avro's types: which schemas can be read safely, and what becomes of a value that JSON has no form for.

Logical types are read here from the plain values, each by itself, so that one value beyond the calendar costs its row
alone: https://avro.apache.org/docs/1.12.0/specification/#logical-types
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from importer.errors import Unreadable
from importer.formats.avro.schema import RECORDS, Resolved, Schema, kind_of

Convert = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (its own text has no zone)
_DAY_ONE = date(1970, 1, 1)
_PER_SECOND = {"millis": 1_000, "micros": 1_000_000, "nanos": 1_000_000_000}
_PYTHON: dict[str, type] = {
    "boolean": bool, "int": int, "long": int, "float": float, "double": float, "bytes": bytes, "fixed": bytes,
    "string": str, "enum": str, "array": list, "map": dict, "record": dict, "error": dict,
}  # fmt: skip


class Types:
    """The types of a record that rows are of.

    Attributes:
        columns: the names of its fields.
        converts: by the name of a field, what makes of its value what JSON is to have; without those that stay as they
            are, and never asked for a null.

    Raises:
        Unreadable: it is no record, or a type of it can hold itself, or nothing at all without an end.
    """

    def __init__(self, resolved: Resolved) -> None:
        schema = resolved.schema
        if not isinstance(schema, dict) or schema["type"] != "record":
            raise Unreadable("the Avro file's schema is no record, and only records can be events")
        self._resolved = resolved
        self._checked: set[str] = set()
        self._look_for_harm(schema, ())
        self.columns = [field["name"] for field in schema["fields"]]
        self.converts: dict[str, Convert] = {}
        for field in schema["fields"]:
            convert = self._convert(field["type"], is_time=field["name"] == "time")
            if convert is not None:
                self.converts[field["name"]] = convert

    def _look_for_harm(self, schema: Schema, within: tuple[str, ...]) -> None:
        """Looks for types that make few bytes into very much."""
        if isinstance(schema, list):
            for branch in schema:
                self._look_for_harm(branch, within)
            return
        schema = self._resolved.type_of(schema)
        kind = kind_of(schema)
        if kind in RECORDS:
            name = schema["name"]
            if name in within:
                raise Unreadable(f"the Avro file's schema has a type that holds itself ({name}): it need have no end")
            if name not in self._checked:
                self._checked.add(name)
                for field in schema["fields"]:
                    self._look_for_harm(field["type"], (*within, name))
        elif kind == "array":
            if self._may_be_empty(schema["items"]):
                raise Unreadable(
                    "the Avro file's schema has an array whose elements take no bytes: it need have no end"
                )
            self._look_for_harm(schema["items"], within)
        elif kind == "map":
            self._look_for_harm(schema["values"], within)

    def _may_be_empty(self, schema: Schema) -> bool:
        """Whether a value can take no bytes at all: then there can be any number of them in none."""
        schema = self._resolved.type_of(schema)
        if isinstance(schema, list):
            return False
        kind = kind_of(schema)
        if kind in RECORDS:
            return all(self._may_be_empty(field["type"]) for field in schema["fields"])
        return kind == "null" or (kind == "fixed" and not schema["size"])

    def _convert(self, schema: Schema, *, is_time: bool = False) -> Convert | None:
        """What makes of a value what JSON is to have; None if it is that already."""
        schema = self._resolved.type_of(schema)
        if isinstance(schema, list):
            return self._convert_union(schema, is_time)
        kind = kind_of(schema)
        if kind == "array":
            return _each(self._convert(schema["items"]))
        if kind == "map":
            return _each_value(self._convert(schema["values"]))
        if kind in RECORDS:
            return _fields({field["name"]: self._convert(field["type"]) for field in schema["fields"]})
        return _logical(schema, is_time=is_time) if isinstance(schema, dict) else None

    def _convert_union(self, branches: list[Schema], is_time: bool) -> Convert | None:
        """A union's value does not say which branch it is of: only where one alone can be meant it is converted."""
        found = [self._convert(branch, is_time=is_time) for branch in branches if branch != "null"]
        if len(found) == 1:
            return found[0]
        if not any(found):
            return None
        return _by_kind([(_python_kind(self._resolved.type_of(branch)), self._convert(branch)) for branch in branches])


def _each(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    return lambda values: [None if value is None else convert(value) for value in values]


def _each_value(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    return lambda values: {key: None if value is None else convert(value) for key, value in values.items()}


def _fields(converts: dict[str, Convert | None]) -> Convert | None:
    wanted = {name: convert for name, convert in converts.items() if convert is not None}
    if not wanted:
        return None

    def convert_fields(value: dict[str, Any]) -> dict[str, Any]:
        for name, convert in wanted.items():
            if value[name] is not None:
                value[name] = convert(value[name])
        return value

    return convert_fields


def _by_kind(branches: list[tuple[type, Convert | None]]) -> Convert:
    """By the kind of the value where branches differ in it."""
    kinds = [kind for kind, _ in branches]
    converts = {kind: convert for kind, convert in branches if kinds.count(kind) == 1}

    def convert_one(value: Any) -> Any:
        convert = converts.get(type(value))
        return value if convert is None else convert(value)

    return convert_one


def _python_kind(schema: Schema) -> type:
    return _PYTHON.get(kind_of(schema), type(None)) if not isinstance(schema, list) else type(None)


def _logical(schema: dict[str, Any], *, is_time: bool) -> Convert | None:
    """What a logical type makes of a plain value."""
    name, kind = str(schema.get("logicalType", "")), schema["type"]
    if name == "decimal" and kind in {"bytes", "fixed"}:
        scale = int(schema.get("scale", 0))
        return lambda value: Decimal(int.from_bytes(value, "big", signed=True)).scaleb(-scale)
    if name == "uuid" and kind == "fixed":
        return lambda value: str(UUID(bytes=value))
    if name == "date":
        return _day_in_milliseconds if is_time else lambda value: (_DAY_ONE + timedelta(days=value)).isoformat()
    stem, _, unit = name.rpartition("-")
    return _logical_time(stem, _PER_SECOND[unit], is_time=is_time) if unit in _PER_SECOND else None


def _logical_time(stem: str, per_second: int, *, is_time: bool) -> Convert | None:
    if stem in {"timestamp", "local-timestamp"}:
        if is_time:
            return None if per_second == 1_000 else lambda value: value * 1_000 // per_second
        return lambda value: _iso(value, per_second)
    return (lambda value: _time_of_day(value * 1_000_000 // per_second)) if stem == "time" else None


def _day_in_milliseconds(value: int) -> int:
    return value * 86_400_000


def _iso(value: int, per_second: int) -> str:
    """A time as ISO 8601 in UTC, with as many digits as its unit has, if it has any."""
    seconds, fraction = divmod(value, per_second)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    digits = f".{fraction:0{len(str(per_second)) - 1}d}" if fraction else ""
    return f"{text}{digits}Z"


def _time_of_day(microseconds: int) -> str:
    return (datetime.combine(_DAY_ONE, time(tzinfo=UTC)) + timedelta(microseconds=microseconds)).time().isoformat()
