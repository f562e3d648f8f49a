"""A stand-in for Google Cloud as `deploy.sh` meets it: gcloud, curl and sleep on PATH, and a project behind them.

The commands only carry words: they hand their arguments and input to a `Cloud` in the test's own process and repeat
what it answers. That starts fast, leaves a record of every command, and lets a test stop the script at any of them.
What the cloud refuses is what Google refuses: things made before what they stand on, grants to accounts that are not
there, deployments by accounts without rights. Answers have the form of the API's resources; `--format` picks from them.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import signal
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

PROJECT = "my-project"
NUMBER = "123456789012"
ACCOUNT = "deployer@example.com"
TOKEN = "ya29.token-of-the-deployer"
GCS_AGENT = f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"

ROOT = Path(__file__).parents[2]

SECRET = "the-secret-of-the-service-account"
BOTH = (
    "--project=my-project",
    "--region=europe-west1",
    "--bucket=gs://my-events",
    "--topic=my-topic",
    "--mixpanel-project=123",
    "--mixpanel-user=importer.1a2b3c.mp-service-account",
    "--residency=eu",
    "--alert-email=oncall@example.com",
)
"""What the tests deploy: everything there is."""

Resource = dict[str, Any]

_COMMAND = r"""#!/bin/bash
input=
case " $* " in *'=- '* | *' --config - '*) input=$(cat; printf x) ;; esac
exec 3<>"/dev/tcp/127.0.0.1/$STAND_IN_PORT"
printf '%s\0' "$(($# + 2))" "${0##*/}" "$@" "${input%x}" >&3
IFS= read -r -d '' code <&3; IFS= read -r -d '' out <&3; IFS= read -r -d '' err <&3
printf '%s' "$out"; printf '%s' "$err" >&2
exit "$code"
"""


@dataclass(frozen=True)
class Command:
    """One command as the script gave it: `words` without `gcloud`, and what it had on standard input."""

    words: tuple[str, ...]
    input: str = ""

    @property
    def names(self) -> str:
        """The words before the first flag, which say what it is about."""
        return " ".join(word for word in self.words if not word.startswith("--"))

    @property
    def flags(self) -> dict[str, str]:
        return {name: value for name, _, value in (word.partition("=") for word in self.words if word.startswith("--"))}


class Refused(Exception):
    """The cloud says no; the text is what gcloud would print."""


@dataclass
class Cloud:
    """A project of Google Cloud: what is in it, and everything it was asked."""

    state: dict[str, Any] = field(default_factory=lambda: fresh_project())  # noqa: PLW0108 (made further down)
    asked: list[Command] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)  # what each command found, as the API would give it
    refuse: dict[str, str] = field(default_factory=dict)  # words a command begins with: what is said to it
    components: dict[str, str] = field(default_factory=lambda: {"alpha": "2025.06.20", "beta": "2025.06.20"})
    logged_in: bool = True
    billed: bool = True
    lacking: set[str] = field(default_factory=set)  # permissions the account has not got
    late: dict[str, int] = field(default_factory=dict)  # words a command begins with: how often it comes too early
    stop_after: int | None = None  # the script is killed once this many commands have taken effect
    pid: int | None = None

    def answer(self, program: str, words: list[str], text: str) -> tuple[int, str, str]:
        if program == "curl":
            return 0, self._permissions(words), ""
        command = Command(tuple(words), text)
        self.asked.append(command)
        self.found.append(None)
        try:
            for beginning, message in self.refuse.items():
                if command.names.startswith(beginning):
                    raise Refused(message)
            for beginning, times in self.late.items():
                if command.names.startswith(beginning) and times > 0:
                    self.late[beginning] -= 1
                    raise Refused("ERROR: Service account mixpanel-build@… does not exist.")
            out, err, code = self._do(command), "", 0
        except Refused as refused:
            out, err, code = "", f"ERROR: (gcloud) {refused}\n", 1
        if len(self.asked) == self.stop_after and self.pid:
            os.killpg(self.pid, signal.SIGKILL)
        return code, out, err

    def copy_of_state(self) -> dict[str, Any]:
        return copy.deepcopy(self.state)

    def changes(self) -> list[Command]:
        """The commands that were meant to change something."""
        looks = re.compile(r".*(describe|list|list-files-for-upload|print-access-token|version|service-agent)( |$)")
        return [command for command in self.asked if not looks.match(command.names)]

    # What it answers ─────────────────────────────────────────────────────────────────────────────────────────────

    def _permissions(self, words: list[str]) -> str:
        wanted = json.loads(words[words.index("--data") + 1])["permissions"]
        return json.dumps({"permissions": [p for p in wanted if p not in self.lacking]})

    def _do(self, command: Command) -> str:
        words = command.names.split(" ")
        for length in range(len(words), 0, -1):
            act = _ACTS.get(" ".join(words[:length]))
            if act:
                found = act(self, words[length:], command)
                self.found[-1] = copy.deepcopy(found)
                return formatted(found, command.flags.get("--format", ""))
        raise AssertionError(f"the stand-in knows no such command: {command.words}")

    def get(self, kind: str, name: str) -> Resource:
        try:
            return cast(Resource, self.state[kind][name])
        except KeyError:
            raise Refused(_NOT_FOUND.get(kind, "NOT_FOUND: {} was not found").format(name)) from None

    def new(self, kind: str, key: str, **content: Any) -> None:
        if key in self.state[kind]:
            raise Refused(f"ALREADY_EXISTS: {key}")
        self.state[kind][key] = content

    def drop(self, kind: str, name: str) -> None:
        self.get(kind, name)
        del self.state[kind][name]

    def may(self, where: str, role: str, account: str) -> bool:
        """Whether the policy of `where` gives `role` to `account`, under whatever condition."""
        return any(
            granted.split(" if ")[0] == role and f"serviceAccount:{account}" in members
            for granted, members in self.state["policies"].get(where, {}).items()
        )


def fresh_project() -> dict[str, Any]:
    """A project with nothing in it but the user's bucket and topic."""
    kinds = "policies accounts secrets subscriptions snapshots functions triggers metrics dashboards alerts channels"
    return {
        kind: {} for kind in (*kinds.split(), "sinks", "exclusions", "log buckets", "repositories", "images", "jobs")
    } | {
        "apis": [],
        "agents": [GCS_AGENT],
        "buckets": {"my-events": {"location": "EU"}},
        "topics": {"my-topic": {}},
    }


_NOT_FOUND = {
    "buckets": "gs://{} not found: 404.",
    "functions": "ResponseError: status=[404], code=[Ok], message=[Resource 'functions/{}' was not found]",
    "topics": "NOT_FOUND: Resource not found (resource={}).",
    "subscriptions": "NOT_FOUND: Resource not found (resource={}).",
    "secrets": "NOT_FOUND: Secret [{}] not found.",
    "metrics": "NOT_FOUND: Metric {} does not exist.",
    "accounts": "NOT_FOUND: Unknown service account {}",
}

# ── What each command does ────────────────────────────────────────────────────────────────────────────────────────

_Act = Callable[[Cloud, list[str], Command], Any]
_ACTS: dict[str, _Act] = {}


def _act(words: str) -> Callable[[_Act], _Act]:
    def register(act: _Act) -> _Act:
        _ACTS[words] = act
        return act

    return register


_ACTS["auth list"] = lambda cloud, names, command: [{"account": ACCOUNT, "status": "ACTIVE"}] if cloud.logged_in else []
_ACTS["auth print-access-token"] = lambda cloud, names, command: TOKEN
_ACTS["version"] = lambda cloud, names, command: cloud.components
_ACTS["meta list-files-for-upload"] = lambda cloud, names, command: "requirements.txt\n"
_ACTS["projects describe"] = lambda cloud, names, command: {"projectNumber": NUMBER}
_ACTS["billing projects describe"] = lambda cloud, names, command: {"billingEnabled": cloud.billed}
_ACTS["services list"] = lambda cloud, names, command: [{"config": {"name": api}} for api in cloud.state["apis"]]
_ACTS["storage service-agent"] = lambda cloud, names, command: GCS_AGENT


@_act("services enable")
def _enable(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.state["apis"] = sorted({*cloud.state["apis"], *names})


@_act("beta services identity create")
def _make_agent(cloud: Cloud, names: list[str], command: Command) -> None:
    service = command.flags["--service"].removesuffix(".googleapis.com")
    _needs_api(cloud, service)
    agent = f"service-{NUMBER}@gcp-sa-{service}.iam.gserviceaccount.com"
    cloud.state["agents"] = sorted({*cloud.state["agents"], agent})


def _needs_api(cloud: Cloud, api: str) -> None:
    if f"{api}.googleapis.com" not in cloud.state["apis"]:
        raise Refused(
            f"PERMISSION_DENIED: {api}.googleapis.com has not been used in project {NUMBER} before or it is disabled"
        )


# Policies: who may do what, where.


def _binder(kind: str, api: str, *, key: Callable[[str], str] = lambda name: name) -> tuple[_Act, _Act]:
    def policy_of(cloud: Cloud, names: list[str], command: Command) -> tuple[dict[str, list[str]], str, str]:
        _needs_api(cloud, api)
        name = key(names[0])
        if kind != "projects":
            cloud.get(kind, name)
        condition = command.flags.get("--condition", "None")
        role = command.flags["--role"] + ("" if condition == "None" else f" if {condition}")
        return cloud.state["policies"].setdefault(f"{kind}/{name}", {}), role, command.flags["--member"]

    def add(cloud: Cloud, names: list[str], command: Command) -> None:
        policy, role, member = policy_of(cloud, names, command)
        email = member.removeprefix("serviceAccount:")
        if email not in cloud.state["accounts"] and email not in cloud.state["agents"]:
            raise Refused(f"INVALID_ARGUMENT: Service account {email} does not exist.")
        policy[role] = sorted({*policy.get(role, []), member})

    def remove(cloud: Cloud, names: list[str], command: Command) -> None:
        policy, role, member = policy_of(cloud, names, command)
        if member not in policy.get(role, []):
            raise Refused("Policy binding with the specified principal, role, and condition not found!")
        policy[role].remove(member)
        if not policy[role]:
            del policy[role]

    return add, remove


def _bucket(url: str) -> str:
    return url.removeprefix("gs://")


for _words, _kind, _api, _key in (
    ("projects", "projects", "cloudresourcemanager", str),
    ("storage buckets", "buckets", "storage", _bucket),
    ("secrets", "secrets", "secretmanager", str),
    ("iam service-accounts", "accounts", "iam", str),
    ("pubsub topics", "topics", "pubsub", lambda name: name.rpartition("/")[2]),
    ("pubsub subscriptions", "subscriptions", "pubsub", str),
    ("run services", "functions", "run", str),
):
    _ACTS[f"{_words} add-iam-policy-binding"], _ACTS[f"{_words} remove-iam-policy-binding"] = _binder(
        _kind, _api, key=_key
    )


# What is described, listed and deleted in one way.


def _describer(kind: str, api: str, key: Callable[[str], str] = str) -> _Act:
    def describe(cloud: Cloud, names: list[str], command: Command) -> Resource:
        _needs_api(cloud, api)
        return cloud.get(kind, key(names[0]))

    return describe


def _deleter(kind: str, api: str) -> _Act:
    def delete(cloud: Cloud, names: list[str], command: Command) -> None:
        _needs_api(cloud, api)
        cloud.drop(kind, names[0])
        cloud.state["policies"].pop(f"{kind}/{names[0]}", None)

    return delete


for _words, _kind, _api in (
    ("iam service-accounts", "accounts", "iam"),
    ("secrets", "secrets", "secretmanager"),
    ("pubsub topics", "topics", "pubsub"),
    ("pubsub subscriptions", "subscriptions", "pubsub"),
    ("functions", "functions", "cloudfunctions"),
    ("eventarc triggers", "triggers", "eventarc"),
    ("logging metrics", "metrics", "logging"),
    ("logging buckets", "log buckets", "logging"),
    ("logging sinks", "sinks", "logging"),
    ("artifacts repositories", "repositories", "artifactregistry"),
    ("artifacts docker images", "images", "artifactregistry"),
    ("run jobs", "jobs", "run"),
    ("monitoring dashboards", "dashboards", "monitoring"),
    ("alpha monitoring policies", "alerts", "monitoring"),
):
    _ACTS[f"{_words} describe"] = _describer(_kind, _api)
    _ACTS[f"{_words} delete"] = _deleter(_kind, _api)


@_act("storage buckets describe")
def _describe_bucket(cloud: Cloud, names: list[str], command: Command) -> Resource:
    return {"projectNumber": NUMBER, **_describer("buckets", "storage", _bucket)(cloud, names, command)}


@_act("storage buckets notifications list")
def _notifications(cloud: Cloud, names: list[str], command: Command) -> list[Resource]:
    bucket = _bucket(names[0])
    found = cloud.get("buckets", bucket).get("notifications", {})
    return [{"Bucket URL": names[0], "Notification Configuration": one} for one in found.values()]


@_act("storage buckets notifications create")
def _notify(cloud: Cloud, names: list[str], command: Command) -> None:
    topic = command.flags["--topic"].rpartition("/")[2]
    cloud.get("topics", topic)
    bucket = cloud.get("buckets", _bucket(names[0]))
    agent = f"service-{bucket.get('projectNumber', NUMBER)}@gs-project-accounts.iam.gserviceaccount.com"
    if not cloud.may(f"topics/{topic}", "roles/pubsub.publisher", agent):
        raise Refused(f"HTTPError 400: {agent} may not publish to {topic}")
    full, identifier = (
        f"//pubsub.googleapis.com/{command.flags['--topic']}",
        str(len(bucket.get("notifications", {})) + 1),
    )
    bucket.setdefault("notifications", {})[identifier] = {
        "id": identifier,
        "topic": full,
        "event_types": command.flags["--event-types"].split(","),
    }


@_act("storage buckets notifications delete")
def _stop_notifying(cloud: Cloud, names: list[str], command: Command) -> None:
    _, _, _, bucket, _, identifier = names[0].split("/")
    if cloud.get("buckets", bucket).get("notifications", {}).pop(identifier, None) is None:
        raise Refused(f"{names[0]} not found: 404.")


@_act("iam service-accounts create")
def _make_account(cloud: Cloud, names: list[str], command: Command) -> None:
    _needs_api(cloud, "iam")
    assert 6 <= len(names[0]) <= 30, "the length that Google allows"
    cloud.new("accounts", f"{names[0]}@{PROJECT}.iam.gserviceaccount.com", displayName=command.flags["--display-name"])


@_act("secrets create")
def _make_secret(cloud: Cloud, names: list[str], command: Command) -> None:
    _needs_api(cloud, "secretmanager")
    cloud.new("secrets", names[0], locations=command.flags["--locations"], versions=[])


@_act("secrets versions add")
def _add_version(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.get("secrets", names[0])["versions"].append(command.input)


@_act("secrets versions list")
def _versions(cloud: Cloud, names: list[str], command: Command) -> list[Resource]:
    versions = cloud.get("secrets", names[0])["versions"]
    disabled = cloud.get("secrets", names[0]).get("disabled", [])
    shown = [
        number for number in range(len(versions), 0, -1) if number not in disabled or "--filter" not in command.flags
    ]
    named = [{"name": f"projects/{NUMBER}/secrets/{names[0]}/versions/{number}"} for number in shown]
    return named[: int(command.flags.get("--limit", len(named)))]


@_act("secrets versions disable")
def _disable_version(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.get("secrets", command.flags["--secret"]).setdefault("disabled", []).append(int(names[0]))


@_act("secrets get-iam-policy")
def _policy_of_secret(cloud: Cloud, names: list[str], command: Command) -> Resource:
    policy = cloud.state["policies"].get(f"secrets/{names[0]}", {})
    return {"bindings": [{"role": role, "members": members} for role, members in policy.items()]}


@_act("storage buckets create")
def _make_bucket(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.new("buckets", _bucket(names[0]), location=command.flags["--location"].upper())
    _change_bucket(cloud, names, command)


@_act("storage buckets update")
def _change_bucket(cloud: Cloud, names: list[str], command: Command) -> None:
    bucket, flags = cloud.get("buckets", _bucket(names[0])), command.flags
    if "--lifecycle-file" in flags:
        bucket["lifecycle"] = json.loads((ROOT / flags["--lifecycle-file"]).read_text())
    if "--uniform-bucket-level-access" in flags:
        bucket["uniformAccess"] = True
    if "--public-access-prevention" in flags:
        bucket["publicAccessPrevention"] = True
    for flag in {"--update-labels", "--default-encryption-key"} & set(flags):
        bucket[flag] = flags[flag]


@_act("pubsub topics create")
def _make_topic(cloud: Cloud, names: list[str], command: Command) -> None:
    _needs_api(cloud, "pubsub")
    cloud.new("topics", names[0], **_flags_of(command))


@_act("pubsub topics update")
def _change_topic(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.get("topics", names[0]).update(_flags_of(command))


def _flags_of(command: Command) -> dict[str, str]:
    return {name: value for name, value in command.flags.items() if name != "--project"}


@_act("pubsub subscriptions create")
def _subscribe(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.get("topics", command.flags["--topic"])
    cloud.new("subscriptions", names[0], topic=command.flags["--topic"])
    _change_subscription(cloud, names, command)


@_act("pubsub subscriptions update")
def _change_subscription(cloud: Cloud, names: list[str], command: Command) -> None:
    flags = {name: value for name, value in command.flags.items() if name not in {"--project", "--topic"}}
    if "--dead-letter-topic" in flags:
        cloud.get("topics", flags["--dead-letter-topic"])
    if "--push-auth-service-account" in flags:
        cloud.get("accounts", flags["--push-auth-service-account"])
    cloud.get("subscriptions", names[0]).update(flags)


@_act("pubsub subscriptions modify-push-config")
def _change_push(cloud: Cloud, names: list[str], command: Command) -> None:
    endpoint = command.flags["--push-endpoint"]
    cloud.get("subscriptions", names[0]).update(
        {"--push-endpoint": endpoint, "account": command.flags.get("--push-auth-service-account")}
    )


@_act("pubsub subscriptions pull")
def _pull(cloud: Cloud, names: list[str], command: Command) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in cloud.get("subscriptions", names[0]).get("waiting", []))


@_act("pubsub subscriptions seek")
def _seek(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.get("subscriptions", names[0])["waiting"] = []


@_act("pubsub snapshots create")
def _snapshot(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.get("subscriptions", command.flags["--subscription"])
    cloud.state["snapshots"][names[0]] = {}


@_act("functions deploy")
def _deploy(cloud: Cloud, names: list[str], command: Command) -> None:
    for api in ("cloudfunctions", "run", "cloudbuild", "artifactregistry"):
        _needs_api(cloud, api)
    name, flags = names[0], command.flags
    runs_as, builds = flags["--service-account"], flags["--build-service-account"].rpartition("/")[2]
    cloud.get("accounts", runs_as)
    cloud.get("accounts", builds)
    for role in ("roles/logging.logWriter", "roles/artifactregistry.writer", "roles/storage.objectViewer"):
        if not cloud.may(f"projects/{PROJECT}", role, builds):
            raise Refused(f"Build failed: {builds} does not have {role}")
    secret, version = flags["--set-secrets"].split(",")[0].partition("=")[2].split(":")
    if not cloud.may(f"secrets/{secret}", "roles/secretmanager.secretAccessor", runs_as):
        raise Refused(f"PERMISSION_DENIED: {runs_as} cannot access secret {secret}")
    if not 1 <= int(version) <= len(cloud.get("secrets", secret)["versions"]):
        raise Refused(f"NOT_FOUND: version {version} of {secret}")
    function = cloud.state["functions"].setdefault(name, {})
    function.pop("throttled", None)  # a deployment may set back what only Cloud Run knows
    function.update(
        state="ACTIVE",
        deployed=flags,
        revisions=function.get("revisions", 0) + 1,
        labels=function.get("labels", {}) | dict(one.split("=") for one in flags["--update-labels"].split(",")),
        serviceConfig={
            "uri": f"https://{name}-{NUMBER}.run.app",
            "timeoutSeconds": int(flags["--timeout"].removesuffix("s")),
            "availableMemory": flags["--memory"],
            "maxInstanceCount": int(flags["--max-instances"]),
            "maxInstanceRequestConcurrency": int(flags["--concurrency"]),
            "environmentVariables": given_settings(flags["--set-env-vars"]) | {"LOG_EXECUTION_ID": "true"},
            "secretEnvironmentVariables": [_secret_of(one) for one in flags["--set-secrets"].split(",")],
        },
    )
    if "--trigger-event-filters" in flags:
        function["eventTrigger"] = {
            "trigger": _trigger(cloud, name, flags),
            "triggerRegion": flags["--trigger-location"],
            "eventFilters": [
                {"attribute": "bucket", "value": flags["--trigger-event-filters"].partition("bucket=")[2]}
            ],
        }


def given_settings(text: str) -> dict[str, str]:
    """What `--set-env-vars` says, in the way of `gcloud topic escaping`."""
    separator = ","
    if text.startswith("^"):
        separator, text = text[1], text[3:]
    return dict(setting.split("=", 1) for setting in text.split(separator))


def _secret_of(given: str) -> Resource:
    key, _, named = given.partition("=")
    secret, _, version = named.rpartition(":")
    return {"key": key, "projectId": PROJECT, "secret": secret.rpartition("/")[2], "version": version}


@_act("run services describe")
def _describe_service(cloud: Cloud, names: list[str], command: Command) -> Resource:
    _needs_api(cloud, "run")
    found = cloud.get("functions", names[0]).get("throttled")
    annotations = {"run.googleapis.com/cpu-throttling": found} if found else {}
    return {
        "spec": {
            "template": {"metadata": {"annotations": {"run.googleapis.com/startup-cpu-boost": "true", **annotations}}}
        }
    }


@_act("run services update")
def _change_service(cloud: Cloud, names: list[str], command: Command) -> None:
    _needs_api(cloud, "run")
    function = cloud.get("functions", names[0])
    for flag, throttled in (("--cpu-throttling", "true"), ("--no-cpu-throttling", "false")):
        if flag in command.flags:
            function["throttled"] = throttled
    if secrets := command.flags.get("--update-secrets"):
        function["deployed"] = function["deployed"] | {"--set-secrets": secrets}
        function["revisions"] += 1


def _trigger(cloud: Cloud, function: str, flags: Mapping[str, str]) -> str:
    """Makes what Eventarc makes for a function, and says the trigger's full name."""
    _needs_api(cloud, "eventarc")
    bucket, location = flags["--trigger-event-filters"].partition("bucket=")[2], flags["--trigger-location"]
    agent = f"service-{NUMBER}@gcp-sa-eventarc.iam.gserviceaccount.com"
    for role, account in (
        ("roles/eventarc.eventReceiver", flags["--trigger-service-account"]),
        ("roles/eventarc.serviceAgent", agent),
        ("roles/pubsub.publisher", GCS_AGENT),
    ):
        if not cloud.may(f"projects/{PROJECT}", role, account):
            raise Refused(f"Validation failed for trigger: {account} does not have {role}")
    if cloud.get("buckets", bucket)["location"].lower() != location:
        raise Refused("INVALID_ARGUMENT: the trigger must be where the bucket is")
    trigger, channel = (
        f"projects/{PROJECT}/locations/{location}/triggers/{function}-654321",
        f"eventarc-{location}-{function}-654321",
    )
    if trigger not in cloud.state["triggers"]:
        cloud.new("topics", f"{channel}-098")
        cloud.new("subscriptions", f"{channel}-sub-098", topic=f"{channel}-098", **{"--ack-deadline": "10"})
        subscription = f"projects/{PROJECT}/subscriptions/{channel}-sub-098"
        cloud.new("triggers", trigger, transport={"pubsub": {"subscription": subscription}})
    return trigger


@_act("functions delete")
def _undeploy(cloud: Cloud, names: list[str], command: Command) -> None:
    trigger = cloud.get("functions", names[0]).get("eventTrigger", {}).get("trigger")
    if trigger:
        subscription = cloud.state["triggers"].pop(trigger)["transport"]["pubsub"]["subscription"].rpartition("/")[2]
        cloud.state["topics"].pop(cloud.state["subscriptions"].pop(subscription)["topic"])
        cloud.state["policies"].pop(f"subscriptions/{subscription}", None)
    cloud.drop("functions", names[0])
    cloud.state["policies"].pop(f"functions/{names[0]}", None)


@_act("logging sinks describe")
def _describe_sink(cloud: Cloud, names: list[str], command: Command) -> Resource:
    _needs_api(cloud, "logging")
    if names[0] == "_Default":
        exclusions = list(cloud.state["exclusions"].values())
        return {"name": "_Default", **({"exclusions": exclusions} if exclusions else {})}
    return cloud.get("sinks", names[0])


@_act("logging sinks create")
def _make_sink(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.get("log buckets", names[1].rpartition("/")[2])
    cloud.new("sinks", names[0], name=names[0], destination=names[1], filter=command.flags["--log-filter"])


@_act("logging sinks update")
def _change_sink(cloud: Cloud, names: list[str], command: Command) -> None:
    for flag, value in command.flags.items():
        name, _, text = value.removeprefix("name=").partition(",filter=")
        match flag:
            case "--add-exclusion":
                cloud.new("exclusions", name, name=name, filter=text)
            case "--update-exclusion":
                cloud.get("exclusions", name)["filter"] = text
            case "--remove-exclusions":
                cloud.drop("exclusions", value)
            case "--log-filter":
                cloud.get("sinks", names[0])["filter"] = value


@_act("logging buckets create")
def _make_log_bucket(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.new("log buckets", names[0], location=command.flags["--location"])


@_act("artifacts repositories create")
def _make_repository(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.new("repositories", names[0], location=command.flags["--location"])


@_act("builds submit")
def _build_image(cloud: Cloud, names: list[str], command: Command) -> None:
    _needs_api(cloud, "cloudbuild")
    builder = command.flags["--service-account"].rpartition("/")[2]
    staged = command.flags["--gcs-source-staging-dir"].removeprefix("gs://").partition("/")[0]
    for where, role in (
        (f"projects/{PROJECT}", "roles/logging.logWriter"),
        (f"projects/{PROJECT}", "roles/artifactregistry.writer"),
        (f"buckets/{staged}", "roles/storage.objectViewer"),
    ):
        if not cloud.may(where, role, builder):
            raise Refused(f"{builder} does not have {role}")
    image = command.flags["--substitutions"].removeprefix("_IMAGE=")
    cloud.get("repositories", image.split("/")[2])
    cloud.new("images", image)


@_act("run jobs deploy")
def _make_job(cloud: Cloud, names: list[str], command: Command) -> None:
    flags = command.flags
    cloud.get("images", flags["--image"])
    secret, version = flags["--set-secrets"].partition("=")[2].split(":")
    if not cloud.may(f"secrets/{secret}", "roles/secretmanager.secretAccessor", flags["--service-account"]):
        raise Refused(f"Permission denied on secret: {secret}/{version}")
    cloud.state["jobs"].setdefault(names[0], {"runs": 0})["deployed"] = flags


@_act("run jobs execute")
def _run_job(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.get("jobs", names[0])["runs"] += 1


@_act("logging metrics list")
def _list_metrics(cloud: Cloud, names: list[str], command: Command) -> list[Resource]:
    _needs_api(cloud, "logging")
    return [{"name": name, **metric} for name, metric in cloud.state["metrics"].items()]


@_act("logging metrics create")
def _make_metric(cloud: Cloud, names: list[str], command: Command) -> None:
    _needs_api(cloud, "logging")
    cloud.new("metrics", names[0], **json.loads(command.input))


@_act("logging metrics update")
def _change_metric(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.get("metrics", names[0]).update(json.loads(command.input))


@_act("monitoring dashboards create")
def _make_dashboard(cloud: Cloud, names: list[str], command: Command) -> None:
    _needs_api(cloud, "monitoring")
    dashboard = json.loads(command.input)
    cloud.new("dashboards", dashboard["name"].rpartition("/")[2], **(dashboard | {"etag": "etag1"}))


@_act("monitoring dashboards update")
def _change_dashboard(cloud: Cloud, names: list[str], command: Command) -> None:
    dashboard, new = cloud.get("dashboards", names[0]), json.loads(command.input)
    if dashboard["etag"] != new["etag"]:
        raise Refused("ABORTED: the etag is not that of the dashboard")
    dashboard.update(new | {"etag": f"etag{int(new['etag'][4:]) + 1}"})


@_act("alpha monitoring policies list")
def _alerts(cloud: Cloud, names: list[str], command: Command) -> list[Resource]:
    _needs_api(cloud, "monitoring")
    return list(cloud.state["alerts"].values())


@_act("alpha monitoring policies create")
def _make_alert(cloud: Cloud, names: list[str], command: Command) -> None:
    taken = [int(name.rpartition("/")[2]) for name in cloud.state["alerts"]]
    name = f"projects/{PROJECT}/alertPolicies/{1 + max(taken, default=0)}"
    cloud.new(
        "alerts", name, name=name, **json.loads(command.input), **_channels(cloud, command, "--notification-channels")
    )


@_act("alpha monitoring policies update")
def _change_alert(cloud: Cloud, names: list[str], command: Command) -> None:
    cloud.get("alerts", names[0])
    channels = _channels(cloud, command, "--set-notification-channels")
    cloud.state["alerts"][names[0]] = {"name": names[0], **json.loads(command.input), **channels}


def _channels(cloud: Cloud, command: Command, flag: str) -> Resource:
    channels = command.flags[flag].split(",") if flag in command.flags else []
    for channel in channels:
        cloud.get("channels", channel)
    return {"notificationChannels": channels} if channels else {}


@_act("beta monitoring channels list")
def _list_channels(cloud: Cloud, names: list[str], command: Command) -> list[Resource]:
    return list(cloud.state["channels"].values())


@_act("beta monitoring channels create")
def _make_channel(cloud: Cloud, names: list[str], command: Command) -> None:
    name = f"projects/{PROJECT}/notificationChannels/{len(cloud.state['channels']) + 1}"
    key, _, value = command.flags["--channel-labels"].partition("=")
    cloud.new("channels", name, name=name, type=command.flags["--type"], labels={key: value})


# ── --format ──────────────────────────────────────────────────────────────────────────────────────────────────────


def formatted(found: Any, how: str) -> str:
    """What gcloud prints of `found`: with value(…), one line a resource, tabs between the keys."""
    if found is None or isinstance(found, str):
        return found or ""
    if not how:
        return ""
    if not how.startswith(("value(", "flattened")):
        return f"{json.dumps(found)}\n"
    resources = found if isinstance(found, list) else [found]
    if how.startswith("flattened[no-pad]("):
        wanted = how.removeprefix("flattened[no-pad](").removesuffix(")").split(",")
        lines = (line for one in resources for key in sorted(wanted) for line in _flattened(key, _at(one, key)))
        return "".join(["---\n", *([f"{line}\n" for line in lines] or [": None\n"])])
    keys = how.removeprefix("value(").removesuffix(")").split(",")
    return "".join("\t".join(_value(resource, key) for key in keys) + "\n" for resource in resources)


def _at(resource: Any, path: str) -> Any:
    for part in path.split("."):
        resource = resource.get(part) if isinstance(resource, dict) else None
    return resource


def _flattened(key: str, value: Any) -> Iterator[str]:
    """Each value in a resource, with the way to it; keys in order."""
    if isinstance(value, dict):
        for part in sorted(value):
            yield from _flattened(f"{key}.{part}", value[part])
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _flattened(f"{key}[{number}]", one)
    elif value is not None:
        yield f"{key}: {value}"


def _value(resource: Any, key: str) -> str:
    path, _, transform = key.removesuffix("()").rpartition(".") if key.endswith("()") else (key, "", "")
    for part in path.split("."):
        part = part.strip('"')
        resource = resource.get(part) if isinstance(resource, dict) else None
    if transform == "list":
        resource = ",".join(resource or [])
    text = "" if resource is None else str(resource)
    return text.rpartition("/")[2] if transform == "basename" else text


# ── The commands on PATH ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Run:
    """How one run of the script ended."""

    code: int
    output: str
    errors: str


class StandIn:
    """Serves a `Cloud` to the commands in `folder`, and runs deploy.sh with them on PATH."""

    def __init__(self, folder: Path) -> None:
        self.cloud = Cloud()
        self._path = f"{folder}:{os.environ['PATH']}"
        for name in ("gcloud", "curl"):
            (folder / name).write_text(_COMMAND)
            (folder / name).chmod(0o755)
        (folder / "sleep").write_text("#!/bin/sh\n")
        (folder / "sleep").chmod(0o755)
        stand_in = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError, StopIteration):  # the command may be killed at any time
                    read = _received(self.request)
                    program, *words, text = [next(read) for _ in range(int(next(read)))]
                    answer = stand_in.cloud.answer(program, words, text)
                    self.request.sendall("".join(f"{part}\0" for part in answer).encode())

        self._server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self._port = str(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to find this project."""
        return {"PATH": self._path, "STAND_IN_PORT": self._port, "LC_ALL": "C.UTF-8"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def deploy(self, *arguments: str, text: str = "", **environment: str) -> Run:
        """Runs `deploy.sh`; `text` is on its standard input, nothing but `environment` is in its environment."""
        process = subprocess.Popen(
            [ROOT / "deploy.sh", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**self.environment, **environment},
        )
        self.cloud.pid = process.pid
        try:
            output, errors = process.communicate(text, timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return Run(process.returncode, output, errors)

    @contextlib.contextmanager
    def stopped_after(self, count: int) -> Iterator[None]:
        """Whatever runs within is killed once `count` commands have taken effect."""
        self.cloud.stop_after = len(self.cloud.asked) + count
        yield
        self.cloud.stop_after = None

    def snapshot(self) -> dict[str, Any]:
        return self.cloud.copy_of_state()


def _received(connection: socket.socket) -> Iterator[str]:
    """The words of a request, each ended by a NUL."""
    waiting = b""
    while chunk := connection.recv(65536):
        *whole, waiting = (waiting + chunk).split(b"\0")
        for word in whole:
            yield word.decode()
