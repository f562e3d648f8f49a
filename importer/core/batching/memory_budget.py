"""The memory for what waits: a bound on all sources together, of which each reserves its share before it takes it."""

from __future__ import annotations

from importer.errors import ImporterError


class BudgetExceeded(ImporterError):
    """The memory for sources that wait is used up: hand the source back, to be delivered later."""


class MemoryBudget:
    """The memory for sources that wait: `size` bytes, of which `used` are."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0


class Reservation:
    """What one source takes of the budget. The only one that takes any may take more: none is too large for ever."""

    __slots__ = ("_budget", "held")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self.held = 0

    def take(self, size: int) -> None:
        """Takes `size` bytes more.

        Raises:
            BudgetExceeded: others have the memory.
        """
        budget = self._budget
        if budget.used + size > budget.size and budget.used > self.held:
            raise BudgetExceeded("too many messages are waiting")
        budget.used += size
        self.held += size

    def release(self) -> None:
        """Gives back all of it."""
        self._budget.used -= self.held
        self.held = 0
