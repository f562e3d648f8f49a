"""What is compared: each contender imports a file once when asked, alone on its core, and says what it took."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import requests
from msgspec.structs import replace

from bench.files import CACHE, File, Sample
from bench.measuring import OURS, Usage, group, on_core, peak_memory, processor_seconds
from bench.servers import Arrived, Sinks
from sandbox import processes
from sandbox.bucket.eventarc import cloud_event

MIXPANEL_IMPORT = "mixpanel-import@3.1.43"
"""The npm package that people use: https://www.npmjs.com/package/mixpanel-import"""

PYTHON = (sys.executable, "-m")

_TIMEOUT = 1800
_AS_LIBRARY = """
const credentials = { token: "bench", secret: "bench" }
require(process.env.BENCH_MIXPANEL_IMPORT)(credentials, process.argv[1], { compress: true }).then(() => process.exit())
"""


class Failed(Exception):
    """A contender did not import what it should; the text says what it wrote last."""


class Contender(Protocol):
    """One way to import one file."""

    @property
    def name(self) -> str: ...

    @property
    def sample(self) -> File: ...

    def run(self, sinks: Sinks) -> Usage:
        """Imports the file once.

        Raises:
            Failed: not everything arrived.
        """


class Child:
    """A contender that is a program of its own, started for each run.

    Args:
        name: what to call it.
        sample: the file it imports.
        command: the program and its arguments, the file left out.
        settings: environment variables on top of those that every importer here gets.
        through_bucket: whether it gets a bucket's and an object's name instead of a file's.
        sends: whether it sends events, which are counted where they arrive.
    """

    def __init__(
        self,
        name: str,
        sample: File,
        *command: str | Path,
        settings: Mapping[str, str] | None = None,
        through_bucket: bool = False,
        sends: bool = True,
    ) -> None:
        self.name = name
        self.sample = sample
        self._command = command
        self._settings = settings or {}
        self._through_bucket = through_bucket
        self._sends = sends

    def run(self, sinks: Sinks) -> Usage:
        """See `Contender.run`."""
        source = sinks.put(self.sample) if self._through_bucket else [str(self.sample.path())]
        before = sinks.arrived()
        with on_core(OURS):
            done = subprocess.run(
                [*map(str, self._command), *source],
                cwd=processes.ROOT,
                env={**processes.without_settings(os.environ), **sinks.settings, **self._settings},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        if done.returncode:
            raise Failed(f"{self.name} ended with {done.returncode}: {done.stderr[-2000:]}")
        told = [line for line in done.stderr.splitlines() if line.startswith('{"events":')]
        usage = msgspec.json.decode(told[-1], type=Usage)
        if not self._sends:
            return usage
        return _counted(self.name, self.sample, usage, sinks.arrived().since(before))


class Function:
    """The whole function, as production runs it: told of an object by a CloudEvent, it imports it from the bucket.

    Each run is a process anew, that has imported a small object before.
    """

    def __init__(self, name: str, sample: File, settings: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.sample = sample
        self._settings = settings or {}

    def run(self, sinks: Sinks) -> Usage:
        """See `Contender.run`."""
        with on_core(OURS):
            running = processes.function("gcs_import", environment={**sinks.settings, **self._settings})
            function = running.__enter__()
        try:
            _announce(function.url, sinks, Sample(10))
            members = group(function.process.pid)
            before, processor, wall = sinks.arrived(), sum(map(processor_seconds, members)), time.perf_counter()
            _announce(function.url, sinks, self.sample)
            usage = Usage(
                events=self.sample.events,
                bytes=self.sample.bytes(),
                wall=time.perf_counter() - wall,
                processor=sum(map(processor_seconds, members)) - processor,
                peak=max(map(peak_memory, members)),
            )
            return _counted(self.name, self.sample, usage, sinks.arrived().since(before))
        finally:
            running.__exit__(None, None, None)


def mixpanel_import(sample: File) -> list[Child]:
    """The npm package, as a program and as a library, installed if it is not yet; nothing where there is no npm."""
    if not (program := _installed()):
        return []
    as_library = (*_measuring(), "--eval", _AS_LIBRARY)
    return [
        _as_program("mixpanel-import", sample, program),
        Child("mixpanel-import, library", sample, *as_library, settings={"BENCH_MIXPANEL_IMPORT": str(program)}),
    ]


def mixpanel_import_of_csv(sample: File) -> list[Child]:
    """The npm package as a program that reads CSV; nothing where there is no npm.

    It sends the rows as they are, which Mixpanel would not take: to make events of them (`--fixData`) takes it longer,
    and then it drops each whose time is in milliseconds.
    """
    program = _installed()
    return [_as_program("mixpanel-import, CSV", sample, program, "--format", "csv")] if program else []


def _as_program(name: str, sample: File, program: Path, *options: str) -> Child:
    command = (*_measuring(), program, "--token", "bench", "--secret", "bench", "--compress", "--no-logs", *options)
    return Child(name, sample, *command, settings={"BENCH_MIXPANEL_IMPORT": str(program)})


def _measuring() -> tuple[str | Path, ...]:
    return shutil.which("node") or "node", "--require", processes.ROOT / "bench" / "contenders" / "mixpanel_import.cjs"


def _installed() -> Path | None:
    """The package's program, installed if it is not yet; None where there is no npm."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None
    program = CACHE / "node_modules" / "mixpanel-import" / "index.js"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        options = ["--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts"]
        subprocess.run([npm, "install", *options, MIXPANEL_IMPORT], cwd=CACHE, check=True, capture_output=True)
    return program


def _announce(url: str, sinks: Sinks, sample: File) -> None:
    _, name = sinks.put(sample)
    headers, body = cloud_event(sinks.object(name))
    answer = requests.post(url, data=body, headers=headers, timeout=_TIMEOUT)
    if answer.status_code >= 300:
        raise Failed(f"the function answered {answer.status_code}: {answer.text[:500]}")


def _counted(name: str, sample: File, usage: Usage, arrived: Arrived) -> Usage:
    """The usage with what arrived, which has to be everything but the bad."""
    least = sample.events * (1 - 2 * sample.bad_share)
    if not least <= arrived.events <= sample.events:
        raise Failed(f"{name}: of {sample.events} events {arrived.events} arrived")
    return replace(usage, events=sample.events, bytes=sample.bytes(), requests=arrived.requests, wire=arrived.wire)
