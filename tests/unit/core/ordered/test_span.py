"""A span: how much of a source it holds, when it is full, and where what Mixpanel rejected of it came from."""

from __future__ import annotations

import pytest
from msgspec import Struct

from importer.core.ordered.places import Place
from importer.core.ordered.span import Span
from importer.core.pipeline import Delivery, PlacedReject
from importer.core.rejects.reject import Reject, held_bytes, rejected_record
from importer.errors import InvalidRecord
from importer.mappings.outcome import Dropped
from importer.mixpanel.batch import Batch
from importer.mixpanel.outcome import Outcome, RejectedEvent


def span() -> Span:
    return Span(Batch(10, 1_000), 0.0)


def reject(offset: int = 0, text: bytes = b"no") -> Reject:
    return rejected_record("s", 1, offset, text, InvalidRecord("is no event"))


def test_its_size_is_of_events_records_and_rejects() -> None:
    made = span()
    assert (made.size, made.is_empty) == (0, True)
    made.batch.add(b"12345", Place(1, 0))
    assert (made.size, made.is_empty) == (6, False)
    made.hold(100)
    made.hold(20)
    assert made.size == 126
    one = reject()
    made.reject(one)
    assert made.size == 126 + held_bytes(one) > 500


@pytest.mark.parametrize(("dropped", "is_full"), [(1_999, False), (2_000, True), (2_001, True)])
def test_it_is_full_of_what_is_settled_already(dropped: int, is_full: bool) -> None:
    made = span()
    made.tally([Dropped("x")] * (dropped - 1), ["rule"])
    assert not made.is_empty
    made.reject(reject())
    assert made.is_full == is_full


def test_what_was_changed_only_is_not_settled() -> None:
    made = span()
    made.tally([], ["rule"] * 5)
    assert made.is_empty


def test_it_is_full_of_rejects_too_large_to_hold_more() -> None:
    made, large = span(), reject(text=b"x" * 1_999_000)
    made.reject(large)
    made.reject(reject(text=b"x" * (4_000_000 - 2 * held_bytes(large) + 1_999_000 - 1)))
    assert not made.is_full
    made.reject(reject())
    assert made.is_full
    exactly = span()
    exactly.reject(reject(text=b"x" * (4_000_000 - held_bytes(reject(text=b"")))))
    assert exactly._rejected_bytes == 4_000_000
    assert exactly.is_full


class Pipe(Struct):
    """A pipeline whose deliveries end as the test says."""

    rejected: list[PlacedReject[Place]]
    asked: list[tuple[float, str]]

    def deliver(self, batch: Batch[Place], deadline: float, source: str) -> Delivery[Place]:
        self.asked.append((deadline, source))
        return Delivery(Outcome(imported=3), self.rejected)


def test_what_mixpanel_rejected_has_the_place_of_its_record_and_goes_in_the_order_of_the_source() -> None:
    """Of the fourth of a stretch, the three before it tell where it begins; of what a mapping made, the record does."""
    made = span()
    made.reject(reject(offset=30))
    no = RejectedEvent(0, "properties.time", "is no time")
    stretch, alone = Place(10, 20), Place(7, 90, (b"record",))
    pipe = Pipe([PlacedReject(alone, [], b"event", no), PlacedReject(stretch, [b"a", b"bb", b""], b"it", no)], [])
    settled = made.deliver(pipe, "gs://b/x#1", 5.0)  # type: ignore[arg-type]
    assert pipe.asked == [(5.0, "gs://b/x#1")]
    assert settled.outcome.imported == 3
    assert [(one.line, one.offset, one.event) for one in settled.rejects] == [
        (13, 26, "it"),
        (1, 30, "no"),
        (7, 90, "record"),
    ]
    assert settled.rejected_bytes == sum(map(held_bytes, settled.rejects))


def test_it_says_what_was_dropped_and_changed() -> None:
    made = span()
    made.tally([Dropped("ping"), Dropped("ping")], ["mask"])
    made.tally([Dropped("bot")], [])
    pipe = Pipe([], [])
    tally = made.deliver(pipe, "s", 1.0).tally  # type: ignore[arg-type]
    assert (tally.dropped, tally.changed) == ({"ping": 2, "bot": 1}, {"mask": 1})
