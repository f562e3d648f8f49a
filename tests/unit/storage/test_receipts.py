"""What is known of many objects, by one list."""

from __future__ import annotations

import pytest

from importer.storage.paths import state_folder
from importer.storage.receipts import Receipts
from importer.storage.store import Entry, Store, store

LONG = "x" * 900


@pytest.fixture
def objects(place: str) -> Store:
    return store(place)


def put(objects: Store, place: str, source: str, name: str = "receipt.json", content: bytes = b"{}") -> None:
    objects.write(f"{state_folder(place, source)}/{name}", content)


@pytest.mark.parametrize(
    "name", ["2025/06/01/a", "a b/ü", "#/a#b", "[1]/a", LONG, f"2025/{LONG}", "ü" * 300], ids=lambda name: name[:12]
)
def test_what_has_a_receipt_is_done_whatever_it_is_called(place: str, objects: Store, name: str) -> None:
    source = f"gs://events/in/{name}#17"
    put(objects, place, source)
    prefix = f"gs://events/in/{name[:4].rstrip('[')}"
    receipts = Receipts(objects, place, prefix)
    assert receipts.is_done(source)
    assert not receipts.is_done(f"gs://events/in/{name}#18")
    assert not receipts.is_done(f"gs://events/in/{name}x#17")


def test_what_was_begun_and_what_was_imported_in_another_generation_is_known(place: str, objects: Store) -> None:
    put(objects, place, "gs://b/in/a#1")
    put(objects, place, "gs://b/in/b#1", "checkpoint.json")
    receipts = Receipts(objects, place, "gs://b/in/")
    assert (receipts.is_begun("gs://b/in/b#1"), receipts.is_done("gs://b/in/b#1")) == (True, False)
    assert (receipts.has_earlier("gs://b/in/a#2"), receipts.has_earlier("gs://b/in/b#2")) == (True, False)


def test_a_prefix_leaves_out_what_lies_elsewhere(place: str, objects: Store) -> None:
    for name in ("in/2025/06/a", "in/2025/07/a", "other/a"):
        put(objects, place, f"gs://b/{name}#1")
    receipts = Receipts(objects, place, "gs://b/in/2025/0")
    assert receipts.is_done("gs://b/in/2025/06/a#1")
    assert receipts.is_done("gs://b/in/2025/07/a#1")
    assert not receipts.is_done("gs://b/other/a#1")
    assert Receipts(objects, place, "gs://b/in/2025/*/a").is_done("gs://b/in/2025/06/a#1")


def test_leases_beside_receipts_are_taken_away_and_no_others(place: str, objects: Store) -> None:
    put(objects, place, "gs://b/a#1")
    put(objects, place, "gs://b/a#1", "lease.json")
    put(objects, place, "gs://b/b#1", "lease.json")
    Receipts(objects, place, "gs://b/").tidy()
    left = sorted(address.removeprefix(f"{place}/") for address in objects.list(place))
    assert left == ["b/a/1/receipt.json", "b/b/1/lease.json"]


def test_receipts_tell_of_rejects(place: str, objects: Store) -> None:
    contents = {"a": b'{"counts": {"rejected": 3}}', "b": b'{"counts": {"rejected": 0}}', "c": b"broken", "d": b"{}"}
    entries = [Entry(f"gs://b/{name}", f"gs://b/{name}#1", 1, 0.0) for name in contents]
    for name, content in contents.items():
        put(objects, place, f"gs://b/{name}#1", content=content)
    assert Receipts(objects, place, "gs://b/").rejected(entries) == [(entries[0], 3)]
