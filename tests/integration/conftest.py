"""Google's own Pub/Sub emulator, for the tests that need it: it takes seconds to start, so there is one for all."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from google.cloud.pubsub_v1 import PublisherClient

from sandbox import pubsub_emulator
from sandbox.pubsub_emulator import Emulator


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """The emulator, which lives as long as the session; without it the test is skipped, except on CI."""
    if sentence := pubsub_emulator.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    with pubsub_emulator.emulator() as running:
        yield running


@pytest.fixture
def publisher(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublisherClient]:
    """Google's client, which publishes to the emulator."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    with PublisherClient() as client:
        yield client
