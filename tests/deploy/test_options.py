"""deploy.sh: what it costs, where data stays, and what a company's rules ask for."""

from __future__ import annotations

import pytest

from tests.deploy.cloud import BOTH, NUMBER, PROJECT, SECRET, StandIn
from tests.deploy.log_filter import matches

KEY = f"projects/{PROJECT}/locations/europe-west1/keyRings/r/cryptoKeys/k"
RULES = {
    "--labels": "team=data,cost=42",
    "--min-instances": "1",
    "--ingress": "internal-only",
    "--vpc-connector": "way-out",
    "--egress": "all",
    "--kms-key": KEY,
    "--docker-repository": f"projects/{PROJECT}/locations/europe-west1/repositories/r",
    "--binary-authorization": "default",
}
GIVEN_ON = {"--labels": "--update-labels", "--ingress": "--ingress-settings", "--egress": "--egress-settings"}


# ── Cost ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def throttled(google: StandIn) -> str | None:
    found: str | None = google.cloud.state["functions"]["mixpanel-messages"].get("throttled")
    return found


def test_messages_pay_no_fee_for_each_request(deployed: StandIn) -> None:
    assert throttled(deployed) == "false"
    assert "throttled" not in deployed.cloud.state["functions"]["mixpanel-files"]


def test_a_deployment_that_sets_the_billing_back_has_it_set_again(deployed: StandIn) -> None:
    before = len(deployed.cloud.asked)
    assert deployed.deploy("release", *BOTH, LOG_LEVEL="DEBUG").code == 0

    assert throttled(deployed) == "false"
    assert [c.names for c in deployed.cloud.asked[before:] if c.names.startswith("run services update")] == [
        "run services update mixpanel-messages"
    ]


def test_few_messages_are_billed_by_requests_and_go_on_being_so(deployed: StandIn) -> None:
    for flags in (("--billing=requests",), (), ("--alert-silence=3",)):
        assert deployed.deploy(*BOTH, *flags).code == 0
        assert throttled(deployed) in {None, "true"}
    assert deployed.deploy(*BOTH, "--billing=instances").code == 0
    assert throttled(deployed) == "false"


def request(service: str, status: int, log: str = "run.googleapis.com/requests") -> dict[str, object]:
    return {
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": service}},
        "logName": f"projects/{PROJECT}/logs/{log.replace('/', '%2F')}",
        "httpRequest": {"status": status},
    }


def test_no_log_entry_is_kept_for_each_message_that_was_taken(deployed: StandIn) -> None:
    (excluded,) = deployed.cloud.state["exclusions"].values()

    assert matches(excluded["filter"], request("mixpanel-messages", 204))
    assert not matches(excluded["filter"], request("mixpanel-messages", 503))
    assert not matches(excluded["filter"], request("mixpanel-files", 200))
    assert not matches(excluded["filter"], request("staging-mixpanel-messages", 204))
    assert not matches(excluded["filter"], request("mixpanel-messages", 204, "run.googleapis.com/stdout"))


def test_exclusions_of_others_stay_and_ours_is_mended_and_goes_with_us(deployed: StandIn) -> None:
    exclusions = deployed.cloud.state["exclusions"]
    ours = dict(exclusions["mixpanel-messages-answered"])
    exclusions["theirs"] = {"name": "theirs", "filter": "severity<INFO"}
    exclusions["mixpanel-messages-answered"]["filter"] = "an older one"

    assert deployed.deploy(*BOTH).code == 0
    assert deployed.cloud.state["exclusions"]["mixpanel-messages-answered"] == ours
    assert deployed.deploy("destroy", *BOTH, "--yes").code == 0
    assert set(deployed.cloud.state["exclusions"]) == {"theirs"}


# ── Residency ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_log_may_be_kept_in_the_region(google: StandIn) -> None:
    for _ in range(2):
        run = google.deploy(*BOTH, "--regional-logs", text=SECRET)
        assert run.code == 0, run.errors

    state = google.cloud.state
    assert state["log buckets"]["mixpanel"]["location"] == "europe-west1"
    sink = state["sinks"]["mixpanel"]
    assert sink["destination"].endswith("/locations/europe-west1/buckets/mixpanel")
    elsewhere = state["exclusions"]["mixpanel-kept-elsewhere"]["filter"]
    for service in "mixpanel-files", "mixpanel-messages":
        assert matches(sink["filter"], request(service, 503))
        assert matches(elsewhere, request(service, 503))
    assert not matches(sink["filter"], request("mixpanel-messages", 204))
    assert not matches(elsewhere, request("another", 503))
    assert google.deploy("destroy", *BOTH, "--yes").code == 0
    assert (google.cloud.state["sinks"], google.cloud.state["exclusions"]) == ({}, {})
    assert set(google.cloud.state["log buckets"]) == {"mixpanel"}


# ── Rules ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_companys_rules_are_handed_on(google: StandIn) -> None:
    run = google.deploy(*BOTH, *(f"{flag}={value}" for flag, value in RULES.items()), text=SECRET)

    assert run.code == 0, run.errors
    state = google.cloud.state
    for function in state["functions"].values():
        given = function["deployed"]
        for flag, value in RULES.items():
            assert value in given[GIVEN_ON.get(flag, flag)], flag
        assert function["labels"]["team"] == "data"
    bucket = state["buckets"]["my-project-mixpanel"]
    assert (bucket["--update-labels"], bucket["--default-encryption-key"]) == (RULES["--labels"], KEY)
    for topic in "mixpanel-files-dead-letters", "mixpanel-messages-dead-letters":
        assert state["topics"][topic]["--topic-encryption-key"] == KEY


def test_rules_may_stand_in_the_file_of_settings(google: StandIn, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("settings") / "production.env"
    lines = [
        f"PROJECT_ID={PROJECT}", "REGION=europe-west1", "SOURCE_TOPIC=my-topic", "MIXPANEL_CREDENTIALS=project-token",
        "LABELS=team=data", "INGRESS=internal-only", "BILLING=requests", "REGIONAL_LOGS=yes",
    ]  # fmt: skip
    file.write_text("\n".join(lines))

    run = google.deploy(f"--config={file}", text=SECRET)

    assert run.code == 0, run.errors
    given = google.cloud.state["functions"]["mixpanel-messages"]["deployed"]
    assert given["--ingress-settings"] == "internal-only"
    assert "team=data" in given["--update-labels"]
    assert throttled(google) is None
    assert NUMBER in google.cloud.state["functions"]["mixpanel-messages"]["serviceConfig"]["uri"]


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--billing=free", "--billing is instances or requests"),
        (f"--kms-key={KEY}", "--kms-key needs --docker-repository"),
        ("--alert-silence=48", "--alert-silence is a number of hours, 24 at most"),
        ("--time-limit=900", "--time-limit is a number of seconds, 540 at most"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_named(google: StandIn, flag: str, sentence: str) -> None:
    run = google.deploy(*BOTH, flag, text=SECRET)

    assert run.code == 1
    assert sentence in run.errors
    assert google.cloud.asked == []
