"""The memory for what waits: who may take of it, and who has to come later."""

from __future__ import annotations

import pytest

from importer.core.batching.memory_budget import BudgetExceeded, MemoryBudget, Reservation


def test_all_together_take_no_more_than_there_is() -> None:
    budget = MemoryBudget(100)
    one, other = Reservation(budget), Reservation(budget)
    one.take(40)
    other.take(59)
    other.take(1)
    assert (budget.used, one.held, other.held) == (100, 40, 60)
    with pytest.raises(BudgetExceeded, match=r"^too many messages are waiting$"):
        one.take(1)
    assert (budget.used, one.held) == (100, 40)


def test_one_that_is_alone_may_take_more_and_then_no_other_takes_any() -> None:
    budget = MemoryBudget(100)
    alone, other = Reservation(budget), Reservation(budget)
    alone.take(90)
    alone.take(60)
    assert budget.used == 150
    with pytest.raises(BudgetExceeded):
        other.take(1)
    other.release()
    alone.take(1)
    assert alone.held == 151


def test_one_that_is_not_alone_may_not() -> None:
    budget = MemoryBudget(100)
    one, other = Reservation(budget), Reservation(budget)
    other.take(1)
    one.take(99)
    with pytest.raises(BudgetExceeded):
        one.take(1)


def test_what_is_released_can_be_taken_again() -> None:
    budget = MemoryBudget(100)
    one, other = Reservation(budget), Reservation(budget)
    one.take(30)
    one.take(30)
    other.take(40)
    one.release()
    one.release()
    assert (budget.used, one.held) == (40, 0)
    other.take(60)
    assert budget.used == 100
