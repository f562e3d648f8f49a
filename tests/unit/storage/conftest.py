"""The places that the same sentences are held against: each kind of store there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.aws.clients import Cloud
from sandbox.clients import Bucket


@pytest.fixture(params=["gs", "s3", "a disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a place that has nothing yet."""
    if request.param == "gs":
        bucket: Bucket = request.getfixturevalue("bucket")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
        return f"gs://{bucket.name}/own"
    if request.param == "s3":
        cloud: Cloud = request.getfixturevalue("cloud")
        return f"s3://{cloud.state}/own"
    return str(tmp_path / "own")
