"""Avro's schemas by themselves: how names are found, how deep they may be, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from importer.errors import Unreadable
from importer.formats.avro.schema import Resolved, kind_of


def nested(levels: int, around: str) -> Any:
    """A schema of so many types within each other."""
    schema: Any = "long"
    for level in range(levels):
        schema = {
            "array": {"type": "array", "items": schema},
            "map": {"type": "map", "values": schema},
            "union": ["null", schema],
            "type": {"type": {"type": "array", "items": schema}} if level % 2 else schema,
            "record": {"type": "record", "name": f"r{level}", "fields": [{"name": "f", "type": schema}]},
        }[around]
    return schema


@pytest.mark.parametrize("around", ["array", "map", "union", "record"])
def test_a_schema_may_be_32_deep_and_no_deeper(around: str) -> None:
    assert Resolved(nested(32, around)).schema
    with pytest.raises(Unreadable, match="nested more than 32 deep"):
        Resolved(nested(33, around))


def test_a_type_may_stand_in_a_type() -> None:
    assert Resolved({"type": {"type": "array", "items": "long"}}).schema == {"type": "array", "items": "long"}
    assert Resolved(nested(32, "type")).schema
    with pytest.raises(Unreadable, match="nested more than 32 deep"):
        Resolved(nested(34, "type"))


def test_names_are_found_in_their_space_and_as_they_are() -> None:
    enum = {"type": "enum", "name": "kind", "namespace": "a.b", "symbols": ["X", "Y"]}
    fixed = {"type": "fixed", "name": "hash", "size": "16"}
    fields = [
        {"name": "one", "type": enum},
        {"name": "two", "type": fixed},
        {"name": "three", "type": "a.b.kind"},
        {"name": "four", "type": "hash"},
        {"name": "five", "type": {"type": "hash"}},
        {"name": "six", "type": ["null", "x.y.event"]},
    ]
    found = Resolved({"type": "record", "name": "x.y.event", "fields": fields})
    assert [*found.named] == ["x.y.event", "a.b.kind", "x.y.hash"]
    assert found.named["x.y.hash"] == {"type": "fixed", "name": "x.y.hash", "size": 16}
    assert found.named["a.b.kind"]["symbols"] == ["X", "Y"]
    assert [one["type"] for one in found.schema["fields"]] == [
        found.named["a.b.kind"], found.named["x.y.hash"], "a.b.kind", "x.y.hash", "x.y.hash", ["null", "x.y.event"],
    ]  # fmt: skip
    assert (kind_of("long"), kind_of({"type": "map"})) == ("long", "map")


def test_a_plain_name_is_found_where_its_space_has_none() -> None:
    outer = {"type": "fixed", "name": "plain", "size": 1}
    inner = {"type": "record", "name": "n.inner", "fields": [{"name": "f", "type": "plain"}]}
    found = Resolved([outer, inner])
    assert found.named["n.inner"]["fields"][0]["type"] == "plain"


NONE: list[tuple[str, Any, str]] = [
    ("a number", 7, "7 is no type"),
    ("no type", {"name": "x"}, r"\{'name': 'x'\} is no type"),
    ("an unknown name", "lang", "there is no type 'lang'"),
    ("an unknown kind", {"type": "lang"}, "there is no type 'lang'"),
    ("no items", {"type": "array"}, "a array lacks 'items'"),
    ("no values", {"type": "map"}, "a map lacks 'values'"),
    ("no name", {"type": "record", "fields": []}, "a record lacks 'name'"),
    ("no fields", {"type": "record", "name": "x"}, "a record lacks 'fields'"),
    ("no size", {"type": "fixed", "name": "x"}, "a fixed lacks 'size'"),
    ("a size that is none", {"type": "fixed", "name": "x", "size": "y"}, "a fixed lacks "),
    ("no symbols", {"type": "enum", "name": "x"}, "a enum lacks 'symbols'"),
]


@pytest.mark.parametrize(("schema", "said"), [row[1:] for row in NONE], ids=[row[0] for row in NONE])
def test_what_is_no_schema_is_said(schema: Any, said: str) -> None:
    with pytest.raises(Unreadable, match=f"^the Avro file's schema cannot be read: {said}"):
        Resolved(schema)
