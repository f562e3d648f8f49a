"""Avro's schemas: every name in full, and every type one that there is.

https://avro.apache.org/docs/1.12.0/specification/#names
"""

from __future__ import annotations

from typing import Any

from importer.errors import Unreadable

Schema = Any
"""A schema as JSON has it: a name, an object, or a list of a union's branches."""

RECORDS = frozenset({"record", "error"})
NAMED = RECORDS | {"enum", "fixed"}
PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_MAX_DEPTH = 32
_MAX_FIELDS = 4_000
"""Of all records in a schema: each is some lines of code, and an event has at most 255 properties."""

_KEPT = frozenset({"logicalType", "precision", "scale", "size", "symbols"})


class Resolved:
    """A schema in which every name is one in full.

    Attributes:
        schema: the schema.
        named: the types that have names, by these.

    Raises:
        Unreadable: a type is none, or is nested too deeply.
    """

    def __init__(self, schema: Schema) -> None:
        self.named: dict[str, Schema] = {}
        self._fields = 0
        self.schema = self._resolved(schema, "", 0)

    def type_of(self, schema: Schema) -> Schema:
        """The type that a name stands for; any other schema as it is."""
        return self.named.get(schema, schema) if isinstance(schema, str) else schema

    def _resolved(self, schema: Schema, space: str, depth: int) -> Schema:
        if depth > _MAX_DEPTH:
            raise Unreadable(f"the Avro file's schema is nested more than {_MAX_DEPTH} deep")
        if isinstance(schema, list):
            return [self._resolved(branch, space, depth + 1) for branch in schema]
        if isinstance(schema, str):
            return self._named(schema, space)
        kind = schema.get("type") if isinstance(schema, dict) else None
        if not isinstance(kind, str):
            if kind is None:
                raise Unreadable(f"the Avro file's schema cannot be read: {str(schema)[:100]} is no type")
            return self._resolved(kind, space, depth + 1)
        kept = {"type": kind, **{key: value for key, value in schema.items() if key in _KEPT}}
        try:
            if kind in NAMED:
                return self._with_name(kept, schema, space, depth)
            if kind in {"array", "map"}:
                part = "items" if kind == "array" else "values"
                return kept | {part: self._resolved(schema[part], space, depth + 1)}
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"the Avro file's schema cannot be read: a {kind} lacks {error}") from None
        return kept if kind in PRIMITIVES else self._named(kind, space)

    def _with_name(self, kept: dict[str, Any], schema: dict[str, Any], space: str, depth: int) -> Schema:
        full = _full(str(schema["name"]), str(schema.get("namespace") or space))
        kept["name"] = full
        self.named[full] = kept
        if kept["type"] in RECORDS:
            self._fields += len(schema["fields"])
            if self._fields > _MAX_FIELDS:
                raise Unreadable(f"the Avro file's schema has more than {_MAX_FIELDS} fields")
            space = full.rpartition(".")[0]
            kept["fields"] = [
                {"name": str(field["name"]), "type": self._resolved(field["type"], space, depth + 1)}
                for field in schema["fields"]
            ]
        elif kept["type"] == "fixed":
            kept["size"] = int(schema["size"])
        else:
            kept["symbols"] = list(map(str, schema["symbols"]))
        return kept

    def _named(self, name: str, space: str) -> Schema:
        if name in PRIMITIVES:
            return name
        for full in (_full(name, space), name):
            if full in self.named:
                return full
        raise Unreadable(f"the Avro file's schema cannot be read: there is no type {name[:100]!r}")


def kind_of(schema: Schema) -> str:
    """The kind of a type that is no union."""
    return schema if isinstance(schema, str) else schema["type"]


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"
