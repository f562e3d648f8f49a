"""What every mapping is made of: identity, insert ids, times, countries, addresses, properties, decoding."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from msgspec import Struct

from importer.errors import InvalidRecord
from importer.limits import DISALLOWED_IDS
from importer.mappings.decoding import Shape, decode
from importer.mappings.fields.addresses import client_ip
from importer.mappings.fields.countries import country_code
from importer.mappings.fields.identity import identify
from importer.mappings.fields.insert_ids import hashed, insert_id
from importer.mappings.fields.properties import beyond_limits, flatten, kept
from importer.times import from_epoch, from_iso

UUID = "523095E5-0bd1-4f0c-8d3c-1f1f77a7d0aa"

IDENTITIES: list[tuple[str, object, object, dict[str, str]]] = [
    ("both", "u1", "d1", {"$user_id": "u1", "$device_id": "d1", "distinct_id": "u1"}),
    ("a user alone", "u1", None, {"$user_id": "u1", "distinct_id": "u1"}),
    ("a device alone", None, "d1", {"$device_id": "d1", "distinct_id": "$device:d1"}),
    ("an empty user", "", "d1", {"$device_id": "d1", "distinct_id": "$device:d1"}),
    ("a blank user", " ", "d1", {"$device_id": "d1", "distinct_id": "$device:d1"}),
    ("a number", 4711, None, {"$user_id": "4711", "distinct_id": "4711"}),
    ("a large number", 2**63 + 1, None, {"$user_id": "9223372036854775809", "distinct_id": "9223372036854775809"}),
    ("a whole float", 12.0, None, {"$user_id": "12", "distinct_id": "12"}),
    ("a device that says so", None, "$device:d1", {"$device_id": "d1", "distinct_id": "$device:d1"}),
    ("a device as the user", "$device:d1", None, {"$device_id": "d1", "distinct_id": "$device:d1"}),
    ("a forbidden user", "undefined", "d1", {"$device_id": "d1", "distinct_id": "$device:d1"}),
    ("zero", 0, None, {}),
    ("true", True, None, {}),
    ("an object", {"id": 1}, ["x"], {}),
    ("a device of nothing but the prefix", None, "$device:", {}),
    ("a device that is forbidden behind the prefix", None, "$device:null", {}),
    ("neither", None, None, {}),
]


@pytest.mark.parametrize(
    ("user", "device", "expected"), [row[1:] for row in IDENTITIES], ids=[r[0] for r in IDENTITIES]
)
def test_an_anonymous_id_never_stands_bare_in_distinct_id(user: object, device: object, expected: Any) -> None:
    properties: dict[str, Any] = {}
    assert identify(properties, user, device) == bool(expected)
    assert properties == expected


@pytest.mark.parametrize("forbidden", sorted({*DISALLOWED_IDS, "None", "NULL", "N/A", "True", ""}))
def test_an_id_that_mixpanel_does_not_take_counts_as_absent(forbidden: str) -> None:
    properties: dict[str, Any] = {}
    assert not identify(properties, forbidden, forbidden)
    assert insert_id(forbidden) is None
    assert properties == {}


def test_a_legal_vendor_id_is_kept_and_any_other_is_hashed_whole() -> None:
    assert insert_id(UUID) == UUID
    assert insert_id(-109840007014118971) == "-109840007014118971"
    assert insert_id(None) is None
    ajs = [f"ajs-next-1730000000000-{UUID}", f"ajs-next-1730000000000-{UUID[:-1]}b", "a:1", "a1:", "ä", "x" * 37]
    made = [insert_id(one) for one in ajs]
    assert len(set(made)) == len(ajs)
    assert all(one is not None and len(one) == 32 and one.isalnum() and one.isascii() for one in made)
    assert made == [insert_id(one) for one in ajs]


def test_a_hash_tells_its_parts_apart() -> None:
    assert (
        len({hashed("ab", "c"), hashed("a", "bc"), hashed("abc"), hashed("a", "b", "c"), hashed(1), hashed("1")}) == 6
    )


MS = 1_579_847_342_402
ISO: list[tuple[object, int | None]] = [
    ("2020-01-24T06:29:02.402Z", MS),
    ("2020-01-24T11:59:02.402+05:30", MS),
    ("2020-01-24T11:59:02.402+0530", MS),
    ("2020-01-24 06:29:02.402999", MS),
    ("2020-01-24T06:29:02.402999999Z", MS),
    ("2020-01-24 06:29:02.402 UTC", MS),
    ("2020-01-24t06:29:02.402z", MS),
    ("2020-01-24T06:29:02", MS - 402),
    ("2020-01-24T06:28:60Z", MS - 2402 - 1000),
    ("2020-01-24", 1_579_824_000_000),
    ("20200124", None),
    ("1579847342402", None),
    ("1970-12-31T23:59:59.999Z", None),
    ("1971-01-01T00:00:00Z", 31_536_000_000),
    ("0001-01-01T00:00:00+23:59", None),
    ("yesterday", None),
    ("", None),
    (None, None),
    (1579847342402, None),
    ({}, None),
]


@pytest.mark.parametrize(("value", "expected"), ISO, ids=[str(row[0]) for row in ISO])
def test_a_text_in_iso_8601_becomes_exact_milliseconds(value: object, expected: int | None) -> None:
    assert from_iso(value) == expected


def test_a_text_without_a_zone_is_read_in_the_given_one() -> None:
    berlin = timezone(timedelta(hours=1))
    assert from_iso("2020-01-24 07:29:02.402", berlin) == MS
    assert from_iso("2020-01-24T06:29:02.402Z", berlin) == MS


EPOCHS: list[tuple[object, str, int | None]] = [
    (1579847342402, "ms", MS),
    ("1579847342402", "ms", MS),
    (1579847342402999, "us", MS),
    ("1579847342402999", "us", MS),
    (1579847342402999999, "ns", MS),
    (1579847342, "s", MS - 402),
    (1579847342.402, "s", MS),
    ("1579847342.402", "s", MS),
    ("1.579847342402e9", "s", MS),
    (1588089600.123, "s", 1_588_089_600_123),
    (1579847342402.9, "ms", MS),
    (-1, "s", None),
    (0, "ms", None),
    (31_535_999, "s", None),
    (10**30, "s", None),
    (float("nan"), "s", None),
    ("1e999999999", "s", None),
    ("1_579_847_342", "s", None),
    ("²", "s", None),
    ("soon", "s", None),
    (True, "s", None),
    (None, "s", None),
    ([], "s", None),
]


@pytest.mark.parametrize(("value", "unit", "expected"), EPOCHS, ids=[f"{row[0]} {row[1]}" for row in EPOCHS])
def test_a_number_of_a_unit_becomes_exact_milliseconds(value: object, unit: str, expected: int | None) -> None:
    assert from_epoch(value, unit) == expected


COUNTRIES = {
    "DE": "DE",
    "de": "DE",
    "GBR": "GB",
    "gbr": "GB",
    "United States": "US",
    "united states": "US",
    "Malaysia": "MY",
    "Türkiye": "TR",
    "Turkey": "TR",
    "Myanmar (Burma)": "MM",
    "Côte d\u2019Ivoire": "CI",
    "Bosnia and Herzegovina": "BA",
    "Bosnia & Herzegovina": "BA",
    "St. Lucia": "LC",
    "XX": None,
    "Atlantis": None,
    "(not set)": None,
    "": None,
    None: None,
    7: None,
}


@pytest.mark.parametrize(("value", "code"), COUNTRIES.items(), ids=map(str, COUNTRIES))
def test_a_country_becomes_two_letters_or_nothing(value: object, code: str | None) -> None:
    assert country_code(value) == code


ADDRESSES = {
    "203.0.113.7": "203.0.113.7",
    "203.0.113.7:443": "203.0.113.7",
    "2001:db8::1": "2001:db8::1",
    "[::1]:53708": "::1",
    "1.2.x.x": None,
    "256.1.1.1": None,
    "0": None,
    "": None,
    None: None,
    0: None,
}


@pytest.mark.parametrize(("value", "address"), ADDRESSES.items(), ids=map(str, ADDRESSES))
def test_only_an_address_is_the_clients(value: object, address: str | None) -> None:
    assert client_ip(value) == address


def test_reserved_names_and_nulls_are_left_out() -> None:
    assert kept({"a": 0, "b": None, "$ignore": True, "bucket": "x", "token": "t", "time": 1, "c": ""}) == {
        "a": 0,
        "c": "",
    }


def test_flattening_joins_names_and_leaves_lists() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": [{"e": 2}]}, "f": None}) == {"a.b.c": 1, "a.d": [{"e": 2}], "f": None}


def nested(depth: int) -> Any:
    return {"in": nested(depth - 1)} if depth else 1


COMPLETE = {"ip": "203.0.113.7", "$insert_id": "i-1"}
BEYOND: dict[str, tuple[dict[str, Any], bool]] = {
    "254 properties": (COMPLETE | {str(n): n for n in range(252)}, False),
    "255 properties": (COMPLETE | {str(n): n for n in range(253)}, True),
    "252 properties, and two to be added": ({str(n): n for n in range(252)}, False),
    "253 properties, and two to be added": ({str(n): n for n in range(253)}, True),
    "three deep": ({"a": nested(3)}, False),
    "four deep": ({"a": nested(4)}, True),
    "four deep in a list": ({"a": [nested(4)]}, True),
    "lists do not count": ({"a": [[[[[1]]]]]}, False),
    "254 elements": ({"a": [0] * 254}, False),
    "255 elements": ({"a": [0] * 255}, True),
    "255 keys": ({"a": {str(n): n for n in range(255)}}, True),
    "a number no double holds": ({"a": 10**310}, True),
    "a number no double holds, within": ({"a": [{"b": -(10**310)}]}, True),
}


@pytest.mark.parametrize(("properties", "is_beyond"), BEYOND.values(), ids=BEYOND)
def test_what_mixpanel_would_reject_for_its_size_is_told(properties: dict[str, Any], is_beyond: bool) -> None:
    assert (beyond_limits(properties) is not None) == is_beyond


def test_a_decoded_records_integers_are_exact() -> None:
    assert decode(b'{"a":-9223372036854775809,"b":18446744073709551617}') == {"a": -(2**63) - 1, "b": 2**64 + 1}


def test_half_an_emoji_is_mended_and_a_byte_order_mark_ignored() -> None:
    assert decode(b'\xef\xbb\xbf{"a":"\\ud83d","b":1}') == {"a": "\ufffd", "b": 1}


BROKEN = {
    b"": "is not JSON: ",
    b"[]": "is not a JSON object",
    b"{": "is not JSON: ",
    b"\xff{}": "is not UTF-8: byte 0xff",
    b'{"a":NaN}': "is not JSON: NaN",
    b'{"a":1e999}': "holds a number that is too large",
    b'{"a":' + b"9" * 5000 + b"}": "holds a number that is too large",
    b'{"a":' * 100_000: "is nested too deeply",
}


@pytest.mark.parametrize(("record", "reason"), BROKEN.items(), ids=[str(record[:20]) for record in BROKEN])
def test_what_is_no_object_is_a_reject_with_a_reason(record: bytes, reason: str) -> None:
    found = decode(record)
    assert isinstance(found, InvalidRecord)
    assert found.reason.startswith(reason)


class Inner(Struct):
    name: str | None = None
    size: int | float | None = None


class Outer(Struct, rename={"identifier": "$id"}):
    identifier: str | None = None
    count: int | None = None
    inner: Inner | None = None
    given: dict[str, Any] | None = None


SHAPED: list[tuple[str, dict[str, Any], Outer]] = [
    ("all there", {"$id": "a", "count": 1, "inner": {"size": 1.5}}, Outer("a", 1, Inner(size=1.5))),
    ("what nobody looks at", {"other": {"$id": 1}}, Outer()),
    ("null", {"$id": None, "inner": None}, Outer()),
    ("another type", {"$id": 1, "count": 2}, Outer(count=2)),
    ("several of another type", {"$id": 1, "count": "x", "given": [], "inner": {"name": "n"}}, Outer(inner=Inner("n"))),
    ("no object", {"inner": "x", "count": 1}, Outer(count=1)),
    ("objects as texts", {"inner": '{"name": "n"}', "count": '{"a":1}'}, Outer(inner=Inner("n"))),
    ("a text within, which is no object", {"inner": '{"name": {}', "count": 1}, Outer(count=1)),
    ("a text of another type within", {"inner": '{"name": {}, "size": 7}'}, Outer(inner=Inner(size=7))),
    ("another type within", {"inner": {"name": {}, "size": 7}, "count": 1}, Outer(count=1, inner=Inner(size=7))),
    ("dots in names", {"a.b": 1, "given": {"a.b": {"c.d": 1}}}, Outer(given={"a.b": {"c.d": 1}})),
]


@pytest.mark.parametrize(("record", "expected"), [row[1:] for row in SHAPED], ids=[row[0] for row in SHAPED])
def test_what_is_of_another_type_than_its_field_counts_as_absent(record: dict[str, Any], expected: Outer) -> None:
    assert Shape(Outer).read(json.dumps(record).encode()) == expected
    assert Shape(Outer).convert(record) == expected
