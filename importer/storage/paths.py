"""A source's name as a part of an object's name."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

_NAME_BYTES = 1_024
"""The longest name of an object: https://cloud.google.com/storage/docs/objects#naming"""


def folder_of(source: str) -> str:
    """The name of a source as part of an object's name: itself, where it has no letters that an object may not have.

    No two sources have the same.
    """
    name, at, generation = source.removeprefix("gs://").rpartition("#")
    folder = quote(f"{name}/{generation}" if at else generation, safe="/!$&'()*+,;=:@ ~").replace("../", "%2E%2E/")
    if len(folder) > _NAME_BYTES // 2:
        return f"{folder[:200]}~{hashlib.sha256(folder.encode()).hexdigest()[:32]}"
    return folder
