"""Avro's rows: a schema is compiled into Python functions that read them, faster than a library that interprets it.

Each function reads a value from a place in the bytes and gives the value and the place after it. Records, arrays and
maps are functions of their own; what is within them stands in line. See
https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from importer.formats.avro.schema import RECORDS, Resolved, Schema, kind_of

ReadRows = Callable[[bytes, str, int, int, list[bytes]], int]
"""Reads so many rows from a place on, appends the record of each to a list, and gives the place after them.

It takes a block's bytes, the same as a text of which each character is a byte (`latin-1`), the place, how many rows,
and the list. Raises `Damaged`, `IndexError` or `struct.error` where there is no such row; those before it are in the
list.
"""

_MAX_VARINT_BYTES = 10
_MAX_SHORT = 64
"""The branches of a union whose number is one byte."""


class Damaged(Exception):
    """The bytes are none that the schema can have made."""


@dataclass(frozen=True, slots=True)
class Made:
    """How the values of a row become its record.

    Attributes:
        expression: the code for it, of the variables that hold the columns' values.
        names: what it speaks of.
        converts: by the name of a column, what makes of a value that is not null what JSON is to have.
        malformed: makes the record of a row whose values cannot be converted, or written, of the error.
    """

    expression: Callable[[Sequence[str]], str]
    names: Mapping[str, Any]
    converts: Mapping[str, Callable[[Any], Any]]
    malformed: Callable[[Exception], bytes]


def compiled(resolved: Resolved, columns: Sequence[str], made: Made) -> ReadRows:
    """The function that reads rows.

    Args:
        resolved: the record's schema, which must not hold itself.
        columns: all of its columns, in the order in which `made` wants them.
        made: what becomes of a row. Texts come as characters that are bytes, names as well.
    """
    code = _Code(resolved)
    name = code.rows(columns, made)
    names: dict[str, Any] = {"number": number, "size": size, "double": _double, "float": _float, "Damaged": Damaged}
    names |= {**code.constants, **made.names, "malformed": made.malformed}
    exec("\n".join(code.lines), names)  # noqa: S102 (what it holds of a schema are constants, spoken of by name)
    read: ReadRows = names[name]
    return read


def number(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length, zig-zag coded integer."""
    value, shift = data[at] & 0x7F, 0
    if data[at] > 0x7F:
        for byte in data[at + 1 : at + _MAX_VARINT_BYTES]:
            shift += 7
            if byte < 0x80:
                value |= byte << shift
                break
            value |= (byte & 0x7F) << shift
        else:
            raise Damaged(f"there is no number at byte {at} of its block")
    return (value >> 1) ^ -(value & 1), at + 1 + shift // 7


def size(data: bytes, at: int) -> tuple[int, int]:
    """A number of bytes that follow, or of elements of one byte or more each."""
    value, after = number(data, at)
    if not 0 <= value <= len(data) - after:
        raise Damaged(f"there are not {value} bytes at byte {after} of its block")
    return value, after


_double = struct.Struct("<d").unpack_from
_float = struct.Struct("<f").unpack_from


def as_bytes(text: str) -> str:
    """A text of which each character is a byte of its UTF-8."""
    return text.encode().decode("latin-1")


class _Code:
    """The functions for one schema.

    Attributes:
        lines: their code.
        constants: what the code speaks of by a name: texts of the schema never stand in it.
    """

    def __init__(self, resolved: Resolved) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self._resolved = resolved
        self._functions: dict[str, str] = {}

    def rows(self, columns: Sequence[str], made: Made) -> str:
        """The name of the function that reads rows."""
        body, variables = self._fields(self._resolved.schema)
        for name, convert in made.converts.items():
            of = variables[name]
            body += [f"    if {of} is not None:", f"        {of} = {self._constant(convert)}({of})"]
        body.insert(len(body) - 2 * len(made.converts), "try:")
        body += [
            f"    append({made.expression([variables[name] for name in columns])})",
            "except Exception as error:",
            "    append(malformed(error))",
        ]
        function = f"read{len(self.lines)}"
        self.lines += [
            f"def {function}(data, text, at, count, found):",
            "    append, most = found.append, len(data)",
            "    for _ in range(count):",
            *(f"        {line}" for line in body),
            "    return at",
        ]
        return function

    def function(self, schema: Schema) -> str:
        """The name of the function that reads a record, an array or a map."""
        own = schema.get("name")
        if own in self._functions:
            return self._functions[own]
        body = {"array": self._array, "map": self._map}.get(schema["type"], self._record)(schema)
        name = self._defined(body)
        if own:
            self._functions[own] = name
        return name

    def _defined(self, body: list[str]) -> str:
        name = f"read{len(self.lines)}"
        self.lines += [f"def {name}(data, text, at, most):", *(f"    {line}" for line in body)]
        return name

    def _record(self, schema: Schema) -> list[str]:
        body, variables = self._fields(schema)
        members = (f"{self._constant(as_bytes(name))}: {variable}" for name, variable in variables.items())
        return [*body, f"return {{{', '.join(members)}}}, at"]

    def _fields(self, schema: Schema) -> tuple[list[str], dict[str, str]]:
        """The code that reads a record's fields, and the variable of each."""
        body: list[str] = []
        variables: dict[str, str] = {}
        for nth, field in enumerate(schema["fields"]):
            body += self._value(field["type"], f"v{nth}")
            variables[field["name"]] = f"v{nth}"
        return [*body, "if at > most:", "    raise IndexError"], variables

    def _array(self, schema: Schema) -> list[str]:
        element = self._value(schema["items"], "value")
        return _blocks("values = []", [*element, "values.append(value)"])

    def _map(self, schema: Schema) -> list[str]:
        element = [*self._text("key"), *self._value(schema["values"], "value")]
        return _blocks("values = {}", [*element, "values[key] = value"])

    def _value(self, schema: Schema, to: str) -> list[str]:
        """The code that reads a value into a variable."""
        schema = self._resolved.type_of(schema)
        if isinstance(schema, list):
            return self._union(schema, to)
        kind = kind_of(schema)
        if kind in RECORDS | {"array", "map"}:
            return [f"{to}, at = {self.function(schema)}(data, text, at, most)"]
        if kind == "enum":
            symbols = self._constant(tuple(map(as_bytes, schema["symbols"])))
            return [*self._value("long", to), f"if {to} < 0:", "    raise IndexError", f"{to} = {symbols}[{to}]"]
        if kind == "fixed":
            return [f"{to} = data[at:at + {int(schema['size'])}]", f"at += {int(schema['size'])}"]
        return self._primitive(kind, to)

    def _primitive(self, kind: str, to: str) -> list[str]:
        if kind == "string":
            return self._text(to)
        if kind in {"int", "long"}:
            return [
                "n = data[at]",
                "if n < 128:",
                "    at += 1",
                f"    {to} = (n >> 1) ^ -(n & 1)",
                "else:",
                "    m = data[at + 1]",
                "    if m < 128:",
                "        at += 2",
                "        n = n & 127 | m << 7",
                f"        {to} = (n >> 1) ^ -(n & 1)",
                "    else:",
                f"        {to}, at = number(data, at)",
            ]
        codes = {
            "null": [f"{to} = None"],
            "boolean": [f"{to} = data[at] == 1", "at += 1"],
            "double": [f"{to}, = double(data, at)", "at += 8", *_finite(to)],
            "float": [f"{to}, = float(data, at)", "at += 4", *_finite(to)],
            "bytes": ["n, at = size(data, at)", f"{to} = data[at:at + n]", "at += n"],
        }
        return codes[kind]

    def _text(self, to: str, ahead: int = 0) -> list[str]:
        """A text; `ahead` bytes before it are passed over. Nearly all have fewer than 64 bytes, or than 8,192."""
        start = f"at + {ahead}" if ahead else "at"
        return [
            f"n = data[{start}]",
            "if n & 129:",
            f"    m = data[at + {ahead + 1}]",
            "    if n & 1 or m > 127:",
            f"        n, at = size(data, {start})",
            "    else:",
            f"        n, at = (n & 127 | m << 7) >> 1, at + {ahead + 2}",
            "    end = at + n",
            f"    {to} = text[at:end]",
            "else:",
            f"    end = at + {ahead + 1} + (n >> 1)",
            f"    {to} = text[at + {ahead + 1}:end]",
            "at = end",
        ]

    def _union(self, branches: list[Schema], to: str) -> list[str]:
        lines = ["branch = data[at]"]
        word = "if"
        for index, branch in enumerate(branches):
            if index < _MAX_SHORT:
                is_text = not isinstance(branch, list) and kind_of(self._resolved.type_of(branch)) == "string"
                read = self._text(to, 1) if is_text else ["at += 1", *self._value(branch, to)]
                lines += [f"{word} branch == {2 * index}:", *(f"    {line}" for line in read)]
                word = "elif"
        if len(branches) > _MAX_SHORT:
            raise Damaged(f"a union of more than {_MAX_SHORT} types")
        return [*lines, "else:", "    raise Damaged('a union has no such branch')"]

    def _constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name


def _finite(variable: str) -> list[str]:
    """What JSON has no form for becomes null: a number less itself is nothing, but for infinity and NaN."""
    return [f"if {variable} - {variable}:", f"    {variable} = None"]


def _blocks(empty: str, element: list[str]) -> list[str]:
    """The code for an array's or a map's elements, which come in blocks until one has none."""
    return [
        empty,
        "while True:",
        "    count, at = number(data, at)",
        "    if not count:",
        "        return values, at",
        "    if count < 0:",
        "        count = -count",
        "        _, at = number(data, at)",
        "    if count > most - at:",
        "        raise Damaged('an array or a map says that it has more elements than there are bytes')",
        "    for _ in range(count):",
        *(f"        {line}" for line in element),
    ]
