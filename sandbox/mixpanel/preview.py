"""What would become of some records, without importing them: by the transform, the importer, and Mixpanel's rules.

Each preview runs in a process of its own (`sandbox.mixpanel.previewer`), so that the transform and the importer are
always those on disk, and a transform that fails, hangs or prints does no harm.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from sandbox.processes import ROOT

MAX_BYTES = 5_000_000
PATIENCE = 10.0
"""Seconds after which a preview is given up."""


class Previewed(Struct, frozen=True):
    """One record: the events it becomes, indented, or why it would be refused, by the importer or by Mixpanel."""

    line: int
    record: str
    events: Sequence[str] = ()
    reason: str | None = None
    field: str | None = None
    by: str | None = None


class Preview(Struct, frozen=True):
    """Some records, previewed.

    `more` says that there were more of them; `unreadable`, why there is an end to what can be read.
    """

    records: Sequence[Previewed] = ()
    more: bool = False
    unreadable: str | None = None


class PreviewError(Exception):
    """There is no preview; the text is a sentence that says why."""


async def preview(text: bytes, transform: str | None) -> Preview:
    """Previews the records in `text`, which may be in any form that the importer takes.

    Raises:
        PreviewError: the transform cannot be loaded, or took too long; the text is a sentence.
    """
    command = [sys.executable, "-m", "sandbox.mixpanel.previewer", *(["--transform", transform] if transform else [])]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        made, said = await asyncio.wait_for(process.communicate(text), PATIENCE)
    except TimeoutError:
        raise PreviewError(f"The preview was given up after {PATIENCE:g} seconds.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise PreviewError(said.decode(errors="replace").strip().rsplit("\n", 1)[-1] or "The preview failed.")
    return msgspec.json.decode(made, type=Preview)
