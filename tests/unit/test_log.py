"""The log: JSON lines that Cloud Logging reads, which nothing that is logged can break or forge."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importer import log
from importer.core.rejects.reject import RejectLog, rejected_record
from importer.errors import InvalidRecord
from sandbox.processes import ROOT


@pytest.fixture(autouse=True)
def _configured() -> None:
    log.configure()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]


def test_a_line_has_a_severity_a_message_and_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    log.get().warning("One event was refused.", kind="reject", line=3, _event='{"a": 1}')
    assert lines(capsys) == [
        {"severity": "WARNING", "kind": "reject", "line": 3, "event": '{"a": 1}', "message": "One event was refused."}
    ]


@pytest.mark.parametrize(("level", "written"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_what_is_below_the_level_is_not_written(level: str, written: int, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(level)
    logger = log.get()
    for tell in (logger.debug, logger.info, logger.warning, logger.error):
        tell("Hello.", kind="test")
    assert len(lines(capsys)) == written


def test_an_exception_is_logged_with_its_traceback_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("first line\nsecond line")
    except ValueError:
        log.get().exception("It failed.", kind="test")
    (line,) = lines(capsys)
    assert line["severity"] == "ERROR"
    assert "second line" in line["exception"]


FORGED = '"}\n{"severity":"CRITICAL","message":"forged"}\r\n\x00\x1b[31m\u2028\ud83d'


def test_no_value_can_start_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    log.get().info(FORGED, kind="test", value=FORGED, inner={"a": [FORGED]})
    (line,) = lines(capsys)
    assert (line["severity"], line["message"], line["value"], line["inner"]) == (
        "INFO",
        FORGED,
        FORGED,
        {"a": [FORGED]},
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.characters(codec=None)), st.integers() | st.floats() | st.binary() | st.none())
def test_anything_can_be_logged_as_one_line(capsys: pytest.CaptureFixture[str], text: str, value: Any) -> None:
    log.get().info(text, kind="test", value=value, other={1, 2})
    (line,) = lines(capsys)
    assert line["message"] == text


def test_a_reject_is_one_line_of_bounded_length(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 900_000
    record = json.dumps({"event": "e", "properties": {"time": 1, "distinct_id": "", "$insert_id": long}}).encode()
    RejectLog().add(rejected_record("gs://events/file#1", 7, 100, record, InvalidRecord(FORGED + long, long)))
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert len(out) < 20_000
    line = json.loads(out)
    assert (line["kind"], line["source"], line["line"], line["offset"]) == ("reject", "gs://events/file#1", 7, 100)


def test_after_the_first_hundred_rejects_of_a_source_only_the_count_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    sink = RejectLog()
    for n in range(1, 1_000):
        sink.add(rejected_record("gs://events/file#1", n, n, b"null", InvalidRecord("is not a JSON object but null")))
    found = lines(capsys)
    assert [line["line"] for line in found if line["kind"] == "reject"] == list(range(1, 101))
    assert [line["kind"] for line in found[100:]] == ["rejects capped"]
    assert found[0]["message"] == "gs://events/file#1, line 1: is not a JSON object but null"


# In a process of somebody else's


@pytest.fixture
def _as_found() -> Iterator[None]:
    """The log as it is where nobody has set it up."""
    log.use(log.StandardLog(logging.getLogger("importer")))
    yield
    log.configure()


@pytest.mark.usefixtures("_as_found")
def test_where_nobody_sets_the_log_up_it_is_the_standard_librarys(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "importer")
    logger = log.get()
    for tell in (logger.debug, logger.info, logger.warning, logger.error):
        tell("Hello, 100 %s.", kind="test", name="n", _event="{}")
    assert [(one.name, one.levelname, one.getMessage()) for one in caplog.records] == [
        ("importer", level, "Hello, 100 %s.") for level in ("DEBUG", "INFO", "WARNING", "ERROR")
    ]
    assert {one.funcName for one in caplog.records} == {"test_where_nobody_sets_the_log_up_it_is_the_standard_librarys"}
    assert [vars(one)["fields"] for one in caplog.records] == [{"kind": "test", "name": "n", "event": "{}"}] * 4


@pytest.mark.usefixtures("_as_found")
def test_there_an_exception_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("it failed")
    except ValueError:
        log.get().exception("It failed.", kind="test")
    (record,) = caplog.records
    assert (record.levelname, record.exc_info and record.exc_info[0]) == ("ERROR", ValueError)


def test_a_log_of_the_hosts_own_is_used_also_by_what_was_made_before(capsys: pytest.CaptureFixture[str]) -> None:
    before, lines = RejectLog(), io.StringIO()
    log.use(log.json_lines("WARNING", lines))
    before.add(rejected_record("gs://events/file#1", 7, 100, b"null", InvalidRecord("no")))
    log.get().info("Hello.", kind="test")
    log.configure()
    assert [json.loads(line)["kind"] for line in lines.getvalue().splitlines()] == ["reject"]
    assert capsys.readouterr().out == ""


def test_making_parts_of_the_importer_changes_nothing_in_the_process() -> None:
    """The core runs inside other people's processes too: all that is global there is theirs."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.host"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
