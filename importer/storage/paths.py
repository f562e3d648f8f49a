"""A source's name as a part of an object's name."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

_NAME_BYTES = 1_024
"""The longest name of an object: https://cloud.google.com/storage/docs/objects#naming"""


_MAX_PART = 200
"""Bytes of a folder's or a file's name, at most: a disk takes 255, and something may be added to one."""


def folder_of(source: str) -> str:
    """The name of a source as part of an object's name: itself, where it has no letters that an object may not have.

    No two sources have the same.
    """
    name, at, generation = source.removeprefix("gs://").removeprefix("s3://").rpartition("#")
    folder = quote(f"{name}/{generation}" if at else generation, safe="/!$&'()*+,;=:@ ~").replace("../", "%2E%2E/")
    if len(folder) > _NAME_BYTES // 2 or any(len(part) > _MAX_PART for part in folder.split("/")):
        return f"{folder[:_MAX_PART]}~{hashlib.sha256(folder.encode()).hexdigest()[:32]}"
    return folder


def state_folder(place: str, source: str) -> str:
    """The address of the folder in `place` (`IMPORT_CHECKPOINTS`) that is about a source."""
    return f"{place.rstrip('/')}/{folder_of(source).lstrip('/')}"
