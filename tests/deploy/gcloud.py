"""Google's own gcloud, offline and with nobody logged in: what it makes of commands, files and formats.

Each gcloud command costs a second to start, and there are hundreds here. So one process of the Python that gcloud
brings runs them all, through the same `CreateCLI().Execute()` that the program itself calls; a test holds the two
against each other. This file is both the module that tests use and the program that runs in that process.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

try:
    import pytest
except ImportError:  # in gcloud's Python
    pytest = None  # type: ignore[assignment]

PARSED = "You do not currently have an active account selected"
"""What gcloud says once it has understood a command and looks for somebody to run it as."""

OFFLINE = {
    "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
    "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
    "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
    "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
    "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "true",
}


def need_gcloud() -> str:
    """Where gcloud is; without one the test is skipped, except on CI, where there is one."""
    found = shutil.which("gcloud")
    if not found and os.environ.get("CI") != "true":
        pytest.skip("gcloud is not installed: install the Google Cloud CLI to check the commands of deploy.sh")
    assert found, "gcloud is not installed, and CI must have it"
    return found


def gcloud(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the program itself, with nobody logged in and nothing configured."""
    with tempfile.TemporaryDirectory() as empty:
        return subprocess.run(
            [need_gcloud(), *words],
            env={"PATH": os.environ["PATH"], "HOME": empty, "CLOUDSDK_CONFIG": empty, **OFFLINE},
            cwd=folder,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )


def ask(*requests: dict[str, Any]) -> list[Any]:
    """Has gcloud's own Python answer each request.

    Args:
        requests: `{"run": words, "input": text}` is answered with the exit code and what was said;
            `{"print": resources, "format": …, "filter": …}` with what is printed;
            `{"message": api, "type": …, "content": …}` with the fields of the content that Google's type does not have.
    """
    where = json.loads(gcloud("info", "--format=json(basic.python_location,installation.sdk_root)").stdout)
    root = where["installation"]["sdk_root"]
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [where["basic"]["python_location"], "-S", __file__, root],
            env={"PATH": os.environ["PATH"], "HOME": empty, "CLOUDSDK_CONFIG": empty, **OFFLINE},
            input=json.dumps(requests),
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


# ── In gcloud's Python ────────────────────────────────────────────────────────────────────────────────────────────


def _main(root: str) -> None:
    sys.path[:0] = [f"{root}/lib", f"{root}/lib/third_party"]
    requests = json.load(sys.stdin)
    answers = [_answer(request) for request in requests]
    sys.stdout.write("\n" + json.dumps(answers) + "\n")


def _answer(request: dict[str, Any]) -> Any:
    if "run" in request:
        return _run(request["run"], request.get("input", ""))
    if "print" in request:
        return _print(request["print"], request["format"], request.get("filter", ""))
    return _unknown(request["message"], request["type"], request["content"])


@cache
def _cli() -> Any:
    from googlecloudsdk import gcloud_main  # type: ignore[import-not-found]

    return gcloud_main.CreateCLI([])


def _run(words: list[str], text: str) -> tuple[int, str]:

    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
    kept = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    with tempfile.TemporaryFile() as said:
        for descriptor, _ in kept:
            os.dup2(said.fileno(), descriptor)
        try:
            _cli().Execute(words)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, copy in kept:
                os.dup2(copy, descriptor)
                os.close(copy)
        said.seek(0)
        return code, said.read().decode()


def _print(resources: list[Any], how: str, only: str) -> str:

    from googlecloudsdk.core.resource import (  # type: ignore[import-not-found]
        resource_filter,
        resource_printer,
    )

    out = io.StringIO()
    chosen = [r for r in resources if resource_filter.Compile(only).Evaluate(r)] if only else resources
    resource_printer.Print(chosen, how, out=out)
    return out.getvalue()


def _unknown(api: str, kind: str, content: Any) -> list[str]:
    from apitools.base.py import encoding  # type: ignore[import-not-found]
    from googlecloudsdk.api_lib.util import apis  # type: ignore[import-not-found]

    name, version = api.split("/")
    message = encoding.DictToMessage(content, getattr(apis.GetMessagesModule(name, version), kind))
    found = encoding.UnrecognizedFieldIter(message)
    return [".".join([*map(str, edges), str(field)]) for edges, fields in found for field in fields]


if __name__ == "__main__":
    _main(sys.argv[1])
