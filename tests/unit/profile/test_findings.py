"""Each finding: made data has it, the profile says so, and the mapping file that the profile writes mends it."""

from __future__ import annotations

import json
import random
import tomllib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from importer.mappings.loading import load_mapping
from importer.profile import advice
from importer.profile.advice import Advice
from importer.profile.findings import Finding
from importer.profile.html import page
from importer.profile.profiler import How, Profile, Profiler
from importer.records import Block

NOW = 1_750_000_000.0
"""2025-06-15T15:06:40Z."""
NUMBER = 1_500

Event = dict[str, Any]


def events(change: Callable[[Event, int], object] = lambda _, __: None, number: int = NUMBER) -> list[bytes]:
    """Events that nothing is odd about, but for what `change` does to each."""
    chance = random.Random(1)
    made = []
    for nth in range(number):
        event: Event = {
            "event": ("Page View", "Signup", "Search")[nth % 3],
            "properties": {
                "time": int(NOW - 86_400 + nth * 7),
                "distinct_id": f"user {chance.randrange(200)}",
                "$insert_id": f"id-{nth}",
                "plan": ("free", "pro")[nth % 2],
                "amount": chance.randrange(50),
            },
        }
        change(event["properties"], nth)
        made.append(event)
    return [json.dumps(event).encode() for event in made]


def profile(records: list[bytes], mapping: str | None = "auto", environment: dict[str, str] | None = None) -> Profile:
    return profiled(records, mapping, environment)[0]


def profiled(
    records: list[bytes], mapping: str | None = "auto", environment: dict[str, str] | None = None
) -> tuple[Profile, str]:
    """The profile of records, and the mapping file that it writes."""
    profiler = Profiler(How(mapping, None, environment or {}), NOW)
    profiler.begin("test")
    line = 1
    for at in range(0, len(records), 400):
        some = records[at : at + 400]
        profiler.add(Block(some, line, 0, sum(map(len, some)) + len(some), True), "test")
        line += len(some)
    found = profiler.profile()
    return found, profiler.filters(found)


def renamed(rename: Callable[[int], str]) -> list[bytes]:
    return [json.dumps({**json.loads(record), "event": rename(nth)}).encode() for nth, record in enumerate(events())]


def sets(name: str, value: Callable[[int], Any], share: float = 1.0) -> Callable[[Event, int], object]:
    """A change that sets a property of some events."""
    return lambda properties, nth: properties.update({name: value(nth)}) if nth % 100 < 100 * share else None


def shuffled(nth: int) -> random.Random:
    return random.Random(nth)


def card(nth: int) -> str:
    digits = f"4{nth:014d}"
    total = sum(int(d) if place % 2 else int(d) * 2 - 9 * (int(d) > 4) for place, d in enumerate(reversed(digits)))
    return digits + str(-total % 10)


WORDS = ("the", "shoes", "came", "late", "and", "were", "too", "small", "for", "my", "son", "please", "help")


def sentence(nth: int) -> str:
    return " ".join(shuffled(nth).choices(WORDS, k=12))


def numbered(properties: Event, nth: int) -> None:
    if nth % 3 == 0:
        properties.update({f"field_{one}": one for one in range(260)})


@dataclass(frozen=True)
class Case:
    kind: str
    records: Callable[[], list[bytes]]
    about: str | None
    count: int
    level: str = "warning"
    is_mended: bool = True

    def __str__(self) -> str:
        return f"{self.kind}: {self.about}"


CASES = [
    Case(
        "ids as properties",
        lambda: events(sets("order_id", lambda nth: str(uuid.UUID(int=nth << 70)))),
        "order_id",
        NUMBER,
    ),
    Case("ids as properties", lambda: events(sets("requestId", lambda nth: nth * 7919)), "requestId", NUMBER),
    Case("event names made of data", lambda: renamed(lambda nth: f"order:{nth % 40}"), "order:*", 40),
    Case("event names made of data", lambda: renamed(lambda nth: f"Viewed product {nth % 40}"), "Viewed product *", 40),
    Case(
        "event names made of data",
        lambda: renamed(lambda nth: f"Search: {WORDS[nth % 13]} {WORDS[nth // 13 % 13]}"),
        "Search:*",
        169,
    ),
    Case("long texts", lambda: events(sets("html", lambda nth: "x" * (200 + nth % 2 * 200))), "html", NUMBER // 2),
    Case("user content", lambda: events(sets("comment", sentence)), "comment", NUMBER),
    Case(
        "large nested objects",
        lambda: events(sets("cart", lambda nth: [{"sku": nth, "title": "x" * 90}] * 30)),
        "cart",
        NUMBER,
    ),
    Case(
        "large nested objects",
        lambda: events(sets("deep", lambda nth: {"a": {"b": {"c": {"d": nth}}}}, 0.1)),
        "deep",
        NUMBER // 10,
        "problem",
    ),
    Case("too many properties", lambda: events(numbered), "Page View", NUMBER // 3, "problem"),
    Case("mixed types", lambda: events(sets("amount", lambda nth: str(nth % 50), 0.2)), "amount", NUMBER // 5),
    Case("mixed types", lambda: events(sets("amount", lambda nth: nth % 2 == 0, 0.2)), "amount", NUMBER // 5),
    Case("personal data", lambda: events(sets("contact", lambda nth: f"jo.{nth}@example.com")), "contact", NUMBER),
    Case(
        "personal data",
        lambda: events(sets("text", lambda nth: f"call jo.{nth}@example.com at noon", 0.01)),
        "text",
        NUMBER // 100,
    ),
    Case(
        "personal data",
        lambda: events(sets("customer", lambda nth: {"mail": f"jo.{nth}@example.com", "n": nth}, 0.5)),
        "customer",
        NUMBER // 2,
    ),
    Case("personal data", lambda: events(sets("tel", lambda nth: f"+49 151 {1_000_000 + nth}")), "tel", NUMBER),
    Case("personal data", lambda: events(sets("paid_with", card)), "paid_with", NUMBER),
    Case("personal data", lambda: events(sets("peer", lambda nth: f"93.184.{nth % 200}.{nth % 250}")), "peer", NUMBER),
    Case(
        "personal data",
        lambda: events(sets("distinct_id", lambda nth: f"jo.{nth}@example.com")),
        "distinct_id",
        NUMBER,
        "note",
        is_mended=False,
    ),
    Case(
        "time in the wrong unit",
        lambda: events(sets("time", lambda nth: int((NOW - nth) * 1e6))),
        "time",
        NUMBER,
        "problem",
    ),
    Case(
        "time in the wrong unit",
        lambda: events(sets("time", lambda nth: int((NOW - nth) * 1e9))),
        "time",
        NUMBER,
        "problem",
    ),
    Case(
        "time without a zone",
        lambda: events(sets("time", lambda nth: f"2025-06-14T10:{nth % 60:02d}:00")),
        "time",
        NUMBER,
    ),
    Case(
        "time in the wrong zone",
        lambda: events(lambda p, nth: p.update(sent_at=int((p["time"] - 7_200 + nth % 3) * 1_000))),
        "time",
        NUMBER,
    ),
    Case(
        "time in the future",
        lambda: events(sets("time", lambda _: int(NOW + 9 * 86_400), 0.1)),
        "time",
        NUMBER // 10,
        "problem",
    ),
    Case("time before 1971", lambda: events(sets("time", lambda nth: nth % 7, 0.1)), "time", NUMBER // 10, "problem"),
    Case("time years back", lambda: events(sets("time", lambda nth: 1_262_304_000 + nth, 0.1)), "time", NUMBER // 10),
    Case(
        "one user with a large share",
        lambda: events(sets("distinct_id", lambda _: "healthcheck", 0.3)),
        "distinct_id",
        450,
    ),
    Case(
        "anonymous ids that look like users",
        lambda: events(sets("distinct_id", lambda nth: f"anon-{nth % 300}")),
        "distinct_id",
        NUMBER,
    ),
    Case(
        "anonymous ids that look like users",
        lambda: events(sets("distinct_id", lambda nth: str(uuid.UUID(int=nth << 64)), 0.4)),
        "distinct_id",
        600,
        is_mended=False,
    ),
    Case(
        "ids that repeat",
        lambda: events(sets("$insert_id", lambda nth: f"session-{nth % 100}")),
        "$insert_id",
        NUMBER - 100,
    ),
    Case(
        "duplicates under other ids",
        lambda: [*events(), *events(sets("$insert_id", lambda nth: f"again-{nth}"), 200)],
        "$insert_id",
        200,
    ),
    Case("duplicates", lambda: [*events(), *events(number=300)], None, 300, "note", is_mended=False),
    Case(
        "no time",
        lambda: events(sets("time", lambda _: "yesterday", 0.1)),
        "time",
        NUMBER // 10,
        "problem",
        is_mended=False,
    ),
    Case("rejected", lambda: [*events(), b"{no", b"[]"], None, 1, "problem", is_mended=False),
]


def of_kind(found: Profile, case: Case) -> list[Finding]:
    return [one for one in found.findings if one.kind == case.kind and one.about == case.about]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_finding_has_its_number_and_examples_and_the_file_mends_it(case: Case, tmp_path: Path) -> None:
    records = case.records()
    found, text = profiled(records)
    (one, *_) = of_kind(found, case)
    assert one.count == pytest.approx(case.count, rel=0.03, abs=1)
    assert one.level == case.level
    assert 0 < one.share <= 1
    assert one.sentence.endswith(".")
    file = tmp_path / "mapping.toml"
    file.write_text(text)
    load_mapping(str(file), {})
    if not case.is_mended:
        return
    assert one.advice
    assert one.advice.lines()
    mended = profile(records, str(file))
    assert of_kind(mended, case) == []
    assert mended.count + sum(mended.dropped.values()) == found.count
    assert not mended.rejected


def test_nothing_is_found_where_nothing_is_odd() -> None:
    assert profile(events()).findings == []


def test_all_findings_together_give_one_file_that_loads(tmp_path: Path) -> None:
    changes = [case.records() for case in CASES if case.kind not in {"rejected", "no time"}]
    found, text = profiled([record for records in changes for record in records])
    assert len({one.kind for one in found.findings}) > 10
    file = tmp_path / "mapping.toml"
    file.write_text(text)
    assert load_mapping(str(file), {}).filters is not None


@pytest.mark.parametrize(
    "name", ['say "hi"', "back\\slash", "star*", "dotted.name", "[brackets]", "ünï", "line\nbreak"]
)
def test_names_of_any_kind_come_into_the_file_as_they_are(name: str, tmp_path: Path) -> None:
    records = events(sets(name, lambda nth: (nth, str(nth))[nth % 2]))
    _, text = profiled(records)
    file = tmp_path / "mapping.toml"
    file.write_text(text)
    assert not [one for one in profile(records, str(file)).findings if one.about == name]


@pytest.mark.parametrize("name", ["contact", "distinct_id", "text"])
def test_personal_data_is_nowhere_in_a_profile(name: str) -> None:
    """It is passed around: of an address, only the shape is told."""
    start = "write to " if name == "text" else ""
    found = profile(events(sets(name, lambda nth: f"{start}jo.miller.{nth % 20}@example.com")))
    assert any(one.kind == "personal data" and one.examples for one in found.findings)
    for written in (msgspec.json.encode(found).decode(), page(found)):
        assert "miller" not in written
        assert "example.com" not in written


def test_versions_prices_and_ids_are_not_taken_for_personal_data() -> None:
    def odd(properties: Event, nth: int) -> None:
        properties.update(
            {"build": f"10.0.{nth % 9}", "price": f"{nth}.99", "hash": f"{nth:032x}", "at": "2025-06-14T10:00:00Z"}
        )

    assert not [one for one in profile(events(odd)).findings if one.kind == "personal data"]


def test_random_ids_of_known_users_and_products_are_in_order() -> None:
    """Where there is a `$user_id`, and where a value is there in many events."""

    def known(properties: Event, nth: int) -> None:
        user = str(uuid.UUID(int=nth << 70)) if nth % 20 else f"customer {nth}"
        properties.update({"distinct_id": user, "$user_id": user, "sku": f"BiSo-{nth % 1_100:05d}"})

    assert not profile(events(known, 12_000)).findings


def test_of_vendors_records_only_what_filters_can_do_is_advised(tmp_path: Path) -> None:
    records = list(segment())
    found, text = profiled(records)
    assert found.count == len(records)
    assert any(one.about == "shop_id" for one in found.findings)
    file = tmp_path / "mapping.toml"
    file.write_text(text)
    assert not [one for one in profile(records, str(file)).findings if one.about in {"shop_id", "amount"}]


@pytest.mark.parametrize("mapping", ["mine.toml", "heap:Signed Up"])
def test_what_no_file_can_name_is_not_replaced_but_added_to(mapping: str) -> None:
    text = advice.file([("It is so.", Advice(deny_properties=("x",)))], mapping)
    assert f"IMPORT_MAPPING={mapping}" in text
    assert tomllib.loads(text) == {"filters": {"properties": {"deny": ["x"]}}}


def segment() -> Iterator[bytes]:
    for nth in range(NUMBER):
        properties = {"shop_id": str(uuid.UUID(int=nth << 70)), "amount": nth if nth % 2 else str(nth)}
        yield json.dumps(
            {
                "messageId": f"m-{nth}",
                "type": "track",
                "event": "bought",
                "properties": properties,
                "timestamp": "2025-06-14T10:00:00Z",
                "userId": f"user {nth % 100}",
            }
        ).encode()
