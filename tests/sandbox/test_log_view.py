"""What the terminal tells of the functions' log, at any width."""

from __future__ import annotations

import json

import pytest

from sandbox.log_view import News
from sandbox.screen import Screen
from tests.sandbox.test_screen import Terminal

REPORT = {
    "severity": "INFO",
    "kind": "import",
    "outcome": "done",
    "message": "gs://events/web/2025/06/01/part-00000-of-00001.jsonl.gz#1795616576839634 is done: read 1,000,000, "
    "imported 999,998, rejected 2, dropped 0 in 12.3 s",
}


def told(columns: int, monkeypatch: pytest.MonkeyPatch, *lines: object) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    news = News(Screen(terminal := Terminal()))
    for line in lines:
        news.take(json.dumps(line))
    news.show(timeout=0)
    return terminal.getvalue()


@pytest.mark.parametrize("columns", [80, 100])
def test_the_counts_of_a_report_are_not_cut(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "read 1,000,000, imported 999,998, rejected 2, dropped 0" in told(columns, monkeypatch, REPORT)


@pytest.mark.parametrize(
    ("more", "said"), [(1, "… and 1 more line.\n"), (2, "… and 2 more lines; the live view shows")]
)
def test_what_is_passed_over_is_counted_in_good_english(more: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reject = {"severity": "WARNING", "kind": "reject", "message": "line 1: is not JSON"}
    assert said in told(80, monkeypatch, *[reject] * (10 + more))
