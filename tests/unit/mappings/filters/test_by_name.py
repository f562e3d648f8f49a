"""Rules by the names of properties, one by one: which they are for, what they change, and what they leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from importer.mappings.filters.by_name import OWN, Rule, hashing, masking


def everything(_: str) -> bool:
    return True


def changed(rule: Rule, name: str, value: Any) -> tuple[bool, dict[str, Any]]:
    properties = {name: value, "other": 1}
    return rule.change(properties, name), properties


COVERED: list[tuple[str, Any, bool, Any]] = [
    ("p", "secret", True, "***"),
    ("p", 0, True, "***"),
    ("p", "", True, "***"),
    ("p", ["a"], True, "***"),
    ("p", None, False, None),
    ("p", "***", False, "***"),
    ("ip", "10.0.0.1", True, ...),
]


@pytest.mark.parametrize(("name", "value", "is_changed", "left"), COVERED, ids=str)
def test_a_cover_is_put_over_what_is_there(name: str, value: Any, is_changed: bool, left: Any) -> None:
    rule = masking(everything, "***")
    assert changed(rule, name, value) == (is_changed, {"other": 1} if left is ... else {name: left, "other": 1})


HASHED: list[tuple[str, Any, bool]] = [
    ("p", "secret", True), ("p", 0, True), ("p", False, True), ("p", {"a": 1}, True), ("p", None, False),
    ("p", "", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "is_hashed"), HASHED, ids=str)
def test_a_hash_is_put_in_the_place_of_what_is_there(name: str, value: Any, is_hashed: bool) -> None:
    did, properties = changed(hashing(everything, "salt"), name, value)
    assert did == is_hashed
    if is_hashed:
        assert len(properties[name]) == 32
        assert changed(hashing(everything, "salt"), name, value)[1] == properties
        assert changed(hashing(everything, "other"), name, value)[1] != properties
    else:
        assert properties[name] == value


def test_of_a_devices_id_what_is_behind_the_sign_is_hashed() -> None:
    rule = hashing(everything, "salt")
    _, device = changed(rule, "$device_id", "d-1")
    _, user = changed(rule, "distinct_id", "$device:d-1")
    assert user["distinct_id"] == f"$device:{device['$device_id']}"
    _, plain = changed(rule, "p", "$device:d-1")
    assert len(plain["p"]) == 32
    assert changed(rule, "ip", "10.0.0.1") == (True, {"other": 1})


@pytest.mark.parametrize(
    ("make", "left"), [(hashing, {"time", "$insert_id"}), (masking, OWN)], ids=["hashing", "masking"]
)
def test_what_makes_an_event_one_is_left(make: Callable[[Callable[[str], bool], str], Rule], left: set[str]) -> None:
    rule = make(lambda name: name != "not meant", "x")
    assert {name for name in (*OWN, "p", "not meant") if not rule.is_meant(name)} == {*left, "not meant"}
