"""What a preview says of a record: what would become of it, and which rule has a hand in it."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from importer.core.explanation import Explained, Explainer
from importer.core.preparation import Preparer
from importer.errors import SettingsError
from importer.mappings.loading import load_mapping
from importer.records import Malformed
from sandbox.vendors import records

NOW = 1_748_800_000.0
OWN = (
    b'{"event":"Signup","properties":{"time":1748779200,"distinct_id":"u-1","$insert_id":"i-1","email":"a@b.example"}}'
)
TRACK = json.dumps(
    {
        "type": "track",
        "event": "Order Completed",
        "messageId": "m-1",
        "userId": "u-1",
        "anonymousId": "a-1",
        "timestamp": "2025-06-01T12:00:00.123Z",
        "properties": {"total": 9.5, "email": "ada@example.com", "note": "x" * 40},
    }
).encode()
FILTERS = """
use = "auto"
[filters]
cut = 20
events.deny = ["Page*"]
properties.deny = ["total"]
mask.patterns = ["email"]
"""


def explainer(mapping: str | None = None, transform: str | None = None) -> Explainer:
    return Explainer(mapping, transform, "0", {}, lambda: NOW)


@pytest.fixture
def shop(tmp_path: Path) -> str:
    path = tmp_path / "shop.toml"
    path.write_text(FILTERS)
    return str(path)


@pytest.fixture
def transform(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(function: Any) -> str:
        module = types.ModuleType("preview_transform")
        module.of = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "preview_transform", module)
        return "preview_transform:of"

    return make


def only(explained: Any) -> Explained:
    (one,) = explained.outcomes
    assert isinstance(one, Explained)
    return one


def touched(explained: Explained) -> list[tuple[str, str, str | None, str]]:
    return [(touch.stage, touch.rule, touch.part, touch.did) for touch in explained.touches]


def test_an_event_of_mixpanels_own_shape_is_touched_by_nothing_but_its_completion() -> None:
    one = only(explainer().explain(OWN))
    assert (one.fate, json.loads(one.event or b"")["properties"]["ip"]) == ("imported", 0)
    assert touched(one) == [("completion", "completed", "ip", "set")]
    assert touched(only(explainer("auto").explain(OWN))) == touched(one)


def test_a_vendors_record_is_recognised_and_its_mapping_named_whichever_is_set() -> None:
    for mapping, rule in (("segment", "segment"), ("auto", "auto: segment")):
        explained = explainer(mapping).explain(TRACK)
        one = only(explained)
        assert (explained.recognised, one.fate) == ("segment", "imported")
        assert ("mapping", rule, None, "set") in touched(one)
        assert ("mapping", rule, "$device_id", "set") in touched(one)
    explained = explainer().explain(TRACK)
    one = only(explained)
    assert (explained.recognised, one.fate, one.by) == ("segment", "rejected", "importer")
    assert one.reason == "looks like Segment: set IMPORT_MAPPING=segment (or auto)"


def test_each_filter_is_named_with_the_properties_that_it_touched(shop: str) -> None:
    one = only(explainer(shop).explain(TRACK))
    assert ("mapping", "shop.toml", "total", "set") in touched(one)
    assert [touch for touch in touched(one) if touch[0] == "filter"] == [
        ("filter", "properties.deny", "total", "removed"),
        ("filter", "mask.email", "email", "changed"),
        ("filter", "cut", "note", "changed"),
    ]


def test_what_a_filter_or_mapping_drops_says_by_which_rule(shop: str) -> None:
    page = TRACK.replace(b"Order Completed", b"Page Seen")
    one = only(explainer(shop).explain(page))
    assert (one.fate, one.by, one.reason, one.event) == ("dropped", "filter", "filter: events.deny Page*", None)
    one = only(explainer("segment").explain(TRACK.replace(b'"track"', b'"group"')))
    assert (one.fate, one.by, one.reason) == ("dropped", "mapping", "group call")


def test_a_transform_is_named_with_what_it_touched(transform: Any) -> None:
    def change(event: dict[str, Any]) -> Any:
        properties = event["properties"] | {"plan": "pro"}
        del properties["email"]
        return [{**event, "properties": properties}, None, {**event, "event": ""}]

    name = transform(change)
    made, wrong, nameless = explainer(None, name).explain(OWN).outcomes
    assert touched(made) == [
        ("transform", name, "plan", "set"),
        ("transform", name, "email", "removed"),
        ("completion", "completed", "ip", "set"),
    ]
    assert (wrong.fate, wrong.by) == ("rejected", "transform")
    assert (nameless.fate, nameless.by, nameless.field) == ("rejected", "importer", "event")
    assert only(explainer(None, transform(lambda _: None)).explain(OWN)).by == "transform"


def test_a_transform_that_does_not_do_twice_the_same_still_gets_what_it_did_once(transform: Any) -> None:
    answers = iter([{"event": "A", "properties": {"time": 1_748_779_200, "distinct_id": "u"}}, None])
    one = only(explainer(None, transform(lambda _: next(answers))).explain(OWN))
    assert (one.fate, one.touches) == ("imported", ())


def test_mixpanels_rules_have_the_last_word() -> None:
    one = only(explainer().explain(OWN.replace(b'"u-1"', b'"undefined"')))
    assert (one.fate, one.by, one.field) == ("rejected", "Mixpanel", "properties.distinct_id")
    assert one.event is not None


@pytest.mark.parametrize("record", [b"", b"nonsense", b"[1]", b'{"event":', b"[" * 9_000, b"\xff\xfe", b'{"a":1e999}'])
@pytest.mark.parametrize("mapping", [None, "auto", "snowplow"])
def test_what_is_no_record_is_rejected_with_a_reason(record: bytes, mapping: str | None) -> None:
    one = only(explainer(mapping).explain(record))
    assert (one.fate, one.event) == ("rejected", None)
    assert one.reason
    assert not one.touches


def test_what_a_format_could_make_no_record_of_keeps_its_reason() -> None:
    one = only(explainer("auto").explain(Malformed(b"a,b", "has 2 cells and not 3")))
    assert (one.fate, one.by, one.reason) == ("rejected", "importer", "has 2 cells and not 3")


def test_a_mapping_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('use = "segmnt"')
    with pytest.raises(SettingsError, match=r"broken\.toml, line 1: use must be"):
        explainer(str(path))


@pytest.mark.parametrize("vendor", ["snowplow", "ga4", "segment", "rudderstack", "amplitude", "posthog", "mparticle"])
@pytest.mark.parametrize("mapping", ["auto", None, "shop"])
def test_what_is_said_is_what_the_pipeline_does(vendor: str, mapping: str | None, shop: str) -> None:
    mapping = shop if mapping == "shop" else mapping
    explains = explainer(mapping)
    preparer = Preparer("0", load_mapping(mapping, {}) if mapping else None, None)
    for record in records(vendor, 40):
        prepared = preparer.prepare(record)
        outcomes = explains.explain(record).outcomes
        assert [one.event for one in outcomes if one.event is not None] == list(prepared.events)
        assert len(outcomes) == prepared.read
        assert [one.reason for one in outcomes if one.fate == "dropped"] == [one.kind for one in prepared.dropped]
        rules = {
            rule
            for one in outcomes
            for touch in one.touches
            if touch.stage == "filter"
            for rule in touch.rule.split(", ")
        }
        assert rules == set(prepared.changed)
