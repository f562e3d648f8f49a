"""Apache Beam (Dataflow, Flink …): two transforms, and a pipeline of them that is ready to run.

    pipeline | beam.Create(["gs://my-archive/2025/"]) | ImportFiles(settings)
    events | WriteToMixpanel(settings)

`ImportFiles` has each file imported by the core as a whole, with its checkpoints, so that a bundle that is retried goes
on where it stopped. `WriteToMixpanel` takes elements: they are made bytes before the shuffle, so that a retry reads the
same and Mixpanel counts them once, and go to a fixed number of keys, which is the number of senders however many
workers there are.

Settings are the importer's, by name. A credential may be the name of a Secret Manager version
(`projects/P/secrets/S/versions/latest`), which workers read when they start: the graph then has the name alone.

    python -m importer.engines.beam --input gs://my-archive/2025/ --settings production.env --runner DataflowRunner …
"""

from __future__ import annotations

import argparse
import base64
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import msgspec
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.util import GroupIntoBatches
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from importer import library
from importer.core.rejects.reject import Reject
from importer.core.report import Report
from importer.env_file import read_env_file
from importer.storage.store import store
from importer.variables import ours

SENDERS = 4
"""Keys, and so senders: one alone waits for Mixpanel's answers, four use all of a project's limit."""

REJECTS = "rejects"

_CHUNK_EVENTS = 500
_CHUNKS = 40
_MAX_WAIT_SECONDS = 5
_NAMESPACE = "mixpanel"
_COUNTED = ("read", "imported", "rejected", "dropped", "requests", "retried")
_SECRET = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+").fullmatch


class Written(NamedTuple):
    """What a transform gives.

    Attributes:
        imported: a `dict` of counts for each group or file; `source` says which.
        rejects: each reject as a `dict`: source, line, reason, field, event …
    """

    imported: beam.PCollection
    rejects: beam.PCollection


class ImportFiles(beam.PTransform):
    """Imports files: takes addresses (a path, `gs://`, `s3://`), folders and what names begin with.

    Args:
        settings: the importer's, by name. With IMPORT_CHECKPOINTS a retried bundle goes on where it stopped, and a file
            that was imported is not read again.
        again: whether files are imported that were imported before.
    """

    def __init__(self, settings: Mapping[str, str], *, again: bool = False) -> None:
        super().__init__()
        self._settings = dict(settings)
        self._again = again

    def expand(self, pcoll: beam.PCollection) -> Written:
        """See `Written`."""
        return _written(
            pcoll
            | "List" >> beam.ParDo(_List(self._settings))
            | "Spread" >> beam.Reshuffle()
            | "Import" >> beam.ParDo(_ImportFile(self._settings, self._again)).with_outputs(REJECTS, main="imported")
        )


class WriteToMixpanel(beam.PTransform):
    """Imports elements: bytes or text (a record), a `dict`, or a row with a schema.

    Args:
        settings: the importer's, by name.
        senders: keys that the elements go to.
    """

    def __init__(self, settings: Mapping[str, str], *, senders: int = SENDERS) -> None:
        super().__init__()
        self._settings = dict(settings)
        self._senders = senders

    def expand(self, pcoll: beam.PCollection) -> Written:
        """See `Written`."""
        return _written(
            pcoll
            | "Window" >> beam.WindowInto(GlobalWindows())
            | "Encode" >> beam.ParDo(_Encode(self._senders))
            | "Group" >> GroupIntoBatches(_CHUNKS, max_buffering_duration_secs=_MAX_WAIT_SECONDS)
            | "Send" >> beam.ParDo(_Send(self._settings)).with_outputs(REJECTS, main="imported")
        )


def encode(element: Any) -> bytes:
    """A record of an element, on one line.

    Raises:
        TypeError: it is none.
    """
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode()
    if hasattr(element, "_asdict"):
        element = element._asdict()
    if not isinstance(element, Mapping):
        raise TypeError(f"an element is bytes, text, a dict or a row, and this is {type(element).__name__}")
    return msgspec.json.encode(element)


class _Importing(beam.DoFn):
    """What both have in common: the settings, read on the worker, and the counters."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def setup(self) -> None:
        self._settings = library.settings_from({name: _revealed(value) for name, value in self._variables.items()})
        self._counters = {name: Metrics.counter(_NAMESPACE, name) for name in _COUNTED}
        # What Dataflow's autoscaler heeds: it adds no workers while the limit, and not they, is what holds up.
        self._throttled = Metrics.counter(_NAMESPACE, "cumulativeThrottlingSeconds")
        self._waited = 0.0

    def counted(self, source: str, report: Report) -> dict[str, Any]:
        counts = report.counts()
        for name, counter in self._counters.items():
            counter.inc(counts[name])
        seconds, self._waited = int(self._waited), self._waited % 1
        self._throttled.inc(seconds)
        return {"source": source, **counts}

    def note_wait(self, seconds: float) -> None:
        self._waited += seconds


class _Kept:
    """Rejects that become elements."""

    def __init__(self) -> None:
        self.rejects: list[dict[str, Any]] = []

    def store(self, rejects: Sequence[Reject]) -> None:
        self.rejects += [msgspec.to_builtins(one) for one in rejects]

    def outputs(self) -> Iterator[beam.pvalue.TaggedOutput]:
        return (beam.pvalue.TaggedOutput(REJECTS, one) for one in self.rejects)


class _List(beam.DoFn):
    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def process(self, address: str) -> Iterator[str]:
        yield from store(address).list(address)


class _ImportFile(_Importing):
    def __init__(self, variables: Mapping[str, str], again: bool) -> None:
        super().__init__(variables)
        self._again = again

    def process(self, address: str) -> Iterator[Any]:
        kept = _Kept()
        report = library.import_file(
            address, settings=self._settings, rejects=kept, again=self._again, on_wait=self.note_wait
        )
        yield self.counted(address, report)
        yield from kept.outputs()


class _Encode(beam.DoFn):
    """Puts some hundred records in one element, for Beam's cost of an element is ten times the import's; each of these
    goes to one of the keys."""

    def __init__(self, senders: int) -> None:
        self._senders = senders

    def setup(self) -> None:
        self._next = os.getpid()

    def start_bundle(self) -> None:
        self._records: list[bytes] = []

    def process(self, element: Any) -> Iterator[tuple[int, bytes]]:
        self._records.append(encode(element).replace(b"\n", b" "))
        if len(self._records) >= _CHUNK_EVENTS:
            yield self._chunk()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._records:
            yield WindowedValue(self._chunk(), MIN_TIMESTAMP, (GlobalWindow(),))

    def _chunk(self) -> tuple[int, bytes]:
        self._next += 1
        records, self._records = self._records, []
        return self._next % self._senders, b"\n".join(records)


class _Send(_Importing):
    def process(self, keyed: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        key, chunks = keyed
        kept = _Kept()
        source = f"beam://{key}"
        records = (record for chunk in chunks for record in chunk.split(b"\n"))
        report = library.import_records(
            records, source=source, settings=self._settings, rejects=kept, on_wait=self.note_wait
        )
        yield self.counted(source, report)
        yield from kept.outputs()


def _written(outputs: Any) -> Written:
    return Written(outputs.imported, outputs[REJECTS])


def _revealed(value: str) -> str:
    """The value, or what a version in Secret Manager holds that it names.

    https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
    """
    if not _SECRET(value):
        return value
    import google.auth  # noqa: PLC0415
    from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    session: Any = AuthorizedSession
    answer = session(credentials).get(f"https://secretmanager.googleapis.com/v1/{value}:access", timeout=30)
    answer.raise_for_status()
    return base64.b64decode(answer.json()["payload"]["data"]).decode()


def main(words: Sequence[str] | None = None, check: Callable[[Any], None] | None = None) -> None:
    """The ready pipeline: files to Mixpanel.

    Args:
        words: arguments; by default the process's. Those that are not its own are Beam's.
        check: is given the result, by tests.
    """
    parser = argparse.ArgumentParser(prog="python -m importer.engines.beam", description="Files to Mixpanel.")
    parser.add_argument("--input", nargs="+", required=True, help="paths, gs:// or s3://; prefixes and folders, too")
    parser.add_argument("--settings", help="a file with lines NAME=value; by default the environment")
    parser.add_argument("--again", action="store_true", help="import what was imported before, too")
    given, others = parser.parse_known_args(words)
    settings = ours(read_env_file(given.settings) if given.settings else os.environ)
    pipeline = beam.Pipeline(options=PipelineOptions(others, save_main_session=False))
    _ = pipeline | beam.Create(given.input) | ImportFiles(settings, again=given.again)
    result = pipeline.run()
    result.wait_until_finish()
    if check:
        check(result)


if __name__ == "__main__":
    main()
