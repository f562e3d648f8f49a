"""The runbook as somebody on call uses it: its commands, copied out of docs/operations.md, against the sandbox.

What differs from there are names, and days: "2025-06-01" is today.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox import processes
from sandbox.clients import Bucket, Standin
from tests.conftest import StartFunction
from tests.deploy.cloud import PROJECT, ROOT, SECRET, StandIn

RUNBOOK = (ROOT / "docs/operations.md").read_text()
TODAY = f"{datetime.now(UTC):%Y-%m-%d}"


def section(title: str) -> list[str]:
    """The pieces of shell in a section."""
    (text,) = re.findall(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", RUNBOOK, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)


def piece(title: str, holding: str) -> str:
    """The one piece in a section that holds a text."""
    (found,) = [block for block in section(title) if holding in block]
    return found


def event(identifier: str, **properties: Any) -> bytes:
    known = {"time": 1_735_689_600, "distinct_id": "u1", "$insert_id": identifier}
    return json.dumps({"event": "Seen", "properties": known | properties}).encode() + b"\n"


class Shell:
    """A folder with a checkout, as somebody on call has it, and a project, a bucket and a log to look into."""

    def __init__(self, folder: Path, google: StandIn, standin: Standin, bucket: Bucket) -> None:
        self.folder, self.google, self.standin, self.bucket = folder, google, standin, bucket
        self.log = folder / "log"
        self.log.write_text("")
        (folder / "bin").mkdir()
        (folder / ".venv/bin").mkdir(parents=True)
        self._program(folder / "bin/gcloud", f'exec {sys.executable} {ROOT}/tests/deploy/local_gcloud.py "$@"')
        self._program(folder / ".venv/bin/python", f'exec {sys.executable} "$@"')
        self._program(folder / "deploy.sh", f'exec {ROOT}/deploy.sh "$@"')

    def _program(self, file: Path, line: str) -> None:
        file.write_text(f"#!/bin/bash\n{line}\n")
        file.chmod(0o755)

    def curl(self, answer: str) -> None:
        """From now on, curl answers so."""
        (self.folder / "answer").write_text(answer)
        self._program(self.folder / "bin/curl", f"cat {self.folder}/answer")

    def logged(self, function: processes.Function, service: str = "mixpanel-files") -> None:
        """What a function has logged is in the project's log from now on."""
        resource = {"type": "cloud_run_revision", "labels": {"service_name": service}}
        entries = [
            {"resource": resource, "severity": line.get("severity"), "jsonPayload": line} for line in function.log()
        ]
        self.log.write_text("".join(f"{json.dumps(one)}\n" for one in entries))

    def run(self, *scripts: str, text: str = "", knows: bool = True) -> str:
        """Runs pieces of the runbook one after the other in one shell, which `knows` the settings for local commands.

        Returns:
            What they print.
        """
        names = section_of_names().replace("my-events", self.bucket.name).replace("my-project-mixpanel", "state")
        settings = piece("How do I send it again", "export IMPORT_REJECTS")
        script = "\n".join([names, *([settings] if knows else []), *scripts]).replace("2025-06-01", TODAY)
        environment = self.google.environment
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace("reconcile ", "reconcile --min-age 0 ")],
            env={
                **environment,
                "PATH": f"{self.folder}/bin:{environment['PATH']}",
                "PYTHONPATH": str(ROOT),
                **({"MIXPANEL_API_URL": self.standin.url} if knows else {}),
                "STORAGE_EMULATOR_HOST": self.bucket.url,
                "LOG": str(self.log),
                "HOME": str(self.folder),
            },
            cwd=self.folder,
            input=text,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode in {0, 1}, done.stdout + done.stderr
        return done.stdout + done.stderr


def section_of_names() -> str:
    found = re.search(r"```sh\n(PROJECT_ID=.*?)```", RUNBOOK, flags=re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def shell(deployed: StandIn, standin: Standin, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    bucket.make("state")
    deployed.cloud.state["buckets"][bucket.name] = {"location": "EU"}
    return Shell(tmp_path_factory.mktemp("checkout"), deployed, standin, bucket)


@pytest.fixture
def importing(shell: Shell, function: StartFunction) -> processes.Function:
    started = function(
        "gcs_import",
        IMPORT_REJECTS="gs://state/rejects",
        IMPORT_CHECKPOINTS="gs://state/checkpoints",
        IMPORT_EXCLUDE="**/tmp/*",
    )
    shell.bucket.send_events_to(started.url)
    return started


def test_nothing_since_midnight(shell: Shell, importing: processes.Function) -> None:
    shell.bucket.put("2025/06/01/told.jsonl", event("told"))
    shell.bucket.put("2025/06/01/tmp/skipped.jsonl", event("skipped"))
    shell.bucket.wait_until_delivered(2)
    shell.bucket.send_events_to(None)
    shell.bucket.put("2025/06/01/never-told.jsonl", event("never-told"))
    shell.logged(importing)
    title = "Nothing has arrived"

    assert "never-told.jsonl" in shell.run(piece(title, "storage ls"))
    looked = shell.run(piece(title, "TRIGGER="), knows=False)
    assert "my-topic" in looked
    assert "mixpanel-files has these settings already." in looked
    assert "tmp/skipped.jsonl is skipped" in shell.run(piece(title, 'outcome="skipped"'))
    found, brought_in = (
        piece(title, "reconcile").replace('2025/06/01/"', '2025/06/01/" --exclude "**/tmp/*"').splitlines()
    )
    assert "never imported: gs://events/2025/06/01/never-told.jsonl" in shell.run(found)
    shell.run(brought_in)
    assert shell.standin.ids() == {"told": 1, "never-told": 1}


def test_forty_percent_are_rejected(shell: Shell, importing: processes.Function) -> None:
    bad = b"".join(event(f"bad-{n}", time="yesterday noon") for n in range(40))
    shell.bucket.put("2025/06/01/broken.jsonl", b"".join(event(f"good-{n}") for n in range(60)) + bad)
    shell.bucket.put("2025/06/01/good.jsonl", event("fine") + b"no JSON\n")
    shell.bucket.wait_until_delivered(2)
    title = "A flood of rejects"

    told = shell.run(piece(title, "today.jsonl"))

    assert re.search(r"^ +40 properties\.time\t", told, re.MULTILINE), told
    assert re.search(rf"^ +40 gs://{shell.bucket.name}/2025/06/01/broken\.jsonl$", told, re.MULTILINE), told
    (shell.folder / "mended.py").write_text(
        "def mend(record):\n    record['properties']['time'] = 1735689600\n    return record\n"
    )
    mended = "export IMPORT_TRANSFORM=mended:mend PYTHONPATH=$PYTHONPATH:.\n"
    said = shell.run(mended + piece(title, "replay --remove"))
    assert "imported 40" in said, said
    assert len(shell.standin.ids()) == 101


def test_the_secret_leaked(shell: Shell) -> None:
    title = "A leaked secret"
    reading = {"serviceName": "secretmanager.googleapis.com", "methodName": "google.….AccessSecretVersion"}
    who = ["mixpanel-files@p", "mixpanel-files@p", "mallory@example.com"]
    entries = [{"protoPayload": reading | {"authenticationInfo": {"principalEmail": one}}} for one in who]
    shell.log.write_text("".join(f"{json.dumps(one)}\n" for one in entries))

    shell.run(piece(title, "rotate"), text="another-secret\n", knows=False)
    shell.run(piece(title, "versions disable"))
    told = shell.run(piece(title, "AccessSecretVersion"))

    secret = shell.google.cloud.state["secrets"]["mixpanel-secret"]
    assert (secret["versions"], secret["disabled"]) == ([SECRET, "another-secret"], [1])
    for function in shell.google.cloud.state["functions"].values():
        assert function["deployed"]["--set-secrets"].endswith(":2")
    assert "roles/secretmanager.secretAccessor" in told
    assert re.search(r"^ +1 mallory@example\.com$", told, re.MULTILINE), told


def test_this_object_and_this_day_again(shell: Shell, importing: processes.Function) -> None:
    shell.bucket.put("2025/06/01/events.jsonl.gz", event("one"))
    shell.bucket.put("2025/06/01/more.jsonl", event("two"))
    shell.bucket.wait_until_delivered(2)

    shell.run(piece("How do I send it again", "import --again"))

    assert shell.standin.ids() == {"one": 3, "two": 2}


def test_counts_are_doubled(shell: Shell, importing: processes.Function) -> None:
    exported = [event("a" * 32), event("from-the-sdk"), event("once", time=1_735_689_601), event("a" * 32)]
    shell.curl(b"".join(exported).decode())
    shell.bucket.put("2025/06/01/events.jsonl", event("one"))
    shell.bucket.wait_until_delivered(1)
    shell.run(piece("How do I send it again", "import --again").replace("events.jsonl.gz", "events.jsonl"))
    shell.logged(importing)
    shell.log.write_text(shell.log.read_text() * 2)
    title = "Counts in Mixpanel are doubled"

    told = shell.run(piece(title, "export?"))
    assert re.findall(r"^ +(\d+) Seen\t(\d+)\tu1$", told, re.MULTILINE) == [("2", "1735689600")]
    told = shell.run(piece(title, "logging read"))
    assert re.search(r"^ +2 gs://events/2025/06/01/events\.jsonl#\d+\tmixpanel-files$", told, re.MULTILINE), told


def test_dead_letters_are_drained(shell: Shell, importing: processes.Function) -> None:
    title = "Dead letters"
    shell.bucket.send_events_to(None)
    shell.bucket.put("2025/06/01/dead.jsonl", event("dead"))
    subscriptions = shell.google.cloud.state["subscriptions"]
    subscriptions["mixpanel-files-dead-letters"]["waiting"] = [{"bucket": "events", "name": "2025/06/01/dead.jsonl"}]
    push, stop = [block for block in section(title) if "modify-push-config" in block]

    assert '"name":"2025/06/01/dead.jsonl"' in shell.run(piece(title, "subscriptions pull"))
    shell.run(piece(title, "reconcile"))
    assert shell.standin.ids() == {"dead": 1}
    shell.run(piece(title, "subscriptions seek"))
    assert subscriptions["mixpanel-files-dead-letters"]["waiting"] == []
    shell.run(push)
    letters = subscriptions["mixpanel-messages-dead-letters"]
    assert letters["--push-endpoint"].startswith("https://mixpanel-messages-")
    assert letters["account"] == f"mixpanel-messages-push@{PROJECT}.iam.gserviceaccount.com"
    assert (letters["--min-retry-delay"], letters["--max-retry-delay"]) == ("10s", "600s")
    shell.run(stop)
    assert letters["--push-endpoint"] == ""


def test_one_person_is_erased_from_rejects(shell: Shell, importing: processes.Function) -> None:
    whose = b"".join(event(f"bad-{n}", distinct_id=f"user-47{n}", time="?") for n in (10, 11, 12))
    shell.bucket.put("2025/06/01/some.jsonl", whose)
    shell.bucket.put("2025/06/01/one.jsonl", event("bad", distinct_id="user-4711", time="?"))
    shell.bucket.put("2025/06/01/none.jsonl", event("bad", distinct_id="user-4712", time="?"))
    shell.bucket.wait_until_delivered(3)

    shell.run(piece("Where data lies, and whose rules it keeps", "WHO="))

    left = shell.run(
        'for file in $(gcloud storage ls "gs://state/rejects/**"); do gcloud storage cat "$file" | gunzip; done'
    )
    assert re.findall(r"user-\d+", left).count("user-4711") == 0
    assert sorted(set(re.findall(r"user-\d+", left))) == ["user-4710", "user-4712"]


def test_local_commands_name_the_python_that_has_the_importer() -> None:
    for page in (RUNBOOK, (ROOT / "README.md").read_text()):
        for block in re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL):
            assert not re.search(r"(?<!\.venv/bin/)python -m (importer|sandbox)", block), block
