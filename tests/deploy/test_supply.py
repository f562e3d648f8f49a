"""What is released: pinned by its content, listed, and built without a key."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.deploy.cloud import PROJECT, ROOT, StandIn

DOCKERFILE = (ROOT / "Dockerfile").read_text()
WORKFLOWS = [ROOT / ".github/workflows/release.yml", ROOT / "deploy/examples/github-release.yml"]


def test_every_package_that_is_deployed_is_pinned_by_its_content() -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.txt").read_text())

    assert len(blocks) > 40
    assert [block for block in blocks if "==" not in block or "--hash=sha256:" not in block] == []


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", ROOT / "Dockerfile"], text=True, capture_output=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


def instructions() -> list[tuple[str, str]]:
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word.isupper()]


def test_the_image_is_built_from_what_is_there_and_runs_as_nobody_in_particular() -> None:
    steps = instructions()
    copied = [rest.split()[0] for word, rest in steps if word == "COPY" and not rest.startswith("--from")]

    assert copied == ["requirements.txt", "main.py", "importer"]
    for ignored in (".dockerignore", "deploy/image.gcloudignore"):
        let_in = {line.strip("!/") for line in (ROOT / ignored).read_text().splitlines() if line.startswith("!")}
        assert set(copied) <= let_in
    assert ("USER", "10001") in steps
    assert any("--require-hashes" in rest for word, rest in steps if word == "RUN")
    assert all(":" in rest for word, rest in steps if word == "FROM")
    assert steps[-1] == ("ENTRYPOINT", '["python", "-m", "importer"]')


def test_the_image_has_the_python_that_the_functions_have() -> None:
    (runtime,) = re.findall(r"^RUNTIME=python3(\d+)", (ROOT / "deploy/names.sh").read_text(), re.MULTILINE)

    assert set(re.findall(r"FROM python:3\.(\d+)", DOCKERFILE)) == {runtime}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_needs_no_key_and_pins_what_it_uses(file: Any) -> None:
    workflow = yaml.safe_load(file.read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]

    assert all(re.search(r"@v\d+$", step["uses"]) for step in steps if "uses" in step)
    assert "secrets." not in file.read_text()
    allowed = [workflow["permissions"], *(job.get("permissions", {}) for job in workflow["jobs"].values())]
    assert any(one.get("id-token") == "write" for one in allowed)


def commands_of_examples() -> list[list[str]]:
    texts = [file.read_text() for file in sorted((ROOT / "deploy/examples").iterdir())]
    return [
        shlex.split(line)
        for text in texts
        for line in re.findall(r"\./(?:importer/)?(deploy\.sh .*)", text)
        if "--config" in line
    ]


def test_what_the_examples_run_releases_what_is_there(deployed: StandIn, tmp_path: Any) -> None:
    config = tmp_path / "production.env"
    config.write_text(
        f"PROJECT_ID={PROJECT}\nREGION=europe-west1\nSOURCE_BUCKET=my-events\nSOURCE_TOPIC=my-topic\nMIXPANEL_REGION=eu\n"
        "MIXPANEL_PROJECT_ID=123\nMIXPANEL_SERVICE_ACCOUNT_USERNAME=importer.1a2b3c.mp-service-account\nIMPORT_INCLUDE=a/*\n"
    )
    commands = commands_of_examples()
    assert len(commands) == 4

    for words in commands:
        run = deployed.deploy(*(word if "--config" not in word else f"--config={config}" for word in words[1:]))
        assert run.code == 0, run.errors

    assert {command.names.rpartition(" ")[0] for command in deployed.cloud.changes()} == {
        "functions deploy",
        "run services update",
    }
