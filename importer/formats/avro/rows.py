"""Avro's rows: a schema is compiled into Python functions that read them, faster than a library that interprets it.

Each function reads a value from a place in the bytes and gives the value and the place after it. Records, arrays and
maps are functions of their own; what is within them stands in line. See
https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from importer.formats.avro.schema import RECORDS, Resolved, Schema, kind_of

ReadRow = Callable[[bytes, int], tuple[tuple[Any, ...], int]]
"""Reads the row at a place, and gives it and the place after it.

Raises:
    Damaged, IndexError, struct.error: there is no such row.
    UnicodeDecodeError: a text is not UTF-8, where that is not to be let pass.
"""

_MAX_VARINT_BYTES = 10


_MAX_SHORT = 64
"""The branches of a union whose number is one byte."""


class Damaged(Exception):
    """The bytes are none that the schema can have made."""


def compiled(resolved: Resolved, columns: Sequence[str], *, errors: str = "strict") -> ReadRow:
    """The function that reads rows: each as the values of its columns.

    Args:
        resolved: the record's schema, which must not hold itself.
        columns: all of its columns, in the order in which their values are wanted.
        errors: what is done about a text that is not UTF-8, as `bytes.decode` takes it.
    """
    code = _Code(resolved, errors)
    name = code.row(columns)
    names: dict[str, Any] = {"number": number, "size": size, "double": _double, "float": _float, "Damaged": Damaged}
    names |= code.constants
    exec("\n".join(code.lines), names)  # noqa: S102 (what it holds of a schema are constants, spoken of by name)
    read: ReadRow = names[name]
    return read


def number(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length, zig-zag coded integer."""
    value = 0
    for nth in range(_MAX_VARINT_BYTES):
        byte = data[at + nth]
        value |= (byte & 0x7F) << (7 * nth)
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at + nth + 1
    raise Damaged(f"there is no number at byte {at} of its block")


def size(data: bytes, at: int) -> tuple[int, int]:
    """A number of bytes that follow, or of elements of one byte or more each."""
    value, after = number(data, at)
    if not 0 <= value <= len(data) - after:
        raise Damaged(f"there are not {value} bytes at byte {after} of its block")
    return value, after


_double = struct.Struct("<d").unpack_from
_float = struct.Struct("<f").unpack_from


class _Code:
    """The functions for one schema.

    Attributes:
        lines: their code.
        constants: what the code speaks of by a name: texts of the schema never stand in it.
    """

    def __init__(self, resolved: Resolved, errors: str) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self._resolved = resolved
        self._errors = errors
        self._functions: dict[str, str] = {}

    def row(self, columns: Sequence[str]) -> str:
        """The name of the function that reads a row."""
        body, variables = self._fields(self._resolved.schema)
        wanted = "".join(f"{variables[name]}, " for name in columns)
        return self._defined([*body, f"return ({wanted}), at"])

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
        self.lines += [f"def {name}(data, at):", *(f"    {line}" for line in body)]
        return name

    def _record(self, schema: Schema) -> list[str]:
        body, variables = self._fields(schema)
        members = (f"{self._constant(name)}: {variable}" for name, variable in variables.items())
        return [*body, f"return {{{', '.join(members)}}}, at"]

    def _fields(self, schema: Schema) -> tuple[list[str], dict[str, str]]:
        """The code that reads a record's fields, and the variable of each."""
        body: list[str] = []
        variables: dict[str, str] = {}
        for nth, field in enumerate(schema["fields"]):
            body += self._value(field["type"], f"v{nth}")
            variables[field["name"]] = f"v{nth}"
        return [*body, "if at > len(data):", "    raise IndexError"], variables

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
            return [f"{to}, at = {self.function(schema)}(data, at)"]
        if kind == "enum":
            symbols = self._constant(tuple(schema["symbols"]))
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
                f"    {to}, at = number(data, at)",
            ]
        codes = {
            "null": [f"{to} = None"],
            "boolean": [f"{to} = data[at] == 1", "at += 1"],
            "double": [f"{to}, = double(data, at)", "at += 8"],
            "float": [f"{to}, = float(data, at)", "at += 4"],
            "bytes": ["n, at = size(data, at)", f"{to} = data[at:at + n]", "at += n"],
        }
        return codes[kind]

    def _text(self, to: str, ahead: int = 0) -> list[str]:
        """A text; `ahead` bytes before it are passed over. Nearly all have fewer than 64 bytes."""
        decode = ".decode()" if self._errors == "strict" else f".decode('utf-8', {self._errors!r})"
        return [
            f"n = data[at + {ahead}]",
            "if n < 128 and not n & 1:",
            f"    at += {ahead + 1}",
            "    end = at + (n >> 1)",
            "else:",
            f"    n, at = size(data, at + {ahead})",
            "    end = at + n",
            f"{to} = data[at:end]{decode}",
            "at = end",
        ]

    def _union(self, branches: list[Schema], to: str) -> list[str]:
        lines = ["branch = data[at]"]
        word = "if"
        for index, branch in enumerate(branches):
            if index < _MAX_SHORT:
                is_text = branch == "string"
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
        "    if count > len(data) - at:",
        "        raise Damaged('an array or a map says that it has more elements than there are bytes')",
        "    for _ in range(count):",
        *(f"        {line}" for line in element),
    ]
