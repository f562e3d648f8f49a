"""Writes made-up records of a vendor to a file; see `sandbox.vendors`."""

from __future__ import annotations

import argparse
import gzip
import sys
from pathlib import Path
from typing import BinaryIO

from sandbox.vendors import VENDORS, records


def main() -> None:
    """Writes what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.vendors", description=__doc__)
    parser.add_argument("vendor", choices=VENDORS)
    parser.add_argument("--records", type=int, default=1000, metavar="N", help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another gives others (default: 1)")
    parser.add_argument("--gzip", action="store_true", help="compress")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    given = parser.parse_args()
    if given.output:
        with given.output.open("wb") as file:
            _write(file, given)
    else:
        _write(sys.stdout.buffer, given)


def _write(file: BinaryIO, given: argparse.Namespace) -> None:
    made = (record + b"\n" for record in records(given.vendor, given.records, given.seed))
    if given.gzip:
        with gzip.GzipFile("", "wb", 1, file, 0) as compressing:
            compressing.writelines(made)
    else:
        file.writelines(made)


if __name__ == "__main__":
    main()
