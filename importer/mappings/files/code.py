"""Python code that reads values out of a record, made of a mapping file's declarations: straight lines, no loops over
rules. No text of a file gets into the code: what comes from there is a constant that the code knows by a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from importer.mappings.files.functions import text
from importer.mappings.files.paths import Path
from importer.mappings.files.values import At, Constant, First, Joined, Value

RECORD = "record"
"""What the code calls the record: a dict."""


class Code:
    """A function that grows line by line, and the constants it knows.

    Args:
        head: its first line.
        known: what it may call, by name.
    """

    def __init__(self, head: str, known: dict[str, Any]) -> None:
        self._lines = [head]
        self._depth = 1
        self._constants = {**known, "NOTHING": {}, "NO_LIST": [], "joined": joined}
        self._count = 0
        self._containers: dict[tuple[Path, bool], str] = {}
        self.reads_record = False

    def line(self, text: str) -> None:
        """Adds a line."""
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Lines within it are in a block under `head`; what they found out is not known after it."""
        self.line(head)
        known = self._containers.copy()
        self._depth += 1
        yield
        self._depth -= 1
        self._containers = known

    def constant(self, value: Any) -> str:
        """A name for a value."""
        name = self._new("k")
        self._constants[name] = value
        return name

    def variable(self) -> str:
        """A name that nothing has yet."""
        return self._new("v")

    def function(self, name: str, file: str) -> Callable[..., Any]:
        """The function, ready to be called."""
        exec(compile("\n".join(self._lines), f"<{file}>", "exec"), self._constants)  # noqa: S102 (all of it is from here)
        made: Callable[..., Any] = self._constants[name]
        return made

    def read(self, value: Value) -> str:
        """Adds lines that find a value, and gives the variable it is in: None or "" where there is none."""
        if isinstance(value, At):
            return self._at(value.path)
        if isinstance(value, Constant):
            return self.constant(value.value)
        if isinstance(value, First):
            return self._first(value)
        if isinstance(value, Joined):
            parts = ", ".join(map(self.read, value.values))
            found = self.variable()
            self.line(f"{found} = joined({self.constant(value.separator)}, ({parts},))")
            return found
        found = self.variable()
        self.line(f"{found} = {self.read(value.value)}")
        for function in value.functions:
            with self.block(f'if {found} is not None and {found} != "":'):
                self.line(f"{found} = {self.constant(function)}({found})")
        return found

    def _first(self, value: First) -> str:
        found = self.variable()
        self.line(f"{found} = {self.read(value.values[0])}")
        for other in value.values[1:]:
            with self.block(f'if {found} is None or {found} == "":'):
                self.line(f"{found} = {self.read(other)}")
        return found

    def _at(self, path: Path) -> str:
        container = self._container(path[:-1], isinstance(path[-1], int))
        found = self.variable()
        self.line(f"{found} = {self._element(container, path[-1])}")
        return found

    def _element(self, container: str, part: str | int) -> str:
        if isinstance(part, int):
            return f"{container}[{part}] if len({container}) > {part} else None"
        return f"{container}.get({self.constant(part)})"

    def _container(self, path: Path, is_list: bool) -> str:
        """The variable with the object or list at a path; an empty one where there is none."""
        self.reads_record = True
        if not path:
            return RECORD
        if known := self._containers.get((path, is_list)):
            return known
        outer = self._container(path[:-1], isinstance(path[-1], int))
        found = self._new("d")
        kind, empty = ("list", "NO_LIST") if is_list else ("dict", "NOTHING")
        self.line(f"{found} = {self._element(outer, path[-1])}")
        self.line(f"if {found}.__class__ is not {kind}: {found} = {empty}")
        self._containers[path, is_list] = found
        return found

    def _new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"


def joined(separator: str, parts: tuple[Any, ...]) -> str | None:
    """The texts and numbers among the parts as one text; None where there are none."""
    found = [one for part in parts if part != "" and (one := text(part)) is not None]
    return separator.join(found) if found else None
