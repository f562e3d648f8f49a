"""Where a value lies in a record: `order.customer.id`, `items[0].sku`, `"a key. with dots".x`."""

from __future__ import annotations

import re
from typing import Any

Path = tuple[str | int, ...]
"""Keys of objects, and numbers of a list's elements."""

_part = re.compile(r'"((?:[^"\\]|\\.)+)"|\[(\d{1,4})\]|([^.\[\]"]+)').match


def parse(text: str) -> Path | None:
    """The path that a text means; None where it means none."""
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        if parts and text[at] == ".":
            at += 1
        elif parts and text[at] != "[":
            return None
        found = _part(text, at)
        if not found or (not parts and found[2]):
            return None
        quoted, index, bare = found.groups()
        parts.append(int(index) if index else re.sub(r"\\(.)", r"\1", quoted) if quoted else bare)
        at = found.end()
    return tuple(parts) or None


def shown(path: Path) -> str:
    """The text that means a path."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if re.fullmatch(r'[^.\[\]"]+', part) else '"' + re.sub(r'(["\\])', r"\\\1", part) + '"'
            text += f".{quoted}" if text else quoted
    return text


def value_at(record: Any, path: Path) -> Any:
    """The value there; None where there is none."""
    for part in path:
        if isinstance(part, int):
            record = record[part] if isinstance(record, list) and part < len(record) else None
        else:
            record = record.get(part) if isinstance(record, dict) else None
    return record


def with_value(record: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The record with another value there; what is not on the way is shared. There has to be a value already."""
    return _with(record, path, value)  # type: ignore[no-any-return]


def _with(inner: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    copy = inner.copy()
    copy[path[0]] = _with(inner[path[0]], path[1:], value)
    return copy
