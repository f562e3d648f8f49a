"""What a mapping file says, read and checked: the data that `compiling` makes code of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from importer.mappings import ready
from importer.mappings.fields.properties import RESERVED
from importer.mappings.files import conditions, values
from importer.mappings.files.conditions import Condition
from importer.mappings.files.paths import Path
from importer.mappings.files.toml import Node
from importer.mappings.files.values import Constant, First, Value
from importer.times import MILLISECONDS

SEPARATORS = (".", "_", "-", "/", ":", " ")

_IDENTITY = ("distinct_id", "user_id", "device_id")
_OF_EVENTS = ("event", "time", *_IDENTITY, "insert_id", "ip")
_OF_PROPERTIES = ("properties", "rename", "spread", "others", "leave_out", "flatten")
_OF_RECORDS = ("use", "explode", "where", "identify")
MAPPING_KEYS = (*_OF_RECORDS, *_OF_EVENTS, *_OF_PROPERTIES)


@dataclass(frozen=True, slots=True)
class Time:
    """Where the time comes from, and how it is written.

    Attributes:
        value: where it is.
        unit: of a number: a key of `times.MILLISECONDS`; None where it is a text.
        format: of a text, as `datetime.strptime` takes it; None for ISO 8601.
        zone: of a text that names none.
    """

    value: Value
    unit: str | None = None
    format: str | None = None
    zone: tzinfo = UTC

    @property
    def must_be(self) -> str:
        """What it has to be, in words."""
        if self.unit:
            return f"a number of {self.unit} since 1970"
        return f"in the format {self.format}" if self.format else "in ISO 8601"


@dataclass(frozen=True, slots=True)
class Declaration:
    """A mapping file without its filters.

    Attributes:
        use: the ready mapping that it adjusts; None where it maps by itself.
        explode: the list whose elements are the records; each takes the list's place.
        where: what a record has to be, all of it; else it is dropped.
        identify: the name of the event that a call becomes which only links two ids; None where it is dropped.
        event: the name.
        time: when it was.
        distinct_id: whose it is, if not the user's or the device's.
        may_have_no_user: whether an event without any id is nobody's (`distinct_id` is ""), and no reject.
        user_id: the known id.
        device_id: the anonymous id.
        insert_id: the event's own id.
        insert_id_of: values to hash in its place.
        ip: the client's address.
        properties: those that are named.
        rename: other properties' names, and what they become.
        spread: objects whose fields are properties by their own names.
        keeps_others: whether all else is kept: the record's other fields, or the ready mapping's properties.
        leave_out: globs of what is left out of all else.
        flatten: what joins the names of objects within objects; None where they stay objects.
    """

    use: str | None = None
    explode: Path | None = None
    where: tuple[Condition, ...] = ()
    identify: str | None = None
    event: Value | None = None
    time: Time | None = None
    distinct_id: Value | None = None
    may_have_no_user: bool = False
    user_id: Value | None = None
    device_id: Value | None = None
    insert_id: Value | None = None
    insert_id_of: tuple[Value, ...] = ()
    ip: Value | None = None
    properties: dict[str, Value] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    spread: tuple[Path, ...] = ()
    keeps_others: bool = True
    leave_out: tuple[str, ...] = ()
    flatten: str | None = None


def read(root: Node, given: dict[str, Node]) -> Declaration:
    """The declaration in a file's keys, those of its filters aside.

    Raises:
        SettingsError: something in it is not what it must be, or is missing.
    """
    use = given["use"].one_of(*ready.VENDORS, "auto") if "use" in given else None
    if use is None:
        _check_complete(root, given)
    distinct_id, may_have_no_user = _distinct_id(given)
    insert_id, insert_id_of = _insert_id(given)
    return Declaration(
        use=use,
        explode=values.path(given["explode"]) if "explode" in given else None,
        where=tuple(map(conditions.read, given["where"].items())) if "where" in given else (),
        identify=_identify(given, use),
        event=_value(given, "event"),
        time=_time(given["time"]) if "time" in given else None,
        distinct_id=distinct_id,
        may_have_no_user=may_have_no_user,
        user_id=_value(given, "user_id"),
        device_id=_value(given, "device_id"),
        insert_id=insert_id,
        insert_id_of=insert_id_of,
        ip=_value(given, "ip"),
        properties=_properties(given["properties"]) if "properties" in given else {},
        rename=_rename(given["rename"]) if "rename" in given else {},
        spread=tuple(map(values.path, given["spread"].items())) if "spread" in given else (),
        keeps_others="others" not in given or given["others"].one_of("keep", "leave out") == "keep",
        leave_out=tuple(given["leave_out"].texts()) if "leave_out" in given else (),
        flatten=given["flatten"].one_of(*SEPARATORS) if "flatten" in given else None,
    )


def _check_complete(root: Node, given: Collection[str]) -> None:
    for name in ("event", "time"):
        if name not in given:
            raise root.error(f"has no {name}: without use, it has to say where each event's {name} is")
    if not any(name in given for name in _IDENTITY):
        raise root.error(f'has none of {", ".join(_IDENTITY)}: distinct_id = {{ value = "" }} means "no user"')


def _value(given: dict[str, Node], name: str) -> Value | None:
    return values.read(given[name]) if name in given else None


def _distinct_id(given: dict[str, Node]) -> tuple[Value | None, bool]:
    """The value, and whether it ends in the constant "", which means "no user"."""
    found = _value(given, "distinct_id")
    nobody = Constant("")
    if found == nobody:
        return None, True
    if isinstance(found, First) and found.values[-1] == nobody:
        return First(found.values[:-1]) if len(found.values) > 1 else None, True
    return found, False


def _insert_id(given: dict[str, Node]) -> tuple[Value | None, tuple[Value, ...]]:
    if "insert_id" not in given:
        return None, ()
    node = given["insert_id"]
    if isinstance(node.value, dict) and "hash" in node.value:
        return None, tuple(map(values.read, node.table(("hash",))["hash"].items()))
    return values.read(node), ()


def _identify(given: dict[str, Node], use: str | None) -> str | None:
    if "identify" not in given:
        return None
    if use is None or not hasattr(ready.module(use) if use != "auto" else None, "identified"):
        raise given["identify"].error("is for a ready mapping with such calls, as in use = 'segment'")
    return given["identify"].text()


def _time(node: Node) -> Time:
    value = values.read(node, ("unit", "format", "zone"))
    if not isinstance(node.value, dict):
        return Time(value)
    given = node.entries()
    if "unit" in given:
        for name in ("format", "zone"):
            if name in given:
                raise given[name].error("is for texts, and unit is for numbers")
        return Time(value, given["unit"].one_of(*MILLISECONDS))
    return Time(value, None, _format(given["format"]) if "format" in given else None, _zone(given))


def _format(node: Node) -> str:
    text = node.text()
    try:
        datetime.strptime(datetime.now(UTC).strftime(text), text)  # noqa: DTZ007 (is it a format at all?)
    except ValueError as error:
        raise node.error(f"is no format of times: {error}") from None
    return text


def _zone(given: dict[str, Node]) -> tzinfo:
    if "zone" not in given:
        return UTC
    name = given["zone"].text()
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise given["zone"].error("must be the name of a time zone, such as Europe/Berlin") from None


def _properties(node: Node) -> dict[str, Value]:
    return {_free(each, name): values.read(each) for name, each in node.entries().items()}


def _rename(node: Node) -> dict[str, str]:
    return {name: _free(each, each.text()) for name, each in node.entries().items()}


def _free(node: Node, name: str) -> str:
    if name in RESERVED or not name:
        known = name.lstrip("$")
        instead = f": the key {known} says it" if known in _OF_EVENTS else ""
        raise node.error(f"is not free: Mixpanel reserves the name{instead}")
    return name
