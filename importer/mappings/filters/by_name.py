"""Rules that choose properties by their names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

Properties = dict[str, Any]

IDENTITY = frozenset(("distinct_id", "$user_id", "$device_id"))
OWN = IDENTITY | {"time", "$insert_id"}
"""What makes an event one: these are never left out, masked or cut. Identities can be hashed."""

_DEVICE = "$device:"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with properties of some names.

    Attributes:
        name: what to count it under.
        is_meant: whether it is for a property of this name.
        change: does it to one property in place, and says whether that changed something.
    """

    name: str
    is_meant: Callable[[str], bool]
    change: Callable[[Properties, str], bool]


Plan = Sequence[tuple[Rule, Sequence[str]]]
"""The rules that are for some of an event's names, and those names."""


def plan(rules: Iterable[Rule], names: Iterable[str]) -> Plan:
    """Which of the rules are for which of the names, one after the other."""
    found = ((rule, [name for name in names if rule.is_meant(name)]) for rule in rules)
    return [(rule, meant) for rule, meant in found if meant]


def apply(planned: Plan, properties: Properties, changed: list[str]) -> None:
    """Changes the properties in place, and adds the names of the rules that did something.

    What one of the rules has left out, the next does not meet.
    """
    for rule, names in planned:
        if True in [rule.change(properties, name) for name in names if name in properties]:
            changed.append(rule.name)


def leaving_out(name: str, is_out: Callable[[str], bool]) -> Rule:
    """Takes properties away."""

    def change(properties: Properties, name: str) -> bool:
        del properties[name]
        return True

    return Rule(name, lambda name: name not in OWN and is_out(name), change)


def hashing(is_meant: Callable[[str], bool], salt: str) -> Rule:
    """Puts a keyed hash (BLAKE2b) in the place of values: the same for the same value, and of no use without the salt.

    Of `distinct_id`, what is behind `$device:` is hashed, so that it stays the `$device_id`'s.
    """
    key = hashlib.sha256(salt.encode()).digest()

    def hashed(value: Any) -> str:
        text = value.encode() if isinstance(value, str) else _encode(value)
        return hashlib.blake2b(text, digest_size=16, key=key).hexdigest()

    def change(properties: Properties, name: str) -> bool:
        value = properties[name]
        if value is None or value == "":
            return False
        if name == "ip":
            del properties[name]  # a place cannot be looked up for a hash
        elif name == "distinct_id" and isinstance(value, str) and value.startswith(_DEVICE):
            properties[name] = _DEVICE + hashed(value[len(_DEVICE) :])
        else:
            properties[name] = hashed(value)
        return True

    return Rule("hash", lambda name: name not in {"time", "$insert_id"} and is_meant(name), change)


def masking(is_meant: Callable[[str], bool], cover: str) -> Rule:
    """Puts a cover in the place of values."""

    def change(properties: Properties, name: str) -> bool:
        value = properties[name]
        if value is None or value == cover:
            return False
        if name == "ip":
            del properties[name]
        else:
            properties[name] = cover
        return True

    return Rule("mask", lambda name: name not in OWN and is_meant(name), change)
