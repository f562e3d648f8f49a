"""The generator of events: the same for the same arguments, realistic in size and text, exact about what is bad."""

from __future__ import annotations

import gzip
import io
import json
import re
import tracemalloc
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from sandbox.events import BAD_JSON, BAD_KINDS, Events, Format, Shape

DISALLOWED = {"00000000-0000-0000-0000-000000000000", "undefined"}
YEAR_1971, YEAR_2030 = 31_536_000_000, 1_893_456_000_000


def written(events: Events, *, compress: bool = False) -> bytes:
    file = io.BytesIO()
    events.write(file, gzip=compress)
    return file.getvalue()


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def depth(value: Any) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def complaint(record: bytes) -> str | None:
    """Why Mixpanel would not take the record, by a reading of its rules that shares nothing with the importer's."""
    try:
        event = json.loads(record.decode(), parse_constant=refuse)
        properties = event["properties"]
        name, time, user = event["event"], properties["time"], properties["distinct_id"]
        deep = depth(properties) > 4
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return str(error)
    if not (name and isinstance(name, str)):
        return "event"
    if not (isinstance(time, int) and YEAR_1971 <= time < YEAR_2030):
        return "time"
    if not isinstance(user, str) or user in DISALLOWED:
        return "distinct_id"
    if not re.fullmatch("[A-Za-z0-9-]{1,36}", properties.get("$insert_id", "absent")):
        return "$insert_id"
    return "too deep" if deep else None


@pytest.mark.parametrize(("shape", "size"), [("dense", 850), ("small", 190)])
def test_events_have_the_size_and_the_variety_of_real_ones(shape: Shape, size: int) -> None:
    events = Events(20_000, shape)
    plain, compressed = written(events), written(events, compress=True)
    assert len(plain) / events.count == pytest.approx(size, rel=0.05)
    assert len(compressed) / len(plain) == pytest.approx(0.225, abs=0.03)
    assert gzip.decompress(compressed) == plain
    records = plain.splitlines()
    beyond_ascii = sum(not record.isascii() or rb"\u" in record for record in records)
    assert beyond_ascii / len(records) == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize("shape", ["dense", "small"])
@pytest.mark.parametrize("insert_ids", [True, False])
def test_good_events_are_good_and_none_is_there_twice(shape: Shape, insert_ids: bool) -> None:
    records = list(Events(20_000, shape, insert_ids=insert_ids).records())
    assert {complaint(record) for record in records} == {None}
    assert len(set(records)) == 20_000
    times = [json.loads(record)["properties"]["time"] for record in records]
    assert all(a < b for a, b in pairwise(times))


@pytest.mark.parametrize("shape", ["dense", "small"])
def test_the_ids_are_those_of_the_good_events_in_order(shape: Shape) -> None:
    events = Events(3_000, shape, seed=7, bad_share=0.1)
    bad = {number for number, _ in events.bad()}
    good = [json.loads(record) for n, record in enumerate(events.records(), 1) if n not in bad]
    assert [event["properties"]["$insert_id"] for event in good] == list(events.ids())
    assert len(set(events.ids()) | set(Events(3_000, shape, seed=8).ids())) == len(good) + 3_000


def test_the_same_arguments_give_the_same_bytes_and_another_seed_gives_others() -> None:
    events = Events(2_000, bad_share=0.05)
    assert written(events, compress=True) == written(events, compress=True)
    assert not set(Events(2_000).records()) & set(Events(2_000, seed=2).records())


@pytest.mark.parametrize("shape", ["dense", "small"])
@pytest.mark.parametrize("insert_ids", [True, False])
def test_exactly_the_records_said_to_be_bad_are_bad(shape: Shape, insert_ids: bool) -> None:
    events = Events(5_000, shape, bad_share=0.05, insert_ids=insert_ids)
    found = [n for n, record in enumerate(events.records(), 1) if complaint(record)]
    assert found == [number for number, _ in events.bad()]
    assert len(found) == pytest.approx(250, rel=0.25)


def test_a_bad_record_leaves_its_neighbours_as_they_were() -> None:
    clean, salted = list(Events(2_000).records()), list(Events(2_000, bad_share=0.1).records())
    bad = {number for number, _ in Events(2_000, bad_share=0.1).bad()}
    assert [record for n, record in enumerate(clean, 1) if n not in bad] == [
        record for n, record in enumerate(salted, 1) if n not in bad
    ]


@pytest.mark.parametrize(("format_", "kinds"), [("ndjson", set(BAD_KINDS)), ("array", set(BAD_JSON))])
def test_every_kind_of_bad_record_comes_up_as_often_as_any_other(format_: Format, kinds: set[str]) -> None:
    turns = Counter(kind for _, kind in Events(100 * len(kinds), bad_share=1, format=format_).bad())
    assert turns == dict.fromkeys(kinds, 100)


def test_no_bad_record_spills_over_its_line() -> None:
    assert not any(b"\n" in record or b"\r" in record for record in Events(100, bad_share=1).records())


@pytest.mark.parametrize("count", [0, 1, 500, 501, 1_234])
def test_an_array_holds_what_the_lines_hold(count: int) -> None:
    lines = written(Events(count)).splitlines()
    assert json.loads(written(Events(count, format="array"))) == [json.loads(line) for line in lines]
    assert len(lines) == count


def test_memory_does_not_grow_with_the_number_of_events() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        with open("/dev/null", "wb") as nowhere:
            Events(count, bad_share=0.01).write(nowhere, gzip=True)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20_000) < peak(2_000) * 1.1
