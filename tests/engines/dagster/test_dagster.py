"""Dagster itself materializes, backfills, retries and checks; the stand-in is asked what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg

from importer.orchestrators.dagster import MixpanelImport, MixpanelResource, mixpanel_import
from sandbox.processes import ROOT
from tests.engines.days import SECRET, Days, bad, good, kill_in_the_middle

PARTITIONS = dg.DailyPartitionsDefinition("2025-06-01", end_date="2025-07-01")


def asset(days: Days, **options: Any) -> dg.AssetsDefinition:
    return mixpanel_import(
        name="events", prefix=days.place("archive/{partition}/"), partitions_def=PARTITIONS, retry_seconds=1, **options
    )


def resource(days: Days, **changes: Any) -> MixpanelResource:
    return MixpanelResource(
        **{
            "project_token": SECRET,
            "api_url": days.standin.url,
            "checkpoints": days.place("own/checkpoints"),
            "rejects": days.place("own/rejects"),
            "settings": {"STORAGE_EMULATOR_HOST": days.bucket.url},
            **changes,
        }
    )


def materialize(days: Days, which: dg.AssetsDefinition, **options: Any) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [which], resources={"mixpanel": resource(days, **options.pop("resource", {}))}, raise_on_error=False, **options
    )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (found,) = result.asset_materializations_for_node("events")
    return {name: value.value for name, value in found.metadata.items()}


def test_a_day_is_imported_once_with_exact_counts_and_a_check_on_rejects(days: Days) -> None:
    made = days.fill("2025-06-01", files=5, events=20_000)
    result = materialize(days, asset(days, max_reject_share=0.02), partition_key="2025-06-01")
    assert result.success
    assert days.standin.ids() == dict.fromkeys(good(made), 1)
    found = metadata(result)
    counted = {name: found[name] for name in ("read", "imported", "rejected", "dropped", "files")}
    assert counted == {
        "read": 100_000,
        "imported": len(good(made)),
        "rejected": bad(made),
        "dropped": 0,
        "files": 5,
    }
    (check,) = result.get_asset_check_evaluations()
    assert check.passed
    again = materialize(days, asset(days), partition_key="2025-06-01")
    assert again.success
    assert metadata(again)["imported"] == 0
    assert days.standin.ids() == dict.fromkeys(good(made), 1)


def test_too_many_rejects_fail_the_check_and_say_why(days: Days) -> None:
    made = days.fill("2025-06-02", files=1, events=100, bad_share=0.1)
    result = materialize(days, asset(days, max_reject_share=0.01), partition_key="2025-06-02")
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert f"{bad(made)} of 100 records were rejected, more than 1.00%" in str(check.description)


def test_a_backfill_of_a_month_is_one_run(days: Days) -> None:
    made = [one for day in range(1, 31) for one in days.fill(f"2025-06-{day:02}", files=1, events=200)]
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(
            days,
            asset(days),
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": "2025-06-01",
                "dagster/asset_partition_range_end": "2025-06-30",
            },
        )
        assert result.success
        assert instance.get_materialized_partitions(dg.AssetKey("events")) == {
            f"2025-06-{day:02}" for day in range(1, 31)
        }
    assert days.standin.ids() == dict.fromkeys(good(made), 1)


def test_a_run_that_is_killed_goes_on_where_it_was(days: Days, tmp_path: Path) -> None:
    made = days.fill("2025-06-01", files=6, events=10_000, bad_share=0)
    environment = {
        **os.environ,
        **days.settings,
        "BUCKET": days.place("").rstrip("/"),
        "MIXPANEL_PROJECT_TOKEN": SECRET,
        "DAGSTER_HOME": str(tmp_path),
        "IMPORT_EVENTS_PER_SECOND": "10000",
    }
    command = [str(Path(sys.executable).with_name("dagster")), "job", "execute", "-j", "import_a_day"]
    command += ["-f", "tests/engines/dagster/example.py", "--tags", json.dumps({"dagster/partition": "2025-06-01"})]
    assert kill_in_the_middle(days.standin, command, 15_000, cwd=ROOT, env=environment) < 60_000
    environment.pop("IMPORT_EVENTS_PER_SECOND")
    second = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    counts = days.standin.ids()
    assert counts.keys() == good(made)
    assert sum(counts.values()) - len(counts) <= 30_000, "it began anew"
    assert SECRET not in second.stdout + second.stderr


def test_wrong_credentials_are_tried_once(days: Days) -> None:
    days.fill("2025-06-01", files=1, events=100)
    days.standin.faults(unauthorized=True)
    result = materialize(days, asset(days), partition_key="2025-06-01")
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "MIXPANEL_PROJECT_TOKEN" in str(failure.step_failure_data.user_failure_data)
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    assert SECRET not in "".join(str(event) for event in result.all_events)


def test_a_component_is_an_asset_with_days_as_partitions(days: Days) -> None:
    made = days.fill("2025-06-03", files=1, events=100, bad_share=0)
    component = MixpanelImport(name="events", prefix=days.place("archive/{partition}/"), daily_from="2025-06-01")
    defs = component.build_defs(None)  # type: ignore[arg-type]
    (which,) = list(defs.assets or [])
    result = materialize(days, which, partition_key="2025-06-03")  # type: ignore[arg-type]
    assert result.success
    assert days.standin.ids().keys() == good(made)


def test_the_component_is_listed_without_further_steps() -> None:
    listed = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlib.metadata import entry_points as e; print(e(group='dagster_dg_cli.registry_modules'))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "importer.orchestrators.dagster" in listed.stdout
