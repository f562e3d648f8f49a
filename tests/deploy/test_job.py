"""deploy.sh job: history, imported by several tasks in the cloud that share the work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.clients import Bucket, Standin
from tests.deploy.cloud import BOTH, PROJECT, ROOT, SECRET, StandIn, given_settings

WHERE = (f"--project={PROJECT}", "--region=europe-west1")
WHAT = ("--", "gs://my-archive/events/", "--days=30", "--events-per-second=10000")


@pytest.fixture
def archive(google: StandIn) -> StandIn:
    """A project with an archive of events, and an importer that has a mapping."""
    google.cloud.state["buckets"]["my-archive"] = {"location": "EU"}
    assert google.deploy(*BOTH, text=SECRET, IMPORT_MAPPING="segment").code == 0
    google.cloud.asked.clear()
    return google


def job(google: StandIn) -> dict[str, Any]:
    found: dict[str, Any] = google.cloud.state["jobs"]["mixpanel-job"]
    return found


def words(google: StandIn) -> list[str]:
    text = job(google)["deployed"]["--args"]
    return text[3:].split(text[1]) if text.startswith("^") else list(text.split(","))


def test_a_job_is_made_and_run_with_what_the_functions_are_told(archive: StandIn) -> None:
    run = archive.deploy("job", *WHERE, "--tasks=3", *WHAT)

    assert run.code == 0, run.errors
    made = job(archive)["deployed"]
    assert job(archive)["runs"] == 1
    assert (made["--tasks"], made["--parallelism"], made["--task-timeout"]) == ("3", "3", "24h")
    assert words(archive) == ["backfill", *WHAT[1:], "--yes"]
    assert made["--set-secrets"] == "MIXPANEL_SERVICE_ACCOUNT_SECRET=mixpanel-secret:1"
    told = given_settings(made["--set-env-vars"])
    assert (
        told.items()
        >= {
            "IMPORT_MAPPING": "segment",
            "MIXPANEL_REGION": "eu",
            "IMPORT_CHECKPOINTS": "gs://my-project-mixpanel/checkpoints",
            "IMPORT_REJECTS": "gs://my-project-mixpanel/rejects",
        }.items()
    )
    assert "IMPORT_TIME_LIMIT" not in told


def test_its_account_reads_the_archive_and_no_more_than_it_needs(archive: StandIn) -> None:
    archive.deploy("job", *WHERE, *WHAT)

    account = f"serviceAccount:mixpanel-job@{PROJECT}.iam.gserviceaccount.com"
    granted = {
        (where, role)
        for where, policy in archive.cloud.state["policies"].items()
        for role, members in policy.items()
        if account in members
    }
    assert granted == {
        ("buckets/my-archive", "roles/storage.objectViewer"),
        ("buckets/my-project-mixpanel", "roles/storage.objectUser"),
        ("secrets/mixpanel-secret", "roles/secretmanager.secretAccessor"),
    }


def test_the_same_again_builds_nothing_and_runs_once_more(archive: StandIn) -> None:
    for _ in range(2):
        assert archive.deploy("job", *WHERE, *WHAT).code == 0

    assert [c.names for c in archive.cloud.asked if c.names.startswith("builds")] == ["builds submit ."]
    assert job(archive)["runs"] == 2


def test_destroying_takes_the_job_away_too(archive: StandIn) -> None:
    archive.deploy("job", *WHERE, *WHAT)

    run = archive.deploy("destroy", *BOTH, "--yes")

    assert run.code == 0, run.errors
    assert (archive.cloud.state["jobs"], archive.cloud.state["repositories"]) == ({}, {})
    assert "my-archive" in archive.cloud.state["buckets"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "what is to be imported? ./deploy.sh job … -- gs://my-archive/events/"),
        (("--", "gs://nowhere/events/"), "there is no bucket gs://nowhere"),
        (("--tasks=many", *WHAT), "--tasks is a number"),
    ],
)
def test_what_a_job_cannot_do_is_said(archive: StandIn, arguments: tuple[str, ...], sentence: str) -> None:
    run = archive.deploy("job", *WHERE, *arguments)

    assert run.code == 1
    assert sentence in run.errors
    assert archive.cloud.state["jobs"] == {}


def test_a_job_without_an_importer_is_asked_for_its_credentials(google: StandIn) -> None:
    google.cloud.state["buckets"]["my-archive"] = {"location": "EU"}

    assert "a service account needs --mixpanel-project=…" in google.deploy("job", *WHERE, *WHAT, text=SECRET).errors
    run = google.deploy("job", *WHERE, "--mixpanel-project=1", "--mixpanel-user=u", *WHAT, text=SECRET)
    assert run.code == 0, run.errors


def test_a_dry_run_of_it_is_a_script_that_goes_through(google: StandIn) -> None:
    run = google.deploy("job", *WHERE, "--dry-run", *WHAT)

    assert run.code == 0, run.errors
    assert "gcloud run jobs execute mixpanel-job" in run.output
    assert "exit 1" not in run.output.partition("# What is to be imported")[0]
    assert google.cloud.asked == []


def test_its_tasks_share_the_work_as_they_are_deployed(
    google: StandIn, standin: Standin, bucket: Bucket, tmp_path: Path
) -> None:
    """The job's own words and settings, run twice at once as Cloud Run would, in the sandbox."""
    google.cloud.state["buckets"][bucket.name] = {"location": "EU"}
    flags = ["--mixpanel-project=1", "--mixpanel-user=u", "--", f"gs://{bucket.name}/events/", "--at-once=2"]
    run = google.deploy("job", *WHERE, f"--state-bucket={bucket.name}", *flags, text=SECRET)
    assert run.code == 0, run.errors
    for number in range(12):
        line = b'{"event":"Seen","properties":{"time":1735689600,"distinct_id":"u","$insert_id":"e-%d"}}\n' % number
        bucket.put(f"events/2025/01/{1 + number % 3:02}/{number}.jsonl", line)
    settings = given_settings(job(google)["deployed"]["--set-env-vars"]) | {
        "MIXPANEL_API_URL": standin.url,
        "MIXPANEL_SERVICE_ACCOUNT_SECRET": SECRET,
        "STORAGE_EMULATOR_HOST": bucket.url,
        "CLOUD_RUN_JOB": "mixpanel-job",
        "CLOUD_RUN_TASK_COUNT": "2",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "importer", *words(google)]

    tasks = [
        subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], **settings, "CLOUD_RUN_TASK_INDEX": str(index)},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    said = [task.communicate(timeout=120) for task in tasks]

    assert [task.returncode for task in tasks] == [0, 0], said
    assert standin.ids() == {f"e-{number}": 1 for number in range(12)}
