"""What became of an import, at its end: a table for people, an object for machines, a status for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from importer.commands.progress import short
from importer.commands.terminal import Column, count, duration, number_of, say, show_json, show_table
from importer.commands.work import File, Reasons
from importer.core.report import Report
from importer.errors import FatalDeliveryError, ImporterError

_COLUMNS = (
    Column("file", style="bold"),
    Column("outcome"),
    Column("read", is_number=True),
    Column("imported", is_number=True, style="green"),
    Column("rejected", is_number=True, style="red"),
    Column("dropped", is_number=True),
    Column("time", is_number=True),
    Column("events/s", is_number=True),
)
_MAX_ROWS = 30
_MAX_REASONS = 5
_IN = frozenset({"done", "skipped", "unreadable", "leased"})
"""States of what need not be imported any more, as far as it can be."""


def status(files: Iterable[File]) -> int:
    """The exit status: 0 where all is well, 1 where something is rejected, unreadable or gone, 2 where something is
    not in Mixpanel yet."""
    status = 0
    for file in files:
        if file.state not in _IN | {"gone"}:
            return 2
        if file.report.rejected or file.state in {"unreadable", "gone"}:
            status = 1
    return status


def show(files: Sequence[File], seconds: float, reasons: Reasons, *, title: str = "imported") -> None:
    """Writes the table, and why records are rejected.

    Args:
        seconds: that all of it took.
        title: what the column is called of what Mixpanel took.
    """
    told = [file for file in files if file.state != "waiting"]
    rows = told if len(told) <= _MAX_ROWS else [file for file in told if _is_to_be_seen(file)][:_MAX_ROWS]
    columns = [Column(title, True, one.style) if one.title == "imported" else one for one in _COLUMNS]
    total = sum((file.report for file in told), Report())
    show_table(
        columns,
        [
            _row(short(file.entry.address), file.state, file.report, file.report.seconds, file.imported_here)
            for file in rows
        ],
        _row(number_of(len(told), "file"), "", total, seconds, sum(file.imported_here for file in told))
        if len(told) > 1
        else None,
    )
    for reason, number in reasons.counts.most_common(_MAX_REASONS):
        say(f"{count(number)} rejected: {reason} (first at {reasons.first[reason]})")


def show_for_machines(files: Sequence[File], seconds: float, reasons: Reasons, **more: Any) -> None:
    """Writes the same as JSON."""
    total = sum((file.report for file in files), Report())
    show_json(
        {
            "files": [_object(file) for file in files],
            "total": {**total.counts(), "seconds": round(seconds, 3)},
            "reasons": [
                {"reason": reason, "count": number, "first": reasons.first[reason]}
                for reason, number in reasons.counts.most_common()
            ],
            **more,
        }
    )


def failure(error: ImporterError | None) -> dict[str, Any]:
    """What ended all of it, for machines: why, and whether doing it again may go better."""
    if error is None:
        return {}
    return {"failure": {"reason": str(error), "retry": not isinstance(error, FatalDeliveryError)}}


def _object(file: File) -> dict[str, Any]:
    return {"source": file.entry.source, "outcome": file.state, "reason": file.reason, **file.report.counts()}


def _row(name: str, state: str, report: Report, seconds: float, imported: int) -> list[str]:
    numbers = (report.read, report.imported, report.rejected, report.dropped)
    rate = count(imported / seconds) if seconds > 0.05 and imported else ""
    return [name, state, *map(count, numbers), duration(seconds), rate]


def _is_to_be_seen(file: File) -> bool:
    return bool(file.report.rejected) or file.state not in {"done", "skipped"}
