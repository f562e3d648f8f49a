"""Made-up records of analytics tools, as each of them writes what happens in one shop; a vendor is a file.

Such a module has

    records(count: int, seed: int = 1) -> Iterator[bytes]   the same for the same arguments, about 850 bytes each

Run as a program, it writes a file:

    python -m sandbox.vendors segment --records 200000 --seed 1 --gzip -o segment.jsonl.gz
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from importer.mappings import ready

VENDORS = tuple(ready.VENDORS)
"""The ready mappings' names: each has its records here."""


def records(vendor: str, count: int, seed: int = 1) -> Iterator[bytes]:
    """`count` made-up records of a vendor."""
    module = importlib.import_module(f"sandbox.vendors.{vendor}")
    made: Iterator[bytes] = module.records(count, seed)
    return made
