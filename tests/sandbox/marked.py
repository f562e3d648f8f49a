"""A program of ours that a test starts, and the means to see whether it leaves a process behind."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from sandbox.processes import ROOT

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")


class Marked:
    """`python -m MODULE OPTIONS…`, whose processes all carry a mark in their environment."""

    def __init__(self, module: str, *options: str, stderr: int, environment: dict[str, str]) -> None:
        self._mark = f"TEST_MARK={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *options],
            cwd=ROOT,
            env=os.environ | {name: value} | environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        self.shown = ""

    def left(self) -> list[int]:
        """The processes with its mark that run."""
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (directory / "environ").read_bytes():
                    found.append(int(directory.name))
            except OSError:
                continue
        return found
