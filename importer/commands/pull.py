"""`pull`: what Pub/Sub's subscriptions hold, as long as the process lives."""

from __future__ import annotations

import asyncio
import re

import click

from importer import bootstrap
from importer.commands.interrupts import stopped_by_signals
from importer.commands.options import Command, max_open, variables_here
from importer.errors import SettingsError
from importer.settings import Settings

_MAX_OPEN = 10_000
"""What is settled within seconds, so that few leases have to be kept."""

_SUBSCRIPTION = re.compile(r"projects/[^/]+/subscriptions/[^/]+")


@click.command(
    cls=Command,
    short_help="Import what a Pub/Sub subscription holds, as a worker.",
    examples=["pull projects/my-project/subscriptions/my-events", "pull --streams 4 $SUBSCRIPTION"],
)
@click.argument("subscriptions", nargs=-1, required=True, metavar="SUBSCRIPTION…")
@click.option("--streams", type=click.IntRange(1, 64), default=1, show_default=True, help="Streams of each.")
@max_open(_MAX_OPEN)
def command(subscriptions: tuple[str, ...], streams: int, max_open: int) -> int:
    """Imports the messages of pull subscriptions (projects/PROJECT/subscriptions/NAME) until it is told to end.

    A message is acknowledged once all of it is imported, dropped, or stored as a reject. SIGTERM and Ctrl-C settle what
    is open within ten seconds; what is not settled then, Pub/Sub delivers again.
    """
    for one in subscriptions:
        if not _SUBSCRIPTION.fullmatch(one):
            raise SettingsError(f"{one!r} is no subscription's name: it is projects/PROJECT/subscriptions/NAME.")
    settings = bootstrap.settings_of_a_worker(variables_here())
    with asyncio.Runner(loop_factory=bootstrap.event_loop) as runner:
        return runner.run(_pull(settings, subscriptions, streams, max_open))


async def _pull(settings: Settings, subscriptions: tuple[str, ...], streams: int, max_open: int) -> int:
    from importer.sources.pubsub.pull import PullSource, client  # noqa: PLC0415 (Google's client: only when used)

    with client() as subscriber:
        source = PullSource(settings, subscriptions, subscriber, streams=streams, max_open=max_open)
        with stopped_by_signals(source.end):
            await source.run()
    return 0
