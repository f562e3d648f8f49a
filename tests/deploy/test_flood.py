"""The arithmetic of docs/operations.md, *What a flood does*, with the numbers that deploy.sh really sets."""

from __future__ import annotations

import heapq
import random
import re
from itertools import islice
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/operations.md").read_text()

OBJECTS = 1_000
OBJECT_BYTES = 200_000_000
EVENT_BYTES = 850
EVENTS_A_SECOND = 30_000
"""What Mixpanel takes from a project; the 2 GB a minute are more, for events of this size."""

_UNITS = {"": 1, "s": 1, "d": 86_400}


def number(name: str) -> int:
    """A number of deploy.sh; times are seconds."""
    found = re.search(rf"^{name}=(\d+)([sd]?)\b", (ROOT / "deploy/names.sh").read_text(), flags=re.MULTILINE)
    assert found, f"deploy.sh sets no {name}"
    return int(found[1]) * _UNITS[found[2]]


ATTEMPTS = number("DELIVERY_ATTEMPTS")
INSTANCES = number("FILES_INSTANCES") * number("FILES_CONCURRENCY")


def wait_after(attempt: int) -> int:
    return int(min(number("MAX_RETRY_DELAY"), number("MIN_RETRY_DELAY") * 2.0 ** (attempt - 1)))


WAITS = [wait_after(attempt) for attempt in range(1, ATTEMPTS)]


def seconds_for_an_object(times: int = 1) -> float:
    """How long one takes while all instances are busy and share Mixpanel's rate."""
    return OBJECT_BYTES * times / EVENT_BYTES / (EVENTS_A_SECOND / INSTANCES)


def flood(jitter: float, seconds: float) -> list[int]:
    """The attempts that each object needed: all arrive at once, and are refused whenever every instance is busy.

    `jitter` is how much longer or shorter the waits are than they should be. Cloud Run lets a request wait a few
    seconds for an instance before it refuses it; that help is left out.
    """
    chance = random.Random(7)
    arrivals = [(0.0, number, 1) for number in range(OBJECTS)]
    busy: list[float] = []
    needed = []
    while arrivals:
        now, number_, attempt = heapq.heappop(arrivals)
        while busy and busy[0] <= now:
            heapq.heappop(busy)
        if len(busy) < INSTANCES:
            heapq.heappush(busy, now + seconds)
            needed.append(attempt)
        elif attempt < ATTEMPTS:
            wait = WAITS[attempt - 1] * (1 + chance.uniform(-jitter, jitter))
            heapq.heappush(arrivals, (now + wait, number_, attempt + 1))
    return needed


@pytest.mark.parametrize("times", [1, 4], ids=["plain", "gzipped, four times as much inside"])
@pytest.mark.parametrize("jitter", [0.0, 0.01, 0.1, 0.5], ids=lambda jitter: f"jitter {jitter}")
def test_no_object_of_a_flood_becomes_a_dead_letter_for_waiting_its_turn(jitter: float, times: int) -> None:
    needed = flood(jitter, seconds_for_an_object(times))

    assert len(needed) == OBJECTS
    assert max(needed) < ATTEMPTS


def test_attempts_are_as_many_as_the_docs_say() -> None:
    spread, at_once = max(flood(0.5, seconds_for_an_object())), max(flood(0.0, seconds_for_an_object()))

    assert (spread - 20) ** 2 <= 9
    assert "about **20 attempts**" in DOCS
    assert -(-OBJECTS // INSTANCES) == 84
    assert 84 <= at_once <= 90
    assert "**84 rounds**" in DOCS


def test_waiting_lasts_as_long_as_the_docs_say() -> None:
    assert list(islice(WAITS, 7)) == [10, 20, 40, 80, 160, 320, 600]
    assert f"{sum(WAITS):,} seconds, or **{sum(WAITS) / 3600:.1f} hours**" in DOCS
    assert f"about **{sum(WAITS) / 60 * 2 / 1000:.1f} TB**" in DOCS


def test_attempts_run_out_before_messages_expire() -> None:
    longest = ATTEMPTS * number("FILES_ACK_DEADLINE") + sum(WAITS)

    assert f"after {longest / 3600:.0f} hours" in DOCS
    assert longest < number("RETENTION")


def test_a_delivery_is_not_repeated_while_it_runs() -> None:
    for kind in "FILES", "MESSAGES":
        assert number(f"{kind}_TIMEOUT") < number(f"{kind}_ACK_DEADLINE") <= 600


def test_an_object_is_done_within_one_delivery_though_all_instances_are_busy() -> None:
    assert seconds_for_an_object() < seconds_for_an_object(4) < 0.9 * number("FILES_TIMEOUT")
    assert f"take {seconds_for_an_object():.0f} seconds for 200 MB" in DOCS
