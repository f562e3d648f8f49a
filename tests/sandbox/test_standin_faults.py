"""The stand-in's troubles come as its switches say, and the same again for the same seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sandbox.mixpanel.faults import KINDS, Faults
from sandbox.switches import SwitchError


def draws(count: int, **switches: Any) -> list[object]:
    faults = Faults()
    faults.change(switches)
    return [faults.next() for _ in range(count)]


def test_nothing_befalls_a_request_unasked() -> None:
    assert set(draws(1000)) == {None}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_befalls_its_share(kind: str) -> None:
    found = Counter(draws(4000, **{kind: 0.25}))
    assert set(found) == {None, int(kind) if kind.isdigit() else kind}
    assert found[None] == pytest.approx(3000, rel=0.05)


def test_a_share_of_one_befalls_every_request() -> None:
    assert set(draws(1000, cut_after=1)) == {"cut_after"}


def test_the_same_seed_gives_the_same_trouble_and_another_seed_another() -> None:
    first, again, other = (draws(100, seed=seed, **{"429": 0.3}, hang=0.2) for seed in (1, 1, 2))
    assert first == again != other


def test_the_first_requests_fail_then_none() -> None:
    assert draws(4, fail_first={"status": 503, "requests": 2}) == [503, 503, None, None]
    assert draws(2, fail_first={"status": "cut_before", "requests": 1}) == ["cut_before", None]


def test_shares_spare_the_first_requests_if_asked() -> None:
    assert draws(4, after=2, hang=1) == [None, None, "hang", "hang"]


def test_a_switch_stays_until_it_is_turned() -> None:
    faults = Faults()
    faults.change({"429": 1, "latency": 0.5})
    faults.change({"429": 0})
    assert faults.next() is None
    assert faults.delay() == 0.5


def test_jitter_adds_to_latency() -> None:
    faults = Faults()
    faults.change({"latency": 1, "jitter": 2})
    delays = [faults.delay() for _ in range(100)]
    assert 1 <= min(delays) < 1.2
    assert 2.8 < max(delays) <= 3


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"fog": 1}, "fog"),
        ({"429": 1.5}, "429"),
        ({"latency": -1}, "latency"),
        ({"503": "half"}, "503"),
        ({"fail_first": {"status": "fog", "requests": 1}}, "fog"),
        ({"429": 0.6, "503": 0.6}, "more than 1"),
    ],
)
def test_a_switch_that_makes_no_sense_is_named_and_changes_nothing(asked: dict[str, Any], named: str) -> None:
    faults = Faults()
    with pytest.raises(SwitchError, match=named):
        faults.change(asked)
    assert faults.shown() == Faults().shown()


def test_credentials_are_never_shown() -> None:
    faults = Faults(credentials="user:hush")
    assert faults.shown()["credentials"] == "(set)"
    assert "hush" not in str(faults.shown())


def test_the_rate_is_measured_over_a_rolling_window_and_a_refused_request_does_not_count() -> None:
    faults = Faults()
    faults.change({"rate_events_per_second": 100, "rate_window": 10})
    assert not faults.exceeds_rate(0.0, 600, 1)
    assert faults.exceeds_rate(1.0, 600, 1)
    assert not faults.exceeds_rate(2.0, 400, 1)
    assert faults.exceeds_rate(9.9, 1, 1)
    assert not faults.exceeds_rate(10.0, 600, 1)


def test_the_rate_in_bytes_is_per_minute() -> None:
    faults = Faults()
    faults.change({"rate_bytes_per_minute": 6000, "rate_window": 10})
    assert not faults.exceeds_rate(0.0, 1, 1000)
    assert faults.exceeds_rate(9.0, 1, 1)
