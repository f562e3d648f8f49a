"""The lines of a mapping file that would mend something, and several of them as one file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

FIRST_LINE = "# What a profile of the data advises"
"""What a file that this wrote begins with."""


class Advice(Struct, frozen=True, kw_only=True):
    """What a mapping file would have to say. Keys are those of docs/mappings.md.

    Attributes:
        event, time, device_id, insert_id: the value of that key, as TOML.
        properties: values of properties, as TOML, by name.
        leave_out: properties that the mapping leaves out, before anything is counted.
        users: whose events are dropped.
        deny_events, deny_properties: globs.
        mask_properties, mask_patterns: what a cover is put over.
        cut: characters to which texts are cut.
        since, until: the time of events that are kept.
        remark: what no line can do, or what to look at first.
    """

    event: str | None = None
    time: str | None = None
    device_id: str | None = None
    insert_id: str | None = None
    properties: dict[str, str] = {}
    leave_out: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    deny_events: tuple[str, ...] = ()
    deny_properties: tuple[str, ...] = ()
    mask_properties: tuple[str, ...] = ()
    mask_patterns: tuple[str, ...] = ()
    cut: int | None = None
    since: str | None = None
    until: str | None = None
    remark: str | None = None

    @property
    def maps(self) -> bool:
        """Whether it takes more than filters."""
        keys = (self.event, self.time, self.device_id, self.insert_id, self.properties, self.leave_out, self.users)
        return any(keys)

    def lines(self) -> list[str]:
        """The lines, without `use`."""
        return [*self._remark(), *self._mapping(), *self._filters()]

    def _remark(self) -> list[str]:
        return [f"# {_on_one_line(self.remark)}"] if self.remark else []

    def _mapping(self) -> list[str]:
        lines = [
            f"{name} = {value}"
            for name in ("event", "time", "device_id", "insert_id")
            if (value := getattr(self, name)) is not None
        ]
        if self.leave_out:
            lines.append(f"leave_out = {_list(self.leave_out)}")
        if self.users:
            lines.append(f'where = [{{ path = "properties.distinct_id", not_in = {_list(self.users)} }}]')
        if self.properties:
            lines += ["", "[properties]"]
            lines += [f"{quoted(name)} = {value}" for name, value in self.properties.items()]
        return lines

    def _filters(self) -> list[str]:
        lines = ["", "[filters]", f"cut = {self.cut}"] if self.cut else []
        tables: dict[str, dict[str, str | None]] = {
            "events": {"deny": _list(self.deny_events)},
            "properties": {"deny": _list(self.deny_properties)},
            "mask": {"properties": _list(self.mask_properties), "patterns": _list(self.mask_patterns)},
            "time": {"from": self.since and quoted(self.since), "to": self.until and quoted(self.until)},
        }
        for name, keys in tables.items():
            if given := [f"{key} = {value}" for key, value in keys.items() if value]:
                lines += ["", f"[filters.{name}]", *given]
        return lines


def file(advices: Sequence[tuple[str, Advice]], mapping: str | None) -> str:
    """A mapping file that does what all of them say.

    Args:
        advices: each with the sentence that it is for.
        mapping: what IMPORT_MAPPING is, which the file takes the place of.
    """
    all_of_it = together(one for _, one in advices)
    lines = [f"{FIRST_LINE}. Look at each line before you use it: IMPORT_MAPPING=<this file>"]
    for sentence, one in advices:
        lines.append(f"# - {_on_one_line(sentence)}")
        lines += [f"#   {_on_one_line(one.remark)}"] if one.remark else []
    lines.append("")
    if mapping and (mapping.endswith(".toml") or ":" in mapping):
        lines.append(f"# This does not take the place of IMPORT_MAPPING={mapping}: add it to a mapping file that does.")
    elif mapping:
        lines.append(f"use = {quoted(mapping)}")
    lines += [*all_of_it._mapping(), *all_of_it._filters()]
    return "\n".join(lines) + "\n"


def together(advices: Iterable[Advice]) -> Advice:
    """All of them as one; of what can be said once only, the first counts."""
    found: dict[str, Any] = {}
    for one in advices:
        for name in one.__struct_fields__:
            value = getattr(one, name)
            if not value or name == "remark":
                continue
            if isinstance(value, tuple):
                found[name] = (*found.get(name, ()), *(each for each in value if each not in found.get(name, ())))
            elif isinstance(value, dict):
                found[name] = {**value, **found.get(name, {})}
            else:
                found.setdefault(name, value)
    return Advice(**found)


def quoted(text: str) -> str:
    """A text as TOML."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")


def glob(name: str) -> str:
    """The glob of one name: what has a meaning in globs, any character stands for."""
    return name.replace("*", "?")


def _on_one_line(text: str) -> str:
    """A text as a comment takes it."""
    return "".join(one if one.isprintable() else " " for one in text)


def _list(values: Iterable[str]) -> str:
    given = ", ".join(map(quoted, values))
    return f"[{given}]" if given else ""
