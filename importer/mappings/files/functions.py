"""The few functions that a mapping file may apply to a value. Each takes any value, and gives None where it has no
result for it: then the property is left out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from importer.mappings.fields.countries import country_code

Function = Callable[[Any], Any]

URL_PARTS = ("scheme", "host", "port", "path", "query", "fragment")
_is_number = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII).fullmatch
_MAX_DIGITS = 300


def lower(value: Any) -> Any:
    """A text in small letters."""
    return value.lower() if value.__class__ is str else None


def upper(value: Any) -> Any:
    """A text in capitals."""
    return value.upper() if value.__class__ is str else None


def trim(value: Any) -> Any:
    """A text without white space around it."""
    return value.strip() if value.__class__ is str else None


def text(value: Any) -> Any:
    """A number or boolean as a text; a text as it is."""
    kind = value.__class__
    if kind is str:
        return value
    if kind is bool:
        return "true" if value else "false"
    return str(value) if kind is int or kind is float else None


def number(value: Any) -> Any:
    """A text of digits as a number, whole where it is written so; a number as it is."""
    if value.__class__ is str:
        digits = value.strip()
        if len(digits) > _MAX_DIGITS or not _is_number(digits):
            return None
        if digits.lstrip("+-").isdigit():
            return int(digits)
        found = float(digits)
        return found if abs(found) != float("inf") else None
    return value if value.__class__ is int or value.__class__ is float else None


def country(value: Any) -> Any:
    """A country's two letters, from two, three, or its English name."""
    return country_code(value)


def split(separator: str, at: int | None) -> Function:
    """A text's parts between separators, or one of them: 0 is the first, -1 the last."""

    def function(value: Any) -> Any:
        if value.__class__ is not str:
            return None
        parts = value.split(separator)
        if at is None:
            return parts
        return parts[at] if -len(parts) <= at < len(parts) else None

    return function


def join(separator: str) -> Function:
    """A list's texts and numbers as one text."""

    def function(value: Any) -> Any:
        if value.__class__ is not list:
            return None
        return separator.join(one for one in map(text, value) if one is not None)

    return function


def url(part: str) -> Function:
    """A part of a web address: one of `URL_PARTS`, or `query.NAME` for one of its parameters."""
    name = part.removeprefix("query.") if part.startswith("query.") else None

    def function(value: Any) -> Any:
        if value.__class__ is not str:
            return None
        try:
            found = urlsplit(value)
            if name is not None:
                return parse_qs(found.query).get(name, [None])[0]
            return getattr(found, "hostname" if part == "host" else part) or None
        except ValueError:
            return None

    return function


PLAIN: dict[str, Function] = {
    "lower": lower,
    "upper": upper,
    "trim": trim,
    "text": text,
    "number": number,
    "country": country,
}
"""Those without arguments, by the name that a file gives them."""
