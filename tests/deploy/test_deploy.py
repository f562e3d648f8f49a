"""deploy.sh against a stand-in for Google Cloud: what it makes, what it leaves alone, and stopping it anywhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from importer import settings
from tests.deploy.cloud import ACCOUNT, BOTH, GCS_AGENT, NUMBER, PROJECT, ROOT, SECRET, TOKEN, Cloud, StandIn

PUBSUB_AGENT = f"service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"
EVENTARC_AGENT = f"service-{NUMBER}@gcp-sa-eventarc.iam.gserviceaccount.com"


def account(name: str) -> str:
    return f"{name}@{PROJECT}.iam.gserviceaccount.com"


def test_a_fresh_project_gets_a_working_importer(google: StandIn) -> None:
    run = google.deploy(*BOTH, text=f"{SECRET}\n")

    assert run.code == 0, run.errors
    functions = google.cloud.state["functions"]
    assert set(functions) == {"mixpanel-files", "mixpanel-messages"}
    assert google.cloud.state["secrets"]["mixpanel-secret"]["versions"] == [SECRET]
    files, messages = functions["mixpanel-files"]["deployed"], functions["mixpanel-messages"]["deployed"]
    assert files["--entry-point"] == "gcs_import"
    assert files["--trigger-event-filters"] == "type=google.cloud.storage.object.v1.finalized,bucket=my-events"
    assert files["--trigger-location"] == "eu"  # the bucket's, which is not the function's
    assert {"--retry", "--gen2", "--no-allow-unauthenticated"} <= set(files)
    assert (files["--timeout"], files["--concurrency"], files["--max-instances"]) == ("540s", "1", "12")
    assert messages["--entry-point"] == "pubsub_import"
    assert {"--trigger-http", "--no-allow-unauthenticated"} <= set(messages)
    for function in files, messages:
        assert function["--set-secrets"] == "MIXPANEL_SERVICE_ACCOUNT_SECRET=mixpanel-secret:1"
        given = dict(setting.split("=", 1) for setting in function["--set-env-vars"].split(","))
        assert given["MIXPANEL_REGION"] == "eu"
        assert given["IMPORT_REJECTS"] == "gs://my-project-mixpanel/rejects"


def test_the_functions_run_on_the_newest_python_that_the_tests_run_on(deployed: StandIn) -> None:
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    tried = re.findall(r'"3\.(\d+)"', workflow)
    assert tried == ["11", "12", "13"]
    functions = deployed.cloud.state["functions"].values()
    assert {each["deployed"]["--runtime"] for each in functions} == {f"python3{max(map(int, tried))}"}


def test_every_account_may_do_what_it_must_and_nothing_else(google: StandIn) -> None:
    google.deploy(*BOTH, text=SECRET)

    granted = {
        (member.removeprefix("serviceAccount:"), role, where)
        for where, policy in google.cloud.state["policies"].items()
        for role, members in policy.items()
        for member in members
    }
    eventarc = "subscriptions/eventarc-eu-mixpanel-files-654321-sub-098"
    project, state = f"projects/{PROJECT}", "buckets/my-project-mixpanel"
    sources = 'expression=resource.name.startsWith("projects/_/buckets/gcf-v2-"),title=function-sources'
    assert granted == {
        # gcs_import reads the source bucket and the secret, and keeps rejects and checkpoints.
        (account("mixpanel-files"), "roles/storage.objectViewer", "buckets/my-events"),
        (account("mixpanel-files"), "roles/storage.objectUser", state),
        (account("mixpanel-files"), "roles/secretmanager.secretAccessor", "secrets/mixpanel-secret"),
        # pubsub_import reads the secret, and keeps rejects.
        (account("mixpanel-messages"), "roles/storage.objectUser", state),
        (account("mixpanel-messages"), "roles/secretmanager.secretAccessor", "secrets/mixpanel-secret"),
        # Each is called by one account.
        (account("mixpanel-files-trigger"), "roles/run.invoker", "functions/mixpanel-files"),
        (account("mixpanel-files-trigger"), "roles/eventarc.eventReceiver", project),
        (account("mixpanel-messages-push"), "roles/run.invoker", "functions/mixpanel-messages"),
        # The builder reads the sources of functions and writes images and logs.
        (account("mixpanel-build"), "roles/logging.logWriter", project),
        (account("mixpanel-build"), "roles/artifactregistry.writer", project),
        (account("mixpanel-build"), f"roles/storage.objectViewer if {sources}", project),
        # Google's own agents carry events and bury dead letters.
        (GCS_AGENT, "roles/pubsub.publisher", project),
        (EVENTARC_AGENT, "roles/eventarc.serviceAgent", project),
        (PUBSUB_AGENT, "roles/iam.serviceAccountTokenCreator", f"accounts/{account('mixpanel-files-trigger')}"),
        (PUBSUB_AGENT, "roles/iam.serviceAccountTokenCreator", f"accounts/{account('mixpanel-messages-push')}"),
        (PUBSUB_AGENT, "roles/pubsub.publisher", "topics/mixpanel-files-dead-letters"),
        (PUBSUB_AGENT, "roles/pubsub.publisher", "topics/mixpanel-messages-dead-letters"),
        (PUBSUB_AGENT, "roles/pubsub.subscriber", eventarc),
        (PUBSUB_AGENT, "roles/pubsub.subscriber", "subscriptions/mixpanel-messages"),
    }


def test_undelivered_events_and_messages_are_kept_as_dead_letters(deployed: StandIn) -> None:
    subscriptions = deployed.cloud.state["subscriptions"]
    redelivery = {
        "--max-delivery-attempts": "100",
        "--min-retry-delay": "10s",
        "--max-retry-delay": "600s",
        "--message-retention-duration": "7d",
        "--expiration-period": "never",
    }
    url = f"https://mixpanel-messages-{NUMBER}.run.app"

    assert subscriptions["eventarc-eu-mixpanel-files-654321-sub-098"] == redelivery | {
        "topic": "eventarc-eu-mixpanel-files-654321-098",
        "--ack-deadline": "600",
        "--dead-letter-topic": "mixpanel-files-dead-letters",
    }
    assert subscriptions["mixpanel-messages"] == redelivery | {
        "topic": "my-topic",
        "--ack-deadline": "120",
        "--dead-letter-topic": "mixpanel-messages-dead-letters",
        "--push-endpoint": url,
        "--push-auth-token-audience": url,
        "--push-auth-service-account": account("mixpanel-messages-push"),
    }
    for name in "mixpanel-files-dead-letters", "mixpanel-messages-dead-letters":
        assert subscriptions[name] == {
            "topic": name,
            "--ack-deadline": "120",
            "--message-retention-duration": "31d",
            "--expiration-period": "never",
            "--min-retry-delay": "10s",
            "--max-retry-delay": "600s",
        }


def test_the_state_bucket_is_closed_and_cleans_itself(deployed: StandIn) -> None:
    bucket = deployed.cloud.state["buckets"]["my-project-mixpanel"]

    assert bucket["location"] == "EUROPE-WEST1"
    assert bucket["uniformAccess"]
    assert bucket["publicAccessPrevention"]
    assert [rule["condition"] for rule in bucket["lifecycle"]["rule"]] == [
        {"age": 365, "matchesPrefix": ["rejects/"]},
        {"age": 30, "matchesPrefix": ["checkpoints/"]},
    ]


def test_secrets_are_in_no_argument_and_no_output(google: StandIn) -> None:
    run = google.deploy(*BOTH, text=SECRET)

    words = " ".join(word for command in google.cloud.asked for word in command.words)
    for secret in SECRET, TOKEN:
        assert secret not in words + run.output + run.errors
    assert [command.names for command in google.cloud.asked if SECRET in command.input] == [
        "secrets versions add mixpanel-secret"
    ]


def test_a_second_run_changes_nothing(deployed: StandIn) -> None:
    before = deployed.snapshot()

    run = deployed.deploy(*BOTH)

    assert run.code == 0, run.errors
    assert deployed.cloud.state == before
    made = [c.names for c in deployed.cloud.changes() if re.search(r" (create|deploy|delete|versions add)\b", c.names)]
    assert {re.sub(" create.*", "", name) for name in made} == {"beta services identity"}  # which only looks, then


def test_what_was_changed_is_changed_and_nothing_else(deployed: StandIn) -> None:
    deployed.cloud.state["functions"]["mixpanel-files"]["labels"]["stamp"] = "of-another-source"
    deployed.cloud.state["metrics"]["mixpanel_read"]["description"] = "from an older version"
    deployed.cloud.state["dashboards"]["mixpanel"]["labels"]["stamp"] = "of-an-older-version"
    deployed.cloud.state["alerts"]["projects/my-project/alertPolicies/1"]["userLabels"]["stamp"] = "older"
    deployed.cloud.state["alerts"]["projects/my-project/alertPolicies/1"]["notificationChannels"] = [
        "projects/my-project/notificationChannels/1",
        "projects/my-project/notificationChannels/2",
    ]
    deployed.cloud.new("channels", "projects/my-project/notificationChannels/2")

    run = deployed.deploy(*BOTH)

    assert run.code == 0, run.errors
    state = deployed.cloud.state
    assert state["functions"]["mixpanel-files"]["revisions"] == 2
    assert state["functions"]["mixpanel-messages"]["revisions"] == 1
    assert state["metrics"]["mixpanel_read"]["description"].startswith("Records read")
    assert state["dashboards"]["mixpanel"]["etag"] == "etag2"
    alert = state["alerts"]["projects/my-project/alertPolicies/1"]
    assert alert["userLabels"]["stamp"] != "older"
    assert len(alert["notificationChannels"]) == 2  # what somebody added in the console is kept


def test_a_setting_that_changed_is_deployed(deployed: StandIn) -> None:
    run = deployed.deploy(*BOTH, IMPORT_INCLUDE="events/*,more/*")

    assert run.code == 0, run.errors
    given = deployed.cloud.state["functions"]["mixpanel-files"]["deployed"]["--set-env-vars"]
    assert given.startswith("^;^")
    assert "IMPORT_INCLUDE=events/*,more/*" in given.removeprefix("^;^").split(";")


def test_a_new_secret_is_a_new_version_and_both_functions_use_it(deployed: StandIn) -> None:
    run = deployed.deploy(*BOTH, "--new-secret", text="another")

    assert run.code == 0, run.errors
    assert deployed.cloud.state["secrets"]["mixpanel-secret"]["versions"] == [SECRET, "another"]
    for function in deployed.cloud.state["functions"].values():
        assert function["deployed"]["--set-secrets"].endswith(":2")


def test_rejects_may_go_to_a_topic_which_both_may_publish_to(google: StandIn) -> None:
    google.cloud.state["topics"]["refused"] = {}

    run = google.deploy(*BOTH, text=SECRET, IMPORT_REJECTS="projects/my-project/topics/refused")

    assert run.code == 0, run.errors
    publishers = {f"serviceAccount:{account(name)}" for name in ("mixpanel-files", "mixpanel-messages")}
    assert set(google.cloud.state["policies"]["topics/refused"]["roles/pubsub.publisher"]) == publishers
    given = google.cloud.state["functions"]["mixpanel-messages"]["deployed"]["--set-env-vars"]
    assert "IMPORT_REJECTS=projects/my-project/topics/refused" in given.split(",")


# ── Stopped on the way ────────────────────────────────────────────────────────────────────────────────────────────


class Watched(Cloud):
    """Keeps what the cloud looked like after each command."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[dict[str, Any]] = []

    def answer(self, program: str, words: list[str], text: str) -> tuple[int, str, str]:
        answer = super().answer(program, words, text)
        with_history = self.copy_of_state()
        if not self.history or self.history[-1] != with_history:
            self.history.append(with_history)
        return answer


def finish_from(folder: Path, begun: dict[str, Any], *arguments: str, text: str = "") -> tuple[int, dict[str, Any]]:
    folder.mkdir()
    stand_in = StandIn(folder)
    stand_in.cloud.state = begun
    run = stand_in.deploy(*arguments, text=text)
    stand_in.close()
    return run.code, stand_in.cloud.state


def test_stopped_anywhere_and_run_again_it_ends_in_the_same_state(google: StandIn, tmp_path: Path) -> None:
    google.cloud = watched = Watched()
    assert google.deploy(*BOTH, text=SECRET).code == 0
    whole = watched.history.pop()
    assert len(watched.history) > 40

    def finish(number: int) -> tuple[int, dict[str, Any]]:
        return finish_from(tmp_path / str(number), watched.history[number], *BOTH, text=SECRET)

    with ThreadPoolExecutor(2) as threads:
        for number, (code, state) in enumerate(threads.map(finish, range(len(watched.history)))):
            assert (code, state) == (0, whole), f"stopped after change {number}"


@pytest.mark.parametrize("count", [1, 12, 25, 38, 51, 64, 77, 90])
def test_killed_after_some_command_it_leaves_nothing_but_what_that_command_did(google: StandIn, count: int) -> None:
    google.cloud = watched = Watched()
    google.deploy(*BOTH, text=SECRET)
    states = watched.history

    google.cloud = killed = Cloud()
    with google.stopped_after(count):
        assert google.deploy(*BOTH, text=SECRET).code < 0

    assert len(killed.asked) == count
    assert killed.state in states


def test_a_deployment_still_under_way_is_waited_for(deployed: StandIn) -> None:
    function = deployed.cloud.state["functions"]["mixpanel-files"]
    function["state"] = "DEPLOYING"
    looks = iter(range(3))

    class Deploying(Cloud):
        def answer(self, program: str, words: list[str], text: str) -> tuple[int, str, str]:
            if words[:3] == ["functions", "describe", "mixpanel-files"] and next(looks, None) is None:
                function["state"] = "ACTIVE"
            return super().answer(program, words, text)

    deployed.cloud = Deploying(deployed.cloud.state)

    run = deployed.deploy(*BOTH)

    assert run.code == 0, run.errors
    assert function["revisions"] == 1


# ── What may be missing ───────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_missing_around_it_is_said_with_how_to_get_it(google: StandIn) -> None:
    google.cloud.components = {"beta": "2025.06.20"}
    assert "run 'gcloud components install alpha beta'" in google.deploy(*BOTH).errors
    google.cloud = Cloud(logged_in=False)
    assert "run 'gcloud auth login'" in google.deploy(*BOTH).errors
    google.cloud = Cloud(billed=False)
    assert "'gcloud billing projects link my-project --billing-account=…' links one" in google.deploy(*BOTH).errors
    google.cloud = Cloud(refuse={"projects describe": "PERMISSION_DENIED: projects.get denied (or it may not exist)"})
    assert "projects.get denied" in google.deploy(*BOTH).errors
    assert google.cloud.changes() == []


def test_who_may_not_see_the_billing_can_deploy_all_the_same(google: StandIn) -> None:
    google.cloud.refuse = {"billing projects describe": "PERMISSION_DENIED: billing"}

    assert google.deploy(*BOTH, text=SECRET).code == 0


def test_a_missing_permission_is_named_before_anything_is_made_with_the_command_that_gives_it(google: StandIn) -> None:
    google.cloud.lacking = {"secretmanager.secrets.create", "secretmanager.versions.add", "run.services.setIamPolicy"}

    run = google.deploy(*BOTH, text=SECRET)

    assert run.code == 1
    for permission in google.cloud.lacking:
        assert permission in run.errors
    grant = f"gcloud projects add-iam-policy-binding {PROJECT} --member=user:{ACCOUNT} --role="
    assert run.errors.count(f"{grant}roles/secretmanager.admin ") == 1
    assert run.errors.count(f"{grant}roles/run.admin ") == 1
    assert google.cloud.changes() == []


def test_a_refusal_on_the_way_stops_it_there_and_the_next_run_goes_on(google: StandIn) -> None:
    google.cloud.refuse = {"run services add-iam-policy-binding": "PERMISSION_DENIED: run.services.setIamPolicy"}
    stopped = google.deploy(*BOTH, text=SECRET)
    assert stopped.code == 1
    assert "PERMISSION_DENIED: run.services.setIamPolicy" in stopped.errors
    assert google.cloud.asked[-1].names.startswith("run services add-iam-policy-binding")

    google.cloud.refuse = {}
    assert google.deploy(*BOTH).code == 0
    google.cloud.asked.clear()
    before = google.snapshot()
    assert google.deploy(*BOTH).code == 0
    assert google.cloud.state == before


def test_a_look_that_is_refused_is_not_taken_for_nothing_there(deployed: StandIn) -> None:
    deployed.cloud.refuse = {"secrets describe": "PERMISSION_DENIED: secretmanager.secrets.get"}

    run = deployed.deploy(*BOTH)

    assert run.code == 1
    assert "PERMISSION_DENIED: secretmanager.secrets.get" in run.errors
    assert deployed.cloud.asked[-1].names.startswith("secrets describe")


def test_what_google_does_not_know_yet_is_tried_again(google: StandIn) -> None:
    google.cloud.late = {"projects add-iam-policy-binding": 3, "functions deploy": 2}

    run = google.deploy(*BOTH, text=SECRET)

    assert run.code == 0, run.errors
    assert set(google.cloud.state["functions"]) == {"mixpanel-files", "mixpanel-messages"}


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("buckets", "my-events", "there is no bucket gs://my-events: 'gcloud storage buckets create"),
        ("topics", "my-topic", "there is no topic my-topic: 'gcloud pubsub topics create my-topic'"),
    ],
)
def test_a_missing_source_is_named_and_not_made(google: StandIn, kind: str, name: str, sentence: str) -> None:
    del google.cloud.state[kind][name]

    run = google.deploy(*BOTH, text=SECRET)

    assert run.code == 1
    assert sentence in run.errors
    assert name not in google.cloud.state[kind]


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        ("--project", "which project?"),
        ("--region", "which region?"),
        ("--mixpanel-user", "a service account needs --mixpanel-project=… and --mixpanel-user=…"),
    ],
)
def test_a_missing_flag_is_asked_for_in_a_sentence(google: StandIn, without: str, sentence: str) -> None:
    run = google.deploy(*(flag for flag in BOTH if not flag.startswith(without)), text=SECRET)

    assert run.code == 1
    assert sentence in run.errors
    assert google.cloud.asked == []


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--only=files", "--only is gcs, pubsub or monitoring"),
        ("--residency=mars", "--residency is us, eu or in"),
        ("--name=Much_Too_Loud", "--name is 2 to 15 lowercase letters"),
        ("--name=a-name-too-long-", "--name is 2 to 15 lowercase letters"),
        ("--credentials=none", "--credentials is service-account, project-token or api-secret"),
        ("--wat", "--wat is no flag of this script"),
    ],
)
def test_a_wrong_flag_is_named(google: StandIn, flag: str, sentence: str) -> None:
    run = google.deploy(*BOTH, flag, text=SECRET)

    assert run.code == 1
    assert sentence in run.errors
    assert google.cloud.asked == []


def test_no_secret_is_no_deployment(google: StandIn) -> None:
    run = google.deploy(*BOTH, text="")

    assert run.code == 1
    assert "no secret was given" in run.errors
    assert google.cloud.state["functions"] == {}


# ── Parts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("part", "functions", "eyes"),
    [("gcs", {"mixpanel-files"}, 0), ("pubsub", {"mixpanel-messages"}, 0), ("monitoring", set(), 10)],
)
def test_only_a_part_is_made_on_demand(google: StandIn, part: str, functions: set[str], eyes: int) -> None:
    run = google.deploy(*BOTH, f"--only={part}", text=SECRET)

    assert run.code == 0, run.errors
    assert set(google.cloud.state["functions"]) == functions
    assert len(google.cloud.state["alerts"]) == eyes


def test_two_importers_share_a_project(deployed: StandIn) -> None:
    before = deployed.snapshot()

    run = deployed.deploy(*BOTH, "--name=second", text=SECRET)

    assert run.code == 0, run.errors
    assert set(deployed.cloud.state["functions"]) == {
        f"{n}-{p}" for n in ("mixpanel", "second") for p in ("files", "messages")
    }
    for kind in "functions", "secrets", "metrics", "dashboards", "alerts":
        assert before[kind].items() <= deployed.cloud.state[kind].items()


@pytest.mark.parametrize(
    ("kind", "variable"), [("project-token", "MIXPANEL_PROJECT_TOKEN"), ("api-secret", "MIXPANEL_API_SECRET")]
)
def test_other_credentials_take_the_place_of_the_service_account(google: StandIn, kind: str, variable: str) -> None:
    flags = [flag for flag in BOTH if not flag.startswith("--mixpanel")]

    run = google.deploy(*flags, f"--credentials={kind}", text=SECRET)

    assert run.code == 0, run.errors
    deployed = google.cloud.state["functions"]["mixpanel-files"]["deployed"]
    assert deployed["--set-secrets"] == f"{variable}=mixpanel-secret:1"
    assert "SERVICE_ACCOUNT" not in deployed["--set-env-vars"]


def test_every_setting_of_the_importer_can_be_given(google: StandIn) -> None:
    values = {name: "1" for row in settings.ROWS if (name := row.name).startswith(("IMPORT", "LOG"))}
    values |= {"MIXPANEL_API_URL": "https://example.com", "IMPORT_REJECTS": "gs://my-project-mixpanel/r"}
    del values["IMPORT_CHECKPOINTS"]  # in the state bucket, always

    google.deploy(*BOTH, text=SECRET, **values)

    given = google.cloud.state["functions"]["mixpanel-files"]["deployed"]["--set-env-vars"].split(",")
    assert {f"{name}={value}" for name, value in values.items()} <= set(given)


# ── A dry run ─────────────────────────────────────────────────────────────────────────────────────────────────────


def printed(output: str) -> list[tuple[str, ...]]:
    """The gcloud commands in what a dry run says."""
    lines = output.replace(" \\\n", " ").splitlines()
    commands = (shlex.split(line.removesuffix("||"), comments=True) for line in lines if line.startswith("gcloud "))
    return [tuple(words[1:]) for words in commands]


def test_a_dry_run_prints_what_a_fresh_project_would_be_asked_and_asks_nothing(google: StandIn) -> None:
    dry = google.deploy(*BOTH, "--dry-run")
    assert dry.code == 0, dry.errors
    assert google.cloud.asked == []

    google.deploy(*BOTH, text=SECRET)

    def known(words: tuple[str, ...]) -> str:
        """A command without what only Google knows."""
        text = " ".join(words).replace("PROJECT_NUMBER", NUMBER)
        return re.sub(r"europe-west1|\beu\b|\d{3,}|stamp=\S+|https://\S+", "…", text)

    asked = [command.words for command in google.cloud.asked if command.words[0] != "version"]
    wanted = [known(words) for words in asked]
    told = [known(words) for words in printed(dry.output)]
    told = [line.partition(" |")[0] if line.startswith("auth print") else line for line in told]
    assert told == wanted


def test_a_dry_run_is_a_script_that_explains_itself(google: StandIn) -> None:
    dry = google.deploy(*BOTH, "--dry-run")

    headings = [line for line in dry.output.splitlines() if line.startswith("# ")]
    assert len(headings) > 12
    assert subprocess.run(["bash", "-n"], input=dry.output, text=True, check=False).returncode == 0


# ── Destroying ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_destroy_takes_away_what_deploy_made_and_leaves_what_is_the_users(deployed: StandIn) -> None:
    run = deployed.deploy("destroy", *BOTH, text=f"{PROJECT}\n")

    assert run.code == 0, run.errors
    left = deployed.cloud.state
    for kind in "functions", "accounts", "secrets", "triggers", "metrics", "dashboards", "alerts":
        assert left[kind] == {}, kind
    assert set(left["buckets"]) == {"my-events", "my-project-mixpanel"}
    dead_letters = {"mixpanel-files-dead-letters", "mixpanel-messages-dead-letters"}
    assert set(left["topics"]) == {"my-topic"} | dead_letters
    assert set(left["subscriptions"]) == dead_letters
    assert len(left["snapshots"]) == 1  # of the messages that were waiting
    members = {m for policy in left["policies"].values() for members in policy.values() for m in members}
    assert not [member for member in members if f"@{PROJECT}." in member]


@pytest.mark.parametrize("answer", ["", "y\n", "yes\n", "another-project\n"])
def test_destroy_asks_first(deployed: StandIn, answer: str) -> None:
    before = deployed.snapshot()

    run = deployed.deploy("destroy", *BOTH, text=answer)

    assert run.code == 1
    assert "nothing was changed" in run.errors
    assert deployed.cloud.state == before
    assert deployed.cloud.changes() == []


def test_destroy_never_names_the_users_bucket_topic_or_data_in_a_deletion(deployed: StandIn) -> None:
    deployed.deploy("destroy", *BOTH, "--yes")

    deletions = [command.names for command in deployed.cloud.asked if " delete " in command.names]
    assert deletions
    kept = ("my-events", "my-topic", "my-project-mixpanel", "dead-letters")
    assert not [name for name in deletions if name.startswith("storage") or name.endswith(kept)]


def test_destroy_stopped_anywhere_and_run_again_ends_in_the_same_state(deployed: StandIn, tmp_path: Path) -> None:
    watched = Watched()
    watched.state = deployed.cloud.state
    deployed.cloud = watched
    assert deployed.deploy("destroy", *BOTH, "--yes").code == 0
    whole = watched.history.pop()

    def finish(number: int) -> tuple[int, dict[str, Any]]:
        return finish_from(tmp_path / str(number), watched.history[number], "destroy", *BOTH, "--yes")

    with ThreadPoolExecutor(2) as threads:
        for number, (code, state) in enumerate(threads.map(finish, range(len(watched.history)))):
            assert code == 0
            assert state | {"snapshots": {}} == whole | {"snapshots": {}}, f"stopped after change {number}"


def test_what_was_destroyed_can_be_deployed_again(deployed: StandIn) -> None:
    deployed.deploy("destroy", *BOTH, "--yes")

    run = deployed.deploy(*BOTH, text=SECRET)

    assert run.code == 0, run.errors
    assert set(deployed.cloud.state["functions"]) == {"mixpanel-files", "mixpanel-messages"}


def test_destroy_of_a_part_leaves_the_other_working(deployed: StandIn) -> None:
    run = deployed.deploy("destroy", *BOTH, "--only=gcs", "--yes")

    assert run.code == 0, run.errors
    assert set(deployed.cloud.state["functions"]) == {"mixpanel-messages"}
    assert "mixpanel-secret" in deployed.cloud.state["secrets"]


# ── The script itself ─────────────────────────────────────────────────────────────────────────────────────────────


def test_shellcheck_finds_nothing() -> None:
    if not shutil.which("shellcheck") and os.environ.get("CI") != "true":
        pytest.skip("shellcheck is not installed: install Debian's package shellcheck to check deploy.sh")

    done = subprocess.run(
        ["shellcheck", "-x", "deploy.sh", "aws/package.sh"], cwd=ROOT, text=True, capture_output=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_it_stands_alone_without_gcloud_for_help_and_dry_runs(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    for arguments in (["--help"], [*BOTH, "--dry-run"]):
        done = subprocess.run([ROOT / "deploy.sh", *arguments], env=env, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0
