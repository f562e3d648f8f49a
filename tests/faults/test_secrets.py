"""No credential comes out: not in the log, not in a traceback, not in an answer, a reject or a repr."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from importer.settings import from_environment
from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.processes import ROOT
from sandbox.pushes import wrapped
from tests.faults.trouble import QUICK, kept_rejects

SECRET = "s3cr3t-Zx9/+=?&é"
CREDENTIALS = {
    "service account": {
        "MIXPANEL_PROJECT_ID": "12345",
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME": "importer.1a2b3c.mp-service-account",
        "MIXPANEL_SERVICE_ACCOUNT_SECRET": SECRET,
    },
    "project token": {"MIXPANEL_PROJECT_TOKEN": SECRET},
    "API secret": {"MIXPANEL_API_SECRET": SECRET},
}
BAD = b'not JSON\n{"event":"e","properties":{"time":1748736000,"distinct_id":"null"}}\n'
TROUBLE: dict[str, dict[str, float]] = {
    "none": {},
    "401": {"unauthorized": True},
    "503": {"503": 1.0},
    "resets": {"cut_before": 1.0},
    "web pages": {"html": 1.0},
}


def forms() -> Iterator[bytes]:
    """The secret as it stands in headers, and its beginning, which is the same in addresses, reprs and JSON."""
    for text in (SECRET, f"{SECRET}:", f"importer.1a2b3c.mp-service-account:{SECRET}"):
        yield base64.b64encode(text.encode()).rstrip(b"=")
    yield b"s3cr3t-Zx9"


def wait_for_another(function: processes.Function) -> None:
    """Waits until one more import has ended."""
    before = len(function.log("import"))
    function.process.wait_until(lambda: len(function.log("import")) > before or None)


def assert_keeps(text: str | bytes) -> None:
    held = text.encode() if isinstance(text, str) else text
    for form in forms():
        assert form not in held


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_nothing_that_a_function_writes_holds_a_secret(
    kind: str, standin: Standin, bucket: Bucket, tmp_path: Path
) -> None:
    """At DEBUG, with and without trouble, in what both functions write, answer and keep; tracebacks are among it."""
    environment = {
        **QUICK,
        **CREDENTIALS[kind],
        "LOG_LEVEL": "DEBUG",
        "GUNICORN_LOG_LEVEL": "debug",
        "IMPORT_RETRY_SECONDS": "0.05",
        "IMPORT_REJECTS": "gs://events/rejects",
        "MIXPANEL_API_URL": standin.url,
        "STORAGE_EMULATOR_HOST": bucket.url,
    }
    log = tmp_path / "log"
    with (
        processes.function("gcs_import", environment=environment, log=log) as files,
        processes.function("pubsub_import", environment=environment, log=log) as pushes,
    ):
        for name, rules in TROUBLE.items():
            standin.reset()
            standin.faults(**rules)
            bucket.send_events_to(files.url)
            bucket.put(f"{name}.jsonl", BAD)
            wait_for_another(files)
            answer = requests.post(pushes.url, data=wrapped(BAD), timeout=30)
            assert_keeps(answer.text)
        standin.faults(unauthorized=False)
        standin.reset()
        bucket.wait_until_delivered()
    written = log.read_bytes()
    assert b"Traceback" in written
    assert b"Mixpanel rejected the " + kind.encode() in written
    assert_keeps(written)
    assert_keeps(repr(kept_rejects(bucket)))


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_no_repr_and_no_error_of_the_settings_holds_a_secret(kind: str) -> None:
    settings = from_environment(CREDENTIALS[kind])
    assert_keeps(f"{settings} {settings!r} {settings.credentials} {settings.credentials!r}")
    environment = {**processes.without_settings(os.environ), **CREDENTIALS[kind], "PYTHONPATH": str(ROOT)}
    for wrong in ({"IMPORT_BATCH_EVENTS": "x"}, {"MIXPANEL_REGION": "mars"}, {"MIXPANEL_PROJECT_ID": "x"}):
        started = subprocess.run(
            [sys.executable, "-c", "import main"],
            cwd=ROOT,
            env={**environment, **wrong},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert started.returncode != 0
        assert_keeps(started.stdout + started.stderr)


def test_a_replay_that_is_refused_holds_no_secret(standin: Standin, tmp_path: Path) -> None:
    (tmp_path / "rejects.jsonl").write_bytes(
        b'{"source":"s","line":1,"offset":0,"reason":"","field":null,"insert_id":null,"at":"",'
        b'"event":"{\\"event\\":\\"e\\",\\"properties\\":{\\"time\\":1748736000,\\"distinct_id\\":\\"\\"}}"}\n'
    )
    standin.faults(unauthorized=True)
    replayed = subprocess.run(
        [sys.executable, "-m", "importer", "replay", "rejects.jsonl"],
        cwd=tmp_path,
        env={
            **processes.without_settings(os.environ),
            **CREDENTIALS["service account"],
            "MIXPANEL_API_URL": standin.url,
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert replayed.returncode == 2
    assert b"Mixpanel rejected the service account (401)" in replayed.stderr
    assert_keeps(replayed.stdout + replayed.stderr)
