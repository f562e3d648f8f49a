"""The pace under a rate limit, in simulated time: importers that know nothing of each other share one limit."""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from dataclasses import dataclass
from itertools import count

import pytest

from importer.mixpanel.client.rate_limit import RateLimiter
from tests.unit.mixpanel.scripted import Clock

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
    throttled: int = 0

    def __post_init__(self) -> None:
        self._times: deque[float] = deque()

    def takes(self, now: float) -> bool:
        while self._times and self._times[0] <= now - self.window:
            self._times.popleft()
        if (len(self._times) + 1) * BATCH > LIMIT * self.window:
            self.throttled += 1
            return False
        self._times.append(now)
        self.accepted += 1
        return True


def simulate(importers: int, window: float, seed: int) -> tuple[float, float]:
    """Runs importers against one limit for a minute, from cold.

    Returns:
        The part of the limit that was used, and the part of the requests that were throttled.
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
            after, what = LATENCY / 2, "taken" if limit.takes(now) else "throttled"
        elif what == "taken":
            pace.succeeded(BATCH)
            after, what = 0.013, "go"
        else:
            pace.throttled(sent_at)
            after, what = rng.uniform(0.1, 0.5), "go"
        heapq.heappush(agenda, (now + after, next(order), what, who, sent_at))
    return limit.accepted * BATCH / (LIMIT * SECONDS), limit.throttled / (limit.accepted + limit.throttled)


@pytest.mark.parametrize("window", [1, 60])
@pytest.mark.parametrize(("importers", "used_at_least", "throttled_at_most"), [(1, 0.95, 0.05), (4, 0.90, 0.10)])
def test_a_limit_is_used_and_seldom_overstepped(
    importers: int, window: float, used_at_least: float, throttled_at_most: float
) -> None:
    runs = [simulate(importers, window, seed) for seed in range(5)]
    used, throttled = (sorted(values)[2] for values in zip(*runs, strict=True))

    assert used >= used_at_least
    assert throttled <= throttled_at_most


def test_nothing_waits_before_the_first_429() -> None:
    pace = RateLimiter(0.2, lambda: 1.0)

    assert [pace.acquire(2_000) for _ in range(100)] == [0.0] * 100


def test_after_a_429_all_wait_and_then_one_goes_alone() -> None:
    now = 10.0
    pace = RateLimiter(0.2, lambda: now)
    pace.succeeded(20_000)
    pace.throttled(sent_at=9.9)
    assert pace.acquire(2_000) == pytest.approx(0.2)

    now = 10.21

    assert pace.acquire(2_000) == 0
    assert pace.acquire(2_000) > 0.1


def test_what_was_on_its_way_at_a_429_counts_once() -> None:
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


def test_a_retry_after_of_nothing_does_not_end_the_hold_that_grows() -> None:
    clock = Clock()
    limiter = RateLimiter(0.2, clock)
    holds = []
    for _ in range(8):
        limiter.throttled(clock.now, retry_after=0.0)
        holds.append(limiter.acquire(1))
        clock.now += holds[-1]
        assert limiter.acquire(1) == 0.0
    assert holds == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0])


def test_a_retry_after_shorter_than_the_hold_does_not_shorten_it() -> None:
    clock = Clock()
    limiter = RateLimiter(2.0, clock)
    limiter.throttled(clock.now, retry_after=1.0)
    assert limiter.acquire(2_000) == pytest.approx(2.0)


def test_a_ceiling_holds_from_the_first_request_on() -> None:
    clock = Clock()
    limiter = RateLimiter(0.2, clock, ceiling=1_000)
    waits = []
    for _ in range(4):
        assert limiter.acquire(500) == 0.0
        waits.append(limiter.acquire(500))
        clock.now += waits[-1]
    assert waits == pytest.approx([0.4, 0.5, 0.5, 0.5])  # a turn of the last tenth of a second is not lost
    assert limiter.source == "IMPORT_EVENTS_PER_SECOND"


def test_time_in_which_nobody_sends_is_not_made_up_for() -> None:
    clock = Clock()
    limiter = RateLimiter(0.2, clock, ceiling=1_000)
    limiter.acquire(500)
    clock.now += 60
    assert limiter.acquire(500) == 0.0
    assert limiter.acquire(500) == pytest.approx(0.4)


def test_a_ceiling_lower_than_what_is_sent_in_any_case_holds_after_a_429_too() -> None:
    clock = Clock()
    limiter = RateLimiter(0.2, clock, ceiling=100)
    limiter.acquire(100)
    limiter.throttled(clock.now)
    clock.now += 1.0
    assert limiter.acquire(100) == 0.0
    assert limiter.acquire(100) == pytest.approx(0.9)


def test_of_the_ceiling_and_mixpanels_limit_the_lower_one_holds() -> None:
    clock = Clock()
    limiter = RateLimiter(0.2, clock, ceiling=50_000)
    limiter.succeeded(10_000)
    limiter.throttled(clock.now)
    assert limiter.acquire(2_000) == 0.0
    # 85 % of the ceiling, for less than that was taken in the last second.
    assert limiter.acquire(2_000) == pytest.approx(2_000 / 42_500)
    assert limiter.source == "its rate limit"


def test_how_long_it_will_take_can_be_asked_without_taking_a_turn() -> None:
    clock = Clock()
    limiter = RateLimiter(0.2, clock)
    assert limiter.delay() == 0.0
    assert limiter.source == "its rate limit"
    limiter.throttled(clock.now, retry_after=7.0)
    assert limiter.delay() == limiter.delay() == pytest.approx(7.0)
    assert limiter.source == "its rate limit"
    clock.now += 3
    assert limiter.delay() == pytest.approx(4.0)
    clock.now += 5
    assert limiter.delay() == 0.0
    assert limiter.acquire(2_000) == 0.0
    rate_after_8_seconds = 4_000 * (1 + 0.008 + 0.00512)
    assert limiter.delay() == pytest.approx(2_000 / rate_after_8_seconds - 0.1)


def test_each_wait_that_is_over_is_told_to_who_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    limiter = RateLimiter(0.2, clock)
    limiter.wait(1.5)
    told: list[tuple[float, float]] = []
    limiter.on_wait = lambda seconds: told.append((clock.now, seconds))
    limiter.wait(2.5)
    assert told == [(1_004.0, 2.5)]
