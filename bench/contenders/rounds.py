"""Rounds: every contender in turn, again and again, so that all of them meet the same noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.contenders.contender import Contender
from bench.measuring import Usage
from bench.servers import opened


def measured(chosen: Sequence[Contender], runs: int, tell: Callable[[str], None]) -> dict[str, list[Usage]]:
    """What each contender took, by its name, in each of `runs` rounds."""
    for each in chosen:
        each.sample.path()
    found: dict[str, list[Usage]] = {each.name: [] for each in chosen}
    with opened() as sinks:
        for round_ in range(runs):
            for each in chosen:
                found[each.name].append(each.run(sinks))
            tell(f"Round {round_ + 1} of {runs} is done.")
    return found
