"""Beam itself, on its FnApiRunner with worker processes; the stand-in is asked what came of it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from importer.engines.beam import ImportFiles, WriteToMixpanel, encode, main
from sandbox.clients import Standin
from sandbox.events import Events
from tests.engines.days import SECRET, kill_in_the_middle

WORKERS = [
    "--runner=FnApiRunner",
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
]
FAULTS = {"503": 0.1, "429": 0.05, "cut_after": 0.05, "seed": 18}
NO_FAULTS = {"503": 0, "429": 0, "cut_after": 0}


@pytest.fixture
def settings(standin: Standin) -> dict[str, str]:
    return {"MIXPANEL_API_URL": standin.url, "MIXPANEL_PROJECT_TOKEN": SECRET, "IMPORT_LOG_REJECTS": "0"}


def counters(result: Any) -> dict[str, int]:
    found = result.metrics().query(MetricsFilter().with_namespace("mixpanel"))["counters"]
    return {one.key.metric.name: one.committed for one in found}


def files(folder: Path, made: Events, count: int) -> None:
    records = list(made.records())
    for number in range(count):
        (folder / f"{number}.jsonl.gz").write_bytes(gzip.compress(b"\n".join(records[number::count]), 1))


def test_files_are_imported_while_mixpanel_fails_with_a_reject_for_each_bad_record(
    standin: Standin, settings: dict[str, str], tmp_path: Path
) -> None:
    made = Events(200_000, "small", seed=1, bad_share=0.01)
    files(tmp_path, made, 8)
    bad = sum(1 for _ in made.bad())
    standin.faults(**FAULTS)
    pipeline = beam.Pipeline(options=PipelineOptions(WORKERS))
    written = pipeline | beam.Create([str(tmp_path)]) | ImportFiles(settings)
    assert_that(written.rejects | beam.combiners.Count.Globally(), equal_to([bad]), label="rejects")
    assert_that(written.imported | beam.Map(lambda one: one["read"]), equal_to([25_000] * 8), label="counts")
    result = pipeline.run()
    result.wait_until_finish()
    standin.faults(**NO_FAULTS)
    assert set(standin.ids()) == set(made.ids())
    found = counters(result)
    assert (found["read"], found["imported"], found["rejected"]) == (200_000, 200_000 - bad, bad)


def test_elements_are_imported_whatever_they_are_while_mixpanel_fails(
    standin: Standin, settings: dict[str, str]
) -> None:
    made = Events(30_000, "small", seed=2, bad_share=0.01)
    bad = sum(1 for _ in made.bad())
    standin.faults(**FAULTS)
    pipeline = beam.Pipeline(options=PipelineOptions(WORKERS))
    written = pipeline | beam.Create(list(made.records())) | WriteToMixpanel(settings)
    assert_that(written.rejects | beam.combiners.Count.Globally(), equal_to([bad]), label="rejects")
    sources = written.imported | beam.Map(lambda one: one["source"]) | beam.Distinct()
    sent = sources | "count senders" >> beam.combiners.Count.Globally()
    assert_that(sent, equal_to([4]), label="senders")
    result = pipeline.run()
    result.wait_until_finish()
    standin.faults(**NO_FAULTS)
    assert set(standin.ids()) == set(made.ids())
    found = counters(result)
    assert (found["read"], found["imported"], found["rejected"]) == (30_000, 30_000 - bad, bad)


def test_an_element_is_bytes_text_a_dict_or_a_row() -> None:
    event = {"event": "a", "properties": {"time": 1, "distinct_id": "ü"}}
    text = json.dumps(event, ensure_ascii=False)
    assert encode(text) == encode(text.encode()) == text.encode()
    assert json.loads(encode(event)) == event
    assert json.loads(encode(beam.Row(event="a", n=1))) == {"event": "a", "n": 1}
    with pytest.raises(TypeError, match="this is int"):
        encode(7)


def test_a_job_that_is_killed_is_done_again_and_loses_nothing(
    standin: Standin, settings: dict[str, str], tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    made = Events(60_000, "small", seed=3)
    (source / "one.jsonl").write_bytes(b"\n".join(made.records()))
    code = (
        "import json, sys, apache_beam as beam\n"
        "from importer.engines.beam import ImportFiles\n"
        "with beam.Pipeline(runner='FnApiRunner') as p:\n"
        "    p | beam.Create([sys.argv[1]]) | ImportFiles(json.loads(sys.argv[2]))\n"
    )
    slow = {**settings, "IMPORT_EVENTS_PER_SECOND": "10000"}
    command = [sys.executable, "-c", code, str(source)]
    assert kill_in_the_middle(standin, [*command, json.dumps(slow)], 10_000) < 60_000
    subprocess.run([*command, json.dumps(settings)], check=True)
    assert set(standin.ids()) == set(made.ids())


def test_the_ready_pipeline_imports_files_and_its_graph_has_no_secret(
    standin: Standin, settings: dict[str, str], tmp_path: Path
) -> None:
    made = Events(1_000, "small", seed=4)
    files(tmp_path, made, 2)
    (tmp_path / "production.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    found: list[dict[str, int]] = []
    words = ["--input", str(tmp_path / "0.jsonl.gz"), str(tmp_path / "1.jsonl.gz")]
    main(
        [*words, "--settings", str(tmp_path / "production.env"), "--runner=FnApiRunner"],
        lambda one: found.append(counters(one)),
    )
    assert found[0]["imported"] == 1_000
    assert standin.ids() == dict.fromkeys(made.ids(), 1)


def test_waits_for_the_limit_are_told_to_the_autoscaler(standin: Standin, settings: dict[str, str]) -> None:
    made = Events(20_000, "small", seed=5)
    slow = {**settings, "IMPORT_EVENTS_PER_SECOND": "4000"}
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    _ = pipeline | beam.Create(list(made.records())) | WriteToMixpanel(slow, senders=1)
    result = pipeline.run()
    result.wait_until_finish()
    assert counters(result)["cumulativeThrottlingSeconds"] >= 1
    assert set(standin.ids()) == set(made.ids())
