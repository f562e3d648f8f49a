"""Where rejects and checkpoints lie: a folder for each source, whatever it is called."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from importer.sinks import folder_of

NAMES = st.text(min_size=1, max_size=200) | st.text("./%2E~#é", min_size=1, max_size=1_024)


def source(name: str) -> str:
    return f"gs://bucket/{name}#17"


@given(NAMES)
@example("../../etc/passwd")
@example("..")
@example("a\r\nb\x00\x1b[31m")
@example("x" * 1_024)
def test_a_folder_has_a_name_that_any_object_may_have(name: str) -> None:
    folder = folder_of(source(name))
    assert ".." not in folder.split("/")
    assert folder.isascii()
    assert folder.isprintable()
    assert len(folder) <= 512


@given(NAMES, NAMES)
@example("../a", "%2E%2E/a")
@example("x" * 1_000, "x" * 1_001)
def test_no_two_sources_share_a_folder(one: str, other: str) -> None:
    assert (folder_of(source(one)) == folder_of(source(other))) == (one == other)
