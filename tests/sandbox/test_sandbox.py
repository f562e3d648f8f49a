"""`python -m sandbox`: everything at once, as a user starts, uses and stops it."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
import requests

from sandbox.clients import Standin, Topic
from sandbox.topic import emulator as pubsub_emulator
from tests.sandbox.marked import Marked, needs_proc

T = TypeVar("T")
ANY_PORTS = tuple(
    part for name in ("page", "bucket", "gcs", "pubsub", "pubsub-emulator") for part in (f"--{name}-port", "0")
)


MAPPING = "def to_mixpanel(record):\n    record['event'] += {!r}\n    return record\n"


class Running(Marked):
    """A sandbox on free ports."""

    def __init__(self, *options: str, **environment: str) -> None:
        super().__init__("sandbox", *options, stderr=subprocess.STDOUT, environment=environment)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.shown += line

    def wait_for(self, pattern: str, after: int = 0) -> re.Match[str]:
        """Waits until it has shown something."""
        return until(lambda: re.compile(pattern).search(self.shown, after), lambda: f"{pattern!r} in:\n{self.shown}")

    @property
    def view(self) -> Standin:
        return Standin(self.wait_for(r"live view +(http://\S+)/")[1])

    def command(self, start: str) -> str:
        """A command as it is shown."""
        return self.wait_for(rf"(?m)^   ({re.escape(start)}.*)$")[1]

    def ask(self, what: str) -> Any:
        return requests.get(f"{self.view.url}/sandbox/{what}", timeout=10).json()

    def ports(self) -> list[int]:
        self.wait_for("Ctrl-C stops it all")
        return [urlsplit(url).port or 0 for url in set(re.findall(r"http://127\.0\.0\.1:\d+", self.shown))]

    def ends(self) -> int:
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=5)
        return code


@contextmanager
def running(*options: str, **environment: str) -> Iterator[Running]:
    sandbox = Running(*options, **environment)
    try:
        yield sandbox
    finally:
        sandbox.process.terminate()
        sandbox.ends()
        for pid in sandbox.left():
            os.kill(pid, signal.SIGKILL)


def until(ready: Callable[[], T | None], what: Callable[[], object] = str, timeout: float = 30) -> T:
    """Asks until there is an answer that holds."""
    deadline = time.monotonic() + timeout
    while not (answer := ready()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)
    return answer


def event(name: str, **properties: Any) -> str:
    return json.dumps({"event": name, "properties": {"time": 1_700_000_000, "distinct_id": "me", **properties}})


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_process_and_no_port_is_left_when_it_is_stopped(number: signal.Signals) -> None:
    with running(*ANY_PORTS, "--no-emulator") as sandbox:
        ports = sandbox.ports()
        assert len(ports) == 5
        assert len(sandbox.left()) >= 6
        sandbox.process.send_signal(number)
        assert sandbox.ends() == (0 if number == signal.SIGINT else 128 + number)
        assert sandbox.left() == []
        assert all(map(is_free, ports))
    assert "Traceback" not in sandbox.shown


@needs_proc
def test_with_googles_emulator_messages_wait_for_a_broken_transform_to_be_mended(tmp_path: Path) -> None:
    if missing := pubsub_emulator.missing():
        pytest.skip(missing)
    mapping = tmp_path / "their_mapping.py"
    mapping.write_text("def to_mixpanel(record:\n")
    shell = {"PYTHONPATH": str(tmp_path)}
    with running(*ANY_PORTS, "--transform", "their_mapping:to_mixpanel", **shell) as sandbox:
        sandbox.wait_for("wait until that is mended")
        ports = sandbox.ports()
        subprocess.run(sandbox.command("curl -H"), shell=True, check=True, capture_output=True)  # noqa: S602
        mapping.write_text(MAPPING.format(" 2"))
        until(lambda: [each["event"]["event"] for each in sandbox.ask("events")] == ["Signup 2"])
        sandbox.process.send_signal(signal.SIGTERM)
        assert sandbox.ends() == 128 + signal.SIGTERM
        assert until(lambda: not sandbox.left(), timeout=5)
        assert all(map(is_free, ports))


def test_a_taken_port_gets_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with running(*ANY_PORTS, "--bucket-port", str(port)) as sandbox:
            assert sandbox.ends() == 1
    assert sandbox.shown.startswith(
        f"The sandbox cannot run: Port {port}, for the bucket, cannot be had: Address already"
    )
    assert "choose another with --bucket-port" in sandbox.shown
    assert sandbox.shown.count("\n") == 1


def test_a_folder_that_is_not_there_gets_a_sentence() -> None:
    with running("--watch", "no/such/folder") as sandbox:
        assert sandbox.ends() == 2
    assert "there is no folder no/such/folder" in sandbox.shown


@dataclass(frozen=True)
class Desk:
    """A running sandbox, and the files of its user."""

    sandbox: Running
    mapping: Path
    settings: Path
    folder: Path

    def write(self, name: str, *lines: str) -> None:
        """Writes a file to the bucket, by the command that is shown."""
        file = self.mapping.with_name(name)
        file.write_text("\n".join(lines))
        self.run(self.sandbox.command("curl -T").replace("my-events.jsonl", str(file)))

    def run(self, command: str) -> None:
        subprocess.run(command, shell=True, check=True, capture_output=True)  # noqa: S602

    def events(self) -> list[Any]:
        return [each["event"]["event"] for each in self.sandbox.ask("events")][::-1]

    def wait_for_events(self, *names: str) -> None:
        until(lambda: sorted(self.events()) == sorted(names), lambda: f"{self.events()}\n{self.sandbox.shown}")

    def change(self, file: Path, text: str, then: str) -> None:
        """Changes a file, and waits until that has shown."""
        so_far = len(self.sandbox.shown)
        file.write_text(text)
        self.sandbox.wait_for(re.escape(file.name) + r" changed: .*\n(.*\n)*?.*" + then, so_far)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    place = tmp_path_factory.mktemp("desk")
    mapping, settings, folder = place / "my_mapping.py", place / "my.env", place / "drop"
    mapping.write_text(MAPPING.format(""))
    settings.write_text("# mine\nexport LOG_LEVEL='INFO'\n")
    folder.mkdir()
    (folder / "old.jsonl").write_text(event("Old"))
    options = ("--no-emulator", "--env-file", str(settings), "--watch", str(folder))
    shell = {"PYTHONPATH": str(place), "IMPORT_TRANSFORM": "my_mapping:to_mixpanel", "MIXPANEL_API_URL": "http://[::]"}
    with running(*ANY_PORTS, *options, **shell) as sandbox:
        sandbox.wait_for("Ctrl-C stops it all")
        yield Desk(sandbox, mapping, settings, folder)


@pytest.fixture
def desk(everything: Desk) -> Desk:
    everything.sandbox.view.reset()
    return everything


def test_a_file_arrives_and_its_bad_lines_are_shown_with_their_reasons(desk: Desk) -> None:
    desk.write("salted.jsonl", event("Signup"), "{broken", event("Login", distinct_id="anonymous"), event("Logout"))
    desk.wait_for_events("Signup", "Logout")
    (source,) = until(lambda: [each for each in desk.sandbox.ask("sources") if each["runs"]])
    report = source["runs"][0]
    assert source["name"].startswith("gs://events/salted.jsonl")
    assert (report["read"], report["imported"], report["rejected"]) == (4, 2, 2)
    with requests.get(f"{desk.sandbox.view.url}/sandbox/stream", stream=True, timeout=10) as feed:
        told = json.loads(next(feed.iter_lines()).removeprefix(b"data: "))
    assert sorted(reject["line"] for reject in told["rejects"]) == [2, 3]
    assert desk.sandbox.ask("summary")["imported"] == 2
    desk.sandbox.wait_for(r"\d\d:\d\d:\d\d  gs://events/salted\.jsonl\S*, line 2: .*not JSON")
    desk.sandbox.wait_for(r"\d\d:\d\d:\d\d  gs://events/salted\.jsonl.*read 4, imported 2, rejected 2")


def test_messages_are_published_by_the_command_that_is_shown_and_by_gclouds_own_way(desk: Desk) -> None:
    command = desk.sandbox.command("curl --data-binary")
    desk.run(command)
    data = base64.b64encode(event("Login").encode()).decode()
    url = f"{command.split()[-1]}v1/projects/sandbox/topics/events:publish"
    answer = requests.post(url, json={"messages": [{"data": data}, {"data": ""}]}, timeout=10)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "A message needs data or an attribute.")
    assert len(requests.post(url, json={"messages": [{"data": data}]}, timeout=10).json()["messageIds"]) == 1
    desk.wait_for_events("Signup", "Login")
    Topic(command.split()[-1]).publish(b"{broken")
    desk.sandbox.wait_for(r"projects/sandbox/subscriptions/events.*not JSON")
    until(lambda: any("subscriptions/events" in each["name"] for each in desk.sandbox.ask("sources")))


def test_what_is_new_or_changed_in_the_folder_is_written_to_the_bucket(desk: Desk) -> None:
    (desk.folder / "2026").mkdir()
    (desk.folder / "2026" / "a.jsonl").write_text(event("First"))
    (desk.folder / ".hidden").write_text(event("Hidden"))
    desk.wait_for_events("First")
    desk.sandbox.wait_for(r"is written to gs://events/2026/a\.jsonl")
    (desk.folder / "2026" / "a.jsonl").write_text(event("Second"))
    desk.wait_for_events("First", "Second")


def test_a_changed_transform_changes_what_arrives_and_a_broken_one_holds_it_back(desk: Desk) -> None:
    desk.change(desk.mapping, MAPPING.format(" 2"), "The functions run again")
    desk.write("a.jsonl", event("A"))
    desk.wait_for_events("A 2")

    desk.change(desk.mapping, "def to_mixpanel(record:\n", "wait until that is mended")
    assert re.search(r"importing my_mapping failed: SyntaxError: .*line 1", desk.sandbox.shown)
    desk.write("b.jsonl", event("B"))
    Topic(desk.sandbox.command("curl --data-binary").split()[-1]).publish(event("C").encode())
    time.sleep(0.5)
    assert desk.events() == ["A 2"]

    desk.change(desk.mapping, MAPPING.format(" 3"), "The functions run again")
    desk.wait_for_events("A 2", "B 3", "C 3")


def test_changed_settings_count_and_wrong_ones_get_their_sentence(desk: Desk) -> None:
    desk.change(desk.settings, "IMPORT_BATCH_EVENTS=many\n", "wait until that is mended")
    assert "IMPORT_BATCH_EVENTS is 'many': it must be a whole number from 1 to 2000." in desk.sandbox.shown
    desk.change(desk.settings, "IMPORT_BATCH_EVENTS\n", r"line 1 is not NAME=value\.\n.*wait until")
    desk.change(
        desk.settings, "IMPORT_TRANSFORM=\nIMPORT_BATCH_EVENTS=1\nIMPORT_REJECTS=gs://refused/here", "run again"
    )
    desk.write("c.jsonl", event("A"), event("B"), "{broken")
    desk.wait_for_events("A", "B")
    assert desk.sandbox.ask("summary")["requests"] == 2
    bucket = re.search(r"gs://events at (\S+)", desk.sandbox.shown)
    assert bucket
    until(lambda: requests.get(f"{bucket[1]}/storage/v1/b/refused/o", timeout=10).json().get("items"))


def test_what_is_written_to_the_local_s3_goes_through_the_handler_of_lambda() -> None:
    with running(*ANY_PORTS, "--s3", "--s3-port", "0", "--no-emulator") as sandbox:
        s3 = sandbox.wait_for(r"S3 +s3://events at (http://\S+)")[1]
        sandbox.wait_for("Ctrl-C stops it all")
        event = {"event": "Signup", "properties": {"time": 1748736000, "distinct_id": "u"}}
        requests.put(f"{s3}/events/a.jsonl", data=json.dumps(event), timeout=10).raise_for_status()
        until(lambda: sandbox.view.summary()["imported"] == 1 or None)
        sandbox.wait_for(r"s3://events/a\.jsonl")
        ports = sandbox.ports()
        sandbox.process.send_signal(signal.SIGINT)
        assert sandbox.ends() == 0
        assert sandbox.left() == []
        assert all(map(is_free, ports))
