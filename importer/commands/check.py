"""`check`: whether an import could begin: settings, credentials, mapping, and access to the places that it needs."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import click
from msgspec import Struct

from importer import log
from importer.commands.options import Command, as_json, settings_here, variables_here
from importer.commands.places import entries, opened
from importer.commands.state import with_state
from importer.commands.terminal import number_of, show_json, size, write
from importer.errors import SettingsError, StorageError, Unavailable
from importer.formats.content import Content
from importer.mappings.loading import load, load_mapping
from importer.mixpanel.client.client import Client
from importer.objects import reason_of
from importer.reject_sinks.topic import check_topic
from importer.settings import Settings, not_settings
from importer.storage.store import Patience, store

_SECONDS = 10.0
"""For which Mixpanel, or a place, is tried again: somebody waits."""
_STYLES = {"right": ("✓", "green"), "wrong": ("✗", "red"), "doubtful": ("!", "yellow")}


class Ticked(Struct, frozen=True):
    """One thing that was checked.

    Attributes:
        what: it is.
        state: whether it is as an import needs it.
        sentence: what was found.
    """

    what: str
    state: Literal["right", "wrong", "doubtful"]
    sentence: str


@click.command(
    cls=Command,
    short_help="Check settings, credentials, mapping and access.",
    examples=[
        "check --env-file production.env",
        "check gs://my-events/ projects/my-project/topics/my-topic",
    ],
)
@click.argument("places", nargs=-1, metavar="[SOURCE…]")
@as_json
def command(places: tuple[str, ...], as_json: bool) -> int:
    """Checks whether an import could begin: the settings, the credentials (by a request that imports nothing), mapping
    and transform, the places for rejects and checkpoints (by a small object that is written, read and deleted), and
    that each SOURCE can be listed and read; a topic, that it can be published to.

    Ends with 1 where something is wrong.
    """
    found = []
    for one in _checks(places):
        found.append(one)
        if not as_json:
            sign, style = _STYLES[one.state]
            write(f"{sign} {one.what}: {one.sentence}", style)
    is_right = all(one.state != "wrong" for one in found)
    if as_json:
        show_json({"right": is_right, "checks": found})
    return int(not is_right)


def _checks(places: Sequence[str]) -> Iterator[Ticked]:
    """All checks, one after the other: what one finds wrong keeps none of the others from being made."""
    try:
        settings = settings_here(says=False)
    except SettingsError as error:
        yield Ticked("settings", "wrong", str(error))
        return
    yield Ticked("settings", "right", _who(settings))
    for sentence in not_settings(variables_here()):
        yield Ticked("settings", "doubtful", sentence)
    # What goes wrong is said here, once.
    log.configure("CRITICAL")
    yield _ticked("credentials", lambda: _credentials(settings))
    yield _ticked("mapping", lambda: _mapping(settings))
    if settings.transform:
        yield _ticked("transform", lambda: _transform(settings))
    yield _ticked("checkpoints", lambda: _writable(with_state(settings).checkpoints or "", settings))
    if settings.rejects:
        yield _ticked("rejects", lambda: _rejects(settings.rejects or "", settings))
    else:
        yield Ticked(
            "rejects", "doubtful", "IMPORT_REJECTS is not set: commands write a file, functions the log alone."
        )
    for place in places:
        yield _ticked(place, lambda place=place: _source(place, settings))  # type: ignore[misc]


def _ticked(what: str, check: Callable[[], str]) -> Ticked:
    try:
        return Ticked(what, "right", check())
    except Exception as error:
        reason = reason_of(error)
        return Ticked(what, "wrong", reason if reason.endswith(".") else f"{reason}.")


def _who(settings: Settings) -> str:
    """Whose settings they are, without anything secret."""
    signed = settings.credentials
    of = f", project {signed.project_id}" if signed.project_id else ""
    return f"{signed.kind.value}{of}, at {settings.api_url}."


def _credentials(settings: Settings) -> str:
    client = Client(settings)
    try:
        client.probe(time.monotonic() + min(_SECONDS, settings.timeout))
    except Unavailable as error:
        raise Unavailable(f"whether Mixpanel takes them cannot be told: {error.__cause__ or error}") from None
    finally:
        client.close()
    return "Mixpanel takes them."


def _mapping(settings: Settings) -> str:
    if settings.mapping is None:
        return "none: records are Mixpanel's own events."
    mapped = load_mapping(settings.mapping, os.environ)
    if not settings.mapping.endswith(".toml"):
        return f"{settings.mapping} is ready."
    parts = [name for name, part in (("a mapping", mapped.mapping), ("filters", mapped.filters)) if part]
    return f"{settings.mapping} has {' and '.join(parts) or 'nothing'}."


def _transform(settings: Settings) -> str:
    load(settings.transform or "")
    return f"{settings.transform} is there."


def _rejects(place: str, settings: Settings) -> str:
    return check_topic(place) if place.startswith("projects/") else _writable(place, settings)


def _writable(place: str, settings: Settings) -> str:
    """Writes, lists, reads and deletes a small object.

    Raises:
        StorageError: one of these does not go.
    """
    address = f"{place.rstrip('/')}/check-{secrets.token_hex(8)}"
    if "://" not in place:
        Path(place).mkdir(parents=True, exist_ok=True)
    objects = store(address, Patience(_SECONDS, settings.timeout, settings.backoff))
    content = b"mixpanel-importer check: this may be deleted\n"
    objects.write(address, content)
    try:
        if objects.read(address) != content:
            raise StorageError(f"{address} was written, and comes back otherwise")
        if address not in objects.list(address):
            raise StorageError(f"{address} was written, and is not in the list of what is there")
    finally:
        objects.delete(address)
    return f"{place} can be written, read, listed and deleted."


def _source(place: str, settings: Settings) -> str:
    """Lists the objects, and reads the beginning of the first."""
    if place.startswith("projects/"):
        return check_topic(place)
    found = entries([place], settings)
    if not found:
        raise SettingsError(f"IMPORT_INCLUDE and IMPORT_EXCLUDE leave nothing of {place}")
    first = found[0]
    kind = Content(opened(first, settings, _SECONDS), rows="records" if settings.mapping else "events").format
    return f"{number_of(len(found), 'object')}, {size(sum(one.size for one in found))}; the first is {kind}."
