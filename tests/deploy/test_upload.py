"""What `.gcloudignore` leaves in is enough: both functions run from it and requirements.txt alone."""

from __future__ import annotations

import ast
import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from sandbox import processes
from sandbox.clients import Bucket, Standin
from tests.deploy.gcloud import gcloud

ROOT = Path(__file__).parents[2]
EVENT = b'{"event":"Seen","properties":{"time":1735689600,"distinct_id":"u1","$insert_id":"%s"}}\n'

pytestmark = pytest.mark.timeout(900)  # a registry may be slow


@pytest.fixture(scope="module")
def uploaded() -> list[str]:
    """The files that `gcloud functions deploy --source=.` uploads."""
    return gcloud("meta", "list-files-for-upload", str(ROOT)).stdout.split()


@pytest.fixture(scope="module")
def upload(uploaded: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with those files and nothing else."""
    folder = tmp_path_factory.mktemp("upload")
    for name in uploaded:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the Dockerfile copies and nothing else."""
    folder = tmp_path_factory.mktemp("image")
    for name in re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def environment(upload: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new virtual environment with what requirements.txt asks for."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install: list[str | Path] = [
        folder / "bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*install, "--require-hashes", "-r", upload / "requirements.txt"], check=True)
    return folder / "bin"


@contextmanager
def served(target: str, upload: Path, environment: Path, **settings: str) -> Iterator[processes.Function]:
    """A function, served from the upload by the new environment and nothing of this one."""
    port = processes.free_port()
    lines: deque[str] = deque()
    command: list[str | Path] = ["env", "-C", upload, environment / "functions-framework"]
    command += ["--target", target, "--host", "127.0.0.1", "--port", str(port)]
    everything = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "MIXPANEL_PROJECT_TOKEN": "demo", **settings}
    with processes.Process(command, name=target, environment=everything, on_line=lines.append) as process:
        url = f"http://127.0.0.1:{port}"
        process.wait_until(lambda: answers(url) or None)
        yield processes.Function(process, lines, url)


def answers(url: str) -> bool:
    try:
        requests.get(url, timeout=5)
    except requests.RequestException:
        return False
    return True


def entry_points(source: Path) -> set[str]:
    """The functions that a main.py offers: those with a decorator of the functions framework."""
    functions = [
        node for node in ast.parse(source.read_text()).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return {
        function.name
        for function in functions
        if any("functions_framework" in ast.unparse(decorator) for decorator in function.decorator_list)
    }


def test_only_what_the_functions_need_is_uploaded(uploaded: list[str], upload: Path) -> None:
    assert {name.partition("/")[0] for name in uploaded} == {"main.py", "requirements.txt", "importer"}
    assert not [name for name in uploaded if "__pycache__" in name]
    assert sum(file.stat().st_size for file in upload.rglob("*")) < 1_000_000


def test_the_functions_are_those_that_deploy_names(upload: Path) -> None:
    script = "".join(file.read_text() for file in (ROOT / "deploy").glob("*.sh"))

    assert entry_points(upload / "main.py") == {"gcs_import", "pubsub_import"}
    for name in entry_points(upload / "main.py"):
        assert f'_NOW" {name} ' in script


def test_gcs_import_runs_from_it(upload: Path, environment: Path, standin: Standin, bucket: Bucket) -> None:
    settings = {"MIXPANEL_API_URL": standin.url, "STORAGE_EMULATOR_HOST": bucket.url}
    with served("gcs_import", upload, environment, **settings) as function:
        bucket.send_events_to(function.url)
        bucket.put("events.jsonl", EVENT % b"from-an-object")
        bucket.wait_until_delivered()

    assert set(standin.ids()) == {"from-an-object"}


def test_the_images_command_runs_from_it(image: Path, environment: Path) -> None:
    """As the Dockerfile has it: its packages by their hashes, its COPYs, its ENTRYPOINT."""
    command = re.findall(r"^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]
    program, *words = json.loads(command)

    done = subprocess.run(
        [environment / program, *words, "backfill", "--help"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(image)},
        cwd=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, "--days" in done.stdout) == (0, True), done.stderr


def test_pubsub_import_runs_from_it(upload: Path, environment: Path, standin: Standin) -> None:
    data = base64.b64encode(EVENT % b"from-a-message").decode()
    push = {"message": {"data": data, "messageId": "1"}, "subscription": "projects/p/subscriptions/s"}
    with served("pubsub_import", upload, environment, MIXPANEL_API_URL=standin.url) as function:
        answer = requests.post(function.url, json=push, timeout=30)

    assert answer.status_code == 204
    assert set(standin.ids()) == {"from-a-message"}


def test_rejects_and_checkpoints_work_from_it(
    upload: Path, environment: Path, standin: Standin, bucket: Bucket
) -> None:
    """With the settings that deploy.sh gives, whose clients are imported only then."""
    settings = {
        "MIXPANEL_API_URL": standin.url,
        "STORAGE_EMULATOR_HOST": bucket.url,
        "IMPORT_REJECTS": f"gs://{bucket.name}/rejects",
        "IMPORT_CHECKPOINTS": f"gs://{bucket.name}/checkpoints",
    }
    with served("gcs_import", upload, environment, **settings) as function:
        bucket.send_events_to(function.url)
        bucket.put("events.jsonl", EVENT % b"good" + b"no event\n")
        bucket.wait_until_delivered()

    (summary,) = [line for line in function.log("import") if "/events.jsonl" in line["source"] and "read" in line]
    assert (summary["outcome"], summary["imported"], summary["rejected"]) == ("done", 1, 1)
