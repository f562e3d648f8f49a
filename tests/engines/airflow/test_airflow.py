"""Airflow itself runs the example's DAG, on SQLite; the stand-in is asked what came of it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from importer.orchestrators.airflow import FilesToMixpanelOperator, MixpanelHook, MixpanelProfileOperator
from sandbox.processes import ROOT
from tests.engines.days import SECRET, Days, bad, good, kill_in_the_middle

AIRFLOW = Path(sys.executable).with_name("airflow")
DAG = ["dags", "test", "events_to_mixpanel"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a database, and the example among the DAGs."""
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "dags").mkdir()
    shutil.copy(ROOT / "tests/engines/airflow/example.py", folder / "dags")
    run = airflow(folder, {}, "db", "migrate")
    assert run.returncode == 0, run.stderr
    return folder


def environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "PYTHONPATH": str(ROOT),
        **more,
    }


def airflow(home: Path, more: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AIRFLOW, *words], env=environment(home, more), capture_output=True, text=True, check=False, timeout=150
    )


def connected(days: Days, **extra: str) -> dict[str, str]:
    connection = {
        "conn_type": "mixpanel",
        "password": SECRET,
        "host": days.standin.url,
        "extra": {"IMPORT_MAPPING": "", **extra},
    }
    return {
        "AIRFLOW_CONN_MIXPANEL_DEFAULT": json.dumps(connection),
        "BUCKET": days.bucket.name,
        "CHECKPOINTS": days.place("own/checkpoints"),
        "STORAGE_EMULATOR_HOST": days.bucket.url,
    }


def xcom(home: Path) -> dict[str, Any]:
    """What Airflow keeps of the task that imports."""
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        ((kept,),) = database.execute("SELECT value FROM xcom WHERE task_id = 'import' AND key = 'return_value'")
    found: dict[str, Any] = json.loads(kept)
    return found


def test_a_days_dag_imports_it_once_with_exact_counts_and_shows_no_secret(days: Days, home: Path) -> None:
    made = days.fill("2025-06-02", files=5, events=20_000)
    run = airflow(home, connected(days), *DAG, "2025-06-02")
    assert run.returncode == 0, run.stdout + run.stderr
    assert days.standin.ids() == dict.fromkeys(good(made), 1)
    said = run.stdout + run.stderr
    counted = {"read": 100_000, "imported": len(good(made)), "rejected": bad(made), "dropped": 0, "files": 5}
    assert counted.items() <= xcom(home).items()
    assert SECRET not in said
    again = airflow(home, connected(days), *DAG, "2025-06-02")
    assert again.returncode == 0, again.stdout + again.stderr
    assert days.standin.ids() == dict.fromkeys(good(made), 1)


def test_a_task_that_is_killed_goes_on_where_it_was(days: Days, home: Path) -> None:
    made = days.fill("2025-06-03", files=6, events=10_000, bad_share=0)
    slow = connected(days, IMPORT_EVENTS_PER_SECOND="10000")
    command = [str(AIRFLOW), *DAG, "2025-06-03"]
    assert kill_in_the_middle(days.standin, command, 15_000, env=environment(home, slow)) < 60_000
    run = airflow(home, connected(days), *DAG, "2025-06-03")
    assert run.returncode == 0, run.stdout + run.stderr
    counts = days.standin.ids()
    assert counts.keys() == good(made)
    assert sum(counts.values()) - len(counts) <= 30_000, "it began anew"


def test_wrong_credentials_fail_the_task_for_good(days: Days, home: Path) -> None:
    days.fill("2025-06-04", files=1, events=100)
    days.standin.faults(unauthorized=True)
    run = airflow(home, connected(days), *DAG, "2025-06-04")
    assert "MIXPANEL_PROJECT_TOKEN" in run.stdout + run.stderr
    assert "AirflowFailException" in run.stdout + run.stderr
    assert SECRET not in run.stdout + run.stderr


class Store(dict[str, Any]):
    """In the place of the task's state store, which lives in Airflow's own processes."""

    set = dict.__setitem__


def test_without_a_place_for_checkpoints_the_tasks_state_store_is_it(
    days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = days.fill("2025-06-05", files=4, events=1_000, bad_share=0)
    monkeypatch.setenv("AIRFLOW_CONN_MIXPANEL_DEFAULT", connected(days)["AIRFLOW_CONN_MIXPANEL_DEFAULT"])
    store = Store()

    def run() -> dict[str, Any]:
        operator = FilesToMixpanelOperator(
            task_id="import",
            sources=[days.place("archive/2025-06-05/")],
            settings={"STORAGE_EMULATOR_HOST": days.bucket.url},
        )
        return operator.execute({"task_state_store": store})

    assert run()["imported"] == 4_000
    assert run()["imported"] == 0
    assert days.standin.ids() == dict.fromkeys(good(made), 1)


def test_stopping_a_task_settles_what_is_on_its_way_and_saves(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    made = days.fill("2025-06-06", files=1, events=60_000, bad_share=0)
    conn = connected(days, IMPORT_EVENTS_PER_SECOND="10000")["AIRFLOW_CONN_MIXPANEL_DEFAULT"]
    monkeypatch.setenv("AIRFLOW_CONN_MIXPANEL_DEFAULT", conn)
    store = Store()

    def operator() -> FilesToMixpanelOperator:
        return FilesToMixpanelOperator(
            task_id="import",
            sources=days.place("archive/2025-06-06/"),
            settings={"STORAGE_EMULATOR_HOST": days.bucket.url},
        )

    first = operator()

    def kill() -> None:
        while len(days.standin.ids()) < 10_000:
            time.sleep(0.1)
        first.on_kill()

    threading.Thread(target=kill).start()
    with pytest.raises(Exception, match="stopped"):
        first.execute({"task_state_store": store})
    settled = len(days.standin.ids())
    assert settled < 60_000
    assert operator().execute({"task_state_store": store})["read"] == 60_000
    counts = days.standin.ids()
    assert counts == dict.fromkeys(good(made), 1), "what was settled came again"


def test_a_profile_can_be_a_gate(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    days.bucket.put("odd.jsonl", b'{"event": "a", "properties": {"time": 99, "distinct_id": "u"}}\n' * 100)
    monkeypatch.setenv("AIRFLOW_CONN_MIXPANEL_DEFAULT", connected(days)["AIRFLOW_CONN_MIXPANEL_DEFAULT"])
    gate = MixpanelProfileOperator(
        task_id="profile", sources=days.place("odd.jsonl"), settings={"STORAGE_EMULATOR_HOST": days.bucket.url}
    )
    with pytest.raises(Exception, match="findings that must not be"):
        gate.execute({})


def test_the_connections_button_asks_mixpanel(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MIXPANEL_DEFAULT", connected(days)["AIRFLOW_CONN_MIXPANEL_DEFAULT"])
    assert MixpanelHook().test_connection() == (True, "Mixpanel takes the credentials.")
    days.standin.faults(unauthorized=True)
    is_well, sentence = MixpanelHook().test_connection()
    assert not is_well
    assert "MIXPANEL_PROJECT_TOKEN" in sentence
    assert days.standin.ids() == {}


def test_the_provider_is_listed_without_further_steps(home: Path) -> None:
    listed = airflow(home, {}, "providers", "hooks")
    assert "importer.orchestrators.airflow.MixpanelHook" in listed.stdout
