"""From when on a finding is one: each bound, just below and just above, with the number that it says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from importer.profile.facts import Facts
from importer.profile.findings import Finding, Seen, find
from importer.profile.findings.finding import percent, so_many

NOW = 1_750_000_000.0


def event(name: str = "e", /, **properties: Any) -> dict[str, Any]:
    return {"event": name, "properties": {"time": NOW - 60, **properties}}


def findings(events: Iterable[dict[str, Any]], rejected: dict[str, int] | None = None) -> list[Finding]:
    facts = Facts(NOW, 255)
    facts.add([*events], 1)
    facts.settle()
    return find(Seen(facts, True, rejected or {}, {}))


def found(events: Iterable[dict[str, Any]]) -> dict[str, Finding]:
    return {f"{one.kind} {one.about or ''}".strip(): one for one in findings(events)}


def distinct(number: int, total: int, value: str = "{}", name: str = "p") -> list[dict[str, Any]]:
    """Events of which so many have different values of a property."""
    return [event(**{name: value.format(min(nth, number - 1))}) for nth in range(total)]


WORDS = "it is {} said to be so"

VALUES: list[tuple[str, list[dict[str, Any]], str, int | None]] = [
    ("999 ids", distinct(999, 999, "id_{:08}"), "ids as properties p", None),
    ("1,000 ids", distinct(1_000, 1_000, "id_{:08}"), "ids as properties p", 1_000),
    ("ids of our own", distinct(1_000, 1_000, "id_{:08}", "$p"), "ids as properties $p", None),
    ("an id's name, few", distinct(1_000, 5_000, "n{}", "user_id"), "ids as properties user_id", None),
    ("an id's name", distinct(1_001, 5_000, "n{}", "user_id"), "ids as properties user_id", 1_001),
    ("no id's name", distinct(1_001, 5_000, "n{}", "word"), "ids as properties word", None),
    ("49 sentences", distinct(49, 49, WORDS), "user content p", None),
    ("50 sentences", distinct(50, 50, WORDS), "user content p", 50),
    ("half different", distinct(50, 100, WORDS), "user content p", None),
    ("255 characters", distinct(60, 60, "x" * 253 + "{:02}"), "long texts p", None),
    ("256 characters", distinct(60, 60, "x" * 254 + "{:02}"), "long texts p", 60),
    ("3 deep", [event(p={"a": {"b": {}}})], "large nested objects p", None),
    ("4 deep", [event(p={"a": {"b": {"c": {}}}})], "large nested objects p", 1),
    ("254 keys", [event(p=[0] * 254)], "large nested objects p", None),
    ("255 keys", [event(p=[0] * 255)], "large nested objects p", 1),
    ("2,000 characters", [event(p=["x" * 1_996])], "large nested objects p", None),
    ("2,001 characters", [event(p=["x" * 1_997])], "large nested objects p", 1),
    ("49 values", [event(p=1), *[event(p="x")] * 48], "mixed types p", None),
    ("50 values", [event(p=1), *[event(p="x")] * 49], "mixed types p", 1),
    ("1 of 2,000", [event(p=1), *[event(p="x")] * 1_999], "mixed types p", 1),
    ("1 of 2,001", [event(p=1), *[event(p="x")] * 2_000], "mixed types p", None),
    ("1 phone of 51", [event(p="+49 170 1234567"), *[event(p="x")] * 50], "personal data p", None),
    ("1 phone of 50", [event(p="+49 170 1234567"), *[event(p="x")] * 49], "personal data p", 1),
    ("1 address of very many", [event(p="jo@example.com"), *[event(p="x")] * 400], "personal data p", 1),
]


@pytest.mark.parametrize(("events", "kind", "count"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES])
def test_values_are_odd_from_a_bound_on(events: list[dict[str, Any]], kind: str, count: int | None) -> None:
    one = found(events).get(kind)
    assert (one and one.count) == count


NAMES: list[tuple[str, list[str], str, int | None]] = [
    ("4 numbers", [f"step {n}" for n in range(4)], "event names made of data step *", None),
    ("5 numbers", [f"step {n}" for n in range(5)], "event names made of data step *", 5),
    ("19 heads", [f"Viewed: {chr(97 + n) * 3}" for n in range(19)], "event names made of data Viewed:*", None),
    ("20 heads", [f"Viewed: {chr(97 + n) * 3}" for n in range(20)], "event names made of data Viewed:*", 20),
    ("300 names", ["".join(chr(97 + n // 26**k % 26) for k in range(3)) for n in range(300)], "many event names", None),
    ("301 names", ["".join(chr(97 + n // 26**k % 26) for k in range(3)) for n in range(301)], "many event names", 301),
]


@pytest.mark.parametrize(("names", "kind", "count"), [row[1:] for row in NAMES], ids=[row[0] for row in NAMES])
def test_names_are_odd_from_a_bound_on(names: list[str], kind: str, count: int | None) -> None:
    one = found(event(name) for name in names).get(kind)
    assert (one and one.count) == count
    if one:
        assert one.share == 1.0
        assert len(one.examples) == 3


def users(*, of_one: int, others: int) -> list[dict[str, Any]]:
    return [event(distinct_id=f"u{nth % others}") for nth in range(1_000 - of_one)] + [event(distinct_id="me")] * of_one


USERS: list[tuple[str, list[dict[str, Any]], str, int | None]] = [
    ("50 of 1,000", users(of_one=50, others=50), "one user with a large share distinct_id", None),
    ("51 of 1,000", users(of_one=51, others=50), "one user with a large share distinct_id", 51),
    ("49 events", [event(distinct_id=f"u{n}") for n in range(29)] + [event(distinct_id="me")] * 20,
     "one user with a large share distinct_id", None),
    ("50 events", [event(distinct_id=f"u{n}") for n in range(30)] + [event(distinct_id="me")] * 20,
     "one user with a large share distinct_id", 20),
    ("19 users", users(of_one=100, others=18)[-118:], "one user with a large share distinct_id", None),
    ("anonymous 1 %", [event(distinct_id="anon-1"), *[event(distinct_id=f"u{n}") for n in range(99)]],
     "anonymous ids that look like users distinct_id", 1),
    ("anonymous below 1 %", [event(distinct_id="anon-1"), *[event(distinct_id=f"u{n}") for n in range(100)]],
     "anonymous ids that look like users distinct_id", None),
    ("all look random", [event(distinct_id=f"{n:032x}") for n in range(100)],
     "anonymous ids that look like users distinct_id", None),
    ("ids again", [event(**{"$insert_id": "x"}, distinct_id="a"), event(**{"$insert_id": "x"}, distinct_id="b")],
     "ids that repeat $insert_id", 1),
    ("the same again", [event(distinct_id="a")] * 3, "duplicates", 2),
    ("the same id again", [event(**{"$insert_id": "x"})] * 3, "duplicates", 2),
    ("another id", [event(**{"$insert_id": "x"}), event(**{"$insert_id": "y"})],
     "duplicates under other ids $insert_id", 1),
]  # fmt: skip


@pytest.mark.parametrize(("events", "kind", "count"), [row[1:] for row in USERS], ids=[row[0] for row in USERS])
def test_users_and_ids_are_odd_from_a_bound_on(events: list[dict[str, Any]], kind: str, count: int | None) -> None:
    one = found(events).get(kind)
    assert (one and one.count) == count


TIMES: list[tuple[str, float | str | None, str, str]] = [
    ("ns", 1.75e18, "time in the wrong unit time", "1 time is in nanoseconds"),
    ("us", 1.75e15, "time in the wrong unit time", "1 time is in microseconds"),
    ("ahead", NOW + 7_200, "time in the future time", "1 event is in the future, by up to 2 hours"),
    ("a little ahead", NOW + 7_199, "time in the future time", "by up to 120 minutes"),
    ("days ahead", NOW + 2 * 86_400, "time in the future time", "by up to 2 days"),
    ("years ahead", NOW + 2 * 365.25 * 86_400, "time in the future time", "by up to 2 years"),
    ("before", 5.0, "time before 1971 time", "1 event is from before 1971"),
    ("old", NOW - 6 * 365.25 * 86_400, "time years back time", "the first of 2019-06-16T03:06:40Z"),
    ("none", None, "no time time", "1 event has no time"),
    ("naive", "2025-06-15 10:00:00", "time without a zone time", "1 time is text that names no zone"),
]


@pytest.mark.parametrize(("time", "kind", "said"), [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
def test_times_are_odd(time: float | str | None, kind: str, said: str) -> None:
    one = found([event(time=time)])[kind]
    assert (one.count, one.share) == (1, 1.0)
    assert said in one.sentence
    assert "no time time" in found([event(time=None)])
    assert kind not in found([event()])


def test_findings_come_the_worst_first() -> None:
    events = [event(p={"a": {"b": {"c": {}}}}), *[event(q="jo@example.com")] * 3, event(time=None)]
    assert [one.level for one in findings(events, {"no": 2})] == ["problem"] * 3 + ["warning"]
    many = findings([event()], {f"reason {n}": n for n in range(1, 15)})
    assert [one.count for one in many] == [*range(14, 4, -1)]
    assert many[0].share == 14 / (1 + sum(range(15)))
    assert many[0].sentence == "14 records would be rejected: reason 14."
    assert found([]) == {}


def test_too_many_properties_are_left_out_by_their_numbers_or_the_rarest() -> None:
    (one,) = [one for kind, one in found([event(**{f"p{n}": 1 for n in range(254)})]).items() if "too many" in kind]
    assert one.count == 1
    assert one.sentence == "1 event has 255 properties or more, which Mixpanel rejects; e has up to 255."
    assert one.advice
    assert one.advice.leave_out == ("p*",)
    letters = ["".join(chr(97 + n // 26**k % 26) for k in range(3)) for n in range(260)]
    often, rare = event(**dict.fromkeys(letters[:254], 1)), event(**dict.fromkeys(letters, 1))
    (one,) = [one for kind, one in found([often, rare]).items() if "too many" in kind]
    assert one.advice
    assert len(one.advice.leave_out) == 60
    assert {*letters[254:]} <= {*one.advice.leave_out}
    assert "too many properties e" not in found([event(**{f"p{n}": 1 for n in range(253)})])


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0 %"), (0.0009, "less than 0.1 %"), (0.001, "0.1 %"), (0.099, "9.9 %"), (0.1, "10 %"), (1.0, "100 %")],
)
def test_a_share_in_words(share: float, shown: str) -> None:
    assert percent(share) == shown


def test_one_and_several_in_words() -> None:
    assert (so_many(1, "event"), so_many(2_000, "event", "has", "have")) == ("1 event is", "2,000 events have")


@pytest.mark.parametrize(
    ("hours", "said", "zone"),
    [(2, "2 h ahead of", "Etc/GMT-2"), (-5, "5 h behind", "Etc/GMT+5"), (5.5, "5.5 h ahead of", "UTC")],
)
def test_a_local_time_is_told_from_a_clock_that_knows_better(hours: float, said: str, zone: str) -> None:
    """Times as texts without a zone, beside what a server wrote."""
    local = datetime.fromtimestamp(NOW - 7_200 + hours * 3_600, UTC).strftime("%Y-%m-%d %H:%M:%S")
    some = found([event(name, time=local, server=NOW - 7_200) for name in "ab" * 19])
    wrong, naive = some["time in the wrong zone time"], some["time without a zone time"]
    assert f"time is {said} server in 100 % of the events" in wrong.sentence
    assert (wrong.count, naive.count) == (38, 38)
    assert wrong.advice
    assert wrong.advice.time == '{ path = "properties.server", unit = "s" }'
    assert naive.advice
    assert naive.advice.time == f'{{ path = "properties.time", zone = "{zone}" }}'


def test_of_ids_that_repeat_it_is_told_how_often() -> None:
    users = ["a", "a", "b", "c"]
    one = found([event(**{"$insert_id": "x"}, distinct_id=user) for user in users])["ids that repeat $insert_id"]
    assert (one.count, one.share, one.examples) == (2, 0.5, ["x: 4 events"])


def test_personal_data_in_all_that_there_is_is_all_of_it() -> None:
    assert found([event(p="jo@example.com")])["personal data p"].share == 1.0
    assert found([event(p="jo@example.com"), event(p="x")])["personal data p"].share == 0.5
