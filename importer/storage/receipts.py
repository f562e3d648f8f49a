"""Receipts and checkpoints of many objects: what was imported, is found by listing them, not object by object."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from msgspec import Struct

from importer.storage.paths import folder_of, state_folder
from importer.storage.store import Entry, Store

RECEIPT, CHECKPOINT, LEASE = "receipt.json", "checkpoint.json", "lease.json"
_AT_ONCE = 16
_SURE_CHARACTERS = 150
"""Of a prefix, what the folders of all its objects begin with: those of long names end in a digest."""


class _Receipt(Struct):
    counts: dict[str, Any] = {}


class Receipts:
    """What is known of the objects whose addresses begin with a prefix, as of now.

    Args:
        store: of the place.
        place: `IMPORT_CHECKPOINTS`.
        prefix: of the objects' addresses.

    Raises:
        StorageError: the place cannot be listed.
    """

    def __init__(self, store: Store, place: str, prefix: str) -> None:
        self._store = store
        self._place = place
        self._found: defaultdict[str, set[str]] = defaultdict(set)
        self._generations: defaultdict[str, int] = defaultdict(int)
        for address in store.list(_folder(place, prefix)):
            folder, _, name = address.rpartition("/")
            self._found[folder].add(name)
            if name == RECEIPT:
                self._generations[folder.rpartition("/")[0]] += 1

    def is_done(self, source: str) -> bool:
        """Whether the object was imported to its end."""
        return RECEIPT in self._found.get(state_folder(self._place, source), ())

    def is_begun(self, source: str) -> bool:
        """Whether it was imported in part."""
        return CHECKPOINT in self._found.get(state_folder(self._place, source), ())

    def has_earlier(self, source: str) -> bool:
        """Whether another generation of it was imported."""
        return state_folder(self._place, source).rpartition("/")[0] in self._generations

    def tidy(self) -> None:
        """Takes away the leases of objects that are done, which a process left that was killed at that moment."""
        for folder, names in self._found.items():
            if RECEIPT in names and LEASE in names:
                self._store.delete(f"{folder}/{LEASE}")

    def rejected(self, entries: Iterable[Entry]) -> list[tuple[Entry, int]]:
        """Of objects that are done, those of which records were rejected, and how many.

        Raises:
            StorageError: a receipt cannot be read.
        """
        entries = [*entries]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="receipts") as threads:
            counts = threads.map(self._rejected, entries)
            return [(entry, count) for entry, count in zip(entries, counts, strict=True) if count]

    def _rejected(self, entry: Entry) -> int:
        content = self._store.read(f"{state_folder(self._place, entry.source)}/{RECEIPT}")
        try:
            return int(msgspec.json.decode(content or b"{}", type=_Receipt).counts.get("rejected", 0))
        except (msgspec.MsgspecError, ValueError):
            return 0


def _folder(place: str, prefix: str) -> str:
    """The folder of the place that what is known of all such objects lies in."""
    if "://" not in prefix:
        return place
    sure = re.split(r"[*?\[]", prefix)[0][:_SURE_CHARACTERS]
    folder = folder_of(f"{sure}#0").removesuffix("/0").rpartition("/")[0]
    return f"{place.rstrip('/')}/{folder}" + ("/" if "://" in place else "")
