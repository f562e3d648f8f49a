"""A program that the page has run: what it wrote, within a time."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.processes import ROOT, without_settings


class GivenUp(Exception):
    """It took too long, and was ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program left.

    Attributes:
        status: its exit status.
        said: what it wrote to standard output.
        last: the last line of what it wrote to standard error; "" where that is nothing.
    """

    status: int
    said: bytes
    last: str


async def run(*words: str, environment: Mapping[str, str], patience: float, given: bytes | None = None) -> Ended:
    """Runs `python -m WORDS…`.

    Args:
        words: the module and its arguments.
        environment: its settings. The page's own settings of the importer do not reach it.
        patience: seconds after which it is ended.
        given: what it reads on standard input.

    Raises:
        GivenUp: it was.
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        cwd=ROOT,
        env={**without_settings(os.environ), **environment, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=asyncio.subprocess.DEVNULL if given is None else pipe,
        stdout=pipe,
        stderr=pipe,
    )
    try:
        said, complained = await asyncio.wait_for(process.communicate(given), patience)
    except TimeoutError:
        raise GivenUp from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode or 0, said, complained.decode(errors="replace").strip().rsplit("\n", 1)[-1])
