"""Both functions under functions-framework, started again, on the same ports, when their settings or code change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from sandbox import processes
from sandbox.processes import Function, OnLine

_REFUSAL = "The importer cannot start: "
_GRACE = 3.0
"""Seconds that a function has to end what it is at. What it does not get done is delivered again."""


class NotStartedError(Exception):
    """The functions do not run; the text says why, in the importer's own sentence if there is one."""


class Functions:
    """The functions, each on its port; none runs until `start`.

    Args:
        ports: the ports by the functions' names.
        on_line: called with each line they log, from other threads.
    """

    def __init__(self, ports: Mapping[str, int], on_line: OnLine) -> None:
        self._ports = ports
        self._on_line = on_line
        self._running: dict[str, Function] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, name: str) -> str:
        """Where a function is."""
        return f"http://127.0.0.1:{self._ports[name]}"

    def start(self, settings: Mapping[str, str]) -> None:
        """Starts them, those that run again, and waits until they answer.

        Raises:
            NotStartedError: one of them did not start, so that now none runs.
        """
        self.stop()
        # A module that is changed twice in a second would be taken for its compiled form of before.
        environment = {**settings, "PYTHONDONTWRITEBYTECODE": "1"}
        for name, port in self._ports.items():
            self._running[name] = processes.start_function(
                name, environment=environment, port=port, on_line=self._on_line
            )
        try:
            for function in self._running.values():
                function.wait_until_ready()
        except processes.ProcessError as error:
            self.stop()
            raise NotStartedError(_why(str(error))) from None

    def stop(self) -> None:
        """Stops those that run."""
        for function in self._running.values():
            function.process.end()
        for function in self._running.values():
            function.process.stop(_GRACE)
        self._running.clear()

    def check(self) -> None:
        """Sees to it that they run, or that none does.

        Raises:
            NotStartedError: one has ended by itself, so that now none runs.
        """
        for name, function in self._running.items():
            if function.process.exited:
                tail = function.process.tail
                self.stop()
                raise NotStartedError(f"{name} has ended by itself.\n{tail}")


def _why(error: str) -> str:
    """The importer's own sentence in a dead function's last words, or else all of them."""
    for line in error.splitlines():
        if line.startswith(_REFUSAL):
            return line.removeprefix(_REFUSAL)
    return error
