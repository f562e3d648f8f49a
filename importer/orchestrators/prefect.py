"""Prefect: a credentials block, tasks that import, backfill and look at files, and a flow that can be deployed.

    credentials = MixpanelCredentials.load("production")
    import_files(credentials, ["gs://my-events/2025/06/01/"])

What a task does is a command in a process of its own (`commands.process`). A retry goes on where the try before it
was, by the receipts and checkpoints in `checkpoints`. All tasks share the concurrency limit `mixpanel`, where there is
one: `prefect gcl create mixpanel --limit 4`, since one core sends seven times what a project may take.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.blocks.abstract import CredentialsBlock
from prefect.concurrency.sync import concurrency
from pydantic import Field, SecretStr

from importer.commands.process import Command, CommandFailed, counts, too_many_rejects
from importer.errors import SettingsError

LIMIT = "mixpanel"
"""The name of the concurrency limit."""

_STOP_SECONDS = 30.0


class MixpanelCredentials(CredentialsBlock):
    """What an import needs to reach a project of Mixpanel.

    Example:
        Load what was saved:
        ```python
        from importer.orchestrators.prefect import MixpanelCredentials

        credentials = MixpanelCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Mixpanel Credentials"
    _block_type_slug = "mixpanel-credentials"
    _logo_url = "https://cdn.mxpnl.com/static/favicons/apple-touch-icon.png"
    _documentation_url = "https://developer.mixpanel.com/reference/service-accounts"

    project_id: str | None = Field(default=None, description="The project's number.")
    username: str | None = Field(default=None, description="The service account's username.")
    secret: SecretStr | None = Field(default=None, description="The service account's secret.")
    token: SecretStr | None = Field(default=None, description="The project's token, where there is no service account.")
    region: str = Field(default="us", description="Where the project's data lies: us, eu or in.")
    api_url: str | None = Field(default=None, description="Another address of the API, such as a stand-in's.")
    settings: dict[str, str] = Field(default_factory=dict, description="More of the importer's settings, by name.")

    def get_client(self) -> dict[str, str]:
        """The settings that the block means, as variables."""
        found = {
            "MIXPANEL_PROJECT_ID": self.project_id,
            "MIXPANEL_SERVICE_ACCOUNT_USERNAME": self.username,
            "MIXPANEL_SERVICE_ACCOUNT_SECRET": self.secret and self.secret.get_secret_value(),
            "MIXPANEL_PROJECT_TOKEN": self.token and self.token.get_secret_value(),
            "MIXPANEL_REGION": None if self.api_url else self.region,
            "MIXPANEL_API_URL": self.api_url,
        }
        return {**self.settings, **{name: value for name, value in found.items() if value}}


def _may_go_better(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a try that failed is worth another: not with wrong credentials or settings, nor with too many rejects."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, SettingsError | TooManyRejects) and getattr(error, "retry", True)


class TooManyRejects(Exception):
    """More of the records were rejected than may be. All others are imported."""


@task(retries=3, retry_delay_seconds=30, retry_condition_fn=_may_go_better, task_run_name="import {sources}")
def import_files(
    credentials: MixpanelCredentials,
    sources: Sequence[str],
    *,
    mapping: str | None = None,
    rejects: str | None = None,
    checkpoints: str | None = None,
    settings: Mapping[str, str] | None = None,
    again: bool = False,
    max_reject_share: float = 1.0,
) -> dict[str, int]:
    """Imports files. The run has a table of what became of each, and one of the reasons of rejects.

    Args:
        sources: paths, folders, globs, `gs://` or `s3://`.
        mapping, rejects, checkpoints: as IMPORT_MAPPING, IMPORT_REJECTS, IMPORT_CHECKPOINTS.
        settings: more of the importer's settings, by name.
        again: whether files are imported that were imported before.
        max_reject_share: of the records, from 0 to 1; with more rejects the task fails.

    Returns:
        The counts: read, imported, rejected, dropped.

    Raises:
        CommandFailed: not all of them are in Mixpanel.
        TooManyRejects: see `max_reject_share`.
    """
    variables = _variables(credentials, mapping, rejects, checkpoints, settings)
    result = _run(["import", "--progress", *(["--again"] if again else []), "--", *sources], variables)
    files = [{name: one.get(name) for name in ("source", "outcome", *_COUNTS)} for one in result.get("files", ())]
    create_table_artifact(files, key="mixpanel-import", description=f"Imported from {', '.join(sources)}")
    _show_rejects(result, rejects)
    if sentence := too_many_rejects(result, max_reject_share):
        raise TooManyRejects(sentence)
    return counts(result)


@task(retries=3, retry_delay_seconds=30, retry_condition_fn=_may_go_better, task_run_name="backfill {prefix}")
def backfill(
    credentials: MixpanelCredentials,
    prefix: str,
    *,
    days: int | None = None,
    mapping: str | None = None,
    rejects: str | None = None,
    checkpoints: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Imports history, the newest day first. The run has a table of the days. See `import_files`.

    Args:
        prefix: what the objects' names begin with; the days are found in the names.
        days: only the newest of them.
    """
    variables = _variables(credentials, mapping, rejects, checkpoints, settings)
    result = _run(["backfill", "--yes", *(["--days", str(days)] if days else []), "--", prefix], variables)
    table = [{name: one.get(name) for name in ("day", "objects", *_COUNTS)} for one in result.get("days", ())]
    create_table_artifact(table, key="mixpanel-backfill", description=f"Backfilled from {prefix}")
    _show_rejects(result, rejects)
    return counts(result)


@task(task_run_name="profile {sources}")
def profile(
    credentials: MixpanelCredentials,
    sources: Sequence[str],
    *,
    mapping: str | None = None,
    sample: float = 1.0,
    fails_for: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Looks at files before they are imported. The run has the findings; nothing is sent.

    Args:
        sample: the share of the records that is looked at.
        fails_for: levels of findings for which the task fails: `problem`, `warning`, `note`.

    Returns:
        The findings.

    Raises:
        CommandFailed: there is one of such a level, or the files cannot be looked at.
    """
    variables = _variables(credentials, mapping, None, None, None)
    found = _run(["profile", "--sample", str(sample), "--", *sources], variables)
    findings = [one for one in found.get("findings", ()) if isinstance(one, dict)]
    lines = [f"- **{one.get('level')}** {one.get('sentence')}" for one in findings] or ["Nothing is odd."]
    create_markdown_artifact("\n".join(lines), key="mixpanel-profile", description=f"Profile of {', '.join(sources)}")
    if bad := [one for one in findings if one.get("level") in fails_for]:
        raise CommandFailed(f"The profile has {len(bad)} findings that must not be.", retry=False)
    return findings


@flow(name="mixpanel-day")
def import_day(
    block: str,
    prefix: str,
    day: date | None = None,
    mapping: str | None = None,
    rejects: str | None = None,
    checkpoints: str | None = None,
    max_reject_share: float = 0.01,
    fails_for: Sequence[str] = (),
) -> dict[str, int]:
    """One day's prefix of a bucket: looked at, then imported. Deploy it with a schedule.

    Args:
        block: the name of the credentials' block.
        prefix: with `{day}` where the day stands, as in `gs://my-events/{day:%Y/%m/%d}/`.
        day: by default yesterday.
        fails_for: levels of findings for which nothing is imported; see `profile`.
        others: see `import_files`.
    """
    credentials = MixpanelCredentials.load(block)
    day = day or date.today() - timedelta(days=1)  # noqa: DTZ011 (a worker's days are those of its clock)
    source = prefix.format(day=day)
    profile(credentials, [source], mapping=mapping, sample=0.1, fails_for=fails_for)
    found: dict[str, int] = import_files(
        credentials,
        [source],
        mapping=mapping,
        rejects=rejects,
        checkpoints=checkpoints,
        max_reject_share=max_reject_share,
    )
    return found


_COUNTS = ("read", "imported", "rejected", "dropped")


def _variables(
    credentials: MixpanelCredentials,
    mapping: str | None,
    rejects: str | None,
    checkpoints: str | None,
    settings: Mapping[str, str] | None,
) -> dict[str, str]:
    own = {"IMPORT_MAPPING": mapping, "IMPORT_REJECTS": rejects, "IMPORT_CHECKPOINTS": checkpoints}
    return {**credentials.get_client(), **(settings or {}), **{name: value for name, value in own.items() if value}}


def _run(words: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    logger = get_run_logger()
    command = Command(words, variables, lambda line: logger.info("%s", line))
    with concurrency(LIMIT, occupy=1, strict=False), _stopped_when_cancelled(command):
        return command.run()


@contextmanager
def _stopped_when_cancelled(command: Command) -> Iterator[None]:
    """Within it SIGTERM, which a run that is cancelled gets, has the command settle first."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def on_signal(number: int, frame: FrameType | None) -> None:
        command.stop(_STOP_SECONDS)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_rejects(result: Mapping[str, Any], place: str | None) -> None:
    reasons = result.get("reasons") or []
    if isinstance(reasons, dict):
        reasons = [{"reason": reason, "count": count} for reason, count in reasons.items()]
    if reasons:
        create_table_artifact(reasons, key="mixpanel-rejects", description=f"Rejects, stored in {place or 'a file'}")
