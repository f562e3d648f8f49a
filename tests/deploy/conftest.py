"""A project of Google Cloud, for a test to deploy into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.cloud import BOTH, SECRET, StandIn


@pytest.fixture
def google(tmp_path: Path) -> Iterator[StandIn]:
    stand_in = StandIn(tmp_path)
    yield stand_in
    stand_in.close()


@pytest.fixture
def deployed(google: StandIn) -> StandIn:
    """A project that holds everything, with an empty record of commands."""
    assert google.deploy(*BOTH, text=SECRET).code == 0
    google.cloud.asked.clear()
    return google
