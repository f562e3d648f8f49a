"""Starting a process: its settings, and its signals, which are nobody else's business."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from importer import bootstrap
from importer.errors import SettingsError
from importer.settings import CredentialKind, Credentials, Settings
from importer.sources.pubsub.push import PushSource
from sandbox.processes import ROOT

TERM, INT = signal.SIGTERM, signal.SIGINT
SETTINGS = Settings(Credentials(CredentialKind.PROJECT_TOKEN, "a-token", "", None), "http://127.0.0.1:9")

Passed = list[int]


@pytest.fixture
def passed() -> Iterator[Passed]:
    """The signals that reach the server, whose handlers are in place as under gunicorn."""
    found: Passed = []

    def servers(number: int, _: FrameType | None) -> None:
        found.append(number)

    before = {number: signal.signal(number, servers) for number in (TERM, INT)}
    yield found
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Has an entry for each time that the source was told that the process ends."""
    found: list[None] = []
    monkeypatch.setattr(PushSource, "end", lambda _: found.append(None))
    return found


def start() -> PushSource:
    return bootstrap.push_source.__wrapped__(SETTINGS)


async def test_making_a_source_changes_no_signal_handler(passed: Passed) -> None:
    before = [signal.getsignal(number) for number in (TERM, INT)]
    PushSource(SETTINGS)
    assert [signal.getsignal(number) for number in (TERM, INT)] == before


@pytest.mark.parametrize(
    ("sent", "reach_the_server"),
    [
        ([TERM], [TERM]),
        ([INT], [INT]),
        ([TERM, INT], [TERM]),
        ([INT, TERM], [INT]),
        ([TERM, TERM], [TERM, TERM]),
        ([INT, INT], [INT, INT]),
        ([TERM, INT, INT], [TERM, INT]),
    ],
)
async def test_the_source_hears_once_of_the_end_and_the_server_of_no_haste_that_is_not_meant(
    sent: list[signal.Signals], reach_the_server: list[int], passed: Passed, ended: list[None]
) -> None:
    start()
    for number in sent:
        signal.raise_signal(number)
    assert passed == reach_the_server
    assert ended == [None]


async def test_the_source_hears_of_the_end_before_the_server(passed: Passed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PushSource, "end", lambda _: passed.append(-1))
    start()
    signal.raise_signal(TERM)
    assert passed == [-1, TERM]


async def test_where_the_server_ignores_a_signal_the_source_hears_of_it_all_the_same(ended: list[None]) -> None:
    before = signal.signal(TERM, signal.SIG_IGN)
    try:
        start()
        signal.raise_signal(TERM)
    finally:
        signal.signal(TERM, before)
    assert ended == [None]


async def test_off_the_main_thread_signals_are_left_alone(passed: Passed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the main thread may listen to signals: the server there does so itself, or another in the process."""
    before = signal.getsignal(TERM)
    monkeypatch.setattr(threading, "main_thread", lambda: None)
    start()
    assert signal.getsignal(TERM) is before


# The settings


def started(**settings: str) -> subprocess.CompletedProcess[str]:
    """A process that reads its settings, and ends."""
    return subprocess.run(
        [sys.executable, "-c", "from importer import bootstrap; bootstrap.settings()"],
        env={"PATH": os.environ["PATH"], **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def test_a_misspelt_setting_is_warned_of_and_stops_nothing() -> None:
    run = started(MIXPANEL_PROJECT_TOKEN="t", IMPORT_REJECT="gs://b/x", MIXPANEL_REGIO="eu", IMPORT_CONCURRENCY="3")
    assert (run.returncode, run.stderr) == (0, "")
    assert lines(run.stdout) == [
        {"severity": "WARNING", "kind": "settings", "message": f"{name} is not a setting: {meant} may be meant."}
        for name, meant in (("IMPORT_REJECT", "IMPORT_REJECTS"), ("MIXPANEL_REGIO", "MIXPANEL_REGION"))
    ]


def test_a_misspelt_credential_is_named_where_it_is_missed() -> None:
    run = started(MIXPANEL_PROJECT_TOKNE="hush-hush")
    assert run.returncode == 1
    assert run.stderr == (
        "The importer cannot start: No Mixpanel credentials are set: set MIXPANEL_PROJECT_ID, "
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME and MIXPANEL_SERVICE_ACCOUNT_SECRET, or MIXPANEL_PROJECT_TOKEN alone. "
        "MIXPANEL_PROJECT_TOKNE is not a setting: MIXPANEL_PROJECT_TOKEN may be meant.\n"
    )


def test_with_nothing_wrong_nothing_is_said() -> None:
    run = started(MIXPANEL_PROJECT_TOKEN="t", IMPORT_TIME_LIMIT="20")
    assert (run.returncode, run.stderr, run.stdout) == (0, "", "")


def test_a_secret_that_is_on_its_way_out_is_warned_of() -> None:
    (line,) = lines(started(MIXPANEL_API_SECRET="hush-hush").stdout)
    assert line["message"].startswith("MIXPANEL_API_SECRET is a legacy credential: Mixpanel retires it on 2027-03-03.")


@pytest.mark.parametrize(
    ("name", "value"), [("IMPORT_MAPPING", "segmint"), ("IMPORT_MAPPING", "no.toml"), ("IMPORT_TRANSFORM", "no_such:f")]
)
def test_a_mapping_or_transform_that_cannot_be_had_stops_the_start(name: str, value: str) -> None:
    run = started(MIXPANEL_PROJECT_TOKEN="t", **{name: value})
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("The importer cannot start: ")
    assert value.removesuffix(":f") in run.stderr
    assert run.stderr.count("\n") == 1


def test_what_no_setting_asks_for_is_not_imported() -> None:
    """Mappings, the clouds' libraries and those of other formats: each would lengthen every start."""
    code = (
        "import asyncio, sys; from importer import bootstrap; settings = bootstrap.settings()\n"
        "async def start(): bootstrap.push_source(settings)\n"
        "asyncio.run(start()); print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "MIXPANEL_PROJECT_TOKEN": "t"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {*run.stdout.split()}
    assert "importer.core.pipeline" in modules
    wanted_never = (
        "google.cloud.storage",
        "grpc",
        "duckdb",
        "fastavro",
        "cramjam",
        "click",
        "importer.commands",
        "importer.library",
    )
    mappings = ("importer.mappings.ready", "importer.mappings.files.declaration", "importer.mappings.recognition")
    assert modules & {*wanted_never, *mappings} == set()


def test_a_worker_looks_for_garbage_seldom_and_says_in_the_log_what_is_to_be_said_of_its_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A test of this process, whose garbage is looked for as before."""
    thresholds: list[tuple[int, ...]] = []
    monkeypatch.setattr(gc, "set_threshold", lambda *numbers: thresholds.append(numbers))
    found = bootstrap.settings_of_a_worker({"MIXPANEL_API_SECRET": "s", "IMPORT_REJECT": "x", "LOG_LEVEL": "WARNING"})
    assert thresholds == [(100_000, 50, 100)]
    assert found.credentials.kind is CredentialKind.API_SECRET
    said = lines(capsys.readouterr().out)
    assert [(one["severity"], one["kind"], one["message"].split()[0]) for one in said] == [
        ("WARNING", "settings", "MIXPANEL_API_SECRET"),
        ("WARNING", "settings", "IMPORT_REJECT"),
    ]
    bootstrap.settings_of_a_worker({"MIXPANEL_PROJECT_TOKEN": "t"})
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit, match=r"^The importer cannot start: No Mixpanel credentials are set"):
        bootstrap.settings({})
    with pytest.raises(SettingsError, match="there is no such mapping"):
        bootstrap.settings_of_a_worker({"MIXPANEL_PROJECT_TOKEN": "t", "IMPORT_MAPPING": "acme"})
    with pytest.raises(SettingsError, match="json has no function no"):
        bootstrap.settings_of_a_worker({"MIXPANEL_PROJECT_TOKEN": "t", "IMPORT_TRANSFORM": "json:no"})
