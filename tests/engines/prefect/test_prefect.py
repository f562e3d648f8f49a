"""Prefect itself runs tasks and flows, on its temporary server; the stand-in is asked what came of it."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.testing.standard_test_suites import BlockStandardTestSuite
from prefect.testing.utilities import prefect_test_harness

from importer.orchestrators.prefect import (
    MixpanelCredentials,
    TooManyRejects,
    backfill,
    import_day,
    import_files,
    profile,
)
from sandbox.processes import ROOT
from tests.engines.days import SECRET, Days, bad, good, kill_in_the_middle


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def credentials(days: Days) -> MixpanelCredentials:
    return MixpanelCredentials(
        token=SECRET, api_url=days.standin.url, settings={"STORAGE_EMULATOR_HOST": days.bucket.url}
    )


def places(days: Days) -> dict[str, str]:
    return {"rejects": days.place("own/rejects"), "checkpoints": days.place("own/checkpoints")}


def artifacts(key: str) -> list[Any]:
    with get_client(sync_client=True) as client:
        found = client.read_artifacts()
    return [json.loads(one.data) for one in found if one.key == key and isinstance(one.data, str)]


def test_a_day_is_profiled_and_imported_once_with_exact_counts(days: Days, credentials: MixpanelCredentials) -> None:
    made = days.fill("2025-06-01", files=5, events=20_000)
    credentials.save("production", overwrite=True)
    options = {
        "block": "production",
        "prefix": days.place("archive/{day:%Y-%m-%d}/"),
        "day": datetime.date(2025, 6, 1),
        "max_reject_share": 0.02,
        **places(days),
    }
    found = import_day(**options)
    assert found == {"read": 100_000, "imported": len(good(made)), "rejected": bad(made), "dropped": 0}
    assert days.standin.ids() == dict.fromkeys(good(made), 1)
    assert import_day(**options)["imported"] == 0
    assert days.standin.ids() == dict.fromkeys(good(made), 1)
    tables = artifacts("mixpanel-import")
    assert [sum(row["imported"] for row in table) for table in tables].count(len(good(made))) == 1
    assert sum(row["count"] for table in artifacts("mixpanel-rejects") for row in table) >= bad(made)


def test_a_month_is_backfilled(days: Days, credentials: MixpanelCredentials) -> None:
    made = [one for day in range(1, 31) for one in days.fill(f"2025-06-{day:02}", files=1, events=100)]

    @flow
    def month() -> dict[str, int]:
        return backfill(credentials, days.place("archive/"), days=30, **places(days))

    assert month()["imported"] == len(good(made))
    assert days.standin.ids() == dict.fromkeys(good(made), 1)


def test_too_many_rejects_fail_the_task_which_is_not_tried_again(days: Days, credentials: MixpanelCredentials) -> None:
    made = days.fill("2025-06-02", files=1, events=100, bad_share=0.1)

    @flow
    def day() -> None:
        import_files(credentials, [days.place("archive/2025-06-02/")], max_reject_share=0.01, **places(days))

    with pytest.raises(TooManyRejects, match=f"{bad(made)} of 100 records were rejected, more than 1.00%"):
        day()
    assert days.standin.ids() == dict.fromkeys(good(made), 1)


def test_wrong_credentials_are_tried_once_and_never_shown(
    days: Days, credentials: MixpanelCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    days.fill("2025-06-01", files=1, events=100)
    days.standin.faults(unauthorized=True)

    @flow
    def day() -> None:
        import_files(credentials, [days.place("archive/2025-06-01/")], **places(days))

    with pytest.raises(Exception, match="MIXPANEL_PROJECT_TOKEN"):
        day()
    assert days.standin.summary()["requests"] < 10
    assert SECRET not in caplog.text


def test_a_profile_can_be_a_gate(days: Days, credentials: MixpanelCredentials) -> None:
    days.bucket.put("odd.jsonl", b'{"event": "a", "properties": {"time": 99, "distinct_id": "u"}}\n' * 100)

    @flow
    def gate() -> None:
        profile(credentials, [days.place("odd.jsonl")], fails_for=("problem",))

    with pytest.raises(Exception, match="findings that must not be"):
        gate()
    assert days.standin.ids() == {}


def test_a_flow_that_is_killed_goes_on_where_it_was(days: Days, credentials: MixpanelCredentials) -> None:
    made = days.fill("2025-06-01", files=6, events=10_000, bad_share=0)
    slow = credentials.model_copy(update={"settings": {**credentials.settings, "IMPORT_EVENTS_PER_SECOND": "10000"}})
    slow.save("slow", overwrite=True)
    source = days.place("archive/2025-06-01/")
    code = (
        "import sys, datetime; from importer.orchestrators.prefect import MixpanelCredentials, import_files\n"
        "from prefect import flow\n"
        "@flow\n"
        "def day():\n"
        f"    import_files(MixpanelCredentials.load('slow'), [{source!r}], **{places(days)!r})\n"
        "day()\n"
    )
    command = [sys.executable, "-c", code]
    assert kill_in_the_middle(days.standin, command, 15_000, cwd=ROOT, env=_environment()) < 60_000

    @flow
    def day() -> dict[str, int]:
        return import_files(credentials, [days.place("archive/2025-06-01/")], **places(days))

    day()
    counts = days.standin.ids()
    assert counts.keys() == good(made)
    assert sum(counts.values()) - len(counts) <= 30_000, "it began anew"


def test_the_block_is_registered_by_its_entry_point() -> None:
    (found,) = [one for one in entry_points(group="prefect.collections") if one.name == "mixpanel"]
    assert found.load().MixpanelCredentials is MixpanelCredentials


class TestBlock(BlockStandardTestSuite):
    """Prefect's own suite for blocks."""

    @pytest.fixture
    def block(self) -> type[MixpanelCredentials]:
        return MixpanelCredentials

    def test_has_a_valid_image(self, block: Any) -> None:
        assert block._logo_url.startswith("https://")


def _environment() -> dict[str, str]:
    from prefect.settings import PREFECT_API_URL, get_current_settings

    assert get_current_settings()
    return {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value() or ""}
