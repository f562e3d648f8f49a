"""An environment variable that is a setting: what it may be, how it is read, and which one was meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from importer.errors import SettingsError

_PREFIXES = ("IMPORT_", "MIXPANEL_")
_OF_OTHERS = {"MIXPANEL_CREDENTIALS"}
"""What begins like a setting and is another's: this one is deploy.sh's."""

_CALLED_BEFORE = {"IMPORT_PATIENCE": "IMPORT_RETRY_SECONDS"}


class Kind(Struct, frozen=True):
    """What the values of a variable may be.

    Attributes:
        type: as msgspec takes it.
        may_be: in words that end the sentence "it must be …".
        read: makes of such a value what the program works with; it raises ValueError for one that is wrong after all.
    """

    type: Any
    may_be: str
    read: Callable[[Any], Any] | None = None


class Row(Struct, frozen=True):
    """One setting, as those who set it know it.

    Attributes:
        name: the variable.
        default: what holds where it is not set, in words; empty where nothing does.
        kind: what it may be.
        meaning: what it does; empty where the platform sets it, and nobody else.
        is_shown: whether an error may show its value. Where a secret may have been put by mistake, it may not.
    """

    name: str
    default: str
    kind: Kind
    meaning: str
    is_shown: bool = True

    @property
    def field(self) -> str:
        """The name of the field that has its value."""
        return re.sub("^(IMPORT|MIXPANEL)_", "", self.name).lower()

    def value(self, text: str) -> Any:
        """What `text` means.

        Raises:
            SettingsError: nothing that it may be.
        """
        try:
            value = msgspec.convert(text, self.kind.type, strict=False)
            return self.kind.read(value) if self.kind.read else value
        except ValueError:  # msgspec's error is one
            raise self.wrong(text) from None

    def wrong(self, text: str) -> SettingsError:
        """The error that says that it may not be `text`, and what it may be."""
        shown = repr(text[:80]) if self.is_shown else "not what it must be"
        return SettingsError(f"{self.name} is {shown}: it must be {self.kind.may_be}.")


def whole(least: int, most: int | None, may_be: str) -> Kind:
    """A whole number within bounds."""
    return Kind(Annotated[int, Meta(ge=least, le=most)], may_be)


def seconds(most: int) -> Kind:
    """A time, which may be none."""
    return Kind(Annotated[float, Meta(ge=0, le=most)], f"a number of seconds from 0 to {most}")


def some(most: int, of: str = "") -> Kind:
    """A number that is more than nothing."""
    return Kind(Annotated[float, Meta(gt=0, le=most)], f"a number{of} above 0, at most {most}")


def matching(pattern: str, may_be: str) -> Kind:
    """A text that is all of the pattern."""
    return Kind(Annotated[str, Meta(pattern=f"^({pattern})$")], may_be)


def one_of(*words: str) -> Kind:
    """One of some words."""
    return matching("|".join(words), f"{', '.join(words[:-1])} or {words[-1]}")


def _globs(listed: str) -> tuple[str, ...]:
    """The globs of a list. A brace, or a bracket that none closes, would stand for itself, and match no object."""
    globs = tuple(glob for part in listed.split(",") if (glob := part.strip()))
    if any(set("[{}") & set(re.sub(r"\[(!.|[^!])[^]]*\]", "", glob)) for glob in globs):
        raise ValueError
    return globs


GLOBS = Kind(str, "globs with commas between them, of *, ?, [abc] and **/, without braces", _globs)


def _origin(given: str) -> str:
    """An address that has a host, and no path, query or credentials."""
    url = given.rstrip("/")
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    address = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")
    if parts.scheme not in {"http", "https"} or not host or address != url.lower() or any(map(str.isspace, url)):
        raise ValueError
    return url


ORIGIN = Kind(str, "an http:// or https:// address without a path, such as https://api.mixpanel.com", _origin)


def ours(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment is called as settings are; all else is others'."""
    return {name: value for name, value in environment.items() if name.startswith(_PREFIXES)}


def misspelt(given: Iterable[str], rows: Collection[Row]) -> Iterator[str]:
    """A sentence for each variable that is called like a setting and is none, with the setting that may be meant."""
    names = {row.name for row in rows}
    for name in sorted({*given} - names - _OF_OTHERS):
        if name.startswith(_PREFIXES) and name.isidentifier():
            yield f"{name} is not a setting{_meant(name, names)}."


def _meant(name: str, names: set[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 (hardly ever needed)

    if name in _CALLED_BEFORE:
        return f" any more: it is {_CALLED_BEFORE[name]} now"
    # The prefix, which nearly all of them share, is not what makes two of them alike.
    rests = {one.partition("_")[2]: one for one in sorted(names) if one.startswith(_PREFIXES)}
    near = get_close_matches(name.partition("_")[2], rests, n=1, cutoff=0.5)
    return f": {rests[near[0]]} may be meant" if near else ""
