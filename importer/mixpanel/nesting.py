"""How deep a record is nested, judged by a rule of ours: where an interpreter's recursion ends differs by its version,
and by how deep the program's own calls are just then."""

from __future__ import annotations

import re
from itertools import accumulate

from importer.limits import MAX_NESTING

MIN_LENGTH = 2 * (MAX_NESTING + 1)
"""Bytes below which nothing nests too deep: every level takes two brackets."""

_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*+"?', re.DOTALL)
_BRACKETS = b"[]{}"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_ALIKE = bytes.maketrans(b"{}", b"[]")
_STEPS = {b"["[0]: 1, b"]"[0]: -1}
_TOO_DEEP = b"[" * (MAX_NESTING + 1)
"""What most of what nests too deep has, and what is found a hundred times as fast as the steps are taken."""


def nests_too_deep(record: bytes) -> bool:
    """Whether brackets lie within brackets more than `MAX_NESTING` deep; those within texts do not count."""
    if len(record) < MIN_LENGTH or _openings(record) <= MAX_NESTING:
        return False
    run = record.find(_TOO_DEEP)  # mostly so: then no more has to be looked at than that and what is before
    return (run >= 0 and _goes_too_deep(record[: run + len(_TOO_DEEP)])) or _goes_too_deep(record)


def _goes_too_deep(text: bytes) -> bool:
    brackets = _STRING.sub(b"", text).translate(_ALIKE, _NO_BRACKETS)
    run = brackets.find(_TOO_DEEP)
    if run >= 0 and brackets.count(b"[", 0, run) >= brackets.count(b"]", 0, run):
        return True
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_NESTING


def _openings(record: bytes) -> int:
    """Opening brackets, those within texts included; of each kind no more than one too many. To replace few bytes is
    four times as fast as to count them."""
    enough = MAX_NESTING + 1
    return 2 * len(record) - len(record.replace(b"[", b"", enough)) - len(record.replace(b"{", b"", enough))
