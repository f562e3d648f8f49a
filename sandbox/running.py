"""All parts of the sandbox, started, watched and stopped: the stand-ins, and the functions that follow what changes."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from sandbox import processes
from sandbox.clients import Bucket, EmulatedTopic, Standin, Topic
from sandbox.functions import Functions, NotStartedError
from sandbox.log_forwarder import Teller
from sandbox.log_view import News
from sandbox.processes import ROOT, OnLine, Service
from sandbox.screen import Screen
from sandbox.topic import emulator as pubsub_emulator
from sandbox.topic import server as topic
from sandbox.variables import Variables, VariablesError, mapping_file, transform_files, variables
from sandbox.watch import Changes, files_under

if TYPE_CHECKING:
    from sandbox.aws.running import LocalLambda

_LOOK_EVERY = 0.2
"""Seconds between two looks at the files."""


class SandboxError(Exception):
    """It cannot start or go on; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. Ports are not 0 any more."""

    mapping: str | None
    transform: str | None
    env_file: Path | None
    watch: Path | None
    bucket: str
    emulator: bool
    s3: bool
    tls: bool
    ports: Mapping[str, int]


class Running:
    """All that runs, from entering its `with` block to leaving it."""

    def __init__(self, options: Options, screen: Screen) -> None:
        self._options = options
        self._screen = screen
        self._news = News(screen)
        self._variables: Variables | None = None
        self._picked: tuple[str | None, str | None] | None = None  # on the page, and what was set then
        self._stack = ExitStack()
        self.s3: LocalLambda | None = None

    def __enter__(self) -> Running:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            self.functions.stop()
            if self.s3:
                self.s3.stop()
            for service in self._services:
                service.process.end()

    def _start(self, stack: ExitStack) -> None:
        ports, name = self._options.ports, self._options.bucket
        port = {flag: str(number) for flag, number in ports.items()}
        start = stack.enter_context
        self._services: list[Service] = []
        service = start(processes.service("sandbox.bucket", "--port", port["bucket_port"], "--bucket", name))
        self._services.append(service)
        self.bucket = Bucket(service.url, name)
        # Its previews run the transform, whose compiled form is not to be taken for the next one's.
        secure = ("--tls", "--tls-port", port["tls_port"]) if self._options.tls else ()
        service = start(
            processes.service(
                *("sandbox.mixpanel", "--port", port["page_port"], "--bucket-url", self.bucket.url, "--bucket", name),
                *secure,
                environment={"PYTHONDONTWRITEBYTECODE": "1", "IMPORT_TRANSFORM": "", "IMPORT_MAPPING": ""},
            )
        )
        self._services.append(service)
        self._view = service
        self.standin = Standin(service.url)
        self._places = {"MIXPANEL_API_URL": self.standin.url, "STORAGE_EMULATOR_HOST": self.bucket.url}
        self.topic: Topic | EmulatedTopic
        missing = pubsub_emulator.missing()
        if self._options.emulator and missing:
            self._screen.whole(f"A small topic takes the place of Google's Pub/Sub emulator. {missing}", "dim")
        if self._options.emulator and not missing:
            self._screen.line("Starting Google's Pub/Sub emulator (--no-emulator does without) …", "dim")
            emulator = start(pubsub_emulator.emulator(topic.PROJECT, ports["pubsub_emulator_port"]))
            emulator.subscribe(topic.NAME, f"http://127.0.0.1:{ports['pubsub_port']}", ack_deadline=60)
            self.topic = EmulatedTopic(f"http://{emulator.host}", topic.SUBSCRIPTION)
            self._places["PUBSUB_EMULATOR_HOST"] = emulator.host
        else:
            service = start(processes.service("sandbox.topic", "--port", port["pubsub_emulator_port"]))
            self._services.append(service)
            self.topic = Topic(service.url)
        tell = start(Teller(self.standin.url))

        def hear(line: str) -> None:
            tell(line)
            self._news.take(line)

        if self._options.s3:
            self.s3 = start(self._local_lambda(start, port["s3_port"], hear))

        functions = {"gcs_import": ports["gcs_port"], "pubsub_import": ports["pubsub_port"]}
        self.functions = start(Functions(functions, hear))

    def _local_lambda(self, start: Callable[[Any], Any], port: str, hear: OnLine) -> LocalLambda:
        from sandbox.aws.clients import Cloud  # noqa: PLC0415 (takes a while, and is not always wanted)
        from sandbox.aws.running import LocalLambda  # noqa: PLC0415

        service = start(processes.service("sandbox.aws", "--port", port, "--bucket", self._options.bucket))
        self._services.append(service)
        return LocalLambda(Cloud(service.url, self._options.bucket), hear)

    # The functions, and what they depend on

    def run_functions(self) -> str | None:
        """Starts the functions with the settings and code as they are now.

        Returns:
            Why they do not run, if they do not. What comes in waits then, as it would in production, until they do.
        """
        try:
            self._read_settings()
            self._tell_view("starting")
            self.functions.start(self._variables.all if self._variables else {})
        except (VariablesError, NotStartedError) as error:
            self._stay_down(str(error))
            return str(error)
        else:
            self.bucket.send_events_to(self.functions.url("gcs_import"))
            self.topic.push_to(self.functions.url("pubsub_import"))
            if self.s3:
                self.s3.start(self._variables.all if self._variables else {})
            self._tell_view("running")
            return None

    def _read_settings(self) -> None:
        given = self._options
        found = variables(os.environ, given.env_file, given.transform, self._places, given.mapping)
        if found.topic and isinstance(self.topic, EmulatedTopic):
            self.topic.make(found.topic)
        elif found.topic:
            raise VariablesError(
                "IMPORT_REJECTS names a topic, and only Google's emulator has those; name a bucket here."
            )
        for name in found.buckets():
            self.bucket.make(name)
        if self._picked and found.given.get("IMPORT_MAPPING") != self._picked[1]:
            self._picked = None  # what is set has changed since
        self._variables = found.with_mapping(self._picked[0]) if self._picked else found

    def _tell_view(self, state: str, why: str | None = None) -> None:
        """Says to the page how it is with the functions, and what they and previews go by."""
        found = self._variables
        told: dict[str, Any] = {"functions": {"state": state, "why": why}}
        if found:
            told |= {"mapping": found.mapping, "transform": found.transform, "rejects": found.rejects}
            told["environment"] = dict(found.all)
        kind = "topic" if isinstance(self.topic, Topic) else "gcloud_topic"
        told[kind] = self.topic.url if isinstance(self.topic, Topic) else f"{self.topic.url}/v1/{topic.TOPIC}"
        self.standin.tell_around(told)

    def _stay_down(self, why: str) -> None:
        self._tell_view("down", why)
        self.functions.stop()
        if self.s3:
            self.s3.stop()
        self.bucket.send_events_to(None)
        self.topic.push_to(None)

    def complain(self, why: str) -> None:
        """Says why the functions do not run."""
        self._news.say(why, "red")
        self._news.say("The functions do not run. Files and messages wait until that is mended.", "red")

    def _sources(self) -> Iterator[Path]:
        """The files that the functions are made of."""
        yield from ROOT.glob("*.py")
        yield from (ROOT / "importer").rglob("*.py")
        if self._variables:
            search = {**os.environ, **self._variables.all}
            yield from transform_files(self._variables.transform, search)
        if file := mapping_file(self._mapping()):
            yield file
        if self._options.env_file:
            yield self._options.env_file

    def _mapping(self) -> str | None:
        """The mapping in use: the one that was picked, or else the one that is set."""
        return self._picked[0] if self._picked else self._variables.mapping if self._variables else None

    # Going on

    def go_on(self) -> None:
        """Shows what happens, and follows what changes, until it is interrupted.

        Raises:
            SandboxError: something has ended that cannot be done without.
        """
        self._changes = sources = Changes(self._sources)
        folder = Changes(lambda: files_under(self._options.watch) if self._options.watch else ())
        while True:
            self._news.show(timeout=_LOOK_EVERY)
            self._check()
            self._follow_view()
            if changed := sources.settled():
                self._reload(changed)
            for path in folder.settled():
                self._write(path)

    def _check(self) -> None:
        for service in self._services:
            if service.process.exited:
                raise SandboxError(f"{service.process.name} has ended by itself.\n{service.process.tail}")
        try:
            self.functions.check()
        except NotStartedError as error:
            self._stay_down(str(error))
            self.complain(str(error))

    def _reload(self, changed: list[Path]) -> None:
        names = ", ".join(_short(path) for path in changed[:3]) + (", …" if len(changed) > 3 else "")
        self._start_again(f"{names} changed")

    def _follow_view(self) -> None:
        """Does what was picked on the page."""
        picked: dict[str, str | None] = {}
        while self._view.lines:
            with contextlib.suppress(ValueError):
                picked = json.loads(self._view.lines.popleft())
        if "mapping" in picked:
            name = picked["mapping"]
            self._picked = name, self._variables.given.get("IMPORT_MAPPING") if self._variables else None
            self._changes.follow()
            self._start_again(f"The mapping {name} is picked" if name else "No mapping is picked")

    def _start_again(self, because: str) -> None:
        self._news.say(f"{because}: starting the functions again …", "bold")
        began = time.monotonic()
        if why := self.run_functions():
            self.complain(why)
        else:
            self._news.say(f"The functions run again, after {time.monotonic() - began:.1f} s.", "bold")

    def _write(self, path: Path) -> None:
        """Writes a file of the watched folder to the bucket."""
        name = path.relative_to(self._options.watch or path.parent).as_posix()
        try:
            with path.open("rb") as content:
                self.bucket.put(name, content)
        except FileNotFoundError:
            return
        except (OSError, requests.RequestException) as error:
            self._news.say(f"{path} was not written to the bucket: {error}", "red")
        else:
            self._news.say(f"{path} is written to gs://{self.bucket.name}/{name}", "dim")

    def introduce(self) -> None:
        """Says where everything is, and how to use it."""
        line, command, bucket = self._screen.line, self._screen.command, self.bucket
        given, watch = self._variables.given if self._variables else {}, self._options.watch
        line()
        line(f"   live view       {self.standin.url}/", "bold")
        if "tls_url" in self._view.ready:
            line(f"   over HTTPS      {self._view.ready['tls_url']}, certificate {self._view.ready['certificate']}")
        line(f"   bucket          gs://{bucket.name} at {bucket.url}")
        made_by = "in Google's emulator" if isinstance(self.topic, EmulatedTopic) else "without Google's emulator"
        line(f"   topic           {topic.TOPIC} at {self.topic.url}, {made_by}")
        for name in ("gcs_import", "pubsub_import"):
            line(f"   {name:<15} {self.functions.url(name)}")
        if self.s3:
            line(f"   S3              s3://{self.s3.cloud.bucket} at {self.s3.cloud.url}")
        line(f"   settings        {', '.join(sorted(given)) or 'all as by default'}")
        mapping = self._variables.mapping if self._variables else None
        line(f"   mapping         {mapping or 'none'}; another can be picked on the live view")
        if watch:
            line(f"   watched folder  {watch}: what is new or changed there is written to the bucket")
        line()
        line("Write a file to the bucket: drop it on the live view, or")
        command(f"   curl -T my-events.jsonl {bucket.url}/{bucket.name}/")
        command(f"   {_overrides('STORAGE', bucket.url)} gcloud storage cp my-events.jsonl gs://{bucket.name}/")
        if self.s3:
            cloud = self.s3.cloud
            line("Write a file to S3, whose queue the handler of AWS Lambda is called with:")
            command(f"   curl -T my-events.jsonl {cloud.url}/{cloud.bucket}/")
            given_to = " ".join(f"{name}={value}" for name, value in cloud.environment.items() if "REGION" not in name)
            command(f"   {given_to} aws s3 cp my-events.jsonl s3://{cloud.bucket}/")
        line("Publish a message:")
        event = json.dumps({"event": "Signup", "properties": {"time": int(time.time()), "distinct_id": "user-1"}})
        if isinstance(self.topic, Topic):
            command(f"   curl --data-binary '{event}' {self.topic.url}/")
        else:
            data = base64.b64encode(event.encode()).decode()
            message = json.dumps({"messages": [{"data": data}]})
            command(
                f"   curl -H 'Content-Type: application/json' -d '{message}' {self.topic.url}/v1/{topic.TOPIC}:publish"
            )
        overrides = _overrides("PUBSUB", self.topic.url)
        command(f"   {overrides} gcloud pubsub topics publish {topic.TOPIC} --message='{event}'")
        line()
        line(
            "Change the mapping, the transform, the settings or the importer, and the functions start again. "
            "Ctrl-C stops it all."
        )
        line()


def _overrides(api: str, url: str) -> str:
    """What makes gcloud, in front of its command, speak to a stand-in."""
    return f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}={url}/ CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true"


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
