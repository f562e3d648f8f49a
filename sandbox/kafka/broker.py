"""A real Kafka broker: one node in KRaft mode, its jars from Maven Central, its data in a temporary folder.

Its port stays the same when it is stopped and started, and so do its topics and offsets.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

from sandbox.processes import ROOT, Process, ProcessError, free_port

_CLUSTER = "c2FuZGJveC1rYWZrYS0xMg"
_JARS = ROOT / ".sandbox" / "kafka-jars"
_INSTALL = "install Java 17 or later and Maven (with apt: openjdk-17-jre-headless, maven)"
_START = 60.0
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
num.partitions=12
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


class Broker:
    """The broker at `address` (`127.0.0.1:port`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._properties = folder / "server.properties"
        text = _PROPERTIES.format(port=self._port, controller=free_port(), data=folder / "data")
        self._properties.write_text(text, encoding="utf-8")
        self._process: Process | None = None
        _java("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(self._properties))

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        environment = {**os.environ, "LOG_DIR": str(self._folder)}
        command = ["java", "-Xmx512m", "-cp", f"{_JARS}/*", "kafka.Kafka", str(self._properties)]
        self._process = Process(command, name="Kafka", environment=environment)
        self._process.wait_until(self._answers, timeout=_START)

    def stop(self) -> None:
        """Stops it in order; what it holds stays."""
        if self._process:
            self._process.stop(grace=30)

    def _answers(self) -> bool | None:
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0, "socket.timeout.ms": 1000})
        try:
            return bool(client.list_topics(timeout=1).brokers) or None
        except Exception:
            return None


def missing() -> str | None:
    """A sentence that says what is to be installed before the broker can run; None when it can."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            return f"There is no {program} on the PATH: {_INSTALL}."
    return None


@contextmanager
def broker() -> Iterator[Broker]:
    """Runs the broker until the `with` block is left; it starts empty.

    Raises:
        ProcessError: it did not start; the text has what it wrote.
    """
    _get_jars()
    with tempfile.TemporaryDirectory(prefix="kafka-") as folder:
        made = Broker(Path(folder))
        try:
            made.start()
            yield made
        finally:
            made.stop()


def _get_jars() -> None:
    if (_JARS / "ready").exists():
        return
    pom = ROOT / "sandbox" / "kafka" / "pom.xml"
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={_JARS}"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise ProcessError(f"Maven did not get Kafka's jars: {run.stdout[-2000:]}")
    (_JARS / "ready").touch()


def _java(*words: str) -> None:
    run = subprocess.run(["java", "-cp", f"{_JARS}/*", *words], capture_output=True, text=True, check=False)
    if run.returncode:
        raise ProcessError(f"{words[0]} failed: {run.stdout[-2000:]}{run.stderr[-2000:]}")
