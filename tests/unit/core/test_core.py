"""What the core is made of: no cloud, no source, and no clock but the one it was given."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from itertools import count

import pytest

from importer import log
from importer.core.ordered.run import Limits, run
from importer.core.pipeline import Pipeline
from importer.core.report import HandedBack
from importer.formats.content import Content
from importer.formats.held import Held, Stream
from importer.settings import CredentialKind, Credentials, Settings
from sandbox.processes import ROOT

CLOUDS_AND_SOURCES = (
    "google",
    "cloudevents",
    "functions_framework",
    "starlette",
    "importer.sources.gcs",
    "importer.sources.pubsub.push",
)
TOKEN = Credentials(CredentialKind.PROJECT_TOKEN, "a-token", "", None)
NO_NETWORK = Settings(TOKEN, "http://127.0.0.1:9", transform="tests.unit.core.test_core:nothing")


def nothing(_: object) -> None:
    """A transform that drops all."""


@pytest.fixture(autouse=True)
def _without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the core was to do without a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    log.configure("ERROR")


def test_the_core_knows_no_cloud_and_no_source() -> None:
    """Invariant 7: nothing that the core imports, or imports in its turn, is of a cloud or a source."""
    code = (
        "import json, sys; before = {*sys.modules}; import importer.core.ordered.run, importer.core.batching.batcher; "
        "print(json.dumps(sorted({*sys.modules} - before)))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, timeout=60)
    modules = json.loads(found.stdout)
    assert "importer.mixpanel" in modules
    assert [name for name in modules if any(f"{name}.".startswith(f"{one}.") for one in CLOUDS_AND_SOURCES)] == []


def test_the_core_can_be_tried_without_a_network_and_with_a_clock_of_ones_own() -> None:
    """Invariants 1 and 7: records come to their end, are all accounted for, and the time is what the clock says."""
    ticks = count()
    pipeline = Pipeline(NO_NETWORK, clock=lambda: next(ticks))
    report = run(pipeline, "source", Content(Held(b"bad\n{}\n{}\n")).blocks(), None, Limits(retry_seconds=10))
    looks = next(ticks)
    assert (report.read, report.imported, report.rejected, report.dropped) == (3, 0, 1, 2)
    assert 0 < report.seconds < looks
    assert report.seconds == int(report.seconds)


def test_reading_stops_when_the_clock_it_was_given_says_so() -> None:
    """Invariants 6 and 7, also within a record that has no end: the work is handed back in time."""
    ticks = count()
    endless = Content(Stream(b'{"a":"' + b"x" * (1 << 18) for _ in count()))
    with pytest.raises(HandedBack, match="the time limit came before the end"):
        run(Pipeline(NO_NETWORK, lambda: next(ticks)), "source", endless.blocks(), None, Limits(10, stop_at=100))
