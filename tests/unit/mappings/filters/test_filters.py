"""Filters: what of an event may leave, and under which rule's name what was dropped or changed is counted."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.errors import SettingsError
from importer.mappings.filters import patterns
from importer.mappings.filters.filters import Filters
from importer.mappings.loading import Mapped, load_mapping
from importer.mappings.outcome import Dropped, Event

WHOSE = {"time": 1_748_779_200_123, "distinct_id": "u-1", "$user_id": "u-1", "$insert_id": "i-1"}
EVENT: dict[str, Any] = {
    "event": "Order Completed",
    "properties": {
        **WHOSE,
        "ip": "203.0.113.7",
        "email": "ada@example.com",
        "work_email": "a.l@example.org",
        "total": 9.5,
        "note": "call me",
        "tags": ["a", "b"],
        "$app_version_string": "1.2.3.4",
    },
}
SALT = {"SHOP_SALT": "pepper"}


def load(text: str, path: Path, environment: dict[str, str] | None = None) -> Mapped:
    (path / "shop.toml").write_text(text)
    return load_mapping(str(path / "shop.toml"), SALT if environment is None else environment)


@pytest.fixture
def filters(tmp_path: Path) -> Any:
    def make(text: str) -> Filters:
        found = load(text, tmp_path).filters
        assert found is not None
        return found

    return make


def applied(filters: Filters, **properties: Any) -> tuple[dict[str, Any], list[str]]:
    """The properties that are left of the event, and the rules that changed something."""
    changed: list[str] = []
    event = copy.deepcopy(EVENT)
    event["properties"] = {
        name: value for name, value in {**event["properties"], **properties}.items() if value is not ...
    }
    made = filters.apply(event, changed)
    assert isinstance(made, dict), made
    return made["properties"], changed


def dropped(filters: Filters, event: dict[str, Any]) -> str | None:
    found = filters.apply(copy.deepcopy(event), [])
    return found.kind if isinstance(found, Dropped) else None


def named(name: object) -> dict[str, Any]:
    return {**EVENT, "event": name}


def at(time: object) -> dict[str, Any]:
    return {"event": "A", "properties": {"time": time, "distinct_id": "u"}}


def test_a_file_of_filters_alone_leaves_the_records_as_they_are(tmp_path: Path) -> None:
    mapped = load('[filters.events]\ndeny = ["x"]\n', tmp_path)
    assert mapped.mapping is None
    assert mapped.filters is not None


def test_a_file_may_map_and_filter(tmp_path: Path) -> None:
    mapped = load('use = "segment"\n[filters]\ncut = 7\n', tmp_path)
    assert mapped.mapping is not None
    assert mapped.filters is not None


DROPS: list[tuple[str, str, dict[str, Any], str | None]] = [
    ("allowed", '[filters.events]\nallow = ["Order *", "Page View"]', EVENT, None),
    ("not allowed", '[filters.events]\nallow = ["Page*"]', EVENT, "filter: events.allow"),
    ("denied", '[filters.events]\ndeny = ["$*", "Order*"]', EVENT, "filter: events.deny Order*"),
    ("denied by its whole name", '[filters.events]\ndeny = ["order*", "Order"]', EVENT, None),
    ("a name that is none", '[filters.events]\nallow = ["x"]\ndeny = ["*"]', named(7), None),
    ("a glob's other characters", '[filters.events]\ndeny = ["a.c"]', named("abc"), None),
    ("one character", '[filters.events]\ndeny = ["a?c"]', named("a\nc"), "filter: events.deny a?c"),
    ("in the window", '[filters.time]\nfrom = "2025-06-01"\nto = "2025-06-02"', EVENT, None),
    ("before it", "[filters.time]\nfrom = 2025-06-02", EVENT, "filter: time"),
    ("at its end", '[filters.time]\nto = "2025-06-01T14:00:00.123+02:00"', EVENT, "filter: time"),
    ("just before its end", '[filters.time]\nto = "2025-06-01T14:00:00.124+02:00"', EVENT, None),
    ("seconds", "[filters.time]\nfrom = 2025-06-01", at(1_748_700_000), "filter: time"),
    ("seconds in the window", "[filters.time]\nfrom = 2025-06-01", at(1_748_779_200.5), None),
    ("a text", "[filters.time]\nfrom = 2025-06-01", at("2025-05-31T00:00:00Z"), "filter: time"),
    ("no time, which is not the window's", "[filters.time]\nfrom = 2025-06-01", at(None), None),
    ("no properties", "[filters.time]\nfrom = 2025-06-01", {"event": "A"}, None),
    ("properties that are none", "[filters.time]\nfrom = 2025-06-01", {"event": "A", "properties": []}, None),
]


@pytest.mark.parametrize(("text", "event", "kind"), [row[1:] for row in DROPS], ids=[row[0] for row in DROPS])
def test_an_event_is_dropped_under_its_rules_name(filters: Any, text: str, event: dict[str, Any], kind: str) -> None:
    assert dropped(filters(text), event) == kind


def test_of_users_a_share_stays_and_always_the_same_one(filters: Any) -> None:
    sample = filters("[filters.sample]\nkeep = 0.25\n")
    users = [{"event": "A", "properties": {"distinct_id": f"user-{n}"}} for n in range(4000)]
    stay = [dropped(sample, user) is None for user in users]
    assert 850 < sum(stay) < 1150
    assert stay == [dropped(sample, user) is None for user in users]
    assert dropped(filters("[filters.sample]\nkeep = 1\n"), users[0]) is None


def test_what_is_nobodys_is_not_sampled(filters: Any) -> None:
    sample = filters("[filters.sample]\nkeep = 0.000001\n")
    assert dropped(sample, at(1) | {"properties": {"distinct_id": ""}}) is None
    assert dropped(sample, EVENT) == "filter: sample"


def test_users_can_be_told_by_another_property(filters: Any) -> None:
    sample = filters('[filters.sample]\nkeep = 0.5\nby = "account"\n')
    kinds = {dropped(sample, {"event": "A", "properties": {"distinct_id": str(n), "account": 7}}) for n in range(50)}
    assert len(kinds) == 1


EMAILS = {"email", "work_email"}


def test_only_allowed_properties_stay_and_what_makes_an_event_one(filters: Any) -> None:
    left, changed = applied(filters('[filters.properties]\nallow = ["total", "ta*"]\n'))
    assert left.keys() == {*WHOSE, "ip", "total", "tags"}
    assert changed == ["properties.allow"]


def test_denied_properties_go(filters: Any) -> None:
    left, changed = applied(filters('[filters.properties]\ndeny = ["*email", "ip", "time", "distinct_id"]\n'))
    assert left.keys() == EVENT["properties"].keys() - EMAILS - {"ip"}
    assert changed == ["properties.deny"]


def test_values_are_hashed_the_same_every_time_and_with_another_salt_otherwise(tmp_path: Path) -> None:
    text = '[filters.hash]\nproperties = ["*email", "total", "tags", "none"]\nsalt_from = "SHOP_SALT"\n'
    made = [load(text, tmp_path, {"SHOP_SALT": salt}).filters for salt in ("pepper", "pepper", "paprika")]
    (one, changed), (same, _), (other, _) = (applied(each, none=None) for each in made if each)
    assert changed == ["hash"]
    assert one == same
    for name in ("email", "work_email", "total", "tags"):
        assert len(one[name]) == 32
        assert one[name] != other[name]
    assert one["none"] is None
    assert {name: one[name] for name in WHOSE} == WHOSE


def test_a_hashed_device_stays_the_same_in_distinct_id(filters: Any) -> None:
    hashes = filters('[filters.hash]\nproperties = ["distinct_id", "$*_id", "ip"]\nsalt_from = "SHOP_SALT"\n')
    device, changed = applied(hashes, **{"distinct_id": "$device:d", "$device_id": "d", "$user_id": ...})
    assert device["distinct_id"] == "$device:" + device["$device_id"]
    assert device["$insert_id"] == "i-1"
    assert "ip" not in device
    user, _ = applied(hashes)
    assert user["distinct_id"] == user["$user_id"] != "u-1"
    assert changed == ["hash"]


def test_values_are_masked_by_name(filters: Any) -> None:
    left, changed = applied(filters('[filters.mask]\nproperties = ["*email", "tags", "ip", "time"]\nwith = "?"\n'))
    assert (left["email"], left["work_email"], left["tags"]) == ("?", "?", "?")
    assert "ip" not in left
    assert left["time"] == WHOSE["time"]
    assert changed == ["mask"]


PATTERNS: list[tuple[str, str, str, str]] = [
    ("an address", "email", "ada.l+x@mail.example.co.uk", "***"),
    ("an address in a text", "email", "from <ada@example.com>, to bob@example.org.", "from <***>, to ***."),
    ("an address in a URL", "email", "https://x.example/?mail=ada@example.com&a=1", "https://x.example/?mail=***&a=1"),
    ("an umlaut", "email", "jürgen@example.de", "***"),
    ("no address", "email", "@ada, ada@, a@b", "@ada, ada@, a@b"),
    ("a phone number", "phone", "+1 (555) 010-1234", "***"),
    ("another", "phone", "call 0049 30 1234567 or 030 1234567", "call *** or ***"),
    ("an American one", "phone", "(555) 010-1234 and 555-010-1234", "*** and ***"),
    ("no phone number", "phone", "2025-06-01 12:00:00 1748736000006 12.50", "2025-06-01 12:00:00 1748736000006 12.50"),
    ("a UUID", "phone", "5d4dc6e2-8ba4-470e-aed7-cc6ab8a62a14", "5d4dc6e2-8ba4-470e-aed7-cc6ab8a62a14"),
    ("a card", "card", "pay 4111 1111 1111 1111 now", "pay *** now"),
    ("an Amex", "card", "378282246310005", "***"),
    ("a card with hyphens", "card", "5555-5555-5555-4444", "***"),
    ("a wrong check digit", "card", "4111 1111 1111 1112", "4111 1111 1111 1112"),
    ("a time in milliseconds", "card", "1748736000006", "1748736000006"),
    ("an IPv4 address", "ip", "from 203.0.113.7:443 to 10.0.0.1", "from ***:443 to ***"),
    ("an IPv6 address", "ip", "from 2001:db8::1 on", "from *** on"),
    (
        "no address of a host",
        "ip",
        "999.1.1.1 1.2.3 12:30:45 Chrome/137.0.0.0",
        "999.1.1.1 1.2.3 12:30:45 Chrome/137.0.0.0",
    ),
]


@pytest.mark.parametrize(("name", "text", "masked"), [row[1:] for row in PATTERNS], ids=[row[0] for row in PATTERNS])
def test_what_looks_private_is_masked(filters: Any, name: str, text: str, masked: str) -> None:
    left, changed = applied(
        filters(f'[filters.mask]\npatterns = ["{name}"]\n'), x=text, y={"z": [text]}, email=..., work_email=...
    )
    assert left["x"] == masked
    assert left["y"] == {"z": [masked]}
    assert changed == ([f"mask.{name}"] if masked != text else [])
    assert {one: left[one] for one in WHOSE} == WHOSE


def test_an_ip_and_a_version_are_left_to_what_they_are(filters: Any) -> None:
    left, changed = applied(filters('[filters.mask]\npatterns = ["ip"]\n'), x="10.0.0.1")
    assert (left["ip"], left["$app_version_string"], left["x"]) == ("203.0.113.7", "1.2.3.4", "***")
    assert changed == ["mask.ip"]


def test_whose_an_event_is_is_not_masked(filters: Any) -> None:
    left, _ = applied(filters('[filters.mask]\npatterns = ["email"]\n'), distinct_id="ada@example.com")
    assert left["distinct_id"] == "ada@example.com"


def test_a_cover_is_no_regular_expression(filters: Any) -> None:
    left, _ = applied(filters("[filters.mask]\npatterns = ['email', 'phone']\nwith = '\\1'\n"), x="+49 30 1234567")
    assert (left["email"], left["x"]) == ("\\1", "\\1")


def test_long_texts_are_cut_wherever_they_are(filters: Any) -> None:
    left, changed = applied(filters("[filters]\ncut = 5\n"), x="1234567", y=[{"z": "äöüäöü"}], distinct_id="123456")
    assert (left["x"], left["y"], left["note"]) == ("12345", [{"z": "äöüäö"}], "call ")
    assert left["distinct_id"] == "123456"
    assert changed == ["cut"]
    assert applied(filters("[filters]\ncut = 1000\n"))[1] == []


def test_rules_go_one_after_the_other_and_each_counts_once(filters: Any) -> None:
    left, changed = applied(
        filters(
            '[filters]\ncut = 3\n[filters.properties]\nallow = ["*mail"]\ndeny = ["email"]\n'
            '[filters.hash]\nproperties = ["*email"]\nsalt_from = "SHOP_SALT"\n[filters.mask]\npatterns = ["email"]\n'
        )
    )
    assert left.keys() == {*WHOSE, "ip", "work_email"}
    assert len(left["work_email"]) == 3
    assert changed == ["properties.allow", "properties.deny", "hash", "cut"]


def test_another_shape_of_event_is_found_out_anew(filters: Any) -> None:
    deny = filters('[filters.properties]\ndeny = ["secret*"]\n')
    assert "secret" not in applied(deny, secret=1)[0]
    assert "secrets" not in applied(deny, secrets=1)[0]
    for number in range(1200):
        assert applied(deny, **{f"p{number}": 1, "secret": 2})[0][f"p{number}"] == 1


ERRORS: list[tuple[str, str, str]] = [
    ("another key", "[filters]\ncutt = 7", "line 2: filters.cutt is not known: did you mean cut?"),
    ("no length", "[filters]\ncut = 0", "line 2: filters.cut must be a whole number, at least 1"),
    ("nothing allowed", "[filters.events]", "line 1: filters.events must have allow or deny"),
    ("a glob that is none", "[filters.events]\nallow = [7]", "line 2: filters.events.allow[0] must be a text"),
    ("a share of nobody", "[filters.sample]\nkeep = 0", "line 2: filters.sample.keep must be a share of users"),
    ("no share", "[filters]\nsample = {}", "line 2: filters.sample must be a share of users"),
    ("a time that is none", '[filters.time]\nto = "soon"', "line 2: filters.time.to must be a time in ISO 8601"),
    ("no time", "[filters]\ntime = {}", "line 2: filters.time must have from or to"),
    ("no salt", '[filters.hash]\nproperties = ["a"]', "line 1: filters.hash has no salt_from"),
    (
        "a salt that is not set",
        '[filters.hash]\nproperties = ["a"]\nsalt_from = "NO_SALT"',
        "line 3: filters.hash.salt_from names the environment variable NO_SALT, and that is not set",
    ),
    ("another pattern", '[filters.mask]\npatterns = ["mail"]', "line 2: filters.mask.patterns"),
    ("nothing to mask", '[filters.mask]\nwith = "x"', "line 1: filters.mask must have properties or patterns"),
]


@pytest.mark.parametrize(("text", "reason"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_a_mistake_is_told_with_file_line_and_key(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(text, tmp_path)
    assert str(raised.value).startswith(f"shop.toml, {reason}")
    assert "pepper" not in str(raised.value)


TEXTS = st.text(st.sampled_from("0123456789 +-.()/:@abcdefxyzäß\n"), max_size=40)


@given(st.lists(TEXTS, max_size=4), st.sampled_from(sorted(patterns.MASKS)))
def test_what_is_not_suspected_does_not_match(texts: list[str], name: str) -> None:
    if not patterns.suspects([name])(json.dumps(texts, ensure_ascii=False).encode()):
        assert [patterns.MASKS[name](text, "***") for text in texts] == texts
    short = [text for text in texts if len(text) < patterns.MIN_LENGTHS[name]]
    assert [patterns.MASKS[name](text, "***") for text in short] == short


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.dictionaries(
    st.sampled_from(["event", "properties", "x"]),
    VALUES | st.dictionaries(st.sampled_from([*EVENT["properties"], "x"]), VALUES, max_size=8),
)
ALL = """
[filters]
cut = 3
sample = { keep = 0.5 }
time = { from = 1990-01-01 }
events = { allow = ["a*", "?"], deny = ["ab*"] }
properties = { allow = ["*a*", "*o*", "ip"], deny = ["note"] }
hash = { properties = ["email", "distinct_id"], salt_from = "SHOP_SALT" }
mask = { properties = ["total"], patterns = ["email", "phone", "card", "ip"] }
"""


@given(event=EVENTS)
def test_no_event_makes_a_filter_raise(tmp_path_factory: pytest.TempPathFactory, event: Event) -> None:
    filters = load(ALL, tmp_path_factory.getbasetemp()).filters
    assert filters
    once, twice = copy.deepcopy(event), copy.deepcopy(event)
    assert json.dumps(repr(filters.apply(once, []))) == json.dumps(repr(filters.apply(twice, [])))


SUSPECTS: list[tuple[str, str, bool]] = [
    ("email", "jo@x", True),
    ("email", "0123456789", False),
    ("phone", "a@b 12 34.56-78/9 x", True),
    ("phone", "12345678 @ ::", False),
    ("card", "(123) 456 789", True),
    ("card", "1.2.3.4 @", False),
    ("ip", "1.2.3.4", True),
    ("ip", "1.2.3", False),
    ("ip", "fe80::1", True),
    ("ip", "jo@x 123456789", False),
]


@pytest.mark.parametrize(("name", "text", "may_match"), SUSPECTS, ids=str)
def test_only_texts_in_which_a_pattern_may_match_are_searched(name: str, text: str, may_match: bool) -> None:
    assert patterns.suspects([name])(text.encode()) == may_match
