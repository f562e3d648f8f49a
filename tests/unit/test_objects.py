"""One stored object: how long it may take, what becomes of its receipt, and the line that says what became of it."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest

from importer import log
from importer.core.ordered.run import Limits
from importer.core.report import Report
from importer.errors import SettingsError
from importer.objects import Imported, limits, reason_of
from importer.settings import CredentialKind, Credentials, Settings

SETTINGS = Settings(Credentials(CredentialKind.PROJECT_TOKEN, "t", "", None), "http://127.0.0.1:9")


def limited(seconds: float | None, time_limit: float | None = None, **changes: Any) -> Limits:
    return limits(msgspec.structs.replace(SETTINGS, time_limit=seconds, **changes), 1_000, time_limit)


def test_without_a_limit_reading_goes_on() -> None:
    assert limited(None) == Limits(300, math.inf, math.inf)
    assert limited(None, retry_seconds=0.0) == Limits(0, math.inf, math.inf)


@pytest.mark.parametrize(
    ("seconds", "margin"), [(540, 27), (300, 15), (200, 10), (100, 10), (33.4, 10), (30, 9), (10, 3), (1, 0.3)]
)
def test_a_part_of_the_time_is_kept_for_the_end(seconds: float, margin: float) -> None:
    """A twentieth, or ten seconds where that is more and less than a third; of it, seven tenths for tries again."""
    found = limited(seconds)
    assert found.stop_at == pytest.approx(1_000 + seconds - margin, abs=0.03)
    assert found.deadline == pytest.approx(found.stop_at + 0.7 * margin, abs=0.03)
    assert limited(7, seconds) == found


@pytest.mark.parametrize(
    ("imported", "severity", "message"),
    [
        (
            Imported("done", Report(read=3, imported=2, dropped=1, seconds=1.25)),
            "INFO",
            "gs://b/x is done: read 3, imported 2, rejected 0, dropped 1 in 1.2 s",
        ),
        (
            Imported("done", Report(read=3, imported=2, rejected=1)),
            "WARNING",
            "gs://b/x is done: read 3, imported 2, rejected 1, dropped 0 in 0.0 s",
        ),
        (
            Imported("unreadable", Report(read=1, rejected=1), "it is a PNG"),
            "ERROR",
            "gs://b/x is unreadable: read 1, imported 0, rejected 1, dropped 0 in 0.0 s: it is a PNG",
        ),
        (
            Imported("handed back", Report(read=5), "Mixpanel is away"),
            "ERROR",
            "gs://b/x is handed back: read 5, imported 0, rejected 0, dropped 0 in 0.0 s: Mixpanel is away",
        ),
        (
            Imported("gone", Report(), "deleted"),
            "INFO",
            "gs://b/x is gone: read 0, imported 0, rejected 0, dropped 0 in 0.0 s: deleted",
        ),
        (
            Imported("gone", Report(read=2, imported=1), "deleted"),
            "WARNING",
            "gs://b/x is gone: read 2, imported 1, rejected 0, dropped 0 in 0.0 s: deleted",
        ),
        (
            Imported("skipped", Report(), "it was imported before"),
            "INFO",
            "gs://b/x is skipped: read 0, imported 0, rejected 0, dropped 0 in 0.0 s: it was imported before",
        ),
    ],
    ids=lambda one: one.outcome if isinstance(one, Imported) else "",
)
def test_one_line_says_what_became_of_an_object(
    imported: Imported, severity: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure()
    imported.log("gs://b/x")
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["severity"], line["message"]) == (severity, message)
    assert (line["kind"], line["source"], line["outcome"]) == ("import", "gs://b/x", imported.outcome)
    assert (line["reason"], line["read"]) == (imported.reason, imported.report.read)


def test_our_own_errors_are_sentences_and_others_need_their_names() -> None:
    assert reason_of(SettingsError("One is wrong.")) == "One is wrong."
    assert reason_of(KeyError("x")) == "KeyError: 'x'"
