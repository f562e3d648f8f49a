"""Shows the importer at work on this machine, and checks what it shows. `make demo` runs it.

It starts a stand-in for Mixpanel, a local bucket, and the functions as production runs them, with the settings that a
user would make; writes files to the bucket, pushes messages as Pub/Sub does, and prints what became of each. It ends
by itself, with exit code 0 if all that should have arrived did so once; with `--keep` it stays, for files of one's own.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
import queue
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow
from pyarrow import parquet

from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from sandbox.log_forwarder import Teller
from sandbox.pushes import send, wrapped
from sandbox.screen import Screen, size

SAMPLE = processes.ROOT / "sandbox" / "data" / "sample-events.jsonl"
GENERATED = Events(count=50_000, bad_share=0.00025, seed=2)
TABLES = {"orders.csv": Events(count=5_000, shape="small", seed=4), "orders.parquet": Events(count=5_000, seed=5)}
MESSAGES = Events(count=5_000, seed=3)
SENDERS = 500

_PATIENCE = 120.0
"""Seconds that one object may take, on the slowest machine."""


class DemoError(Exception):
    """Something does not add up; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Import:
    """What the function's log says of one object: the line that sums it up, and those of its rejects."""

    summary: dict[str, Any]
    rejects: list[dict[str, Any]]


@dataclass(slots=True)
class FunctionLog:
    """Gathers the function's log lines, as they come, into what became of each object, and passes them on to `tell`."""

    tell: processes.OnLine
    _finished: queue.SimpleQueue[Import] = field(default_factory=queue.SimpleQueue)
    _rejects: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, line: str) -> None:
        """Takes the next line."""
        self.tell(line)
        try:
            entry = json.loads(line)
        except ValueError:
            return
        kind = entry.get("kind")
        if kind == "reject":
            self._rejects[entry["source"]].append(entry)
        elif kind == "import":
            self._finished.put(Import(entry, self._rejects.pop(entry["source"], [])))

    def next(self, timeout: float) -> Import | None:
        """The next object that is dealt with, waiting for `timeout` seconds at most; None if there was none."""
        try:
            return self._finished.get(timeout=timeout)
        except queue.Empty:
            return None


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs: in production, Mixpanel, Cloud Storage with Eventarc, and the function."""

    standin: Standin
    bucket: Bucket
    function: processes.Function
    log: FunctionLog
    screen: Screen
    settings: dict[str, str]


@contextmanager
def staged(screen: Screen) -> Iterator[Stage]:
    """Starts everything, and stops it when the `with` block is left."""
    with (
        processes.service("sandbox.bucket", "--port", "0", "--bucket", "events") as bucket,
        processes.service("sandbox.mixpanel", "--port", "0", "--bucket-url", bucket.url) as standin,
        Teller(standin.url) as tell,
    ):
        log = FunctionLog(tell)
        settings = {
            "MIXPANEL_API_URL": standin.url,
            "MIXPANEL_PROJECT_TOKEN": "demo",
            "STORAGE_EMULATOR_HOST": bucket.url,
        }
        with processes.function("gcs_import", environment=settings, on_line=log.take) as function:
            client = Bucket(bucket.url, str(bucket.ready["bucket"]))
            client.send_events_to(function.url)
            yield Stage(Standin(standin.url), client, function, log, screen, settings)


# The parts of the demo. Each shows one way in, and raises DemoError where something does not add up.


def show_files(stage: Stage) -> None:
    """Files written to a bucket, by `gcs_import`: a small one, and a large one that is gzipped and has bad lines."""
    screen = stage.screen
    sample = SAMPLE.read_bytes()
    sample_ids = [json.loads(line)["properties"]["$insert_id"] for line in sample.splitlines()]
    screen.line()
    screen.line(f"1  {len(sample_ids)} events in a file: {SAMPLE.name}, {size(len(sample))}", "bold")
    done = _import(stage, SAMPLE.name, sample)
    _show(screen, done)
    _expect(done.summary["imported"] == len(sample_ids), f"{SAMPLE.name} has {len(sample_ids)} events")
    _expect_exactly(stage, sample_ids)
    screen.line(f"   ✓ all {len(sample_ids)} are in the stand-in, each once", "green")

    generated = io.BytesIO()
    plain_size = GENERATED.write(generated, gzip=True)
    bad = dict(GENERATED.bad())
    screen.line()
    screen.line(
        f"2  {GENERATED.count:,} lines, {size(plain_size)}, gzipped to {size(generated.tell())}; {len(bad)} are bad",
        "bold",
    )
    done = _import(stage, "generated-events.jsonl.gz", generated.getvalue())
    _show(screen, done)
    named = {reject["line"] for reject in done.rejects}
    _expect(named == set(bad), f"the bad lines are {_listed(bad)}, and those named are {_listed(named)}")
    _expect(done.summary["read"] == GENERATED.count, f"the file has {GENERATED.count:,} lines")
    _expect_exactly(stage, [*sample_ids, *GENERATED.ids()])
    good = GENERATED.count - len(bad)
    screen.line(f"   ✓ each bad line is named; all {good:,} others are in the stand-in, each once", "green")


def show_tables(stage: Stage) -> None:
    """Tables written to the bucket: their rows become events."""
    screen = stage.screen
    for number, (name, events) in enumerate(TABLES.items(), 3):
        rows = [{"event": one["event"], **one["properties"]} for one in map(json.loads, events.records())]
        content = _as_csv(rows) if name.endswith(".csv") else _as_parquet(rows)
        screen.line()
        screen.line(f"{number}  {events.count:,} rows of a table: {name}, {size(len(content))}", "bold")
        done = _import(stage, name, content)
        _show(screen, done)
        held = stage.standin.ids()
        missing = sum(held.get(identifier) != 1 for identifier in events.ids())
        _expect(not missing, f"of {events.count:,} rows, {missing:,} are not in the stand-in, or more than once")
        screen.line(f"   ✓ all {events.count:,} are in the stand-in, each once", "green")


def _as_csv(rows: list[dict[str, Any]]) -> bytes:
    written = io.StringIO()
    table = csv.DictWriter(written, list(dict.fromkeys(name for row in rows for name in row)))
    table.writeheader()
    table.writerows(rows)
    return written.getvalue().encode()


def _as_parquet(rows: list[dict[str, Any]]) -> bytes:
    written = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), written)
    return written.getvalue()


def show_messages(stage: Stage) -> None:
    """Messages pushed to `pubsub_import` as Pub/Sub does it: many at a time, each until it is answered."""
    screen = stage.screen
    screen.line()
    screen.line(f"5  {MESSAGES.count:,} messages, one event in each, {SENDERS} pushes open at a time", "bold")
    pushes = [wrapped(event, str(number)) for number, event in enumerate(MESSAGES.records())]
    before = stage.standin.summary()["requests"]
    with processes.function("pubsub_import", environment=stage.settings, on_line=stage.log.tell) as function:
        answers = asyncio.run(send(function.url, pushes, SENDERS))
    requests = stage.standin.summary()["requests"] - before
    acknowledged = answers.counts()[204]
    pairs = [
        ("acknowledged", f"{acknowledged:,}"),
        ("requests", f"{requests:,}"),
        ("took", f"{answers.seconds:.2f} s"),
        ("held open", f"{answers.percentile(0.5) * 1000:.0f} ms"),
    ]
    screen.numbers("   ", pairs)
    _expect(acknowledged == MESSAGES.count, f"of {MESSAGES.count:,} pushes, {acknowledged:,} were acknowledged")
    held = stage.standin.ids()
    missing = sum(held.get(identifier) != 1 for identifier in MESSAGES.ids())
    _expect(not missing, f"of {MESSAGES.count:,} messages, {missing:,} are not in the stand-in, or more than once")
    screen.line(
        f"   ✓ {MESSAGES.count:,} messages became {requests:,} requests; all are in the stand-in, each once", "green"
    )


PARTS = (show_files, show_tables, show_messages)
"""What is shown, in order. Another way in is another function here, on the same stage."""


def _import(stage: Stage, name: str, content: bytes) -> Import:
    """Writes an object, and waits until the function has dealt with it."""
    stage.bucket.put(name, content)
    deadline = time.monotonic() + _PATIENCE
    while (done := stage.log.next(timeout=0.5)) is None:
        _expect_alive(stage)
        if time.monotonic() > deadline:
            raise DemoError(f"{name} was not imported within {_PATIENCE:g} s. {stage.function.process.tail}")
    if done.summary["outcome"] != "done":
        raise DemoError(done.summary["message"])
    return done


def _show(screen: Screen, done: Import) -> None:
    """Prints what became of one object."""
    counts = done.summary
    if counts["outcome"] in {"skipped", "gone"}:
        screen.line(f"   {counts['message']}", "dim")
        return
    screen.numbers("   ", [(name, f"{counts[name]:,}") for name in ("read", "imported", "rejected", "dropped")])
    requests = f"{counts['requests']:,}" + (f" ({counts['retried']} retries)" if counts["retried"] else "")
    seconds = counts["seconds"]
    figures = [("requests", requests), ("sent", size(counts["sent_bytes"])), ("took", f"{seconds:.2f} s")]
    if seconds > 0.1:
        speed = f"{counts['read'] / seconds:,.0f} events/s, {counts['bytes'] / seconds / 1e6:,.0f} MB/s"
        figures.append(("speed", speed))
    screen.numbers("   ", figures)
    for reject in done.rejects:
        screen.line(f"     line {reject['line']:>7,}  {reject['reason']}", "yellow")
    if (more := counts["rejected"] - len(done.rejects)) > 0:
        screen.line(f"     and {more:,} more", "yellow")
    if counts["outcome"] != "done":
        screen.line(f"   {counts['outcome']}: {counts.get('reason')}", "red")


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _expect(holds: bool, truth: str) -> None:
    if not holds:
        raise DemoError(f"The importer's report does not add up: {truth}.")


def _expect_exactly(stage: Stage, ids: Iterable[str]) -> None:
    """Checks that the stand-in holds these events, each once, and no others."""
    held, wanted = stage.standin.ids(), set(ids)
    missing, extra = wanted - held.keys(), held.keys() - wanted
    twice = [name for name, count in held.items() if count != 1]
    for problem, names in (("missing", missing), ("there and should not be", extra), ("there more than once", twice)):
        if names:
            raise DemoError(f"In the stand-in {len(names):,} events are {problem}, such as {next(iter(names))}.")


def _expect_alive(stage: Stage) -> None:
    if stage.function.process.exited:
        raise DemoError(f"The function has ended by itself.\n{stage.function.process.tail}")


# Staying, for files of one's own


def stay(stage: Stage) -> None:
    """Says where everything is, and goes on printing what becomes of each object, until it is interrupted."""
    screen, bucket = stage.screen, stage.bucket
    screen.line()
    screen.line("It all keeps running until you press Ctrl-C:", "bold")
    screen.line(f"   live view    {stage.standin.url}/")
    screen.line(f"   bucket       gs://{bucket.name} at {bucket.url}")
    screen.line(f"   gcs_import   {stage.function.url}")
    screen.line()
    screen.line("Write a file of your own to the bucket, with curl")
    screen.command(f"   curl -T my-events.jsonl {bucket.url}/{bucket.name}/")
    screen.line("or with gcloud, in a terminal set to the local bucket:")
    screen.command(
        f"   export CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE={bucket.url}/ CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true"
    )
    screen.command(f"   gcloud storage cp my-events.jsonl gs://{bucket.name}/")
    while True:
        _expect_alive(stage)
        if done := stage.log.next(timeout=0.5):
            screen.line()
            screen.line(done.summary["source"].rpartition("#")[0] or done.summary["source"], "bold")
            _show(screen, done)


def main() -> int:
    """Runs the demo as the command line says.

    Returns:
        The exit code: 0 if everything added up, 1 if not, 130 if it was interrupted before it was through.
    """
    arguments = argparse.ArgumentParser(prog="python -m sandbox.demo", description="Shows the importer at work here.")
    arguments.add_argument("--keep", action="store_true", help="leave everything running, for files of your own")
    given = arguments.parse_args()
    screen = Screen()
    shown = False
    try:
        with processes.ended_by_signals():
            screen.line(
                "Starting a stand-in for Mixpanel, a local bucket, and gcs_import as production runs it …", "dim"
            )
            with staged(screen) as stage:
                for part in PARTS:
                    part(stage)
                shown = True
                if given.keep:
                    stay(stage)
    except (DemoError, processes.ProcessError, OSError, TimeoutError) as error:
        screen.line()
        print(f"The demo did not work out: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        screen.line()
        screen.line("Stopped; nothing is left running.", "dim")
        return 0 if shown else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
