"""What would become of some records, without importing them: by the mapping, its filters, the transform, the importer,
and Mixpanel's rules.

Each preview runs in a process of its own (`sandbox.mixpanel.previewer`), so that the mapping, the transform and the
importer are always those on disk, and a transform that fails, hangs or prints does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from importer.core.explanation import Touch
from sandbox.mixpanel import child

MAX_BYTES = 5_000_000
"""Bytes of pasted text."""
MAX_FILE_BYTES = 64_000_000
"""Bytes of a file: one whose rows are found from its end (Parquet) comes whole."""
PATIENCE = 10.0
"""Seconds after which a preview is given up."""


class Outcome(Struct, frozen=True):
    """One outcome of a record, as `importer.core.explanation.Explained`; the event is indented JSON."""

    fate: str
    event: str | None
    touches: Sequence[Touch]
    reason: str | None
    field: str | None
    by: str | None


class Previewed(Struct, frozen=True):
    """One record: where it stands, what it holds (indented JSON where it is any), whose shape it has, its outcomes."""

    line: int
    record: str
    recognised: str | None
    outcomes: Sequence[Outcome] = ()


class Preview(Struct, frozen=True):
    """Some records, previewed.

    Attributes:
        records: the first of them.
        format: what the content is.
        recognised: the titles of the tools that wrote them, with how many records each wrote.
        more: whether there were more of them.
        unreadable: why there is an end to what can be read.
    """

    records: Sequence[Previewed] = ()
    format: str = ""
    recognised: dict[str, int] = {}
    more: bool = False
    unreadable: str | None = None


class PreviewError(Exception):
    """There is no preview; the text is a sentence that says why."""


async def preview(
    content: bytes,
    *,
    mapping: str | None,
    transform: str | None,
    environment: Mapping[str, str],
    name: str = "",
    is_cut: bool = False,
) -> Preview:
    """Previews the records in `content`, which may be in any form that the importer takes.

    Args:
        content: what a file holds, or was pasted.
        mapping, transform: as IMPORT_MAPPING and IMPORT_TRANSFORM name them.
        environment: the other settings, and the secrets that a mapping file may want.
        name: the file's name.
        is_cut: whether the content is only the beginning of a file.

    Raises:
        PreviewError: the mapping or the transform cannot be loaded, or took too long; the text is a sentence.
    """
    words = ["sandbox.mixpanel.previewer", "--name", name, *(["--cut"] if is_cut else [])]
    words += ["--mapping", mapping] if mapping else []
    words += ["--transform", transform] if transform else []
    try:
        ended = await child.run(*words, environment=environment, patience=PATIENCE, given=content)
    except child.GivenUp:
        raise PreviewError(f"The preview was given up after {PATIENCE:g} seconds.") from None
    if ended.status:
        raise PreviewError(ended.last or "The preview failed.")
    return msgspec.json.decode(ended.said, type=Preview)
