"""Google's own Pub/Sub emulator, where gcloud has it: a topic and a push subscription that behave as in production.

gcloud runs it in Java, as a process of its own; here nothing of either is left behind. Google's clients reach it
through `PUBSUB_EMULATOR_HOST`. It pushes two messages at a time, so it proves correctness and no throughput:
https://cloud.google.com/pubsub/docs/emulator
"""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from sandbox.processes import Process, free_port

_INSTALL = (
    "install the Google Cloud CLI (https://cloud.google.com/sdk/docs/install), Java 11 or later, and then "
    "`gcloud components install beta pubsub-emulator` (with apt: google-cloud-cli-pubsub-emulator)"
)
_WITH_ITS_CHILDREN = """
trap 'trap "" TERM; kill -s KILL -- -$gcloud $gcloud 2>/dev/null; kill -s KILL 0' TERM
"$@" & gcloud=$!
wait $gcloud
"""
"""gcloud leads a process group of its own, and leaves Java running when it is told to end. This shell takes all of them
with it, whoever tells it: we, or the kernel when we were killed."""

_START = 90.0
_PUBLISHED_AT_ONCE = 1_000
"""Messages in one request to publish, at most: https://cloud.google.com/pubsub/quotas#resource_limits"""


@dataclass(frozen=True, slots=True)
class Emulator:
    """The running emulator, at `host` (`127.0.0.1:port`); what is made in it belongs to `project`."""

    host: str
    project: str

    def subscribe(self, topic: str, endpoint: str | None, ack_deadline: int = 10, **options: Any) -> None:
        """Makes a topic, and a subscription of the same name that pushes its messages to `endpoint`, or
        holds them until they are pulled where that is None.

        Args:
            ack_deadline: seconds that a push may go unanswered.
            options: fields of the subscription (https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions).
        """
        name = f"projects/{self.project}/topics/{topic}"
        push = {"pushConfig": {"pushEndpoint": endpoint}} if endpoint else {}
        made = {"topic": name, "ackDeadlineSeconds": ack_deadline, **push, **options}
        self._call("PUT", name, {})
        self._call("PUT", f"projects/{self.project}/subscriptions/{topic}", made)

    def publish(self, topic: str, messages: Sequence[bytes]) -> None:
        """Publishes messages with these bytes as their data."""
        for start in range(0, len(messages), _PUBLISHED_AT_ONCE):
            some = messages[start : start + _PUBLISHED_AT_ONCE]
            body = {"messages": [{"data": base64.b64encode(data).decode()} for data in some]}
            self._call("POST", f"projects/{self.project}/topics/{topic}:publish", body)

    def _call(self, method: str, path: str, body: dict[str, Any]) -> None:
        answer = requests.request(method, f"http://{self.host}/v1/{path}", json=body, timeout=60)
        answer.raise_for_status()


def missing() -> str | None:
    """A sentence that says what is to be installed before the emulator can run; None when it can."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return f"There is no gcloud on the PATH: {_INSTALL}."
    if shutil.which("java") is None:
        return f"There is no java on the PATH: {_INSTALL}."
    sdk = Path(gcloud).resolve().parent.parent
    if (sdk / "platform").is_dir() and not (sdk / "platform" / "pubsub-emulator").is_dir():
        return f"gcloud has no Pub/Sub emulator: {_INSTALL}."
    return None


@contextmanager
def emulator(project: str = "sandbox", port: int | None = None) -> Iterator[Emulator]:
    """Runs the emulator until the `with` block is left; it starts empty, and keeps nothing.

    Args:
        port: where it listens, on 127.0.0.1; by default on a free port.

    Raises:
        ProcessError: it did not start; the text has what it wrote.
    """
    port = port or free_port()
    host = f"127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="pubsub-emulator-") as directory:
        gcloud = ["gcloud", "beta", "emulators", "pubsub", "start"]
        gcloud += [f"--host-port={host}", f"--project={project}", f"--data-dir={directory}", "--quiet"]
        command = ["sh", "-c", _WITH_ITS_CHILDREN, "pubsub-emulator", *gcloud]
        with Process(command, name="the Pub/Sub emulator", environment=_environment(directory)) as process:
            process.wait_until(lambda: _answers(port), timeout=_START)
            yield Emulator(host, project)


def _environment(directory: str) -> dict[str, str]:
    """Ours, but gcloud finds neither the user's settings nor a reason to call home."""
    return {
        **os.environ,
        "CLOUDSDK_CONFIG": f"{directory}/gcloud",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
    }


def _answers(port: int) -> bool | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200 or None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
