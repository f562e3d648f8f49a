"""Commands run in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from importer import log
from importer.__main__ import main
from importer.settings import ROWS
from sandbox.clients import Standin
from tests.integration.running import Ended
from tests.unit.commands.files import Run


@pytest.fixture
def run(standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in a folder of its own, with nothing set but where Mixpanel is."""
    for row in ROWS:
        monkeypatch.delenv(row.name, raising=False)
    monkeypatch.setenv("MIXPANEL_PROJECT_TOKEN", "demo")
    monkeypatch.setenv("MIXPANEL_API_URL", standin.url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    log.configure("ERROR")

    def ended(*words: str) -> Ended:
        capsys.readouterr()
        code = main(list(words))
        return Ended(code, *capsys.readouterr())

    return ended
