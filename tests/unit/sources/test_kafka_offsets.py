"""What may be committed of a partition, whatever settles first."""

from __future__ import annotations

import random

import pytest

from importer.sources.kafka.offsets import Offsets


def test_nothing_is_committed_before_something_came() -> None:
    assert Offsets().to_commit() is None


def test_an_offset_passes_nothing_that_is_open() -> None:
    offsets = Offsets()
    for number in (5, 6, 9):  # compacted topics have gaps
        offsets.begin(number)
    offsets.settle(6)
    assert offsets.to_commit() == 5
    offsets.settle(5)
    assert offsets.to_commit() == 9
    offsets.settle(9)
    assert offsets.to_commit() == 10
    assert len(offsets) == 0


def test_what_was_committed_is_not_committed_again() -> None:
    offsets = Offsets()
    offsets.begin(0)
    offsets.settle(0)
    offsets.committed = offsets.to_commit()
    assert offsets.to_commit() is None


@pytest.mark.parametrize("seed", range(5))
def test_in_any_order_all_before_the_offset_is_settled(seed: int) -> None:
    offsets, chance = Offsets(), random.Random(seed)
    numbers = list(range(200))
    for number in numbers:
        offsets.begin(number)
    chance.shuffle(numbers)
    settled = set[int]()
    for number in numbers:
        offsets.settle(number)
        settled.add(number)
        position = offsets.to_commit()
        assert position is not None
        assert set(range(position)) <= settled
    assert offsets.to_commit() == 200
