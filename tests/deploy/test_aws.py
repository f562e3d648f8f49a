"""What is deployed on AWS: the template is sound, gives no more rights than are used, and fits the importer."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load

from importer.settings import ROWS
from importer.sources.s3 import secret
from sandbox.processes import ROOT

AWS = ROOT / "aws"
TEMPLATE: dict[str, Any] = load(str(AWS / "template.yaml"))
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = RESOURCES[name]["Properties"]
    return found


def statements() -> Iterator[dict[str, Any]]:
    for policy in properties("Role")["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def test_cfn_lint_finds_nothing() -> None:
    command = [Path(sys.executable).with_name("cfn-lint"), AWS / "template.yaml"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")


def test_the_handler_is_there_and_answers_in_parts() -> None:
    module, _, name = properties("Function")["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
    for mapping in ("FromQueue", "FromMessages"):
        assert properties(mapping)["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert properties(mapping)["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}}
    assert properties("FromQueue")["BatchSize"] == 1


def test_a_message_stays_invisible_for_six_times_the_function_s_time() -> None:
    assert properties("Queue")["VisibilityTimeout"] >= 6 * properties("Function")["Timeout"]
    assert properties("Queue")["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert properties("DeadLetters")["MessageRetentionPeriod"] == 14 * 86_400


def test_what_is_set_is_a_setting_and_no_secret_is_among_it() -> None:
    variables = properties("Function")["Environment"]["Variables"]
    assert variables.keys() <= {row.name for row in ROWS} | {secret.VARIABLE}
    assert not any("SECRET" in name for name in variables.keys() - {secret.VARIABLE})
    assert TEMPLATE["Parameters"]["MixpanelSecret"]["NoEcho"] is True


def test_the_role_may_do_what_it_does_and_nothing_else() -> None:
    allowed = [one["Action"] for one in statements()]
    actions = {action for some in allowed for action in ([some] if isinstance(some, str) else some)}
    assert actions == {
        *("logs:CreateLogStream", "logs:PutLogEvents", "secretsmanager:GetSecretValue"),
        *("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject"),
        *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"),
        *("sqs:ChangeMessageVisibility", "sqs:SendMessage"),
    }
    assert all(one["Resource"] != "*" for one in statements())
    written = [one["Resource"] for one in statements() if "s3:PutObject" in one["Action"]]
    assert written == [{"Fn::Sub": "${State.Arn}/*"}]


def test_what_holds_data_is_kept_when_the_stack_is_not() -> None:
    for name in ("Bucket", "State", "DeadLetters"):
        assert RESOURCES[name]["DeletionPolicy"] == "Retain"


def test_what_is_deployed_is_what_is_tested() -> None:
    """Each version is the one that the tests run with."""
    pin = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
    tested = dict(pin.findall((ROOT / "requirements-dev.txt").read_text()))
    deployed = dict(pin.findall((AWS / "requirements.txt").read_text()))
    assert deployed
    assert deployed == {name: tested[name] for name in deployed}


@pytest.mark.parametrize("module", ["functions_framework", "google.cloud.storage", "boto3", "click"])
def test_a_cold_start_imports_nothing_of_google_s(module: str) -> None:
    """Nor what only commands need."""
    code = f"import sys; import importer.sources.s3; print({module!r} in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


PIP = """#!/bin/sh
if [ "$2" != pip ]; then exec PYTHON "$@"; fi
while [ "$1" != --target ]; do shift; done
for service in s3 sqs secretsmanager sts ec2; do
  mkdir -p "$2/botocore/data/$service"
  touch "$2/botocore/data/$service/x"
done
mkdir "$2/bin" && touch "$2/bin/tool"
"""


def test_the_package_has_the_importer_what_comes_along_and_no_service_that_is_not_used(tmp_path: Path) -> None:
    """With a pip that fetches nothing."""
    shutil.copytree(ROOT / "importer", tmp_path / "importer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(AWS, tmp_path / "aws")
    (tmp_path / "mapping.toml").touch()
    pip = tmp_path / "python"
    pip.write_text(PIP.replace("PYTHON", sys.executable))
    pip.chmod(0o755)
    subprocess.run(
        [tmp_path / "aws" / "package.sh", "mapping.toml"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(pip)},
        capture_output=True,
        text=True,
        check=True,
    )
    with zipfile.ZipFile(tmp_path / "aws" / "importer.zip") as package:
        names = package.namelist()
    assert {"mapping.toml", "importer/sources/s3/__init__.py", "botocore/data/s3/x"} <= {*names}
    assert not [name for name in names if name.startswith(("bin/", "botocore/data/ec2"))]
