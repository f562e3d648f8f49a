"""What is odd about the records of a file, and what would mend it: `python -m importer profile` says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec import Struct

from sandbox.mixpanel import child
from sandbox.mixpanel.preview import PreviewError

MAX_RECORDS = 50_000
PATIENCE = 60.0
"""Seconds after which a profile is given up."""


class Finding(Struct):
    """One thing that does not go well with Mixpanel: how bad it is (`level`), and where."""

    level: str
    sentence: str
    kind: str = ""
    examples: Sequence[str] = ()


class _Profile(Struct):
    read: int
    count: int
    findings: Sequence[Finding]


class Profile(Struct):
    """What was looked at, what is odd, and the lines of a mapping file that mend it."""

    read: int
    count: int
    findings: Sequence[Finding]
    mending: str


async def profile(content: bytes, name: str, mapping: str | None, environment: Mapping[str, str]) -> Profile:
    """Profiles the records in `content`, the first of them.

    Raises:
        PreviewError: it cannot be done; the text is a sentence.
    """
    with TemporaryDirectory(prefix="sandbox-profile-") as folder:
        file, mending = Path(folder) / (Path(name).name or "pasted.jsonl"), Path(folder) / "mending.toml"
        file.write_bytes(content)
        options = ("--json", "--limit", str(MAX_RECORDS), "--write-filters", str(mending))
        settings = {**environment, "IMPORT_MAPPING": mapping or ""}
        try:
            ended = await child.run("importer", "profile", *options, str(file), environment=settings, patience=PATIENCE)
        except child.GivenUp:
            raise PreviewError(f"The profile was given up after {PATIENCE:g} seconds.") from None
        try:
            found = msgspec.json.decode(ended.said, type=_Profile)
        except msgspec.MsgspecError:
            raise PreviewError(ended.last or "There is no profile of that.") from None
        text = mending.read_text(encoding="utf-8") if mending.exists() else ""
        return Profile(found.read, found.count, found.findings, text if found.findings else "")
