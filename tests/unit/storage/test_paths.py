"""The folder of a source: the same for ever, for it is where what is known of it is looked for."""

from __future__ import annotations

import hashlib

import pytest

from importer.storage.paths import folder_of, state_folder

PART = 200
PARTS = ("y" * 99 + "/") * 5
"""With eight letters more, half of what an object's name may have."""

FOLDERS: list[tuple[str, str]] = [
    ("gs://b/2025/06/a.jsonl#17", "b/2025/06/a.jsonl/17"),
    ("s3://b/a b~(1).jsonl#etag", "b/a b~(1).jsonl/etag"),
    ("/home/me/../a#1.2", "/home/me/%2E%2E/a/1.2"),
    ("gs://b/a?b%#c#1", "b/a%3Fb%25%23c/1"),
    ("a message", "a message"),
]


@pytest.mark.parametrize(("source", "folder"), FOLDERS)
def test_a_source_is_a_folder(source: str, folder: str) -> None:
    assert folder_of(source) == folder
    assert state_folder("gs://own/state/", source) == f"gs://own/state/{folder.lstrip('/')}"
    assert state_folder("gs://own/state", source) == f"gs://own/state/{folder.lstrip('/')}"


@pytest.mark.parametrize(
    ("name", "is_cut"),
    [("x" * PART, False), ("x" * (PART + 1), True), (PARTS + "z" * 8, False), (PARTS + "z" * 9, True)],
    ids=["a part", "a longer part", "parts", "more parts"],
)
def test_a_folder_that_is_too_long_is_cut_and_ends_in_a_digest(name: str, is_cut: bool) -> None:
    whole = f"b/{name}/1"
    cut = f"{whole[:PART]}~{hashlib.sha256(whole.encode()).hexdigest()[:32]}"
    assert folder_of(f"gs://b/{name}#1") == (cut if is_cut else whole)
