"""The demo: what a newcomer sees first. It works, says so, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from sandbox.demo import GENERATED
from tests.sandbox.marked import Marked, needs_proc


class Demo(Marked):
    """A running demo."""

    def __init__(self, *options: str, **environment: str) -> None:
        super().__init__("sandbox.demo", *options, stderr=subprocess.PIPE, environment=environment)

    def read_until(self, text: str) -> None:
        assert self.process.stdout
        while text not in self.shown:
            line = self.process.stdout.readline()
            assert line, f"the demo ended: {self.shown}"
            self.shown += line

    def ends(self) -> int:
        out, errors = self.process.communicate(timeout=60)
        self.shown += out + errors
        return self.process.returncode


def reported_on(view: str) -> list[tuple[str, int]]:
    """The objects that the live view has a report of, and how many records of each were rejected."""
    deadline = time.monotonic() + 10
    while not (found := requests.get(f"{view}/sandbox/sources", timeout=10).json()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [(source["name"].partition("#")[0], run["rejected"]) for source in found for run in source["runs"][:1]]


@contextmanager
def running(*options: str, **environment: str) -> Iterator[Demo]:
    demo = Demo(*options, **environment)
    try:
        yield demo
    finally:
        demo.process.terminate()
        demo.process.communicate(timeout=60)
        for pid in demo.left():
            os.kill(pid, signal.SIGKILL)


@needs_proc
def test_it_shows_what_became_of_each_file_and_ends_by_itself() -> None:
    with running(IMPORT_EXCLUDE="*", MIXPANEL_REGION="nowhere") as demo:  # the shell's own settings do not matter
        assert demo.ends() == 0
        assert demo.left() == []
    bad = [number for number, _ in GENERATED.bad()]
    assert "imported 10 " in demo.shown
    assert f"imported {GENERATED.count - len(bad):,} " in demo.shown
    assert [int(line.replace(",", "")) for line in re.findall(r"line +([\d,]+)  \S", demo.shown)] == bad
    assert demo.shown.count("✓") == 5
    assert "orders.parquet" in demo.shown
    assert "\x1b" not in demo.shown


@needs_proc
def test_kept_running_it_takes_files_of_ones_own_as_it_says_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text('{"event":"a","properties":{"time":1700000000,"distinct_id":"me"}}\n{"event":\n')
    with running("--keep") as demo:
        demo.read_until("gcloud storage cp")
        command = next(line for line in demo.shown.splitlines() if "curl -T" in line)
        subprocess.run(command.replace("my-events.jsonl", str(mine)), shell=True, check=True, capture_output=True)  # noqa: S602
        demo.read_until("gs://events/mine.jsonl")
        demo.read_until("line       2")
        view = re.search(r"live view +(\S+)/", demo.shown)
        assert view
        deadline = time.monotonic() + 20
        while ("gs://events/mine.jsonl", 1) not in reported_on(view[1]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        demo.process.send_signal(signal.SIGINT)
        assert demo.ends() == 0
        assert demo.left() == []
    assert "read 2              imported 1          rejected 1" in demo.shown


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_behind_when_it_is_stopped_in_the_middle(number: signal.Signals) -> None:
    with running() as demo:
        demo.read_until("are in the stand-in")
        assert len(demo.left()) >= 4
        demo.process.send_signal(number)
        assert demo.ends() != 0
        deadline = time.monotonic() + 10
        while demo.left() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert demo.left() == []
    assert "Traceback" not in demo.shown


def test_a_function_that_cannot_start_ends_it_with_its_own_words(tmp_path: Path) -> None:
    broken = "import sys; sys.exit('The importer cannot start: MIXPANEL_REGION is wrong.')"
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nif 'gcs_import' in sys.orig_argv:\n    {broken}\n")
    with running(PYTHONPATH=str(tmp_path)) as demo:
        assert demo.ends() == 1
    assert "The demo did not work out: gcs_import ended with exit code" in demo.shown
