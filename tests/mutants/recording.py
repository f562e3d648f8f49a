"""A plugin of pytest's that records which test runs which line, and how long each takes. Runs under coverage."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

DURATIONS = "MUTANTS_DURATIONS"
"""The variable that names the file for the seconds of each test that passes."""

_seconds: dict[str, float] = {}
_silent: set[str] = set()
"""Tests that fail or are skipped as it is: they say nothing of a mutant."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if recorder := coverage.Coverage.current():
        recorder.switch_context(name(item.nodeid))
    return (yield)


def name(nodeid: str) -> str:
    """What a test is called on pytest's command line: without its parameters where they hold more than letters, which
    may be others next time (the second in a gzip's header)."""
    return nodeid.partition("[")[0] if "\\" in nodeid else nodeid


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[name(report.nodeid)] = _seconds.get(name(report.nodeid), 0.0) + report.duration
    if report.outcome != "passed":
        _silent.add(name(report.nodeid))


def pytest_sessionfinish() -> None:
    able = {test: seconds for test, seconds in _seconds.items() if test not in _silent}
    Path(os.environ[DURATIONS]).write_text(json.dumps(able))
