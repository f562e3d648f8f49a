"""Commands and their surroundings; Google's client, for the tests that publish."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from google.cloud.pubsub_v1 import PublisherClient

from sandbox.clients import Bucket, Standin
from sandbox.processes import ROOT, without_settings
from sandbox.topic.emulator import Emulator
from tests.integration.running import Ended, Run


@pytest.fixture
def publisher(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublisherClient]:
    """Google's client, which publishes to the emulator."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    with PublisherClient() as client:
        yield client


@pytest.fixture
def environment(standin: Standin, bucket: Bucket, tmp_path: Path) -> dict[str, str]:
    return {
        **without_settings(os.environ),
        "PYTHONPATH": str(ROOT),
        "MIXPANEL_API_URL": standin.url,
        "MIXPANEL_PROJECT_TOKEN": "demo",
        "STORAGE_EMULATOR_HOST": bucket.url,
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder in which commands run."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def run(environment: Mapping[str, str], here: Path) -> Run:
    def ended(*words: str, input: bytes = b"", **settings: str | None) -> Ended:  # noqa: A002
        everything = {name: value for name, value in {**environment, **settings}.items() if value is not None}
        command = [sys.executable, "-m", "importer", *words]
        done = subprocess.run(
            command, cwd=here, env=everything, input=input, capture_output=True, check=False, timeout=120
        )
        said = done.stderr.decode()
        assert "Traceback" not in said
        return Ended(done.returncode, done.stdout.decode(), said)

    return ended
