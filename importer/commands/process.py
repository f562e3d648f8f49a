"""A command in a process of its own: how a tool that schedules runs one.

Whatever that tool does with its own processes, threads and signals, an import is stopped in order by one signal, and
ends with whoever asked for it. Its result is the JSON that it writes; what it says on the way goes to the tool's log.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from importer.errors import ImporterError
from importer.settings import from_environment

_TAIL = 5
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class CommandFailed(ImporterError):
    """A command did not do all of its work; the text says why.

    Attributes:
        retry: whether doing it again may go better: it goes on where it was. Not with wrong credentials or settings.
        result: what it wrote, as far as it came.
    """

    def __init__(self, reason: str, *, retry: bool, result: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.retry = retry
        self.result = dict(result or {})


class Command:
    """One run of a command.

    Args:
        words: its name and arguments; `--json` is added.
        variables: the settings, credentials among them. They are the process's environment, and in no argument.
        on_line: is told what the command says, line by line, on a thread of its own.
    """

    def __init__(self, words: Sequence[str], variables: Mapping[str, str], on_line: Callable[[str], None]) -> None:
        self._words = [words[0], "--json", *words[1:]]
        self._variables = variables
        self._on_line = on_line
        self._said: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = False

    def run(self) -> dict[str, Any]:
        """Runs it to its end.

        Returns:
            What it wrote. Rejects are no failure: see `counts`.

        Raises:
            SettingsError: a setting is wrong; nothing was begun.
            CommandFailed: it did not do all of its work, or was stopped.
        """
        from_environment(self._variables)
        self._process = subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-m", "importer", *self._words],
            env={**os.environ, **self._variables, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # the tool's own signals are for the tool
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (one system call, loaded beforehand)
        )
        listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        listener.start()
        written = self._process.stdout.read() if self._process.stdout else ""
        status = self._process.wait()
        listener.join()
        return self._result(status, written)

    def stop(self, seconds: float = 0.0) -> None:
        """Has what is on its way settled and saved; `run` then ends with `CommandFailed`. Another thread or a signal
        handler may call it, also before `run`.

        Args:
            seconds: for which it waits until that is done.
        """
        self._is_stopped = True
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        if self._is_stopped:
            self.stop()
        for line in process.stderr or ():
            self._said = [*self._said[1 - _TAIL :], line.rstrip()]
            self._on_line(line.rstrip())

    def _result(self, status: int, written: str) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(written, type=dict[str, Any])
        except msgspec.MsgspecError:
            found = {}
        if status in {0, 1} and found:
            return found
        why = found.get("failure") or {}
        reason = why.get("reason") or ("it was stopped" if self._is_stopped else " ".join(self._said[-1:]))
        raise CommandFailed(
            reason or f"it ended with status {status}", retry=bool(why.get("retry", True)), result=found
        )


def counts(result: Mapping[str, Any]) -> dict[str, int]:
    """What a command counted in all: read, imported, rejected, dropped."""
    total = result.get("total") or {}
    return {name: int(total.get(name, 0)) for name in ("read", "imported", "rejected", "dropped")}


def too_many_rejects(result: Mapping[str, Any], most: float) -> str | None:
    """A sentence where more than this share of the records was rejected, with the commonest reason; else None."""
    found = counts(result)
    if not found["rejected"] or found["rejected"] <= most * found["read"]:
        return None
    reasons = result.get("reasons") or []
    named = [one["reason"] for one in reasons] if isinstance(reasons, list) else [*reasons]
    return f"{found['rejected']:,} of {found['read']:,} records were rejected, more than {most:.2%}" + (
        f": {named[0]}" if named else ""
    )


def _end_with_parent() -> None:
    """Where the tool's process is killed, nobody waits for the command any more: its retry is another one."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
