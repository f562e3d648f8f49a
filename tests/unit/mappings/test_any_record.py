"""Whatever a record holds: what becomes of it keeps Mixpanel's published rules or is a reject, twice the same bytes,
and nothing raises; for every ready mapping, for auto, and for mapping files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.errors import InvalidRecord
from importer.mappings import decoding, ready
from importer.mappings.loading import load_mapping
from importer.mappings.outcome import Mapping
from importer.mappings.recognition import Auto, hint
from sandbox.vendors import records
from tests.unit.mappings.judged import anything, judge, spoiled

VENDORS = list(ready.VENDORS)


@cache
def samples(vendor: str) -> list[dict[str, Any]]:
    """Decoded records of a vendor; what is no JSON as it comes is spoiled in the form it is decoded to."""
    decode = ready.decoder(vendor)
    found = [decode(record) for record in records(vendor, 230, seed=9)]
    assert not any(isinstance(one, InvalidRecord) for one in found)
    return [json.loads(json.dumps(one)) for one in (*found[:6], *found[-30:])]


def same_twice(mapping: Mapping, record: bytes) -> None:
    assert judge(mapping, record) == judge(mapping, record)


@pytest.mark.parametrize("vendor", VENDORS)
@given(data=st.data())
def test_a_spoiled_record_is_an_event_within_the_rules_or_a_reject(vendor: str, data: st.DataObject) -> None:
    record = data.draw(spoiled(samples(vendor)))
    same_twice(ready.module(vendor).to_mixpanel, record)
    decoded = decoding.decode(record)
    if not isinstance(decoded, InvalidRecord):
        ready.module(vendor).matches(decoded)


@pytest.mark.parametrize("vendor", VENDORS)
@given(record=anything.map(json.dumps).map(str.encode) | st.binary(max_size=50))
def test_any_json_and_any_bytes_are_too(vendor: str, record: bytes) -> None:
    same_twice(ready.module(vendor).to_mixpanel, record)


@given(data=st.data())
def test_auto_gives_the_same_whatever_came_before(data: st.DataObject) -> None:
    vendors = data.draw(st.lists(st.sampled_from(VENDORS), min_size=2, max_size=3))
    found = [data.draw(spoiled(samples(vendor)) | anything.map(json.dumps).map(str.encode)) for vendor in vendors]
    auto = Auto()
    for record in (*found, *reversed(found)):
        assert judge(auto.to_mixpanel, record) == judge(Auto().to_mixpanel, record)
        hint(record)


FILES = {
    "all else kept": 'event = "kind"\ntime = "at"\nuser_id = "user.id"\ndevice_id = "cookie"\n',
    "flattened": 'event = "kind"\ntime = "at"\nuser_id = "user.id"\nflatten = "_"\ndistinct_id = { value = "" }\n',
    "all there is": """
        explode = "lines"
        event = { join = ["kind", "lines.sku"], with = "-", do = ["trim"] }
        time = { first = ["lines.at", "at"], zone = "Europe/Berlin" }
        distinct_id = ["user.mail", { value = "" }]
        device_id = "cookie"
        insert_id = { hash = ["id", "lines.n"] }
        ip = "ip"
        spread = ["lines.more", "user"]
        leave_out = ["a*"]
        [properties]
        total = { path = "lines.total", do = ["trim", "number"] }
        tags = { path = "lines.tags", do = [{ split = "," }] }
        words = { path = "lines.words", do = [{ join = " " }, "upper"] }
        host = { path = "page", do = [{ url = "host" }, "lower"] }
        step = { path = "page", do = [{ url = "query.step" }] }
        country = { path = "user.country", do = ["country"] }
        first = ["lines.words[0]", "user"]
        [rename]
        page = "$current_url"
        [[where]]
        path = "kind"
        is_not = "Heartbeat"
        [[where]]
        path = "lines.n"
        at_most = 1000
    """,
}
ORDER: dict[str, Any] = {
    "id": "o-1",
    "kind": "Order",
    "at": "2025-06-01 12:00:00.123",
    "cookie": "c-1",
    "ip": "203.0.113.7",
    "user": {"id": 17, "mail": "a@example.com", "country": "Germany"},
    "page": "https://shop.example/cart?step=2",
    "lines": [
        {"sku": " a ", "n": 1, "total": " 1.50 ", "tags": "x,y", "words": ["b", 2, None], "more": {"a": {"b": [1]}}},
        {"sku": "b", "n": 2, "at": "2025-06-01T12:00:00Z", "total": "none"},
    ],
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
@given(data=st.data())
def test_so_it_is_for_mapping_files(tmp_path_factory: pytest.TempPathFactory, text: str, data: st.DataObject) -> None:
    same_twice(compiled(text, tmp_path_factory.getbasetemp()), data.draw(spoiled([ORDER])))


ADJUSTMENTS = """
flatten = "."
spread = ["context.traits", "device"]
leave_out = ["$*"]
user_id = "context.traits.id"
time = "context.at"
identify = "Identified"
[rename]
total = "Total"
[properties]
plan = ["context.traits.plan", { value = "none" }]
"""


@pytest.mark.parametrize("vendor", VENDORS)
@given(data=st.data())
def test_and_for_ready_mappings_that_a_file_adjusts(
    tmp_path_factory: pytest.TempPathFactory, vendor: str, data: st.DataObject
) -> None:
    text = f'use = "{vendor}"\n' + ADJUSTMENTS
    if not hasattr(ready.module(vendor), "identified"):
        text = text.replace('identify = "Identified"\n', "")
    same_twice(compiled(text, tmp_path_factory.getbasetemp()), data.draw(spoiled(samples(vendor))))


@cache
def compiled(text: str, folder: Path) -> Mapping:
    path = folder / f"{abs(hash(text))}.toml"
    path.write_text(text)
    mapping = load_mapping(str(path), {}).mapping
    assert mapping is not None
    return mapping
