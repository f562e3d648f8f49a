"""Brings event data into Mixpanel: complete, once, fast, with nobody watching.

The names below are the importer's face as a library; each is imported when it is first used. What they are for:

    settings = importer.settings_from(os.environ)
    report = importer.import_file("gs://bucket/2025/06/01/events.jsonl.gz", settings=settings)
    assert report.read == report.imported + report.rejected + report.dropped

Inside, a source (sources/) turns what its trigger delivers into records; the core (core/) checks each record, puts the
events in batches, sends them, and accounts for every one. The core knows no source and no cloud.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importer.core.rejects.reject import Reject, RejectSink
    from importer.core.report import HandedBack, Report
    from importer.errors import (
        DeliveryError,
        FatalDeliveryError,
        ImporterError,
        RejectSinkError,
        SettingsError,
        SourceCorrupted,
        SourceGone,
        StorageError,
        Unavailable,
        Unreadable,
    )
    from importer.library import import_file, import_files, import_records, settings_from
    from importer.settings import Settings

__all__ = [
    "DeliveryError",
    "FatalDeliveryError",
    "HandedBack",
    "ImporterError",
    "Reject",
    "RejectSink",
    "RejectSinkError",
    "Report",
    "Settings",
    "SettingsError",
    "SourceCorrupted",
    "SourceGone",
    "StorageError",
    "Unavailable",
    "Unreadable",
    "import_file",
    "import_files",
    "import_records",
    "settings_from",
]

_ROOMS = {
    "importer.library": {"import_file", "import_files", "import_records", "settings_from"},
    "importer.core.rejects.reject": {"Reject", "RejectSink"},
    "importer.core.report": {"HandedBack", "Report"},
    "importer.settings": {"Settings"},
}
"""Where the names come from; the others are errors."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = next((room for room, names in _ROOMS.items() if name in names), "importer.errors")
    value = globals()[name] = getattr(import_module(room), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
