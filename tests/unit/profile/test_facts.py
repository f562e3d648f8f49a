"""What a profile knows of properties, users and names: counts and lengths exactly, looks of texts one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from importer.profile import facts as of_facts
from importer.profile import report
from importer.profile.advice import Advice, file, glob, quoted, together
from importer.profile.events import Events
from importer.profile.facts import OTHERS, Facts
from importer.profile.looks import look_of
from importer.profile.profiler import How, Profiler
from importer.profile.property_facts import PropertyFacts, depth
from importer.profile.sketches import Allowance, Distinct, Numbers, Repeats, Sample, floats, united
from importer.records import Block

NOW = 1_750_000_000.0


def known(*values: Any, allowance: int = 1_000) -> PropertyFacts:
    facts = PropertyFacts(Allowance(allowance))
    facts.add([*values])
    return facts


def test_texts_are_counted_with_their_lengths() -> None:
    facts = known("a", "", "bcd", "x" * 255, "y" * 256, "jo@example.com", "@")
    assert (facts.filled, facts.empty, facts.longest, facts.long) == (6, 1, 256, 1)
    assert facts.characters == 1 + 3 + 255 + 256 + 14 + 1
    assert (facts.emails, facts.kinds) == (1, {"text": 6})
    facts.add(["", ""])
    facts.add(["z"])
    assert (facts.filled, facts.empty, facts.longest, facts.characters) == (7, 3, 256, 531)
    assert known("", "").filled == 0


@pytest.mark.parametrize(("length", "is_cut"), [(128, False), (129, True)])
def test_a_long_text_is_held_short_and_told_from_others_that_begin_so(length: int, is_cut: bool) -> None:
    text = "x" * length
    (held,) = known(text).distinct[0].exact or {}
    assert isinstance(held, str)
    assert (held == text) != is_cut
    if is_cut:
        assert held.startswith("x" * 108 + "…")
        assert len(known(text, text[:-1] + "y", text).distinct[0]) == 2


def test_values_of_all_kinds_are_counted_apart() -> None:
    facts = known(1, 2.5, None, True, "t", [1, 2, 3], {"a": {"b": [{"c": 1}]}}, object)
    assert facts.kinds == {"number": 2, "boolean": 1, "text": 1, "list": 1, "object": 1, "other": 1}
    assert (facts.filled, facts.empty, facts.deepest, facts.widest) == (7, 1, 3, 3)
    assert facts.longest == len('{"a":{"b":[{"c":1}]}}')
    assert facts.numbers
    assert (facts.numbers.count, facts.numbers.smallest, facts.numbers.largest) == (2, 1.0, 2.5)
    facts.add([{"flat": 1}, {"flat": 2}])
    facts.add([[{"x": 1}]])
    assert (facts.deepest, facts.widest, facts.kinds["object"]) == (3, 3, 3)
    assert dict(facts.values())["t"] == 1


@pytest.mark.parametrize(
    ("value", "deep"), [(1, 0), ([], 0), ({}, 1), ([{}], 1), ({"a": [[{"b": 1}]]}, 2), ({"a": 1, "b": {"c": {}}}, 3)]
)
def test_how_deep_a_value_is(value: Any, deep: int) -> None:
    assert depth(value) == deep
    assert known(value).deepest == deep


LOOKS: list[tuple[str, str]] = [
    ("0c5ae25d-5699-63ec-a64b-5ac574bfcc4d", "uuid"),
    ("0c5ae25d569963eca64b5ac574bfcc4d", "uuid"),
    ("4111 1111 1111 1111", "card"),
    ("-12.50", "number"),
    ("+7", "number"),
    ("2025-06-01", "date"),
    ("2025-06-01T10:00:00Z", "date"),
    ("a1b2c3d4e5f6", "hex"),
    ("abcdefabcdef", "text"),
    ("write to jo@example.com", "email"),
    ("10.1.2.3", "ip"),
    ("https://example.com/a", "url"),
    ("one two three four five", "sentence"),
    ("one two three four", "text"),
    ("one  two   three", "text"),
    ("order_12", "id"),
    ("order_1", "text"),
    ("a1b2", "text"),
    ("pro", "text"),
]


@pytest.mark.parametrize(("text", "look"), LOOKS)
def test_what_a_text_looks_like(text: str, look: str) -> None:
    assert look_of(text) == look
    assert known(text, text).looks() == {look: 2}


def test_different_values_are_counted_and_where_there_are_too_many_estimated() -> None:
    allowance = Allowance(3_000)
    one, other = Distinct(allowance), Distinct(allowance)
    one.add([f"v{nth}" for nth in range(2_000)])
    assert (len(one), len(one.exact or ()), allowance.left) == (2_000, 2_000, 1_000)
    one.add(["v1", "new"])
    assert one.exact is None
    assert allowance.left == 3_000
    assert len(one) == pytest.approx(2_001, rel=0.03)
    other.add(["a", "b", "a"])
    assert other.exact == {"a": 2, "b": 1}
    assert united([other]) == 2
    assert united([other, other]) == 2
    assert united([one, other]) == pytest.approx(2_003, rel=0.03)
    small = Distinct(Allowance(1))
    small.add(["a"])
    assert small.exact == {"a": 1}
    small.add(["b"])
    assert len(small) == 2
    assert small.exact is None


def test_a_sample_holds_all_until_it_is_full_and_then_some_of_all() -> None:
    sample: Sample[int] = Sample(100)
    sample.add(range(60))
    assert [*sample] == [*range(60)]
    sample.add(range(60, 160))
    assert (len(sample), sample.seen) == (100, 160)
    assert len({*sample}) == 100
    for start in range(160, 10_000, 40):
        sample.add(range(start, start + 40))
    assert (len(sample), sample.seen) == (100, 10_000)
    assert 3_000 < sum(sample) / 100 < 7_000


def test_numbers_have_quantiles_and_a_histogram() -> None:
    numbers = Numbers()
    assert (numbers.quantiles([0.5]), numbers.histogram(4)) == ([], [])
    numbers.add([5, 5.0])
    assert numbers.histogram(4) == []
    other = Numbers()
    other.add([*range(1, 101)])
    numbers += other
    assert (numbers.count, numbers.smallest, numbers.largest) == (102, 1.0, 100.0)
    assert numbers.quantiles([0.5])[0] == pytest.approx(50, abs=3)
    shares = numbers.histogram(4)
    assert len(shares) == 4
    assert sum(shares) == pytest.approx(1.0)
    assert shares[0] == pytest.approx(27 / 102, abs=0.03)


def test_a_number_beyond_a_double_is_the_largest_there_is() -> None:
    assert [*floats([10**400, -(10**400), 3])] == [1.7e308, -1.7e308, 3.0]


def test_what_is_watched_is_thinned_out_where_it_is_too_much() -> None:
    repeats = Repeats()
    assert repeats.share == 1.0
    keys = [*range(30_000)]
    assert [*repeats.watched(keys)] == keys
    repeats.found = dict.fromkeys(keys)
    repeats.thin_out()
    assert (repeats.share, len(repeats.found)) == (1.0, 30_000)
    repeats.found[30_000] = None
    repeats.thin_out()
    assert (repeats.share, len(repeats.found)) == (0.5, 15_001)
    assert [*repeats.watched([5, 6, 7, 8])] == [1, 3]


def event(name: str, **properties: Any) -> dict[str, Any]:
    return {"event": name, "properties": {"time": NOW, "distinct_id": "u", **properties}}


def facts(*events: dict[str, Any], most: int = 255) -> Facts:
    made = Facts(NOW, most)
    made.add(events, 10 * len(events))
    made.settle()
    return made


def test_events_users_and_properties_are_counted() -> None:
    made = facts(
        event("a", plan="pro"), event("a", plan="free", size=1), event("b", distinct_id=7), event("b", distinct_id=""),
        event("b", distinct_id=None),
    )  # fmt: skip
    assert (made.count, made.names, len(made.all_names)) == (5, {"a": 2, "b": 3}, 2)
    assert (len(made.users), made.userless, made.with_user) == (2, 2, 3)
    assert (made.events["a"].count, made.events["a"].most_properties, len(made.events["b"].users)) == (2, 4, 1)
    assert made.events["a"].properties["plan"].filled == 2
    assert "time" not in made.events["a"].properties
    assert [one.name for one in report.events(made)] == ["b", "a"]
    assert report.events(made)[0].share == 0.6
    (plan,) = [one for one in report.properties(made) if one.name == "plan"]
    assert (plan.filled, plan.share, plan.distinct, plan.is_exact, plan.longest) == (2, 0.4, 2, True, 4)
    assert [one.name for one in report.properties(made)] == ["distinct_id", "plan", "size"]
    assert [(one.value, one.count) for one in plan.examples] == [("pro", 1), ("free", 1)]


@pytest.mark.parametrize(("most", "too_many"), [(3, 2), (4, 1), (5, 0)])
def test_events_with_too_many_properties_are_counted(most: int, too_many: int) -> None:
    made = facts(event("a", x=1), event("a", x=1, y=2), event("a"), most=most)
    assert made.events["a"].too_many == too_many


def test_events_are_added_once_there_are_enough_of_a_name_or_of_all() -> None:
    made = Facts(NOW, 255)
    made.add([event("a")] * 1_499, 10)
    assert made.count == 0
    made.add([event("a"), event("b")], 10)
    assert (made.count, made.names) == (1_500, {"a": 1_500})
    made.add([event("c")], 12_000_000 - 20)
    assert made.count == 1_500
    made.add([event("c")], 1)
    assert made.count == 1_503
    made.add([event("d")], 12_000_000)
    assert made.count == 1_503


def test_ids_and_events_that_come_again_are_found() -> None:
    made = facts(
        event("a", **{"$insert_id": "1"}),
        event("a", **{"$insert_id": "1"}),
        event("a", **{"$insert_id": "1"}, distinct_id="other"),
        event("a", **{"$insert_id": "2"}),
        event("b"),
        event("b"),
    )
    assert made.with_id == 4
    assert sorted(kept[1:] for kept in made.ids.found.values()) == [[0, 0, "2"], [1, 1, "1"]]
    assert sorted((one[1], one[2]) for one in made.doubles.found.values()) == [(0, 0), (0, 1), (1, 0)]


def halved(record: dict[str, Any]) -> dict[str, Any]:
    """A transform that makes half a character."""
    properties = {**record["properties"], "distinct_id": "half \ud83d"}
    return {**record, "properties": properties}


@pytest.mark.parametrize("transform", ["tests.unit.profile.test_facts:halved", None])
def test_half_a_character_costs_its_event_alone(transform: str | None) -> None:
    records = [json.dumps(event("a")).encode(), b'{"event":"a","properties":{"time":5,"distinct_id":"\\ud83d"}}']
    profiler = Profiler(How(None, transform, {}), NOW)
    profiler.add(Block(records, 1, 0, sum(map(len, records)) + 2), "s")
    found = profiler.profile()
    rejected = 2 if transform else 0
    assert (found.read, sum(found.rejected.values()), found.count) == (2, rejected, 2 - rejected)


def test_names_and_properties_beyond_what_is_held_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_facts, "MAX_EVENTS", 2)
    monkeypatch.setattr(of_facts, "MAX_NAMES", 3)
    monkeypatch.setattr(of_facts, "MAX_PAIRS", 5)
    made = facts(*(event(name, x=1) for name in ("a", "b", "c", "d", "a")))
    assert [*made.events] == ["a", "b", OTHERS]
    assert made.names == {"a": 2, "b": 1, "c": 1}
    assert len(made.all_names) == 4
    assert {name: [*one.properties] for name, one in made.events.items()} == {
        "a": ["distinct_id", "x"], "b": ["distinct_id", "x"], OTHERS: ["distinct_id", OTHERS],
    }  # fmt: skip


def test_an_example_is_short_and_on_one_line() -> None:
    assert report.shown("a\n b") == "a b"
    assert report.shown("x" * 80) == "x" * 80
    assert report.shown("x" * 81) == "x" * 79 + "…"
    several = [known(*[f"v{nth}" for nth in range(9)], *["v3"] * 4)]
    assert [(one.value, one.count) for one in report.examples(several, 2)] == [("v3", 5), ("v0", 1)]
    assert len(report.examples(several)) == 5
    many = [known(*[f"v{nth}" for nth in range(50)], allowance=1)]
    assert [one.count for one in report.examples(many)] == [None] * 3


def test_advice_is_lines_of_a_mapping_file() -> None:
    advice = Advice(
        event='"x"', leave_out=("a",), users=("u",), properties={"p": '"q"'}, cut=255, deny_events=("e*",),
        deny_properties=("d",), mask_properties=("m",), mask_patterns=("email",), since="2025-01-01",
        until="2026-01-01",
        remark="look\nfirst",
    )  # fmt: skip
    assert advice.lines() == [
        "# look first", 'event = "x"', 'leave_out = ["a"]',
        'where = [{ path = "properties.distinct_id", not_in = ["u"] }]', "", "[properties]", '"p" = "q"',
        "", "[filters]", "cut = 255", "", "[filters.events]", 'deny = ["e*"]', "", "[filters.properties]",
        'deny = ["d"]',
        "", "[filters.mask]", 'properties = ["m"]', 'patterns = ["email"]', "", "[filters.time]",
        'from = "2025-01-01"', 'to = "2026-01-01"',
    ]  # fmt: skip
    assert advice.maps
    assert not Advice(cut=5, deny_events=("x",)).maps
    assert Advice(time='"t"').maps
    assert Advice().lines() == []


def test_advice_together_says_each_thing_once() -> None:
    one = Advice(cut=5, deny_events=("a", "b"), properties={"p": "1"}, remark="x")
    two = Advice(cut=9, deny_events=("b", "c"), properties={"p": "2", "q": "3"}, time="t")
    both = together([one, two])
    assert both == Advice(cut=5, deny_events=("a", "b", "c"), properties={"p": "1", "q": "3"}, time="t")
    whole = file([("First.", one), ("Second.", two)], "segment")
    head = "# What a profile of the data advises. Look at each line before you use it: IMPORT_MAPPING=<this file>"
    assert whole.split("\n")[:6] == [head, "# - First.", "#   x", "# - Second.", "", 'use = "segment"']
    assert "# This does not take the place of IMPORT_MAPPING=m.toml: add it to a mapping file that does." in file(
        [], "m.toml"
    )
    assert file([], None) == f"{head}\n\n"
    assert (quoted('a"\x7f'), glob("a*b")) == ('"a\\"\\u007f"', "a?b")


TRACK = {
    "type": "track", "event": "x", "messageId": "m", "userId": "u", "timestamp": "2025-06-01T00:00:00Z", "context": {},
}  # fmt: skip


@pytest.mark.parametrize(("record", "are_own"), [(TRACK, False), (event("a"), True)])
def test_whether_all_records_are_mixpanels_own(record: dict[str, Any], are_own: bool) -> None:
    of = Events("auto", None, {})
    records = [json.dumps(record).encode(), b"no record"]
    [*of.of(Block(records, 1, 0, sum(map(len, records)) + 2), "s")]
    assert of.are_own == are_own
