"""The importer's face as a type checker sees it: mypy reads this, and nobody runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import assert_type

import importer


class Sink:
    """A reject sink is whatever has `store`."""

    def store(self, rejects: Sequence[importer.Reject]) -> None:
        for one in rejects:
            assert_type(one.record(), bytes)


def records() -> Iterator[bytes]:
    yield b"{}"


def told(report: importer.Report) -> None:
    assert_type(report.imported, int)


def everything() -> None:
    settings = importer.settings_from(os.environ)
    assert_type(settings, importer.Settings)
    assert_type(importer.import_records(records(), source="s", settings=settings), importer.Report)
    importer.import_records([b"{}"], source="s", settings=settings, rejects=Sink(), time_limit=9, on_progress=told)
    one = importer.import_file("gs://b/f", settings=settings, again=True)
    several = importer.import_files(["gs://b/f"], settings=settings, rejects=Sink())
    assert_type(several, dict[str, importer.Report])
    assert_type(sum(several.values(), one), importer.Report)
    importer.import_records(["{}"], source="s", settings=settings)  # type: ignore[list-item]
    importer.import_records([b"{}"], "s", settings)  # type: ignore[call-arg]


def fails() -> importer.Report | None:
    try:
        everything()
    except importer.SettingsError as error:
        raise SystemExit(str(error)) from error
    except importer.HandedBack as handed_back:
        return handed_back.report
    except importer.ImporterError:
        return None
    return None
