"""Rejects in a file here: made when there is one, said once, and whole lines or an error."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from importer.core.rejects.reject import Reject, rejected_record
from importer.errors import InvalidRecord, RejectSinkError
from importer.reject_sinks.file import FileSink

ONE, TWO = (rejected_record("s", line, 0, b"no", InvalidRecord("no")) for line in (1, 2))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_file_is_made_when_there_is_something_to_store(capsys: pytest.CaptureFixture[str]) -> None:
    with FileSink() as sink:
        assert not sink.path.exists()
        sink.store([ONE])
        assert len(sink.path.read_bytes().splitlines()) == 1, "it is safe at once"
        sink.store([TWO, ONE])
    assert re.fullmatch(r"rejects-\d{8}T\d{6}\.jsonl", sink.path.name)
    lines = sink.path.read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=Reject) for line in lines] == [ONE, TWO, ONE]
    assert capsys.readouterr().err == f"What is rejected again is written to {sink.path}.\n"


def test_what_cannot_be_written_is_an_error() -> None:
    with FileSink("{}") as sink:
        sink.path.symlink_to("/dev/full")
        with pytest.raises(RejectSinkError, match=rf"^{sink.path}: No space left on device$"):
            sink.store([ONE])
    other = FileSink("{}")
    other.path = Path("none/rejects.jsonl")
    with pytest.raises(RejectSinkError, match="No such file or directory"):
        other.store([ONE])
