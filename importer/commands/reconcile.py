"""Reconcile: which objects are not in Mixpanel, or not as they are now, by the receipts that there are of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from importer.commands.import_files import imported
from importer.commands.options import Command, as_json, settings_here, variables_here
from importer.commands.places import entries
from importer.commands.state import with_state
from importer.commands.terminal import Column, count, say, show_json, show_table, size
from importer.commands.work import AT_ONCE, File, How
from importer.errors import SettingsError
from importer.settings import Settings
from importer.storage.leases import Leases
from importer.storage.receipts import Receipts
from importer.storage.store import Entry, store

_MAX_NAMED = 20
_MIN_AGE_MINUTES = 10.0

_COLUMNS = (Column("objects", style="bold"), Column("number", is_number=True), Column("stored", is_number=True))


@dataclass(slots=True)
class Found:
    """The objects, by what is known of them.

    Attributes:
        done: imported as they are.
        missing: never imported: not announced, their announcement was lost, or it is a dead letter.
        begun: imported in part.
        changed: imported in an earlier generation, and written again since.
        new: so new that their announcement may be on its way.
        rejected: imported, with so many records rejected.
    """

    done: list[Entry] = field(default_factory=list)
    missing: list[Entry] = field(default_factory=list)
    begun: list[Entry] = field(default_factory=list)
    changed: list[Entry] = field(default_factory=list)
    new: list[Entry] = field(default_factory=list)
    rejected: list[tuple[Entry, int]] = field(default_factory=list)

    @property
    def to_import(self) -> list[Entry]:
        """What is to be brought in."""
        return [*self.missing, *self.begun, *self.changed]


@click.command(
    cls=Command,
    short_help="Find objects that were not imported, or not as they are now.",
    examples=[
        "reconcile gs://my-events/2025/06/ --checkpoints gs://my-state/checkpoints",
        "reconcile gs://my-events/ --checkpoints gs://my-state/checkpoints --import --env-file production.env",
    ],
)
@click.argument("prefix")
@click.option("--import", "brings_in", is_flag=True, help="Import what is found.")
@click.option(
    "--min-age",
    type=click.FloatRange(0),
    default=_MIN_AGE_MINUTES,
    metavar="MINUTES",
    help=f"How old an object must be to be missed ({_MIN_AGE_MINUTES:g}).",
)
@click.option(
    "--at-once", type=click.IntRange(1, 64), default=AT_ONCE, metavar="N", help=f"Objects at a time ({AT_ONCE})."
)
@as_json
def command(prefix: str, brings_in: bool, min_age: float, at_once: int, as_json: bool) -> int:
    """Compares the objects whose names begin with PREFIX (gs://bucket/prefix, s3://…, or a folder) with the receipts in
    IMPORT_CHECKPOINTS of what was imported: which have none, which have rejects, which were written again since.

    Ends with 1 where something is found and not brought in.
    """
    settings = _settings(brings_in=brings_in)
    found = reconciled(settings, prefix, time.time() - min_age * 60)
    if as_json:
        _show_for_machines(found)
    else:
        _show(found)
    wanted = found.to_import
    if not brings_in or not wanted:
        return int(bool(wanted or found.rejected))
    place = settings.checkpoints or ""
    with Leases(store(place), place) as leases:
        return imported(settings, [File(one) for one in wanted], How(at_once), leases, as_json=as_json)


def reconciled(settings: Settings, prefix: str, before: float) -> Found:
    """Compares objects with their receipts.

    Args:
        before: the time before which an object must have been written to be missed, in seconds since 1970.

    Raises:
        SourceGone: there is nothing.
        StorageError: something cannot be listed or read.
    """
    objects = entries([prefix], settings)  # first: what is imported meanwhile has its receipt then
    place = settings.checkpoints or ""
    receipts = Receipts(store(place), place, prefix)
    found = Found()
    for one in objects:
        if receipts.is_done(one.source):
            found.done.append(one)
        elif one.written > before:
            found.new.append(one)
        elif receipts.is_begun(one.source):
            found.begun.append(one)
        elif receipts.has_earlier(one.source):
            found.changed.append(one)
        else:
            found.missing.append(one)
    found.rejected = receipts.rejected(found.done)
    return found


def _settings(*, brings_in: bool) -> Settings:
    """The settings. Which receipts are meant, either the place says, or the project."""
    is_placed = bool(variables_here().get("IMPORT_CHECKPOINTS", "").strip())
    try:
        return with_state(settings_here(sends=brings_in or not is_placed))
    except SettingsError as error:
        if is_placed or brings_in:
            raise
        raise SettingsError(
            "Where are the receipts? Set IMPORT_CHECKPOINTS to where the functions keep them, or credentials for those "
            f"of this machine. {error}"
        ) from None


def _show(found: Found) -> None:
    rows = {
        "imported": found.done,
        "of these with rejects": [one for one, _ in found.rejected],
        "never imported": found.missing,
        "imported in part": found.begun,
        "changed since": found.changed,
        "too new to tell": found.new,
    }
    show_table(_COLUMNS, [[name, count(len(some)), size(sum(one.size for one in some))] for name, some in rows.items()])
    rejects = {one.source: f", {number:,} rejected" for one, number in found.rejected}
    for name in ("never imported", "imported in part", "changed since", "of these with rejects"):
        _say_some(name.removeprefix("of these "), rows[name], rejects)


def _say_some(name: str, some: Sequence[Entry], rejects: dict[str, str]) -> None:
    for one in some[:_MAX_NAMED]:
        say(f"{name}: {one.address}{rejects.get(one.source, '')}")
    if len(some) > _MAX_NAMED:
        say(f"{name}: and {len(some) - _MAX_NAMED:,} more; --json has all of them")


def _show_for_machines(found: Found) -> None:
    show_json(
        {
            "imported": len(found.done),
            "missing": [one.source for one in found.missing],
            "begun": [one.source for one in found.begun],
            "changed": [one.source for one in found.changed],
            "new": len(found.new),
            "rejected": [{"source": one.source, "count": number} for one, number in found.rejected],
        }
    )
