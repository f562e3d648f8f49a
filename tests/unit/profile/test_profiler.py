"""A profile of much data: figures that are right, memory that does not grow, whatever records hold."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import uuid
from pathlib import Path

import msgspec
import pytest

from importer.profile.html import page
from importer.profile.profiler import How, Profile, Profiler
from importer.profile.sketches import Allowance, Distinct, Repeats, Sample, united
from importer.records import Block, Malformed
from sandbox.events import BAD_KINDS, Events
from sandbox.processes import ROOT
from tests.unit.profile.test_findings import events, profiled, sets

NUMBER = 60_000


@pytest.fixture(scope="module")
def dense() -> Profile:
    return profiled(list(Events(NUMBER, "dense", seed=3).records()))[0]


def test_the_figures_are_those_of_the_data(dense: Profile) -> None:
    records = [json.loads(record) for record in Events(NUMBER, "dense", seed=3).records()]
    assert (dense.read, dense.count) == (NUMBER, NUMBER)
    assert sum(one.count for one in dense.events) == NUMBER == sum(dense.days.values()) == sum(dense.hours)
    assert dense.users == pytest.approx(len({one["properties"]["distinct_id"] for one in records}), rel=0.03)
    times = [one["properties"]["time"] / 1_000 for one in records]
    assert (dense.first, dense.last) == (min(times), max(times))
    for one in dense.properties:
        values = [record["properties"][one.name] for record in records if one.name in record["properties"]]
        values = [value for value in values if value != ""]
        different = {json.dumps(value) for value in values}
        assert one.filled == len(values)
        assert one.distinct == (len(different) if one.is_exact else pytest.approx(len(different), rel=0.03)), one.name
        if isinstance(values[0], str):
            assert one.longest == max(map(len, values))
        if "number" in one.kinds:
            assert (one.smallest, one.largest) == (min(values), max(values))
            assert one.median == pytest.approx(sorted(values)[len(values) // 2], rel=0.1, abs=0.05)


def test_each_event_has_properties_of_its_own(dense: Profile) -> None:
    for event in dense.events:
        assert len(event.properties) == 24
        assert all(0 < one.share <= 1 for one in event.properties)
        assert event.users <= event.count


@pytest.mark.parametrize("number", [3_000, 40_000, 700_000])
def test_cardinalities_are_within_three_percent(number: int) -> None:
    sketches = [Distinct(Allowance(100_000)) for _ in range(3)]
    for start in range(0, number, 5_000):
        for shift, one in enumerate(sketches):
            one.add([f"value {nth + shift * 1_000}" for nth in range(start, start + 5_000)])
    assert len(sketches[0]) == pytest.approx(max(number, 5_000), rel=0.03)
    assert united(sketches) == pytest.approx(max(number, 5_000) + 2_000, rel=0.03)


def test_repeats_are_found_in_what_cannot_be_held() -> None:
    repeats = Repeats()
    chance = random.Random(5)
    keys = [chance.getrandbits(62) for _ in range(400_000)]
    keys += keys[:2_000]
    again = 0
    for start in range(0, len(keys), 3_000):
        some = keys[start : start + 3_000]
        for nth in repeats.watched(some):
            again += repeats.found.get(some[nth], 0)
            repeats.found[some[nth]] = 1
        repeats.thin_out()
    assert len(repeats.found) <= 30_000
    assert again / repeats.share == pytest.approx(2_000, rel=0.35)


def test_a_sample_is_of_all_of_the_data() -> None:
    sample: Sample[int] = Sample(100)
    for start in range(0, 100_000, 1_000):
        sample.add([*range(start, start + 1_000)])
    assert len(sample) == 100
    assert sum(sample) / 100 == pytest.approx(50_000, rel=0.25)


def test_records_that_are_none_cost_their_neighbours_nothing() -> None:
    good = list(Events(200, "small", seed=4).records())
    bad = [spoil(good[0]) for spoil in BAD_KINDS.values()] + [Malformed(b"a;b", "has too few cells"), b"", b"  "]
    found, _ = profiled([*good, *bad])
    assert found.read >= found.count + sum(found.rejected.values()) - len(bad)
    assert found.count >= 200
    assert any("too few cells" in reason for reason in found.rejected)
    assert all(one.examples[0].startswith("test, line 2") for one in found.findings if one.kind == "rejected")


ODD = {
    "huge number": 10**400,
    "a long text": "x" * 100_000,
    "null": None,
    "an empty list": [],
    "an empty object": {},
    "a text with a line break": "a\nb",
    "half a character": "\ud83d",
    "zero bytes": "a\0b",
    "a list of everything": [1, "a", None, {"b": [True]}],
}


@pytest.mark.parametrize("name", ["time", "distinct_id", "$insert_id", "x", "", "<b>", "*"])
@pytest.mark.parametrize("value", ODD.values(), ids=[*ODD])
def test_no_value_of_no_property_stops_it(name: str, value: object) -> None:
    found, text = profiled(events(sets(name, lambda _: value, 0.5), 100))
    assert found.read == 100
    assert msgspec.json.decode(msgspec.json.encode(found))["read"] == 100
    assert page(found)
    assert text


def test_a_hundred_thousand_names_and_properties_are_bounded() -> None:
    records = [
        json.dumps({"event": f"e{uuid.UUID(int=nth)}", "properties": {"time": 1, "distinct_id": "u", f"p{nth}": nth}})
        for nth in range(20_000)
    ]
    found, _ = profiled([record.encode() for record in records])
    assert found.count == 20_000
    assert len(found.events) == 501
    assert found.names == pytest.approx(20_000, rel=0.03)
    assert len(found.properties) <= 6_003


def test_a_page_stands_alone_and_says_what_it_says_in_text(dense: Profile) -> None:
    html = page(dense)
    assert html.startswith("<!doctype html>")
    assert not {"src=", "href=", "http://", "@import", "<script"} & {*html.replace("https://www.", "").split()}
    assert "prefers-color-scheme" in html or "color-scheme: light dark" in html
    assert html.count("<svg") > 50
    assert all(one.name in html for one in dense.events)


def test_what_data_holds_is_text_on_the_page() -> None:
    evil = "<script>alert(1)</script>"
    records = [
        json.dumps({"event": evil, "properties": {"time": 1_749_000_000, "distinct_id": evil, evil: evil}}).encode()
        for _ in range(100)
    ]
    assert "<script" not in page(profiled(records)[0])


def test_of_a_sample_the_shares_stay(dense: Profile) -> None:
    profiler = Profiler(How("auto", None, {}, sample=0.1))
    records = list(Events(NUMBER, "dense", seed=3).records())
    for at in range(0, NUMBER, 777):
        some = records[at : at + 777]
        profiler.add(Block(some, at + 1, 0, sum(map(len, some)) + len(some), True), "x")
    found = profiler.profile()
    assert found.count == pytest.approx(NUMBER / 10, abs=1)
    assert found.events[0].share == pytest.approx(dense.events[0].share, rel=0.1)


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    """A process each, since a process's peak counts for ever."""
    program = (
        "import re, sys; from importer.__main__ import main; main(['profile', sys.argv[1], '--json']);"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr)"
    )
    peaks = []
    for number in (30_000, 120_000):
        file = tmp_path / f"{number}.jsonl"
        with file.open("wb") as opened:
            Events(number, "dense").write(opened)
        ended = subprocess.run(
            [sys.executable, "-c", program, str(file)],
            cwd=ROOT,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
            capture_output=True,
            check=True,
        )
        peaks.append(int(ended.stderr.split()[-1]) / 1_000)
    assert peaks[1] < 150
    assert peaks[1] - peaks[0] < 25
