"""Which objects are for the importer: not its own, and not those that the settings leave out."""

from __future__ import annotations

from importer.settings import Settings
from importer.storage.globs import matches
from importer.storage.store import lies_in, split


def skip_reason(address: str, settings: Settings) -> str | None:
    """Why an object is skipped, if it is."""
    if address.endswith("/"):
        return "it is the placeholder of a folder"
    for place in (settings.rejects, settings.checkpoints):
        if place and lies_in(address, place):
            return "it is one of the importer's own"
    name = split(address)[1] if "://" in address else address
    if settings.include and not matches(name, settings.include):
        return "IMPORT_INCLUDE does not name it"
    if matches(name, settings.exclude):
        return "IMPORT_EXCLUDE names it"
    return None
