"""What is named on a command line: files, folders, globs, objects, standard input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from importer.commands.places import entries, opened
from importer.errors import SourceGone, StorageError
from importer.settings import CredentialKind, Credentials, Settings
from importer.storage.local import StandardInput
from sandbox.clients import Bucket

SETTINGS = Settings(Credentials(CredentialKind.PROJECT_TOKEN, "t", "", None), "http://127.0.0.1:1")
NAMES = ["2025/06/01/a.jsonl", "2025/06/01/a.jsonl.gz", "2025/06/02/b.csv", "2025/06/02/.hidden", "own/x.json"]


@pytest.fixture(params=["a bucket", "a disk"])
def place(request: pytest.FixtureRequest, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the files are that are called so."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    for name in NAMES:
        if request.param == "a bucket":
            bucket.put(f"in/{name}", b"12345")
        else:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"12345")
    return f"gs://{bucket.name}/in" if request.param == "a bucket" else str(tmp_path)


def found(place: str, *names: str, **settings: Any) -> list[str]:
    listed = entries([f"{place}/{name}" for name in names], msgspec.structs.replace(SETTINGS, **settings))
    assert all(one.size == 5 for one in listed)
    return [one.address.removeprefix(f"{place}/") for one in listed]


def test_a_file_is_itself_though_others_begin_with_its_name(place: str) -> None:
    assert found(place, "2025/06/01/a.jsonl") == ["2025/06/01/a.jsonl"]


def test_a_folder_is_all_that_lies_in_it(place: str) -> None:
    assert found(place, "2025/06/01/") == ["2025/06/01/a.jsonl", "2025/06/01/a.jsonl.gz"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("2025/06/*/*.csv", ["2025/06/02/b.csv"]),
        ("2025/06/01/a.jsonl*", ["2025/06/01/a.jsonl", "2025/06/01/a.jsonl.gz"]),
        ("**/b.[cd]sv", ["2025/06/02/b.csv"]),
        ("2025/06/0?/b.csv", ["2025/06/02/b.csv"]),
    ],
)
def test_a_glob_is_all_that_it_matches(place: str, pattern: str, names: list[str]) -> None:
    assert found(place, pattern) == names


def test_what_is_named_twice_comes_once_in_the_order_of_the_names(place: str) -> None:
    assert found(place, "2025/06/02/b.csv", "2025/06/01/a.jsonl", "2025/06/02/b.csv") == [
        "2025/06/02/b.csv",
        "2025/06/01/a.jsonl",
    ]


def test_what_the_settings_leave_out_is_left_out_and_the_importers_own(place: str) -> None:
    assert found(place, "", exclude=("*.gz", "*hidden"), rejects=f"{place}/own") == [
        "2025/06/01/a.jsonl",
        "2025/06/02/b.csv",
    ]


@pytest.mark.parametrize("name", ["nothing", "nothing/*.csv", "2025/07/"])
def test_where_there_is_nothing_that_is_said(place: str, name: str) -> None:
    with pytest.raises(
        SourceGone, match=rf"there is (nothing|no file or folder|no file in) .*{name.replace('*', '.')}"
    ):
        found(place, name)


def test_standard_input_is_a_dash() -> None:
    (one,) = entries(["-"], SETTINGS)
    assert one.source == "standard input"
    assert isinstance(opened(one, SETTINGS, 1), StandardInput)


def test_nobody_logged_in_at_google_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(StorageError, match=r"^Nobody is logged in at Google Cloud here: run 'gcloud auth"):
        entries(["gs://b/x"], SETTINGS)
