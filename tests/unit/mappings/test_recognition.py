"""Records are told by their keys, whoever wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain

import pytest

from importer.errors import InvalidRecord, SettingsError
from importer.mappings import ready
from importer.mappings.loading import load_mapping
from importer.mappings.recognition import Auto, hint, recognise, recognise_object
from importer.mappings.vendors import segment
from sandbox.vendors import records

MADE = list(ready.VENDORS)
MARKED = [name for name in MADE if ready.VENDORS[name].signs]
OWN = b'{"event":"A","properties":{"time":1,"distinct_id":"u"}}'


@pytest.mark.parametrize("vendor", MARKED)
def test_a_vendors_records_are_recognised(vendor: str) -> None:
    for record in records(vendor, 250, seed=3):
        assert recognise(record) == vendor, record
        said = hint(record)
        assert said is not None
        assert said.endswith(f": set IMPORT_MAPPING={vendor} (or auto)")


@pytest.mark.parametrize("vendor", MADE)
def test_no_record_has_two_shapes(vendor: str) -> None:
    """Else it would matter which vendor's records came before."""
    for record in records(vendor, 250, seed=4):
        if record.startswith(b"{"):
            decoded = json.loads(record)
            others = [name for name in MADE if name != vendor and ready.module(name).matches(decoded)]
            assert others == []


@pytest.mark.parametrize(
    "record", [OWN, b"{}", b"[]", b"", b"\xff", b"{", b"null", b"\t" * 130, b'{"messageId":1,"events":2,"uuid":3}']
)
def test_what_is_nobodys_has_no_hint(record: bytes) -> None:
    assert recognise(record) is None
    assert hint(record) is None


def test_auto_maps_each_record_by_its_own_vendor_whatever_came_before() -> None:
    mixed = list(chain.from_iterable(zip(*(records(vendor, 40) for vendor in MARKED), strict=True)))
    auto = Auto().to_mixpanel
    for record in [*mixed, *reversed(mixed)]:
        vendor = recognise(record)
        assert vendor is not None
        assert repr(auto(record)) == repr(ready.module(vendor).to_mixpanel(record))


def test_auto_passes_mixpanels_own_events_and_rejects_what_it_does_not_know() -> None:
    auto = load_mapping("auto", {}).mapping
    assert auto is not None
    assert auto(OWN) == [json.loads(OWN)]
    for record in (b'{"a":1}', b"7", b"\x00"):
        (found,) = auto(record)
        assert isinstance(found, InvalidRecord)


@pytest.mark.parametrize("change", [lambda line: line.rpartition(b"\t")[0], lambda line: line + b"\t"])
def test_auto_says_of_a_line_of_snowplows_how_many_fields_it_has(change: Callable[[bytes], bytes]) -> None:
    line = next(record for record in records("snowplow", 9, seed=1) if not record.startswith(b"{"))
    (found,) = Auto().to_mixpanel(change(line))
    assert isinstance(found, InvalidRecord)
    assert found.reason in {f"is no enriched event: it has {n} tab-separated fields, not 131" for n in (130, 132)}


def test_auto_takes_a_tables_row_for_the_event_that_its_columns_say() -> None:
    auto = Auto().to_mixpanel
    row = {"event": "A", "time": "2025-06-01", "distinct_id": "u", "insert_id": "i", "plan": "pro", "empty": None}
    assert auto(json.dumps(row).encode()) == [
        {"event": "A", "properties": {"time": "2025-06-01", "distinct_id": "u", "plan": "pro", "$insert_id": "i"}}
    ]
    nested = {"event": "A", "time": 1, "properties": {"plan": "pro"}}
    assert auto(json.dumps(nested).encode()) == [{"event": "A", "properties": {"plan": "pro", "time": 1}}]
    for own in ({"event": "A", "properties": {"time": 1}, "time": 2}, {"event": "A", "properties": None}):
        assert auto(json.dumps(own).encode()) == [own]


def test_a_ready_mapping_is_loaded_by_its_name() -> None:
    mapped = load_mapping("segment", {})
    assert mapped.mapping is segment.to_mixpanel
    assert mapped.filters is None


def test_a_name_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"IMPORT_MAPPING is 'segmant', and there is no such mapping: there are "):
        load_mapping("segmant", {})


def test_an_event_of_mixpanels_own_shape_is_nobody_elses() -> None:
    assert recognise_object(json.loads(OWN)) is None
