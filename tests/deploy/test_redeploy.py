"""deploy.sh over what is there: nothing is lost because somebody did not say it, and each role does its own part."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.cloud import BOTH, PROJECT, SECRET, Cloud, StandIn, given_settings

SETTINGS = {"IMPORT_TRANSFORM": "mapping:to_mixpanel", "IMPORT_INCLUDE": "a/*,b/*"}
FLAGS = [flag for flag in BOTH if not flag.startswith(("--bucket", "--topic"))]


@pytest.fixture
def with_settings(google: StandIn) -> StandIn:
    """Both functions with settings beyond the usual, and a variable and a secret that somebody added in the console."""
    assert google.deploy(*BOTH, text=SECRET, **SETTINGS).code == 0
    for function in google.cloud.state["functions"].values():
        service = function["serviceConfig"]
        service["environmentVariables"]["LOOKUP_TABLE"] = "gs://my-events/lookup.csv"
        service["secretEnvironmentVariables"].append(
            {"key": "LOOKUP_KEY", "projectId": PROJECT, "secret": "lookup", "version": "3"}
        )
    google.cloud.asked.clear()
    return google


def settings(google: StandIn, function: str = "mixpanel-files") -> dict[str, str]:
    return given_settings(google.cloud.state["functions"][function]["deployed"]["--set-env-vars"])


def config(folder: Path, *more: str, without: str = "nothing") -> str:
    """A file of settings for what BOTH deploys, and what stands in SETTINGS."""
    lines = [
        "# production",
        f"PROJECT_ID={PROJECT}",
        "REGION=europe-west1",
        "SOURCE_BUCKET=my-events",
        "export SOURCE_TOPIC='my-topic'",
        "MIXPANEL_PROJECT_ID=123",
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME=importer.1a2b3c.mp-service-account",
        'MIXPANEL_REGION="eu"',
        "ALERT_EMAIL=oncall@example.com",
        *(f"{name}={value}" for name, value in SETTINGS.items()),
    ]
    file = folder / "production.env"
    file.write_text("\n".join([*(line for line in lines if without not in line), *more]))
    return f"--config={file}"


# ── Settings ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", [("deploy", *BOTH, "--new-secret"), ("release", *FLAGS)], ids=["deploy", "release"])
def test_a_setting_that_nobody_says_again_stays(with_settings: StandIn, how: tuple[str, ...]) -> None:
    run = with_settings.deploy(*how, text="another", IMPORT_EXCLUDE="broken/*")

    assert run.code == 0, run.errors
    for name in "mixpanel-files", "mixpanel-messages":
        assert settings(with_settings, name).items() >= {**SETTINGS, "IMPORT_EXCLUDE": "broken/*"}.items()
        assert settings(with_settings, name)["LOOKUP_TABLE"] == "gs://my-events/lookup.csv"
        secrets = with_settings.cloud.state["functions"][name]["deployed"]["--set-secrets"]
        assert secrets.endswith(f",LOOKUP_KEY=projects/{PROJECT}/secrets/lookup:3")


def test_mixpanels_residency_stays_where_nobody_says_it_again(deployed: StandIn) -> None:
    run = deployed.deploy(*(flag for flag in BOTH if not flag.startswith("--residency")), IMPORT_EXCLUDE="x/*")

    assert run.code == 0, run.errors
    assert settings(deployed)["MIXPANEL_REGION"] == "eu"


def test_the_place_of_rejects_and_checkpoints_stays(google: StandIn) -> None:
    google.cloud.state["topics"]["refused"] = {}
    rejects = f"projects/{PROJECT}/topics/refused"
    google.deploy(*BOTH, "--state-bucket=other", text=SECRET, IMPORT_REJECTS=rejects)

    run = google.deploy(*BOTH, IMPORT_EXCLUDE="x/*")

    assert run.code == 0, run.errors
    assert settings(google)["IMPORT_REJECTS"] == rejects
    assert settings(google)["IMPORT_CHECKPOINTS"] == "gs://other/checkpoints"
    assert google.deploy(*BOTH, "--unset=IMPORT_REJECTS").code == 0
    assert settings(google)["IMPORT_REJECTS"] == "gs://other/rejects"


def test_the_kind_of_credentials_stays_whatever_other_secrets_there_are(google: StandIn) -> None:
    flags = [flag for flag in FLAGS if not flag.startswith("--mixpanel")]
    assert google.deploy(*flags, "--topic=my-topic", "--credentials=project-token", text=SECRET).code == 0
    theirs = {"key": "A_KEY", "projectId": PROJECT, "secret": "theirs", "version": "1"}
    service = google.cloud.state["functions"]["mixpanel-messages"]["serviceConfig"]
    service["secretEnvironmentVariables"].insert(0, theirs)

    assert google.deploy("release", *flags, LOG_LEVEL="DEBUG").code == 0

    given = google.cloud.state["functions"]["mixpanel-messages"]["deployed"]["--set-secrets"]
    assert given == f"MIXPANEL_PROJECT_TOKEN=mixpanel-secret:1,A_KEY=projects/{PROJECT}/secrets/theirs:1"


def test_the_state_bucket_stays_where_messages_alone_are_imported(google: StandIn) -> None:
    flags = (*FLAGS, "--topic=my-topic")
    google.deploy(*flags, "--state-bucket=other", text=SECRET)

    assert google.deploy(*flags).code == 0

    assert set(google.cloud.state["buckets"]) == {"my-events", "other"}


def test_a_setting_goes_that_is_unset(with_settings: StandIn) -> None:
    run = with_settings.deploy(*BOTH, "--unset=IMPORT_TRANSFORM,LOOKUP_TABLE")

    assert run.code == 0, run.errors
    assert not {"IMPORT_TRANSFORM", "LOOKUP_TABLE"} & set(settings(with_settings))
    assert settings(with_settings)["IMPORT_INCLUDE"] == "a/*,b/*"


def test_what_changes_is_shown_before_it_does_and_no_secret_with_it(with_settings: StandIn) -> None:
    added = with_settings.cloud.state["functions"]["mixpanel-files"]["serviceConfig"]
    added["environmentVariables"]["LOOKUP_TOKEN"] = "hunter2"
    added["maxInstanceCount"] = 20

    run = with_settings.deploy(
        "diff", *BOTH, "--unset=IMPORT_TRANSFORM,LOOKUP_TOKEN", IMPORT_INCLUDE="c/*", IMPORT_EXCLUDE="x=y"
    )

    assert run.code == 0, run.errors
    assert with_settings.cloud.changes() == []
    changes = run.output.partition("# What changes")[2].partition("mixpanel-messages")[0].splitlines()
    assert [line for line in changes if line.startswith("#   ")] == [
        "#   + IMPORT_EXCLUDE=x=y",
        "#   ~ IMPORT_INCLUDE=c/*   (it was a/*,b/*)",
        "#   - IMPORT_TRANSFORM=mapping:to_mixpanel",
        "#   - LOOKUP_TOKEN=…",
        "#   ~ instances=12   (it was 20)",
    ]


def test_a_setting_that_is_given_and_unset_is_asked_about(deployed: StandIn) -> None:
    run = deployed.deploy(*BOTH, "--unset=IMPORT_INCLUDE", IMPORT_INCLUDE="a/*")

    assert run.code == 1
    assert "IMPORT_INCLUDE is given as a/*, and is to be unset: which is meant?" in run.errors
    assert deployed.cloud.asked == []


def test_whoever_may_look_may_see_what_would_change(deployed: StandIn) -> None:
    deployed.cloud.lacking = {"resourcemanager.projects.setIamPolicy", "cloudfunctions.functions.update"}

    assert deployed.deploy("diff", *FLAGS).code == 0


def test_nothing_to_change_is_said(deployed: StandIn) -> None:
    run = deployed.deploy(*BOTH)

    assert "mixpanel-files has these settings already." in run.output


# ── A file of settings ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_of_settings_is_all_that_counts(google: StandIn, tmp_path: Path) -> None:
    run = google.deploy(config(tmp_path), text=SECRET, IMPORT_EXCLUDE="of-this-shell/*", PROJECT_ID="another")

    assert run.code == 0, run.errors
    assert settings(google).items() >= {**SETTINGS, "MIXPANEL_REGION": "eu"}.items()
    assert "IMPORT_EXCLUDE" not in settings(google)
    google.cloud.asked.clear()
    before = google.snapshot()
    assert google.deploy(config(tmp_path)).code == 0
    assert google.cloud.state == before


def test_what_the_file_lacks_ends_it_before_anything_changes(with_settings: StandIn, tmp_path: Path) -> None:
    file = config(tmp_path, without="IMPORT_TRANSFORM")

    run = with_settings.deploy(file)

    assert run.code == 1
    assert "mixpanel-files has IMPORT_TRANSFORM=mapping:to_mixpanel, which is not in" in run.errors
    assert "--unset=IMPORT_TRANSFORM" in run.errors
    assert with_settings.cloud.changes() == []
    assert with_settings.deploy(file, "--unset=IMPORT_TRANSFORM").code == 0
    assert "IMPORT_TRANSFORM" not in settings(with_settings)
    assert settings(with_settings)["LOOKUP_TABLE"] == "gs://my-events/lookup.csv"


def test_another_residency_than_the_files_ends_it(with_settings: StandIn, tmp_path: Path) -> None:
    run = with_settings.deploy(config(tmp_path, without="MIXPANEL_REGION"))

    assert run.code == 1
    assert "has MIXPANEL_REGION=eu, which is not in" in run.errors


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("IMPRT_INCLUDE=a/*", "line 12: IMPRT_INCLUDE is no setting of this script or of the importer"),
        ("just text", "line 12 is not NAME=value"),
        ("MIXPANEL_SERVICE_ACCOUNT_SECRET=s", "line 12: a secret does not belong into a file"),
    ],
)
def test_a_line_that_cannot_be_meant_is_named(google: StandIn, tmp_path: Path, line: str, sentence: str) -> None:
    run = google.deploy(config(tmp_path, line))

    assert run.code == 1
    assert sentence in run.errors
    assert google.cloud.asked == []


def test_a_flag_comes_before_the_file(google: StandIn, tmp_path: Path) -> None:
    run = google.deploy(config(tmp_path), "--time-limit=300", text=SECRET)

    assert run.code == 0, run.errors
    assert settings(google)["IMPORT_TIME_LIMIT"] == "300"


def test_the_time_limit_is_the_functions_and_the_importers(google: StandIn) -> None:
    google.deploy(*BOTH, "--time-limit=300", text=SECRET)

    files = google.cloud.state["functions"]["mixpanel-files"]["deployed"]

    assert (files["--timeout"], settings(google)["IMPORT_TIME_LIMIT"]) == ("300s", "300")
    assert "IMPORT_TIME_LIMIT" not in settings(google, "mixpanel-messages")
    assert google.deploy(*BOTH).code == 0
    assert settings(google)["IMPORT_TIME_LIMIT"] == "300"


# ── Triggers ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--bucket=elsewhere", "imports gs://my-events, and gs://elsewhere is wanted: its trigger would be made anew"),
        ("--topic=elsewhere", "imports the topic my-topic, and elsewhere is wanted: a subscription cannot change"),
    ],
)
def test_another_source_than_before_is_told_what_that_loses(deployed: StandIn, flag: str, sentence: str) -> None:
    deployed.cloud.state["buckets"]["elsewhere"] = {"location": "EU"}
    deployed.cloud.state["topics"]["elsewhere"] = {}

    run = deployed.deploy(*BOTH, flag)

    assert run.code == 1
    assert sentence in run.errors
    assert "--replace-trigger" in run.errors
    assert deployed.cloud.changes() == []


def test_another_topic_is_taken_when_that_is_meant_and_what_waits_goes_to_a_snapshot(deployed: StandIn) -> None:
    deployed.cloud.state["topics"]["elsewhere"] = {}

    run = deployed.deploy(*BOTH, "--topic=elsewhere", "--replace-trigger")

    assert run.code == 0, run.errors
    assert deployed.cloud.state["subscriptions"]["mixpanel-messages"]["topic"] == "elsewhere"
    assert len(deployed.cloud.state["snapshots"]) == 1


def test_a_topic_that_was_deleted_and_made_again_is_noticed(deployed: StandIn) -> None:
    deployed.cloud.state["subscriptions"]["mixpanel-messages"]["topic"] = "_deleted-topic_"

    run = deployed.deploy(*BOTH)

    assert run.code == 1
    assert "the topic of the subscription mixpanel-messages was deleted" in run.errors


# ── Roles ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_release_touches_functions_and_monitoring_alone(deployed: StandIn) -> None:
    for function in deployed.cloud.state["functions"].values():
        function["labels"]["stamp"] = "older"
    deployed.cloud.lacking = {"resourcemanager.projects.setIamPolicy", "secretmanager.versions.add"}

    run = deployed.deploy("release", *FLAGS)

    assert run.code == 0, run.errors
    assert {command.names for command in deployed.cloud.changes()} == {
        "functions deploy mixpanel-files",
        "functions deploy mixpanel-messages",
        "run services update mixpanel-messages",
    }
    assert deployed.cloud.state["functions"]["mixpanel-files"]["revisions"] == 2


def test_a_release_deploys_what_a_deployment_would(deployed: StandIn) -> None:
    assert deployed.deploy("release", *FLAGS).code == 0

    assert deployed.cloud.changes() == []


def test_a_release_makes_no_function(google: StandIn) -> None:
    google.deploy(*BOTH, "--only=gcs", text=SECRET)
    google.cloud.asked.clear()

    run = google.deploy("release", *BOTH)

    assert run.code == 1
    assert "there is no function mixpanel-messages yet: './deploy.sh deploy …' makes it, by an owner" in run.errors
    assert google.cloud.changes() == []


def test_rotating_puts_the_functions_on_a_new_secret_and_does_nothing_else(with_settings: StandIn) -> None:
    run = with_settings.deploy("rotate", f"--project={PROJECT}", "--region=europe-west1", text="another")

    assert run.code == 0, run.errors
    state = with_settings.cloud.state
    assert state["secrets"]["mixpanel-secret"]["versions"] == [SECRET, "another"]
    assert {command.names for command in with_settings.cloud.changes()} == {
        "secrets versions add mixpanel-secret",
        "run services update mixpanel-files",
        "run services update mixpanel-messages",
    }
    for function in state["functions"].values():
        assert function["deployed"]["--set-secrets"] == "MIXPANEL_SERVICE_ACCOUNT_SECRET=mixpanel-secret:2"
    assert with_settings.deploy("release", *FLAGS).code == 0
    for function in state["functions"].values():
        assert function["deployed"]["--set-secrets"].startswith("MIXPANEL_SERVICE_ACCOUNT_SECRET=mixpanel-secret:2,")


@pytest.mark.parametrize(
    ("verb", "permission", "grant"),
    [
        (
            "release",
            "iam.serviceAccounts.actAs",
            f"gcloud iam service-accounts add-iam-policy-binding mixpanel-build@{PROJECT}.iam.gserviceaccount.com",
        ),
        ("release", "secretmanager.versions.list", "gcloud secrets add-iam-policy-binding mixpanel-secret"),
        ("rotate", "secretmanager.versions.add", "gcloud secrets add-iam-policy-binding mixpanel-secret"),
        ("rotate", "run.services.update", f"gcloud projects add-iam-policy-binding {PROJECT}"),
    ],
)
def test_each_role_is_checked_for_what_it_needs(deployed: StandIn, verb: str, permission: str, grant: str) -> None:
    deployed.cloud.lacking = {permission}

    run = deployed.deploy(verb, *FLAGS, text="another")

    assert run.code == 1
    assert permission in run.errors
    assert grant in run.errors
    assert deployed.cloud.changes() == []


def test_an_owner_gives_the_smaller_roles_what_they_need(deployed: StandIn) -> None:
    ci = f"serviceAccount:ci@{PROJECT}.iam.gserviceaccount.com"
    deployed.cloud.state["agents"].append(ci.removeprefix("serviceAccount:"))

    run = deployed.deploy(*BOTH, f"--releaser={ci}")

    assert run.code == 0, run.errors
    granted = {
        (where, role)
        for where, policy in deployed.cloud.state["policies"].items()
        for role, members in policy.items()
        if ci in members
    }
    assert ("secrets/mixpanel-secret", "roles/secretmanager.viewer") in granted
    assert (f"accounts/mixpanel-build@{PROJECT}.iam.gserviceaccount.com", "roles/iam.serviceAccountUser") in granted
    assert not [
        role for where, role in granted if re.search("owner|editor$|admin", role, re.IGNORECASE) and "monit" not in role
    ]


# ── Monitoring ────────────────────────────────────────────────────────────────────────────────────────────────────


def titles(google: StandIn) -> set[str]:
    return {alert["displayName"] for alert in google.cloud.state["alerts"].values()}


def test_an_alert_of_an_older_version_goes_and_anybody_elses_stays(deployed: StandIn) -> None:
    before = titles(deployed)
    for number, importer in ((98, "mixpanel"), (99, "second")):
        name = f"projects/{PROJECT}/alertPolicies/{number}"
        labels = {"importer": importer, "stamp": "s"}
        deployed.cloud.new("alerts", name, name=name, displayName=f"[{importer}] Of old", userLabels=labels)

    assert deployed.deploy(*BOTH).code == 0

    assert titles(deployed) == before | {"[second] Of old"}


def test_silence_raises_an_alarm_on_demand_and_goes_on_doing_so(deployed: StandIn) -> None:
    assert deployed.deploy(*BOTH, "--alert-silence=6").code == 0
    assert deployed.deploy(*BOTH).code == 0

    (silence,) = [alert for alert in deployed.cloud.state["alerts"].values() if "Silence" in alert["displayName"]]
    assert "[6h]" in str(silence["conditions"])


def test_monitoring_is_the_same_whichever_part_is_deployed(deployed: StandIn) -> None:
    before = deployed.snapshot()["alerts"]

    for only in [("--bucket",), ("--topic",), ("--bucket", "--topic")]:
        flags = [flag for flag in BOTH if not flag.startswith(only)]
        run = deployed.deploy("release" if len(only) > 1 else "deploy", *flags)
        assert run.code == 0, run.errors
        assert deployed.cloud.state["alerts"] == before


# ── First deployments ─────────────────────────────────────────────────────────────────────────────────────────────

FRESH = {
    "functions deploy": [
        "Permission denied while using the Eventarc Service Agent. If you recently started to use Eventarc, …",
        "The Cloud Storage service account for your bucket is unable to publish to Cloud Pub/Sub topics in …",
        "Build failed: could not build the function due to a missing permission on the build service account.",
        "mixpanel-build@… does not have storage.objects.get access to the Google Cloud Storage object.",
        "Unable to retrieve the repository metadata for projects/my-project/locations/…/gcf-artifacts.",
        "Permission denied on secret: projects/1/secrets/mixpanel-secret/versions/1 for Revision service account …",
    ],
    "storage buckets describe": ["Cloud Storage API has not been used in project 123 before or it is disabled."],
    "pubsub topics create": [
        "PERMISSION_DENIED: Cloud Pub/Sub API has not been used in project 123 before or it is disabled."
    ],
    "projects add-iam-policy-binding": ["Service account mixpanel-build@… does not exist."],
}


@pytest.mark.parametrize(("beginning", "message"), [(one, text) for one, texts in FRESH.items() for text in texts])
def test_what_a_fresh_project_says_in_its_first_minutes_is_waited_for(
    google: StandIn, beginning: str, message: str
) -> None:
    class Fresh(Cloud):
        """Says it twice, then no longer."""

        said = 0

        def answer(self, program: str, words: list[str], text: str) -> tuple[int, str, str]:
            if " ".join(words).startswith(beginning) and self.said < 2:
                self.said += 1
                return 1, "", f"ERROR: (gcloud) {message}\n"
            return super().answer(program, words, text)

    google.cloud = Fresh()

    run = google.deploy(*BOTH, "--only=gcs", text=SECRET)

    assert run.code == 0, run.errors
    assert set(google.cloud.state["functions"]) == {"mixpanel-files"}
