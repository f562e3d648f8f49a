"""Files that are watched: what is new, changed or gone is told of once it has settled."""

from __future__ import annotations

from pathlib import Path

from sandbox.watch import Changes


def test_a_change_is_told_of_once_it_is_found_the_same_twice(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    changes = Changes(lambda: [file])
    assert changes.settled() == []
    file.write_text("22")
    assert changes.settled() == []
    assert changes.settled() == [file]
    assert changes.settled() == []


def test_what_is_watched_from_now_on_or_no_longer_is_no_change(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("1")
    second.write_text("1")
    watched = [first]
    changes = Changes(lambda: watched)
    watched[:] = [second]
    changes.follow()
    assert (changes.settled(), changes.settled()) == ([], [])
    second.write_text("22")
    assert (changes.settled(), changes.settled()) == ([], [second])
