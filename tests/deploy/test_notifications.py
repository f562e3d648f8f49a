"""deploy.sh --notifications: a bucket's own announcements instead of Eventarc's, with everything in our hands."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.deploy.cloud import BOTH, NUMBER, PROJECT, SECRET, Cloud, StandIn, fresh_project

FILES = (*(flag for flag in BOTH if not flag.startswith("--topic")), "--notifications")


@pytest.fixture
def notified(google: StandIn) -> StandIn:
    assert google.deploy(*FILES, text=SECRET).code == 0
    google.cloud.asked.clear()
    return google


def bucket(google: StandIn) -> Any:
    return google.cloud.state["buckets"]["my-events"]


def test_the_bucket_announces_its_objects_to_a_topic_that_pushes_them_to_the_function(notified: StandIn) -> None:
    state = notified.cloud.state
    function = state["functions"]["mixpanel-files"]["deployed"]
    url = f"https://mixpanel-files-{NUMBER}.run.app"

    assert "--trigger-http" in function
    assert "--trigger-event-filters" not in function
    assert [one["topic"] for one in bucket(notified)["notifications"].values()] == [
        f"//pubsub.googleapis.com/projects/{PROJECT}/topics/mixpanel-files"
    ]
    assert bucket(notified)["notifications"]["1"]["event_types"] == ["OBJECT_FINALIZE"]
    subscription = state["subscriptions"]["mixpanel-files"]
    assert subscription["topic"] == "mixpanel-files"
    assert (subscription["--push-endpoint"], subscription["--push-auth-token-audience"]) == (url, url)
    assert subscription["--dead-letter-topic"] == "mixpanel-files-dead-letters"
    assert (subscription["--ack-deadline"], subscription["--max-delivery-attempts"]) == ("600", "100")
    assert state["triggers"] == {}


def test_no_rights_on_all_of_the_project_come_with_it(notified: StandIn) -> None:
    project = notified.cloud.state["policies"][f"projects/{PROJECT}"]

    assert not [role for role in project if "eventarc" in role or "pubsub" in role]


def test_stopped_on_the_way_and_run_again_it_ends_in_the_same_state(google: StandIn, notified: StandIn) -> None:
    whole, empty = notified.snapshot(), fresh_project()
    commands = 70

    for count in range(9, commands, 10):
        google.cloud = Cloud(copy.deepcopy(empty))
        with google.stopped_after(count):
            assert google.deploy(*FILES, text=SECRET).code < 0
        assert google.deploy(*FILES, text=SECRET).code == 0
        assert google.cloud.state == whole, f"stopped after {count} commands"


def test_again_changes_nothing_and_need_not_be_told_of_notifications(notified: StandIn) -> None:
    before = notified.snapshot()

    for flags in (FILES, FILES[:-1], ("release", *FILES[:-1])):
        assert notified.deploy(*flags).code == 0
        assert notified.cloud.state == before


def test_the_bucket_may_belong_to_another_project(google: StandIn) -> None:
    bucket(google)["projectNumber"] = "999"
    agent = "service-999@gs-project-accounts.iam.gserviceaccount.com"
    google.cloud.state["agents"].append(agent)

    run = google.deploy(*FILES, text=SECRET)

    assert run.code == 0, run.errors
    assert google.cloud.may("topics/mixpanel-files", "roles/pubsub.publisher", agent)


def test_destroying_loses_no_object_that_is_waiting(notified: StandIn) -> None:
    run = notified.deploy("destroy", *FILES[:-1], "--only=gcs", "--yes")

    assert run.code == 0, run.errors
    state = notified.cloud.state
    assert bucket(notified)["notifications"] == {}
    (snapshot,) = state["snapshots"]
    assert snapshot.startswith("mixpanel-files-")
    assert "mixpanel-files" in state["topics"]  # or the snapshot could not be gone back to
    assert "mixpanel-files" not in state["subscriptions"]
    assert state["functions"] == {}


def test_notifications_of_others_stay(notified: StandIn) -> None:
    bucket(notified)["notifications"]["7"] = {"id": "7", "topic": "//pubsub.googleapis.com/projects/p/topics/theirs"}

    notified.deploy("destroy", *FILES, "--only=gcs", "--yes")

    assert set(bucket(notified)["notifications"]) == {"7"}


def test_going_over_from_eventarc_would_drop_what_waits_and_is_refused(google: StandIn) -> None:
    google.deploy(*FILES[:-1], text=SECRET)
    google.cloud.asked.clear()

    run = google.deploy(*FILES)

    assert run.code == 1
    assert "mixpanel-files hears of objects by Eventarc, and now by notifications" in run.errors
    assert google.cloud.changes() == []


def test_what_is_published_to_the_topics_made_here_stays_in_the_region(google: StandIn) -> None:
    google.deploy(*BOTH, "--notifications", text=SECRET)

    topics = google.cloud.state["topics"]
    made = {"mixpanel-files", "mixpanel-files-dead-letters", "mixpanel-messages-dead-letters"}
    assert {name for name, topic in topics.items() if "--message-storage-policy-allowed-regions" in topic} == made
    assert {topics[name]["--message-storage-policy-allowed-regions"] for name in made} == {"europe-west1"}
