"""Child processes that are started, waited for and stopped, with nothing left behind whatever happens.

Each child leads a process group of its own. Leaving its `with` block asks it to end (SIGTERM), waits, and then kills
what is left of the group; where the kernel offers it (Linux), the child is also told when its parent dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, TypeVar
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
"""The project's directory, where children run."""

PYTHON = os.environ.get("SANDBOX_PYTHON", sys.executable)
"""The interpreter that runs children: another where the caller's environment is an engine's, which the stand-ins cannot
share."""

OnLine = Callable[[str], None]
"""Takes one line of a child's output, without its line break. It is called from another thread, one line at a time."""

T = TypeVar("T")

_OURS = (
    "MIXPANEL_",
    "IMPORT_",
    "STORAGE_EMULATOR_HOST",
    "PUBSUB_EMULATOR_HOST",
    "LOG_LEVEL",
    "CLOUD_RUN_",
    "FUNCTION_",
)
_PR_SET_PDEATHSIG = 1
_KEPT_LINES = 10_000
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class ProcessError(Exception):
    """A child ended before it was ready, or was not ready in time; the text has the last lines it wrote."""


class Process:
    """A running child process, whose output is read all the time so that it never has to wait for us.

    Args:
        command: the program and its arguments.
        name: what to call it in errors.
        environment: all of its environment; by default ours.
        on_line: called with each line of its standard output.
        log: a file that all its output is appended to.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        name: str,
        environment: Mapping[str, str] | None = None,
        on_line: OnLine | None = None,
        log: Path | None = None,
    ) -> None:
        self.name = name
        self._tail: deque[str] = deque(maxlen=30)
        self._writing = threading.Lock()
        self._log = log.open("a", encoding="utf-8") if log else None
        self._popen = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (one system call, loaded beforehand)
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, then), name=f"{name} output", daemon=True)
            for stream, then in ((self._popen.stdout, on_line), (self._popen.stderr, None))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id, which is its group's id too."""
        return self._popen.pid

    @property
    def exited(self) -> bool:
        """Whether it has ended by itself or been stopped."""
        if self._popen.returncode is not None:
            return True
        # Looks without reaping: until `stop` reaps it, nothing else can get its id, so the group's id stays its own.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    @property
    def exit_code(self) -> int | None:
        """Its exit code once it has been stopped or waited for (negative: ended by that signal)."""
        return self._popen.returncode

    @property
    def tail(self) -> str:
        """The last lines it wrote, of either kind."""
        return "\n".join(self._tail)

    def wait_until(self, ready: Callable[[], T | None], timeout: float = 30) -> T:
        """Asks `ready` every 20 ms until it gives something, for `timeout` seconds at most.

        Raises:
            ProcessError: the process ended, or the time did.
        """
        deadline = time.monotonic() + timeout
        while (answer := ready()) is None:
            if self.exited:
                self.stop()
                raise ProcessError(f"{self.name} ended with exit code {self.exit_code}.\n{self.tail}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} was not ready within {timeout:g} s.\n{self.tail}")
            time.sleep(0.02)
        return answer

    def wait(self, timeout: float) -> int | None:
        """Waits for it to end by itself, for `timeout` seconds at most.

        Returns:
            Its exit code, or None if it is still running.
        """
        if self._wait(timeout):
            self.stop()
        return self.exit_code

    def end(self) -> None:
        """Asks it to end, and does not wait for that; `stop` is still to be called."""
        if not self.exited:
            self._popen.terminate()

    def stop(self, grace: float = 15) -> None:
        """Ends it and all of its group: SIGTERM to it, and within `grace` seconds SIGKILL to what is left."""
        try:
            if not self.exited:
                self._popen.terminate()
                self._wait(grace)
        finally:  # a second Ctrl-C ends the wait, not the killing
            self._kill_group()
        for reader in self._readers:
            reader.join(timeout=5)
        if self._log:
            self._log.close()

    def _kill_group(self) -> None:
        if self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies
                os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()

    def _wait(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not self.exited and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.exited

    def _read(self, stream: IO[str] | None, then: OnLine | None) -> None:
        if stream is None:
            return
        with stream:
            for line in stream:
                text = line.rstrip("\n")
                with self._writing:
                    self._tail.append(text[:2000])
                    if self._log and not self._log.closed:
                        self._log.write(line)
                        self._log.flush()
                if then:
                    then(text)


@dataclass(frozen=True, slots=True)
class Service:
    """A process that told on its first line of output, in JSON, where it is."""

    process: Process
    ready: Mapping[str, Any]
    lines: deque[str]
    """What it wrote since, a line each: for its owner to take out."""

    @property
    def url(self) -> str:
        """Its base address, without a slash at the end."""
        return str(self.ready["url"])


@dataclass(frozen=True, slots=True)
class Logging:
    """A process of the importer's, and what it logs."""

    process: Process
    lines: deque[str]
    """The last 10,000 lines it logged."""

    def log(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The entries of its log, in order; those of one `kind`, or all."""
        entries = [json.loads(line) for line in tuple(self.lines) if line.startswith("{")]
        return [entry for entry in entries if kind in {None, entry.get("kind")}]


@dataclass(frozen=True, slots=True)
class Function(Logging):
    """A function under functions-framework, served by gunicorn as in production."""

    url: str

    def wait_until_ready(self) -> None:
        """Waits until it answers.

        Raises:
            ProcessError: it ended, or did not answer in time.
        """
        port = urlsplit(self.url).port or 80
        self.process.wait_until(lambda: _answers(port))


@contextmanager
def service(
    module: str, *options: str, environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[Service]:
    """Runs `python -m MODULE OPTIONS…` until the `with` block is left; it is ready once it printed a line of JSON."""
    lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def announced() -> dict[str, Any] | None:
        while lines:
            with contextlib.suppress(ValueError):
                if isinstance(found := json.loads(lines.popleft()), dict):
                    return found
        return None

    command = [PYTHON, "-m", module, *options]
    everything = {**os.environ, **(environment or {}), "PYTHONUNBUFFERED": "1"}
    with Process(command, name=module, environment=everything, on_line=lines.append, log=log) as process:
        yield Service(process, process.wait_until(announced), lines)


@contextmanager
def function(
    target: str,
    *,
    environment: Mapping[str, str],
    port: int | None = None,
    source: Path = ROOT / "main.py",
    on_line: OnLine | None = None,
    log: Path | None = None,
) -> Iterator[Function]:
    """Runs a function under functions-framework and gunicorn until the `with` block is left.

    Args as for `start_function`.
    """
    started = start_function(target, environment=environment, port=port, source=source, on_line=on_line, log=log)
    with started.process:
        started.wait_until_ready()
        yield started


def start_function(
    target: str,
    *,
    environment: Mapping[str, str],
    port: int | None = None,
    source: Path = ROOT / "main.py",
    on_line: OnLine | None = None,
    log: Path | None = None,
) -> Function:
    """Starts a function under functions-framework and gunicorn; its process is to be stopped by the caller.

    Args:
        target: the function's name in `source`.
        environment: its settings. The shell's own settings of the importer do not reach it.
        port: where it listens, on 127.0.0.1; by default on a free port.
        on_line: called with each line it logs.
    """
    port = port or free_port()
    command: list[str | Path] = [Path(PYTHON).with_name("functions-framework")]
    command += ["--target", target, "--source", source, "--host", "127.0.0.1", "--port", str(port)]
    process, lines = _start(command, target, environment, on_line, log)
    return Function(process, lines, f"http://127.0.0.1:{port}")


def start_command(*words: str, environment: Mapping[str, str], on_line: OnLine | None = None) -> Logging:
    """Starts `python -m importer WORDS…`, which runs until it ends by itself or is stopped by the caller.

    Args:
        words: the command and its arguments.
        environment: its settings. The shell's own settings of the importer do not reach it.
        on_line: called with each line it logs.
    """
    return Logging(*_start([PYTHON, "-m", "importer", *words], words[0], environment, on_line))


def _start(
    command: Sequence[str | Path],
    name: str,
    environment: Mapping[str, str],
    on_line: OnLine | None,
    log: Path | None = None,
) -> tuple[Process, deque[str]]:
    """The process, and the lines it logs."""
    lines: deque[str] = deque(maxlen=10_000)

    def keep(line: str) -> None:
        lines.append(line)
        if on_line:
            on_line(line)

    everything = {**without_settings(os.environ), **environment, "PYTHONUNBUFFERED": "1"}
    return Process(command, name=name, environment=everything, on_line=keep, log=log), lines


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment less everything that sets the importer, so that a test or demo has its own settings only."""
    return {name: value for name, value in environment.items() if not name.startswith(_OURS)}


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listened on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP end the program as Ctrl-C does, by an exception, so that every `with` block is left.

    For the main thread only.
    """

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(port: int) -> bool | None:
    """True once HTTP is answered. gunicorn accepts connections before the function is loaded, so that alone is no sign.

    The framework answers /robots.txt itself and does not call the function for it.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/robots.txt")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return None
    else:
        return True
    finally:
        connection.close()


def _end_with_parent() -> None:
    """In the child: asks for SIGTERM when the thread that started it ends, as it does in a parent killed outright."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
