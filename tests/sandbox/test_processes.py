"""No process is left behind: not by an exception, a stubborn child, a child's child, or a parent that is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from sandbox import processes

SLEEPER = 'import time; print(\'{"url": ""}\', flush=True); time.sleep(60)'


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pid: int, within: float = 5) -> bool:
    deadline = time.monotonic() + within
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def started(code: str, name: str = "child") -> tuple[processes.Process, list[str]]:
    lines: list[str] = []
    process = processes.Process([sys.executable, "-uc", code], name=name, on_line=lines.append)
    process.wait_until(lambda: lines or None)
    return process, lines


def test_an_exception_in_the_block_ends_the_child() -> None:
    process, _ = started(SLEEPER)
    with pytest.raises(ZeroDivisionError), process:
        1 / 0  # noqa: B018
    assert process.exit_code == -signal.SIGTERM


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    process, _ = started("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPER)
    process.stop(grace=0.2)
    assert process.exit_code == -signal.SIGKILL


def test_a_childs_own_children_end_with_it() -> None:
    process, lines = started(
        f"import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}],"
        "stdout=subprocess.DEVNULL); print(c.pid); time.sleep(60)"
    )
    process.stop()
    assert gone(int(lines[0]))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_child_ends_when_its_parent_is_killed() -> None:
    parent, lines = started(
        "import sys, time; from sandbox import processes;"
        f"p = processes.Process([sys.executable, '-c', {SLEEPER!r}], name='x'); print(p.pid); time.sleep(60)"
    )
    child = int(lines[0])
    try:
        os.kill(parent.pid, signal.SIGKILL)
        assert gone(child)
    finally:
        parent.stop()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_a_child_that_ends_before_it_is_ready_says_its_last_words() -> None:
    with (
        pytest.raises(processes.ProcessError, match=r"(?s)exit code 3.*MIXPANEL_REGION is wrong"),
        processes.Process(
            [sys.executable, "-c", "import sys; print('MIXPANEL_REGION is wrong', file=sys.stderr); sys.exit(3)"],
            name="child",
        ) as process,
    ):
        process.wait_until(lambda: None)


def test_a_function_is_ready_when_it_answers_and_its_log_can_be_read(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text(
        "import functions_framework, json, os, time\n"
        "time.sleep(0.3)\n"
        "@functions_framework.http\n"
        "def hello(request):\n"
        "    print(json.dumps({'kind': 'greeting', 'message': os.environ['NAME']}), flush=True)\n"
        "    return 'hello'\n"
    )
    with processes.function("hello", environment={"NAME": "world"}, source=source) as function:
        import requests

        assert requests.get(function.url, timeout=5).text == "hello"
        function.process.wait_until(lambda: function.log("greeting") or None)
        assert function.log("greeting") == [{"kind": "greeting", "message": "world"}]
        assert function.log("other") == []
    assert function.process.exit_code == 0


def test_signals_leave_with_blocks_as_ctrl_c_does() -> None:
    with pytest.raises(SystemExit) as ending, processes.ended_by_signals():
        signal.raise_signal(signal.SIGTERM)
    assert ending.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
