"""The window of deliveries: in order whatever ends first, and no more of them than may be."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from importer.core.ordered.window import Window


class ByHand:
    """An executor whose deliveries end when the test says so."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, size: int, deliver: Callable[[], Any]) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def by_hand() -> ByHand:
    return ByHand()


def filled(by_hand: ByHand, *sizes: int) -> Window[int, str]:
    made: Window[int, str] = Window(by_hand)  # type: ignore[arg-type]
    for number, size in enumerate(sizes):
        made.add(number, size, str)
    return made


def test_those_that_ended_come_in_order_and_none_before_the_first_has(by_hand: ByHand) -> None:
    made = filled(by_hand, 1, 1, 1)
    by_hand.futures[1].set_result("b")
    assert [*made.settled()] == []
    by_hand.futures[0].set_result("a")
    assert [*made.settled()] == [(0, "a"), (1, "b")]
    assert [*made.settled()] == []
    by_hand.futures[2].set_result("c")
    assert [*made.rest()] == [(2, "c")]
    assert [*made.rest()] == []


def ended(by_hand: ByHand, made: Window[int, str]) -> int:
    """How many the window waits for, where those that it does not wait for never end."""

    class Waits(Future[str]):
        def result(self, timeout: float | None = None) -> str:
            return "waited for"

    for future in by_hand.futures:
        future.__class__ = Waits
    return len([*made.settled()])


@pytest.mark.parametrize(("number", "waited_for"), [(64, 0), (65, 1), (70, 6)])
def test_where_more_wait_than_may_the_first_is_waited_for(by_hand: ByHand, number: int, waited_for: int) -> None:
    assert ended(by_hand, filled(by_hand, *[1] * number)) == waited_for


@pytest.mark.parametrize(
    ("sizes", "waited_for"),
    [((32_000_000, 32_000_000), 0), ((32_000_001, 32_000_000), 1), ((1, 64_000_001), 1), ((90_000_000,), 0)],
)
def test_where_they_hold_more_than_may_be_the_first_is_waited_for(
    by_hand: ByHand, sizes: tuple[int, ...], waited_for: int
) -> None:
    """One alone may be as large as it is: there is nothing before it to wait for."""
    assert ended(by_hand, filled(by_hand, *sizes)) == waited_for


def test_what_is_out_is_held_no_longer(by_hand: ByHand) -> None:
    made = filled(by_hand, 60_000_000)
    by_hand.futures[0].set_result("a")
    assert [*made.settled()] == [(0, "a")]
    for number in (1, 2):
        made.add(number, 30_000_000, str)
    assert [*made.settled()] == []


def test_what_a_delivery_raised_is_raised_in_its_turn(by_hand: ByHand) -> None:
    made = filled(by_hand, 1, 1, 1)
    for future, result in zip(by_hand.futures, ("a", None, "c"), strict=True):
        future.set_result(result) if result else future.set_exception(ValueError("no"))
    taken = made.settled()
    assert next(taken) == (0, "a")
    with pytest.raises(ValueError, match="no"):
        next(taken)
    assert [*made.successes()] == ["c"]


def test_the_results_of_those_that_end_well_come_whatever_becomes_of_the_others(by_hand: ByHand) -> None:
    made = filled(by_hand, 1, 1)
    by_hand.futures[0].set_exception(ValueError("no"))
    by_hand.futures[1].set_result("b")
    assert [*made.successes()] == ["b"]
