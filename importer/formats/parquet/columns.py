"""Columns to JSON: the expressions that make a row's JSON, in the SQL of DuckDB, which builds it without Python.

An integer stays exact, a timestamp becomes ISO 8601 in UTC (as an event's `time`: epoch milliseconds), bytes become
base64, what is nested stays nested; a number that JSON has not (NaN, infinity) and a null are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

_FLOATS = frozenset({"float", "double"})
_TIMESTAMPS = frozenset({"timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"})
_ZONED = "timestamp with time zone"
_FINITE = _FLOATS | _TIMESTAMPS | {_ZONED, "date"}
"""Types with values that are neither null nor anything JSON or a calendar knows."""

_INTEGERS = ("tinyint", "smallint", "integer", "bigint", "hugeint")
_AS_THEY_ARE = frozenset(
    {"boolean", "decimal", "varchar", "enum", "uuid", "date", "time", *_INTEGERS, *(f"u{name}" for name in _INTEGERS)}
)
"""Types that DuckDB's `to_json` writes as they should be."""

_NESTED = frozenset({"list", "array", "struct", "map"})
_MAX_DEPTH = 8
"""What is nested deeper is a text, where it is not written as it is: each level doubles the time to plan it."""

_SHORT = (_AS_THEY_ARE | _FINITE) - {"varchar"}
_ELEMENT_BYTES = 8
"""What an element of an array is counted for, beside what it holds."""

_TEXTS = frozenset({"event", "distinct_id", "$insert_id"})
"""What is text in an event, also where a writer says no more than that it is bytes."""


class Type(Protocol):
    """A column's type: `duckdb.DuckDBPyType`."""

    @property
    def id(self) -> str: ...

    @property
    def children(self) -> list[tuple[str, Any]]: ...


class Column:
    """A column, or a field within one.

    Attributes:
        name: as the table has it.
        value: the expression that reads it.
        type: its type.
    """

    __slots__ = ("name", "type", "value")

    def __init__(self, name: str, type_: Type, value: str | None = None) -> None:
        self.name = name
        self.type = type_
        self.value = quoted(name) if value is None else value


def row(columns: Iterable[Column]) -> str:
    """The expression for a row as an object of its columns."""
    return f"'{{' || {_members(columns)} || '}}'"


def event(columns: Sequence[Column]) -> str | None:
    """The expression for a row as a Mixpanel event: the columns `event`, `time`, `distinct_id` and `$insert_id` (or
    `insert_id`) are the event's own fields, every other one is a property; a column `properties` that is nested gives
    its fields. None if there is no column `event`."""
    by_name = {column.name: column for column in columns}
    name = by_name.pop("event", None)
    if name is None:
        return None
    if "insert_id" in by_name and "$insert_id" not in by_name:
        by_name["$insert_id"] = _renamed(by_name.pop("insert_id"), "$insert_id")
    nested = by_name.get("properties")
    if nested is not None and nested.type.id == "struct":
        del by_name["properties"]
        by_name = {field.name: field for field in _fields(nested)} | by_name
    if nested is not None and nested.type.id == "map" and len(by_name) == 1:
        properties = f"to_json({_converted(nested.value, nested.type)})"
    else:
        properties = f"'{{' || {_members(by_name.values(), in_event=True)} || '}}'"
    named = _member(name, in_event=True)
    return f"""'{{' || concat_ws(',', {named}, '"properties":' || {properties}) || '}}'"""


def weight(columns: Iterable[Column]) -> str:
    """The expression for about how many bytes a row's JSON has, of all that can be long: JSON is not made for it."""
    return _sum(_weight(column.value, column.type) for column in columns)


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as a literal."""
    return "'" + value.replace("'", "''") + "'"


def _members(columns: Iterable[Column], *, in_event: bool = False) -> str:
    """The expression for an object's members without its braces; those that are null are left out."""
    members = [_member(column, in_event=in_event) for column in columns]
    return f"concat_ws(',', {', '.join(members)})" if members else "''"


def _member(column: Column, *, in_event: bool) -> str:
    value, kind = column.value, column.type.id
    if in_event and column.name == "time" and kind in _TIMESTAMPS | {_ZONED, "date"}:
        made = f"epoch_ns({value}) // 1_000_000" if kind == "timestamp_ns" else f"epoch_us({value}::TIMESTAMP) // 1_000"
    elif in_event and column.name in _TEXTS and kind == "blob":
        made = f"try(decode({value}))"
    else:
        made = _converted(value, column.type)
    is_there = f"isfinite({value})" if kind in _FINITE else f"{value} IS NOT NULL"
    name = text(f"{json.dumps(column.name, ensure_ascii=False)}:")
    return f"CASE WHEN {is_there} THEN {name} || to_json({made}) END"


def _converted(value: str, type_: Type, depth: int = 0) -> str:
    """The expression for a value that `to_json` writes as it should be."""
    kind = type_.id
    if kind in _NESTED:
        if not _is_converted(type_):
            return value
        return _nested(value, type_, depth) if depth < _MAX_DEPTH else f"{value}::VARCHAR"
    if str(type_) == "JSON":
        return f"CASE WHEN json_valid({value}) THEN {value} ELSE to_json({value}::VARCHAR) END"
    if kind in _AS_THEY_ARE:
        return value
    if kind in _FLOATS:
        return f"CASE WHEN isfinite({value}) THEN {value} END"
    return _as_text(value, kind)


def _is_converted(type_: Type) -> bool:
    """Whether anything in a type is written in another way than `to_json` would write it."""
    if type_.id in _NESTED:
        return any(_is_converted(of) for name, of in type_.children if name != "key")
    return type_.id not in _AS_THEY_ARE or str(type_) == "JSON"


def _as_text(value: str, kind: str) -> str:
    if kind == "blob":
        return f"base64({value})"
    if kind == _ZONED:
        value = f"{value}::TIMESTAMP"
    if kind in _TIMESTAMPS | {_ZONED}:
        return f"replace({value}::VARCHAR, ' ', 'T') || 'Z'"
    return f"{value}::VARCHAR"


def _nested(value: str, type_: Type, depth: int) -> str:
    kind, each = type_.id, f"each{depth}"
    if kind == "struct":
        fields = [
            (field, _converted(field.value, field.type, depth + 1)) for field in _fields(Column("", type_, value))
        ]
        packed = ", ".join(f"{quoted(field.name)} := {made}" for field, made in fields)
        return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({packed}) END"
    children = dict(type_.children)
    if kind == "map":
        made = _converted(f"{each}.value", children["value"], depth + 1)
        entries = f"list_transform(map_entries({value}), lambda {each}: struct_pack(k := {each}.key, v := {made}))"
        return f"map_from_entries({entries})"
    made = _converted(each, children["child"], depth + 1)
    return f"list_transform({value}, lambda {each}: {made})"


def _weight(value: str, type_: Type, depth: int = 0) -> str:
    """The same for a value; empty where it is short whatever it is."""
    kind, each = type_.id, f"each{depth}"
    if kind in _SHORT:
        return ""
    if kind in _NESTED and depth >= _MAX_DEPTH:
        return f"coalesce(strlen({value}::VARCHAR), 0)"
    if kind == "struct":
        return _sum(_weight(field.value, field.type, depth + 1) for field in _fields(Column("", type_, value)))
    if kind in {"list", "array", "map"}:
        children = dict(type_.children)
        parts = {f"{each}.{name}": of for name, of in children.items()} if kind == "map" else {each: children["child"]}
        inner = _sum(_weight(part, of, depth + 1) for part, of in parts.items())
        values = f"map_entries({value})" if kind == "map" else value
        count = f"{_ELEMENT_BYTES} * coalesce(len({values}), 0)"
        return (
            count
            if inner == "0"
            else f"{count} + coalesce(list_sum(list_transform({values}, lambda {each}: {inner})), 0)"
        )
    length = "octet_length" if kind == "blob" else "strlen"
    text_of = value if kind in {"blob", "varchar"} and str(type_) != "JSON" else f"{value}::VARCHAR"
    return f"coalesce({length}({text_of}), 0)"


def _sum(parts: Iterable[str]) -> str:
    found = [part for part in parts if part not in {"", "0"}]
    return f"({' + '.join(found)})" if found else "0"


def _fields(column: Column) -> list[Column]:
    """The fields of a struct."""
    return [
        Column(name, type_, f"struct_extract({column.value}, {text(name)})") for name, type_ in column.type.children
    ]


def _renamed(column: Column, name: str) -> Column:
    return Column(name, column.type, column.value)
