"""Google's own gcloud, offline, on everything that deploy.sh and the runbook would have it do.

With nobody logged in, a command that gcloud understands ends at the account (exit code 1), and one that it does not
understand ends in its parser (exit code 2).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.deploy.cloud import BOTH, PROJECT, ROOT, SECRET, Command, StandIn, formatted
from tests.deploy.gcloud import PARSED, ask, gcloud, need_gcloud

RULES = (
    "--labels=a=b,c=d", "--min-instances=1", "--ingress=internal-only", "--vpc-connector=c", "--egress=all",
    f"--kms-key=projects/{PROJECT}/locations/europe-west1/keyRings/r/cryptoKeys/k",
    f"--docker-repository=projects/{PROJECT}/locations/europe-west1/repositories/r", "--binary-authorization=default",
    "--regional-logs",
)  # fmt: skip
NEEDS_NOBODY = ("version", "auth list", "meta list-files-for-upload")


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Command, object]]:
    """Every command that the script can issue, with what the stand-in found.

    On a fresh project, again, after everything has changed, with rejects on a topic, without anybody to alert, and out.
    """
    need_gcloud()
    google = StandIn(tmp_path_factory.mktemp("path"))
    state = google.cloud.state
    codes = [google.deploy(*BOTH, text=SECRET).code, google.deploy(*BOTH).code]
    for function in state["functions"].values():
        function["labels"]["stamp"] = "older"
    for metric in state["metrics"].values():
        metric["description"] = "older"
    for made in [*state["dashboards"].values(), *state["alerts"].values()]:
        made.get("labels", made.get("userLabels"))["stamp"] = "older"
    state["topics"] |= {"refused": {}, "other-topic": {}}
    state["agents"].append("user:a@example.com")
    rejects = f"projects/{PROJECT}/topics/refused"
    codes += [
        google.deploy(*BOTH, "--new-secret", text=SECRET, IMPORT_REJECTS=rejects, IMPORT_INCLUDE="a/*,b/*").code,
        google.deploy(*BOTH, "--topic=other-topic", "--replace-trigger", "--releaser=user:a@example.com").code,
        google.deploy("release", *BOTH, "--topic=other-topic", LOG_LEVEL="DEBUG").code,
        google.deploy("rotate", *BOTH, text=SECRET).code,
        google.deploy("job", *BOTH, "--tasks=3", "--", "gs://my-events/a,b/", "--days=3").code,
        google.deploy(*BOTH, *RULES, "--only=gcs", "--notifications", "--name=third", text=SECRET).code,
        google.deploy("destroy", *BOTH, "--only=gcs", "--name=third", "--yes").code,
        google.deploy(*BOTH, "--credentials=project-token", "--name=other", "--alert-email=", text=SECRET).code,
        google.deploy("destroy", *BOTH, "--yes").code,
    ]
    google.close()
    assert codes == [0] * len(codes)
    return list(zip(google.cloud.asked, google.cloud.found, strict=True))


def understood(commands: list[Command]) -> list[tuple[Command, int, str]]:
    """The commands that gcloud does not understand, or not as expected, with its exit code and what it says."""
    requests = [{"run": ["help" if not c.words else c.words[0], *c.words[1:]], "input": c.input} for c in commands]
    wrong = []
    for command, (code, said) in zip(commands, ask(*requests), strict=True):
        passed = code == 0 if command.names.startswith(NEEDS_NOBODY) else code == 1 and PARSED in said
        if not passed:
            wrong.append((command, code, said))
    return wrong


def test_gcloud_understands_every_command_the_script_can_issue(issued: list[tuple[Command, object]]) -> None:
    commands = {command for command, _ in issued}
    assert len(commands) > 100

    assert understood(sorted(commands, key=str)) == []


def test_gcloud_understands_what_a_dry_run_prints(tmp_path: Path) -> None:
    need_gcloud()
    google = StandIn(tmp_path)
    dry = google.deploy(*BOTH, "--dry-run").output + google.deploy("destroy", *BOTH, "--dry-run").output
    google.close()
    files = {f"--{kind}-from-file=-": "{}" for kind in ("config", "policy")}

    commands = [
        Command(tuple(words), next((files[word] for word in words if word in files), ""))
        for words in written(re.sub(r" \|\|$| \| curl .*", "", dry, flags=re.MULTILINE))
    ]

    assert len(commands) > 100
    assert understood(commands) == []


def test_the_two_ends_are_told_apart() -> None:
    good = Command(("pubsub", "topics", "create", "some-topic", f"--project={PROJECT}"))
    bad_flag = Command((*good.words, "--retention=7d"))
    bad_value = Command(
        ("pubsub", "subscriptions", "create", "s", "--topic=t", "--dead-letter-topic=d", "--max-delivery-attempts=101")
    )
    no_such_command = Command(("pubsub", "topics", "bury", "some-topic"))

    wrong = understood([good, bad_flag, bad_value, no_such_command])

    assert [(command, code) for command, code, _ in wrong] == [(bad_flag, 2), (bad_value, 2), (no_such_command, 2)]


def test_the_program_itself_says_the_same() -> None:
    good = gcloud("pubsub", "topics", "create", "some-topic", f"--project={PROJECT}")
    bad = gcloud("pubsub", "topics", "create", "some-topic", "--retention=7d")

    assert (good.returncode, PARSED in good.stderr) == (1, True)
    assert (bad.returncode, "unrecognized arguments: --retention" in bad.stderr) == (2, True)


def test_gcloud_prints_what_the_stand_in_prints(issued: list[tuple[Command, object]]) -> None:
    cases = []
    for command, found in issued:
        how = command.flags.get("--format")
        if how and isinstance(found, dict | list) and not command.names.startswith("version"):
            cases.append((how, found if isinstance(found, list) else [found]))
    unique = {json.dumps(case): case for case in cases}.values()
    assert len(unique) > 15

    printed = ask(*({"print": found, "format": how} for how, found in unique))

    for (how, found), text in zip(unique, printed, strict=True):
        assert text == formatted(found, how), how


def test_gcloud_picks_what_the_filters_mean() -> None:
    versions = [{"name": "v/3", "state": "DISABLED"}, {"name": "v/2", "state": "ENABLED"}]
    accounts = [{"account": "a@example.com", "status": ""}, {"account": "b@example.com", "status": "ACTIVE"}]

    newest, active = ask(
        {"print": versions, "filter": "state=ENABLED", "format": "value(name.basename())"},
        {"print": accounts, "filter": "status:ACTIVE", "format": "value(account)"},
    )

    assert (newest, active) == ("2\n", "b@example.com\n")


def test_google_knows_every_field_of_what_monitoring_holds() -> None:
    kinds = {"metrics": ("logging/v2", "LogMetric"), "alerts": ("monitoring/v3", "AlertPolicy")}
    contents = [
        {
            "message": kinds[file.parent.name][0],
            "type": kinds[file.parent.name][1],
            "content": json.loads(file.read_text()),
        }
        for file in sorted((ROOT / "monitoring").glob("*/*.json"))
    ]
    dashboard = json.loads((ROOT / "monitoring/dashboard.json").read_text())
    contents.append({"message": "monitoring/v1", "type": "Dashboard", "content": dashboard})
    contents.append({"message": "monitoring/v1", "type": "Dashboard", "content": dashboard | {"colour": "red"}})

    *unknown, misspelt = ask(*contents)

    assert len(unknown) > 12
    assert [fields for fields in unknown if fields] == []
    assert misspelt == ["colour"]


# ── The runbook ───────────────────────────────────────────────────────────────────────────────────────────────────

_RECORDER = """#!/bin/bash
{ printf '%s\\0' "$@"; printf '\\n'; } >>"$RECORD"
case "$*" in "storage ls"*) echo gs://some/object ;; *) echo 1 ;; esac
"""
MIXPANEL = ("MIXPANEL_PROJECT_ID", "MIXPANEL_SERVICE_ACCOUNT_USERNAME", "MIXPANEL_SERVICE_ACCOUNT_SECRET")
"""What somebody has set who sends something again."""

_IDLE = "#!/bin/bash\necho 1\n"
_FILTER = "#!/bin/bash\ncat\n"


def written(text: str) -> list[list[str]]:
    """The gcloud commands among the lines of a dry run, each without `gcloud`."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("gcloud ")]


def run_shell(script: str, folder: Path) -> set[Command]:
    """Runs a piece of the runbook with a gcloud that only takes down its words, and says which they were."""
    record = folder / "record"
    record.write_text("")
    stubs = dict.fromkeys(("python", "sleep", "seq", "curl", "deploy.sh"), _IDLE) | dict.fromkeys(
        ("jq", "gunzip"), _FILTER
    )
    stubs["gcloud"] = _RECORDER
    (folder / ".venv/bin").mkdir(parents=True, exist_ok=True)
    stubs[".venv/bin/python"] = _IDLE
    for name, content in stubs.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    for name in ("staging.env", "production.env"):
        (folder / name).write_text("")
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": path, "RECORD": str(record), **dict.fromkeys(MIXPANEL, "1")},
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, script + done.stderr
    calls = record.read_text().split("\0\n")[:-1]
    return {Command(tuple(call.split("\0"))) for call in calls}


def test_gcloud_understands_every_command_of_the_runbook_and_of_the_alerts(tmp_path: Path) -> None:
    need_gcloud()
    runbook = (ROOT / "docs/operations.md").read_text()
    alerts = "".join(file.read_text() for file in (ROOT / "monitoring/alerts").glob("*.json"))
    names, *blocks = re.findall(r"```sh\n(.*?)```", runbook, flags=re.DOTALL)
    spans = re.findall(
        r"`(gcloud [^`]*)`",
        runbook
        + alerts.replace("{{NAME}}", "mixpanel").replace("{{PROJECT}}", PROJECT).replace("{{REGION}}", "europe-west1"),
    )

    commands = set()
    for script in [*blocks, *(span.replace("…", "europe-west1") for span in spans)]:
        commands |= run_shell(f"{names}\n{script}", tmp_path)

    assert len(commands) > 25
    assert understood(sorted(commands, key=str)) == []


def test_the_runbook_has_a_section_wherever_an_alert_or_a_link_points_to_one() -> None:
    runbook = (ROOT / "docs/operations.md").read_text()
    alerts = "".join(file.read_text() for file in (ROOT / "monitoring/alerts").glob("*.json"))
    sections = re.findall(r"^## (.+)$", runbook, flags=re.MULTILINE)

    pointed_at = set(re.findall(r"docs/operations\.md, \*(.+?)\*", alerts))
    linked = set(re.findall(r"\]\(#(.+?)\)", runbook))

    assert pointed_at
    assert pointed_at <= set(sections)
    assert linked <= {section.lower().replace(" ", "-") for section in sections}
