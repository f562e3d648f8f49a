"""A mapping file as text: what is in it, and on which line. Errors name the file, the line and the key.

Python's TOML reader tells no lines of keys, so they are looked up in the text when there is something to say of one.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from importer.errors import SettingsError

Key = tuple[str | int, ...]

_header = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$").match
_bare = r"[A-Za-z0-9_-]+"
_quoted = r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'"
_dotted = rf"(?:{_bare}|{_quoted})(?:\s*\.\s*(?:{_bare}|{_quoted}))*"
_assignment = re.compile(rf"\s*({_dotted})\s*=").match
_one_key = re.compile(rf"{_bare}|{_quoted}")
_strings = re.compile(r'"""(?:[^\\]|\\.)*?"""|' + r"'''.*?'''|" + _quoted + r"|#[^\n]*", re.DOTALL)


class Node:
    """A value of the file, and where it stands: what reads it asks for what it must be, and gets that or an error."""

    __slots__ = ("_file", "key", "value")

    def __init__(self, file: _File, key: Key, value: Any) -> None:
        self._file = file
        self.key = key
        self.value = value

    @property
    def file(self) -> str:
        """The file's name."""
        return self._file.name

    def error(self, problem: str) -> SettingsError:
        """The error to raise: `problem` goes on after the key, as in `must be a text`."""
        return self._file.error(self.key, problem)

    def table(self, known: Collection[str]) -> dict[str, Node]:
        """The value as a table of no other keys than these."""
        found = self.entries()
        for name, node in found.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                raise node.error(
                    f"is not known: did you mean {close[0]}?"
                    if close
                    else f"is not known: there are {', '.join(known)}"
                )
        return found

    def entries(self) -> dict[str, Node]:
        """The value as a table of whatever keys."""
        if not isinstance(self.value, dict):
            raise self.error("must be a table")
        return {name: Node(self._file, (*self.key, name), value) for name, value in self.value.items()}

    def items(self) -> list[Node]:
        """The value as a list that is not empty; one value alone counts as a list of it."""
        values = self.value if isinstance(self.value, list) else [self.value]
        if not values:
            raise self.error("must not be empty")
        if not isinstance(self.value, list):
            return [self]
        return [Node(self._file, (*self.key, number), value) for number, value in enumerate(values)]

    def text(self) -> str:
        """The value as a text that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            raise self.error("must be a text")
        return self.value

    def texts(self) -> list[str]:
        """The value as texts: a list, or one alone."""
        return [node.text() for node in self.items()]

    def one_of(self, *allowed: str) -> str:
        """The value as one of these texts."""
        if self.value not in allowed:
            raise self.error(f"must be {', '.join(allowed[:-1])} or {allowed[-1]}")
        return str(self.value)

    def whole(self, least: int) -> int:
        """The value as a whole number, at least this."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < least:
            raise self.error(f"must be a whole number, at least {least}")
        return self.value


class _File:
    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._text = text

    def error(self, key: Key, problem: str) -> SettingsError:
        return SettingsError(f"{self.name}, line {_line(self._text, key)}: {_shown(key)} {problem}.")


def read(path: str) -> Node:
    """The file's contents.

    Raises:
        SettingsError: there is no such file, or it is no TOML; the text says where it stops to be.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"IMPORT_MAPPING is {path!r}, and that file cannot be read: {why}.") from None
    return parse(Path(path).name, text)


def parse(name: str, text: str) -> Node:
    """A file's text, read.

    Raises:
        SettingsError: it is no TOML.
    """
    try:
        return Node(_File(name, text), (), tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+)", str(error))
        line = where[1] if where else str(text.count("\n") + 1)
        raise SettingsError(f"{name}, line {line}: this is no TOML: {error}.") from None


def _shown(key: Key) -> str:
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if re.fullmatch(_bare, part) else f'"{part}"'
            text += f".{quoted}" if text else quoted
    return text or "the file"


def _line(text: str, key: Key) -> int:
    """The line of a key, or of the nearest one around it that has a line of its own; the first is 1."""
    starts = list(_assignments(text))
    for length in range(len(key), 0, -1):
        around = [(line, at) for line, at, found in starts if found == key[:length]]
        if around:
            line, at = around[0]
            later = [other for _, other, _ in starts if other > at]
            return line + _lines_within(text[at : min(later, default=len(text))], key[length:])
    return 1


def _lines_within(value: str, rest: Key) -> int:
    """How many lines into a value that goes over several of them a key in it stands."""
    at = 0
    for part in rest:
        if isinstance(part, str):
            found = re.compile(rf"""(?<![\w-])["']?{re.escape(part)}["']?\s*=""").search(value, at)
            if not found:
                break
            at = found.start()
    return value.count("\n", 0, at)


def _assignments(text: str) -> Iterator[tuple[int, int, Key]]:
    """Each table's header and each key at a line's start: line, place in the text, whole key."""
    plain = _strings.sub(lambda found: re.sub(r"[^\n]", "_", found[0]) if "\n" in found[0] else found[0], text)
    table: Key = ()
    counts: dict[Key, int] = {}
    at = depth = 0
    for number, line in enumerate(plain.split("\n"), 1):
        if depth <= 0:
            if header := _header(line):
                table = _keys(header[2])
                if header[1] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                else:
                    table = _in_list(table, counts)
                yield number, at, table
            elif assigned := _assignment(line):
                yield number, at, (*table, *_keys(assigned[1]))
        if not _header(line) or depth > 0:
            bare = _strings.sub("", line)
            depth += bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")
        at += len(line) + 1


def _in_list(table: Key, counts: dict[Key, int]) -> Key:
    """The key of a table below the latest element of a list of tables."""
    for length in range(len(table), 0, -1):
        if table[:length] in counts:
            return (*table[:length], counts[table[:length]], *table[length:])
    return table


def _keys(dotted: str) -> Key:
    return tuple(part.strip("\"'") for part in _one_key.findall(dotted))
