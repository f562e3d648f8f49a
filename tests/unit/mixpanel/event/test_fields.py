"""What warehouses write as time and ids: taken where it means one thing only, and exactly."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.errors import InvalidRecord
from importer.limits import DISALLOWED_IDS
from importer.mixpanel.event.completer import Completer
from importer.mixpanel.event.fields import distinct_id_of, fingerprint, insert_id_of, time_of
from tests.unit.mixpanel import at_once

TIMES = {
    "seconds": ("1704164645", "1704164645"),
    "the first second allowed": ("31536000", "31536000"),
    "the last second of 2099": ("4102444799", "4102444799"),
    "the first millisecond": ("31536000000", "31536000000"),
    "milliseconds": ("1704164645123", "1704164645123"),
    "the last millisecond": ("4102444799999", "4102444799999"),
    "the first microsecond": ("31536000000000", "31536000000"),
    "microseconds, cut": ("1704164645123999", "1704164645123"),
    "the last microsecond": ("4102444799999999", "4102444799999"),
    "the first nanosecond": ("31536000000000000", "31536000000"),
    "nanoseconds, cut": ("1704164645123999999", "1704164645123"),
    "the last nanosecond": ("4102444799999999999", "4102444799999"),
    "seconds with a fraction": ("1704164645.123456", "1704164645.123456"),
    "seconds to the nanosecond": ("1704164645.123456789", "1704164645.123456789"),
    "milliseconds with a fraction": ("1704164645123.5", "1704164645123.5"),
    "microseconds with a fraction": ("1704164645123999.9", "1704164645123"),
    "space around": (" 1704164645\n", "1704164645"),
    "BigQuery's timestamp": ("2024-01-02 03:04:05 UTC", "1704164645000"),
    "BigQuery's timestamp, to the microsecond": ("2024-01-02 03:04:05.123999 UTC", "1704164645123"),
    "BigQuery's datetime": ("2024-01-02T03:04:05.5", "1704164645500"),
    "no zone: UTC": ("2024-01-02 03:04:05", "1704164645000"),
    "Z": ("2024-01-02T03:04:05Z", "1704164645000"),
    "a zone": ("2024-01-02T04:34:05.001+01:30", "1704164645001"),
    "a zone without a colon": ("2024-01-01T19:04:05-0800", "1704164645000"),
    "Snowflake's": ("2024-01-01 19:04:05.000 -0800", "1704164645000"),
    "Redshift's": ("2024-01-02 03:04:05+00", "1704164645000"),
    "nanoseconds of ISO 8601": ("2024-01-02T03:04:05.123999999Z", "1704164645123"),
    "a leap second: the one before": ("2016-12-31T23:59:60Z", "1483228799000"),
    "no seconds": ("2024-01-02T03:04Z", "1704164640000"),
    "the basic form, with a zone": ("20240102T030405Z", "1704164645000"),
    "a date: its midnight": ("2024-01-02", "1704153600000"),
    "the first millisecond of 1971": ("1971-01-01T00:00:00Z", "31536000000"),
    "1971 somewhere else": ("1971-01-01T01:00:00+01:00", "31536000000"),
    "the last of all years": ("9999-12-31T23:59:59.999Z", "253402300799999"),
}

NO_TIMES = {
    "nothing": "",
    "white space": "  ",
    "words": "yesterday",
    "a second before 1971": "31535999",
    "zero": "0",
    "negative": "-1704164645",
    "a sign": "+1704164645",
    "leading zeros": "0001704164645",
    "seconds of 2100": "4102444800",
    "before 1971 in milliseconds": "31535999999",
    "milliseconds of 2100": "4102444800000",
    "before 1971 in microseconds": "31535999999999",
    "microseconds of 2100": "4102444800000000",
    "before 1971 in nanoseconds": "31535999999999999",
    "nanoseconds of 2100": "4102444800000000000",
    "20 digits": "17041646451234567890",
    "a date of digits alone": "20240102",
    "a time of digits alone": "20240102030405",
    "the same to the millisecond": "20240102030405678",
    "an exponent": "1.704164645e9",
    "hexadecimal": "0x65937D25",
    "a fraction cut off": "1704164645.",
    "finer than nanoseconds": "1704164645.1234567890",
    "two points": "1704164645.1.2",
    "grouped digits": "1,704,164,645",
    "other digits": "\N{ARABIC-INDIC DIGIT ONE}704164645",
    "a time of day": "03:04:05",
    "the last millisecond of 1970": "1970-12-31T23:59:59.999Z",
    "a minute that is none": "2024-01-02T03:60:05Z",
    "a month that is none": "2024-13-02T03:04:05Z",
    "a day first": "02/01/2024 03:04:05",
    "another zone by name": "2024-01-02 03:04:05 CET",
    "a long text": "2024-01-02T03:04:05Z" * 1000,
}


@pytest.mark.parametrize(("text", "number"), TIMES.values(), ids=TIMES.keys())
def test_a_time_in_a_text_is_taken_exactly(text: str, number: str) -> None:
    assert time_of(text) == number.encode()


@pytest.mark.parametrize("text", NO_TIMES.values(), ids=NO_TIMES.keys())
def test_a_text_that_may_mean_another_time_or_none_is_not_taken(text: str) -> None:
    assert time_of(text) is None


@given(st.datetimes().filter(lambda moment: moment.year > 1970))
def test_iso_8601_is_exact_to_the_millisecond(moment: datetime) -> None:
    milliseconds = json.loads(time_of(moment.isoformat()) or b"")
    day, rest = divmod(milliseconds, 86_400_000)
    assert day == moment.toordinal() - 719_163
    assert rest == ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + moment.microsecond // 1000


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1"), (2**63 + 1, "9223372036854775809"), (-5, "-5"), (10**35, "1" + "0" * 35), (12.0, "12")],
)
def test_a_number_as_insert_id_becomes_its_digits(number: float, text: str) -> None:
    assert insert_id_of(number) == text


@pytest.mark.parametrize("number", [0, -1, 0.0, 1.5, 2.0**53, -(2.0**53), 1e300, 10**36, -(10**35), float("inf")])
def test_a_number_that_is_not_exact_or_not_allowed_is_no_insert_id(number: float) -> None:
    assert insert_id_of(number) is None


def test_the_largest_double_that_is_exact_is_an_insert_id() -> None:
    assert insert_id_of(2.0**53 - 1) == "9007199254740991"


IDENTITIES: dict[str, tuple[object, object, str | None]] = {
    "a user": ("u1", None, "u1"),
    "a device": (None, "d1", "$device:d1"),
    "both": ("u1", "d1", "u1"),
    "neither": (None, None, None),
    "both empty": ("", "", None),
    "a blank user": (" \t", "d1", "$device:d1"),
    "a device that says so": (None, "$device:d1", "$device:d1"),
    "a device that says so twice": (None, "$device:$device:d1", "$device:$device:d1"),
    "a device of nothing but the prefix": (None, "$device:", None),
    "a number as user": (4711, None, "4711"),
    "a large number as device": (None, 2**63 + 1, "$device:9223372036854775809"),
    "a whole double": (12.0, None, "12"),
    "a user, whatever the device": ("u1", "null", "u1"),
    "a disallowed user in capitals": ("NULL", None, "NULL"),
}


@pytest.mark.parametrize(("user", "device", "expected"), IDENTITIES.values(), ids=IDENTITIES.keys())
def test_distinct_id_is_what_mixpanel_derives(user: object, device: object, expected: str | None) -> None:
    assert distinct_id_of(user, device) == expected


@pytest.mark.parametrize("value", [*sorted(DISALLOWED_IDS), 0, -1, 0.0])
def test_nobody_is_guessed_in_place_of_an_id_that_is_not_allowed(value: object) -> None:
    for ids, field in (((value, "d1"), "$user_id"), ((None, value), "$device_id")):
        with pytest.raises(InvalidRecord) as raised:
            distinct_id_of(*ids)
        assert raised.value.reason == f"has no distinct_id, and a {field} that Mixpanel does not allow"
        assert raised.value.field == f"properties.{field}"
    if isinstance(value, str):
        with pytest.raises(InvalidRecord):
            distinct_id_of(None, "$device:" + value)


@pytest.mark.parametrize("value", [True, False, {}, ["u"], {"id": "u"}, 1.5, 2.0**53, float("nan")])
def test_what_is_neither_a_text_nor_an_exact_number_is_no_id(value: object) -> None:
    for ids, field in (((value, "d1"), "$user_id"), ((None, value), "$device_id")):
        with pytest.raises(InvalidRecord) as raised:
            distinct_id_of(*ids)
        assert raised.value.reason == f"has no distinct_id, and a {field} that is no text"
        assert raised.value.field == f"properties.{field}"


RECORD = b'{"event":"Signup","properties":{"time":1700000000,"distinct_id":"user-1"}}'
FINGERPRINTS = {
    0: "4b1bb5b012200f825e8044e54149ef2f",
    1: "484812df5872ca4b3c2cc5dd6f6af543",
    12: "15840f088439bf42af611bc823e77bdd",
}


@pytest.mark.parametrize("record", [RECORD, b" \t" + RECORD + b"\r\n", b"\n" + RECORD])
def test_a_fingerprint_is_what_it_has_always_been(record: bytes) -> None:
    """Another would make every event that was imported before a second one when its file is imported again."""
    for nth, expected in FINGERPRINTS.items():
        assert fingerprint(record, nth) == expected.encode()
    for default_ip in (None, "0", "203.0.113.9"):
        completer = Completer(default_ip)
        events = [completer.complete(record), completer.complete_made(json.loads(record), record, 0)]
        events += at_once.all_of(completer, [record]) or []
        assert {json.loads(event)["properties"]["$insert_id"] for event in events} == {FINGERPRINTS[0]}
        later = completer.complete_made(json.loads(record), record, 12)
        assert json.loads(later)["properties"]["$insert_id"] == FINGERPRINTS[12]


def test_other_white_space_or_another_byte_gives_another_fingerprint() -> None:
    others = {RECORD, RECORD + b"\v", RECORD.replace(b":", b": "), RECORD.replace(b"1", b"2")}
    assert len({fingerprint(one, nth) for one in others for nth in range(3)}) == 12
