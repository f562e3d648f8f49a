"""Filters: what of an event may leave, applied after the mapping. A mapping file says which (`[filters]`).

The order is: events allowed and denied, the time window, sampling, properties allowed and denied, hashing, masking,
cutting. Each rule counts under its name in the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from importer.mappings.files.toml import Node
from importer.mappings.filters import by_name, patterns
from importer.mappings.filters.by_name import Rule
from importer.mappings.filters.shapes import ByShape
from importer.mappings.filters.texts import Texts, texts, values_of
from importer.mappings.globs import first_match, matcher
from importer.mappings.outcome import Dropped, Event
from importer.times import MIN_TIME, from_iso

_Judge = Callable[[Event, dict[str, Any]], Dropped | None]
"""A rule that says of an event, and its properties, whether it is dropped."""

KEYS = ("events", "properties", "time", "sample", "hash", "mask", "cut")


class Filters:
    """A file's filters, compiled."""

    def __init__(self, judges: Sequence[_Judge], rules: Sequence[Rule], of_texts: Texts | None) -> None:
        self._judges = tuple(judges)
        self._texts = of_texts
        self._needs_names = bool(rules or of_texts)
        self._by_shape = ByShape(lambda names: (by_name.plan(rules, names), values_of(names)))

    def apply(self, event: Event, changed: list[str]) -> Event | Dropped:
        """The event as it may leave: changed in place, or dropped. It raises nothing for what an event holds.

        Args:
            event: what a mapping made, or a record of Mixpanel's own shape; it may lack anything.
            changed: gets the names of the rules that changed something, each once.
        """
        properties = event.get("properties")
        if not isinstance(properties, dict):
            return event  # which is for the check to reject
        for judge in self._judges:
            if dropped := judge(event, properties):
                return dropped
        if self._needs_names:
            plan, values = self._by_shape.of(properties)
            if plan:
                by_name.apply(plan, properties, changed)
                _, values = self._by_shape.of(properties)
            if self._texts is not None:
                self._texts.apply(properties, values(properties), changed)
        return event


def read(node: Node, environment: Mapping[str, str]) -> Filters:
    """The filters in a file.

    Args:
        node: `[filters]`.
        environment: where the secret is that hashes are salted with.

    Raises:
        SettingsError: something in it is not what it must be, or the secret is not set.
    """
    given = node.table(KEYS)
    judges: list[_Judge] = []
    rules: list[Rule] = []
    if "events" in given:
        judges += _events(given["events"])
    if "time" in given:
        judges.append(_window(given["time"]))
    if "sample" in given:
        judges += _sample(given["sample"])
    if "properties" in given:
        rules += _properties(given["properties"])
    if "hash" in given:
        rules.append(_hash(given["hash"], environment))
    named, found, cover = _mask(given["mask"]) if "mask" in given else ([], [], "")
    longest = given["cut"].whole(1) if "cut" in given else None
    return Filters(judges, [*rules, *named], texts(found, cover, longest) if found or longest else None)


def _events(node: Node) -> list[_Judge]:
    given = _allow_and_deny(node)
    judges: list[_Judge] = []
    if "allow" in given:
        globs = given["allow"].texts()
        allows = matcher(globs)
        not_allowed = Dropped("filter: events.allow")

        def allow(event: Event, _: dict[str, Any]) -> Dropped | None:
            name = event.get("event")
            return None if not isinstance(name, str) or allows(name) else not_allowed

        if "*" not in globs:
            judges.append(allow)
    if "deny" in given:
        is_denied = matcher(given["deny"].texts())
        denies = first_match(given["deny"].texts())

        def deny(event: Event, _: dict[str, Any]) -> Dropped | None:
            name = event.get("event")
            if not isinstance(name, str) or not is_denied(name):
                return None
            return Dropped(f"filter: events.deny {denies(name)}")

        judges.append(deny)
    return judges


def _window(node: Node) -> _Judge:
    given = node.table(("from", "to"))
    if not given:
        raise node.error("must have from or to")
    least = _moment(given["from"]) if "from" in given else 0
    most = _moment(given["to"]) if "to" in given else 1 << 62
    dropped = Dropped("filter: time")

    def window(_: Event, properties: dict[str, Any]) -> Dropped | None:
        time = properties.get("time")
        if time.__class__ is int and least <= (time if time >= MIN_TIME else time * 1000) < most:
            return None  # as most are
        if isinstance(time, str):
            time = from_iso(time)
        if not isinstance(time, int | float) or isinstance(time, bool):
            return None  # which is for the check to reject
        milliseconds = time if time >= MIN_TIME else time * 1000
        return None if least <= milliseconds < most else dropped

    return window


def _moment(node: Node) -> int:
    value = node.value
    text = value.isoformat() if hasattr(value, "isoformat") else value
    found = from_iso(text)
    if found is None:
        raise node.error("must be a time in ISO 8601, such as 2025-01-01 (UTC) or 2025-01-01T00:00:00+01:00")
    return found


def _sample(node: Node) -> list[_Judge]:
    given = node.table(("keep", "by"))
    share = given["keep"].value if "keep" in given else None
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise given.get("keep", node).error("must be a share of users above 0, at most 1, as in keep = 0.1")
    name = given["by"].text() if "by" in given else "distinct_id"
    bound = round(share * 2**32)
    dropped = Dropped("filter: sample")

    def sample(_: Event, properties: dict[str, Any]) -> Dropped | None:
        value = properties.get(name)
        if value is None or value == "":
            return None
        return None if zlib.crc32(str(value).encode(errors="replace")) < bound else dropped

    return [sample] if share < 1 else []


def _properties(node: Node) -> list[Rule]:
    given = _allow_and_deny(node)
    rules = []
    if "allow" in given:
        allows = matcher(given["allow"].texts())
        rules.append(by_name.leaving_out("properties.allow", lambda name: name != "ip" and not allows(name)))
    if "deny" in given:
        rules.append(by_name.leaving_out("properties.deny", matcher(given["deny"].texts())))
    return rules


def _hash(node: Node, environment: Mapping[str, str]) -> Rule:
    given = node.table(("properties", "salt_from"))
    for name in ("properties", "salt_from"):
        if name not in given:
            raise node.error(f"has no {name}")
    variable = given["salt_from"].text()
    salt = environment.get(variable, "")
    if not salt:
        raise given["salt_from"].error(f"names the environment variable {variable}, and that is not set")
    return by_name.hashing(matcher(given["properties"].texts()), salt)


def _mask(node: Node) -> tuple[list[Rule], list[str], str]:
    """The rule for names, the patterns, and what stands in the place of what they mean."""
    given = node.table(("properties", "patterns", "with"))
    if not {"properties", "patterns"} & given.keys():
        raise node.error("must have properties or patterns")
    cover = given["with"].value if "with" in given else "***"
    if not isinstance(cover, str):
        raise given["with"].error("must be a text")
    rules = [by_name.masking(matcher(given["properties"].texts()), cover)] if "properties" in given else []
    wanted = [one.one_of(*patterns.MASKS) for one in given["patterns"].items()] if "patterns" in given else []
    return rules, [name for name in patterns.MASKS if name in wanted], cover


def _allow_and_deny(node: Node) -> dict[str, Node]:
    given = node.table(("allow", "deny"))
    if not given:
        raise node.error("must have allow or deny")
    return given
