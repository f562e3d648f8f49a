"""The pace under a rate limit, in simulated time: importers that know nothing of each other share one limit."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass
from itertools import count

import pytest

from importer.mixpanel.rate_limit import RateLimiter

LIMIT = 30_000
LATENCY = 0.15
BATCH = 2_000
SENDERS = 10
SECONDS = 60


@dataclass
class _Limit:
    """Mixpanel's limit over a rolling window (seconds), and what came of the requests."""

    window: float
    accepted: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self._times: deque[float] = deque()

    def takes(self, now: float) -> bool:
        while self._times and self._times[0] <= now - self.window:
            self._times.popleft()
        if (len(self._times) + 1) * BATCH > LIMIT * self.window:
            self.refused += 1
            return False
        self._times.append(now)
        self.accepted += 1
        return True


def simulate(importers: int, window: float, seed: int) -> tuple[float, float]:
    """Runs importers against one limit for a minute, from cold.

    Returns:
        The part of the limit that was used, and the part of the requests that were refused.
    """
    rng = random.Random(seed)
    now = 0.0
    paces = [RateLimiter(0.2, lambda: now) for _ in range(importers)]
    limit = _Limit(window)
    order = count()
    agenda = [(0.001 * n, next(order), "go", n % importers, 0.0) for n in range(importers * SENDERS)]
    heapq.heapify(agenda)
    while agenda[0][0] < SECONDS:
        now, _, what, who, sent_at = heapq.heappop(agenda)
        pace = paces[who]
        if what == "go":
            wait = pace.acquire(BATCH)
            after, what, sent_at = (wait + rng.random() / 1_000, "go", 0.0) if wait else (LATENCY / 2, "arrive", now)
        elif what == "arrive":
            after, what = LATENCY / 2, "taken" if limit.takes(now) else "refused"
        elif what == "taken":
            pace.succeeded(BATCH)
            after, what = 0.013, "go"
        else:
            pace.throttled(sent_at)
            after, what = rng.uniform(0.1, 0.5), "go"
        heapq.heappush(agenda, (now + after, next(order), what, who, sent_at))
    return limit.accepted * BATCH / (LIMIT * SECONDS), limit.refused / (limit.accepted + limit.refused)


@pytest.mark.parametrize("window", [1, 60])
@pytest.mark.parametrize(("importers", "used_at_least", "refused_at_most"), [(1, 0.95, 0.05), (4, 0.90, 0.10)])
def test_a_limit_is_used_and_seldom_overstepped(
    importers: int, window: float, used_at_least: float, refused_at_most: float
) -> None:
    runs = [simulate(importers, window, seed) for seed in range(5)]
    used, refused = (sorted(values)[2] for values in zip(*runs, strict=True))

    assert used >= used_at_least
    assert refused <= refused_at_most


def test_nothing_waits_before_the_first_refusal() -> None:
    pace = RateLimiter(0.2, lambda: 1.0)

    assert [pace.acquire(2_000) for _ in range(100)] == [0.0] * 100


def test_after_a_refusal_all_wait_and_then_one_goes_alone() -> None:
    now = 10.0
    pace = RateLimiter(0.2, lambda: now)
    pace.succeeded(20_000)
    pace.throttled(sent_at=9.9)
    assert pace.acquire(2_000) == pytest.approx(0.2)

    now = 10.21

    assert pace.acquire(2_000) == 0
    assert pace.acquire(2_000) > 0.1


def test_what_was_on_its_way_at_a_refusal_counts_once() -> None:
    now = 10.0
    pace = RateLimiter(0.2, lambda: now)
    for _ in range(5):
        pace.throttled(sent_at=9.9)
        now += 0.01

    assert pace.acquire(2_000) == pytest.approx(0.15)


def test_retry_after_holds_everyone_for_that_long() -> None:
    pace = RateLimiter(0.2, lambda: 10.0)

    pace.throttled(sent_at=10.0, retry_after=7.0)

    assert pace.acquire(1) == pytest.approx(7.0)
