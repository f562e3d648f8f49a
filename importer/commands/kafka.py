"""`kafka`: what comes on Kafka's topics, as long as the process lives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from importer import bootstrap
from importer.commands.interrupts import stopped_by_signals
from importer.commands.options import Command, max_open, variables_here
from importer.errors import SettingsError
from importer.settings import Settings

if TYPE_CHECKING:
    from importer.sources.kafka.consumer import KafkaSource

_MAX_OPEN = 20_000
_UNHEALTHY_SECONDS = 60.0
_PREFIX = "KAFKA_"


@click.command(
    cls=Command,
    short_help="Import what comes on Kafka's topics, as a worker.",
    examples=[
        "kafka --topics events --brokers broker:9092 --group mixpanel",
        "kafka --topics '^events\\..*' --brokers broker:9092 -X security.protocol=SASL_SSL -X sasl.mechanisms=PLAIN",
    ],
)
@click.option("--topics", required=True, metavar="NAMES", help="With commas between; ^… is a regular expression.")
@click.option("--brokers", metavar="HOST:PORT,…", help="Where the brokers are (KAFKA_BOOTSTRAP_SERVERS).")
@click.option("--group", default="mixpanel-importer", show_default=True, help="The consumer group.")
@click.option("--rejects-topic", metavar="NAME", help="Where rejects go; by default where IMPORT_REJECTS says.")
@click.option("-X", "more", multiple=True, metavar="NAME=VALUE", help="More of librdkafka's settings, by its names.")
@click.option("--health-port", type=click.IntRange(0, 65_535), help="Answers /healthz there.")
@max_open(_MAX_OPEN)
def command(
    topics: str,
    brokers: str | None,
    group: str,
    rejects_topic: str | None,
    more: tuple[str, ...],
    health_port: int | None,
    max_open: int,
) -> int:
    """Imports the messages of topics as a member of a consumer group, until it is told to end.

    An offset is committed once all before it is imported, dropped, or stored as a reject. Variables such as
    KAFKA_SASL_PASSWORD are librdkafka's settings too (sasl.password): no secret need be in an argument. SIGTERM and
    Ctrl-C settle what is open, commit, and leave the group.
    """
    variables = variables_here()
    configuration = {**_configured(variables), **_given(more), "group.id": group}
    if brokers:
        configuration["bootstrap.servers"] = brokers
    if not configuration.get("bootstrap.servers"):
        raise SettingsError("it is not said where the brokers are: --brokers, or KAFKA_BOOTSTRAP_SERVERS.")
    settings = bootstrap.settings_of_a_worker(variables)
    names = [one.strip() for one in topics.split(",") if one.strip()]
    with asyncio.Runner(loop_factory=bootstrap.event_loop) as runner:
        return runner.run(_consume(settings, names, configuration, rejects_topic, max_open, health_port))


async def _consume(
    settings: Settings,
    topics: list[str],
    configuration: Mapping[str, Any],
    rejects_topic: str | None,
    max_open: int,
    health_port: int | None,
) -> int:
    try:
        from importer.sources.kafka.consumer import KafkaSource  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "confluent_kafka":
            raise
        raise SettingsError("Kafka takes the package confluent-kafka: pip install 'mixpanel-importer[kafka]'") from None
    source = KafkaSource(settings, topics, configuration, rejects_topic=rejects_topic, max_open=max_open)
    with stopped_by_signals(source.end), _health(source, health_port):
        await source.run()
    return 0


def _configured(variables: Mapping[str, str]) -> dict[str, str]:
    """`KAFKA_SASL_PASSWORD` is `sasl.password`, as in the images of Kafka's own tools."""
    return {
        name.removeprefix(_PREFIX).lower().replace("_", "."): value
        for name, value in variables.items()
        if name.startswith(_PREFIX) and value
    }


def _given(more: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in more]
    if wrong := [name for name, sign, _ in pairs if not sign or not name]:
        raise SettingsError(f"-X {wrong[0]} is no NAME=VALUE.")
    return {name: value for name, _, value in pairs}


@contextmanager
def _health(source: KafkaSource, port: int | None) -> Iterator[None]:
    """Answers /healthz: 200 while the brokers are polled, else 503."""
    if port is None:
        yield
        return

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_well = source.is_polling(_UNHEALTHY_SECONDS)
            self.send_response(200 if is_well and self.path == "/healthz" else 503 if not is_well else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing: it is asked every few seconds."""

    with ThreadingHTTPServer(("", port), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
