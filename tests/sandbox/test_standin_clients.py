"""Clients that nobody here wrote import into the stand-in: the official SDK, mixpanel-utils, and plain requests."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import mixpanel  # type: ignore[import-untyped]
import pytest
import requests
from mixpanel_utils import MixpanelUtils  # type: ignore[import-untyped]

from sandbox.clients import Standin

ACCOUNT = mixpanel.ServiceAccountCredentials("importer.1a2b3c.mp-service-account", "a-secret", "17")
TIME = 1_700_000_000


def found(standin: Standin) -> dict[str, dict[str, Any]]:
    """The events that the stand-in holds, by their users."""
    answer = requests.get(f"{standin.url}/sandbox/events?limit=10000", timeout=10)
    events = [each["event"] for each in answer.json()]
    return {each["properties"]["distinct_id"]: each for each in events}


def auth_kinds(standin: Standin) -> set[str]:
    return {each["auth"] for each in requests.get(f"{standin.url}/sandbox/requests", timeout=10).json()}


def sample(count: int) -> list[dict[str, Any]]:
    return [
        {
            "event": "Purchase",
            "properties": {"time": TIME + n, "distinct_id": f"user-{n}", "$insert_id": f"id-{n}", "item": "Vase ☕"},
        }
        for n in range(count)
    ]


class TestTheOfficialSdk:
    def test_import_data_with_a_service_account(self, standin: Standin) -> None:
        consumer = mixpanel.Consumer(import_url=f"{standin.url}/import", credentials=ACCOUNT)
        client = mixpanel.Mixpanel("a-token", consumer=consumer)
        client.import_data(None, "søren", "Signup", TIME, {"plan": "pro"})
        event = found(standin)["søren"]
        assert (event["event"], event["properties"]["time"], event["properties"]["plan"]) == ("Signup", TIME, "pro")
        assert auth_kinds(standin) == {"service account"}

    def test_import_data_with_an_api_secret(self, standin: Standin) -> None:
        client = mixpanel.Mixpanel("a-token", consumer=mixpanel.Consumer(import_url=f"{standin.url}/import"))
        client.import_data("an-api-key", "user-1", "Signup", TIME, api_secret="an-api-secret")
        assert set(found(standin)) == {"user-1"}
        assert auth_kinds(standin) == {"token or API secret"}

    def test_buffered_consumer(self, standin: Standin) -> None:
        consumer = mixpanel.BufferedConsumer(max_size=40, import_url=f"{standin.url}/import", credentials=ACCOUNT)
        client = mixpanel.Mixpanel("a-token", consumer=consumer)
        for n in range(100):
            client.import_data(None, f"user-{n}", "Signup", TIME)
        consumer.flush()
        assert set(found(standin)) == {f"user-{n}" for n in range(100)}
        assert standin.summary()["requests"] == 3

    def test_an_event_that_breaks_a_rule_is_dropped_as_without_strict(self, standin: Standin) -> None:
        consumer = mixpanel.Consumer(import_url=f"{standin.url}/import", credentials=ACCOUNT)
        mixpanel.Mixpanel("a-token", consumer=consumer).import_data(None, "user-1", "Signup", 0)
        assert found(standin) == {}
        assert standin.summary()["rejected"] == 1

    def test_refused_credentials_are_an_error_to_it(self, standin: Standin) -> None:
        standin.faults(unauthorized=True)
        consumer = mixpanel.Consumer(import_url=f"{standin.url}/import", credentials=ACCOUNT)
        with pytest.raises(mixpanel.MixpanelException, match="Invalid credentials"):
            mixpanel.Mixpanel("a-token", consumer=consumer).import_data(None, "user-1", "Signup", TIME)

    def test_events_as_they_happen_and_profiles(self, standin: Standin) -> None:
        urls = {name: f"{standin.url}/{path}" for name, path in CALLS.items()}
        client = mixpanel.Mixpanel("a-token", consumer=mixpanel.Consumer(**urls))
        client.track("søren", "Signup", {"plan": "pro"})
        client.people_set("søren", {"plan": "pro"})
        client.group_set("company", "acme", {"size": 7})
        properties = found(standin)["søren"]["properties"]
        assert properties["plan"] == "pro"
        assert "token" not in properties
        rows = requests.get(f"{standin.url}/sandbox/requests", timeout=10).json()[::-1]
        assert [(row["path"], row["status"]) for row in rows] == [(f"/{path}", 200) for path in CALLS.values()]
        with pytest.raises(mixpanel.MixpanelException, match="must have properties with the project's token"):
            mixpanel.Mixpanel("", consumer=mixpanel.Consumer(**urls)).track("u", "Signup")


CALLS = {"events_url": "track", "people_url": "engage", "groups_url": "groups"}


class TestMixpanelUtils:
    @pytest.mark.parametrize("account", [None, "importer.1a2b3c.mp-service-account"])
    @pytest.mark.parametrize("strict", [True, False])
    def test_import_events(self, standin: Standin, account: str | None, strict: bool) -> None:
        client = MixpanelUtils(
            "a-secret",
            token="a-token",
            service_account_username=account,
            project_id=17 if account else None,
            strict_import=strict,
        )
        client.import_api = standin.url
        client.import_events(sample(4500), timezone_offset=0)
        assert len(standin.ids()) == 4500
        assert found(standin)["user-4499"]["properties"]["item"] == "Vase ☕"
        assert standin.summary()["largest_request"]["events"] == 2000
        assert auth_kinds(standin) == {"service account" if account else "token or API secret"}

    def test_import_events_from_a_file(self, standin: Standin, tmp_path: Path) -> None:
        path = tmp_path / "events.json"
        path.write_text(json.dumps(sample(10)))
        client = MixpanelUtils("a-secret", token="a-token")
        client.import_api = standin.url
        client.import_events(str(path), timezone_offset=0)
        assert len(standin.ids()) == 10


class TestTheQuickStartScripts:
    """Mixpanel's guides for its cloud integrations make requests of these two kinds."""

    def test_an_array_signed_with_the_api_secret(self, standin: Standin) -> None:
        answer = requests.post(f"{standin.url}/import", auth=("an-api-secret", ""), json=sample(100), timeout=10)
        assert answer.json() == {"code": 200, "num_records_imported": 100, "status": "OK"}
        assert len(found(standin)) == 100

    def test_gzipped_lines_signed_by_a_service_account(self, standin: Standin) -> None:
        answer = requests.post(
            f"{standin.url}/import",
            params={"strict": "1", "project_id": "17"},
            auth=("importer.1a2b3c.mp-service-account", "a-secret"),
            headers={"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
            data=gzip.compress("\n".join(json.dumps(each) for each in sample(100)).encode()),
            timeout=10,
        )
        assert answer.json() == {"code": 200, "num_records_imported": 100, "status": "OK"}
        assert len(found(standin)) == 100
