"""Airflow 3 and 2.11: a connection, a hook, operators that import files, and one that looks at them first.

    FilesToMixpanelOperator(task_id="import", sources="gs://my-events/{{ ds }}/", rejects="gs://my-state/rejects")

What an operator does is a command in a process of its own (`commands.process`), so that stopping a task settles and
saves what is on its way. A retry goes on from there: with `checkpoints` where that says, else, from Airflow 3.3 on, by
the task's own state store.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

try:
    from airflow.sdk import BaseHook, BaseOperator
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # Airflow 2
    from airflow.exceptions import AirflowException, AirflowFailException
    from airflow.hooks.base import BaseHook
    from airflow.models import BaseOperator

from importer.commands.process import Command, CommandFailed, counts, too_many_rejects
from importer.errors import SettingsError
from importer.variables import ours

_STOP_SECONDS = 30.0
_STATE = "mixpanel_checkpoints"
_MAX_STATE_FILE = 64_000


class MixpanelHook(BaseHook):
    """A connection of the type `mixpanel`: a service account, or with no login a project's token as the password.

    Args:
        mixpanel_conn_id: the connection's name.
    """

    conn_name_attr = "mixpanel_conn_id"
    default_conn_name = "mixpanel_default"
    conn_type = "mixpanel"
    hook_name = "Mixpanel"

    def __init__(self, mixpanel_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self._conn_id = mixpanel_conn_id

    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """What the form calls its fields."""
        return {
            "hidden_fields": ["port", "schema"],
            "relabeling": {
                "login": "Service account's username (empty: the password is the project's token)",
                "password": "Service account's secret",
                "host": "Region (us, eu, in), or another API's URL",
                "extra": "More settings",
            },
            "placeholders": {"host": "us", "extra": '{"project_id": "123", "IMPORT_EVENTS_PER_SECOND": "10000"}'},
        }

    def get_conn(self) -> dict[str, str]:
        """The settings that the connection means, as variables."""
        found = self.get_connection(self._conn_id)
        extra = {name: str(value) for name, value in (found.extra_dejson or {}).items()}
        variables = ours(extra)
        if found.login:
            variables["MIXPANEL_SERVICE_ACCOUNT_USERNAME"] = found.login
            variables["MIXPANEL_SERVICE_ACCOUNT_SECRET"] = found.password or ""
            variables["MIXPANEL_PROJECT_ID"] = extra.get("project_id", "")
        else:
            variables["MIXPANEL_PROJECT_TOKEN"] = found.password or ""
        if found.host:
            is_region = found.host.lower() in {"us", "eu", "in"}
            variables["MIXPANEL_REGION" if is_region else "MIXPANEL_API_URL"] = found.host
        return variables

    def test_connection(self) -> tuple[bool, str]:
        """Whether Mixpanel takes the credentials: a request that imports nothing. For the form's button."""
        said: list[str] = []
        try:
            found = Command(["check"], self.get_conn(), said.append).run()
        except (CommandFailed, SettingsError) as error:
            return False, str(error)
        wrong = [f"{one['what']}: {one['sentence']}" for one in found["checks"] if one["state"] == "wrong"]
        return not wrong, " ".join(wrong) or "Mixpanel takes the credentials."


class _CommandOperator(BaseOperator):
    """Runs one command on some sources.

    Args:
        sources: paths, folders, globs, `gs://` or `s3://`; one or several.
        mixpanel_conn_id: the connection's name.
        mapping: as IMPORT_MAPPING: a ready mapping's name, `auto`, or a mapping file's path.
        rejects: where rejects are stored, as IMPORT_REJECTS.
        checkpoints: where checkpoints and receipts are kept, as IMPORT_CHECKPOINTS.
        settings: more of the importer's settings, by name. No credentials: they are rendered.
    """

    template_fields: Sequence[str] = ("sources", "mapping", "rejects", "checkpoints", "settings")
    ui_color = "#e8e3ff"

    def __init__(
        self,
        *,
        sources: str | Sequence[str],
        mixpanel_conn_id: str = MixpanelHook.default_conn_name,
        mapping: str | None = None,
        rejects: str | None = None,
        checkpoints: str | None = None,
        settings: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sources = sources
        self.mixpanel_conn_id = mixpanel_conn_id
        self.mapping = mapping
        self.rejects = rejects
        self.checkpoints = checkpoints
        self.settings = settings
        self._command: Command | None = None

    def _run(self, *words: str, state: _State | None = None) -> dict[str, Any]:
        sources = [self.sources] if isinstance(self.sources, str) else [*self.sources]
        of_own = {
            "IMPORT_MAPPING": self.mapping,
            "IMPORT_REJECTS": self.rejects,
            "IMPORT_CHECKPOINTS": self.checkpoints,
        }
        everything = {
            **MixpanelHook(self.mixpanel_conn_id).get_conn(),
            **{name: value for name, value in of_own.items() if value},
            **(self.settings or {}),
            **(state.restored() if state else {}),
        }

        def on_line(line: str) -> None:
            self.log.info("%s", line)
            if state:
                state.save()

        self._command = Command([*words, "--", *sources], everything, on_line)
        try:
            return self._command.run()
        except SettingsError as error:
            raise AirflowFailException(str(error)) from None
        except CommandFailed as failed:
            self._fail(failed)

    def _fail(self, failed: CommandFailed) -> NoReturn:
        self.log.info("Until then: %s", counts(failed.result))
        raise (AirflowException if failed.retry else AirflowFailException)(str(failed)) from None

    def on_kill(self) -> None:
        """Settles and saves what is on its way."""
        if self._command:
            self._command.stop(_STOP_SECONDS)


class FilesToMixpanelOperator(_CommandOperator):
    """Imports files. Returns the counts, which Airflow keeps as an XCom.

    Args:
        max_reject_share: of the records, from 0 to 1: with more rejects the task fails, and is not tried again, since
            all else is imported.
        again: whether files are imported that were imported before.
        others: see `_CommandOperator`.
    """

    def __init__(self, *, max_reject_share: float = 1.0, again: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_reject_share = max_reject_share
        self.again = again

    def execute(self, context: Any) -> dict[str, Any]:
        """Imports them."""
        with tempfile.TemporaryDirectory(prefix="mixpanel-importer-") as folder:
            state = _State(context, None if self.checkpoints else Path(folder))
            try:
                words = ["import", "--progress", *(["--again"] if self.again else [])]
                result = self._run(*words, state=state)
            finally:
                state.save()
        if sentence := too_many_rejects(result, self.max_reject_share):
            raise AirflowFailException(sentence)
        return {**counts(result), "files": len(result.get("files", ())), "rejects": self.rejects}


class GCSToMixpanelOperator(FilesToMixpanelOperator):
    """Imports objects of a Cloud Storage bucket, with the credentials of the worker.

    Args:
        bucket: its name.
        prefix: what the objects' names begin with, or a glob.
        others: see `FilesToMixpanelOperator`.
    """

    scheme: ClassVar[str] = "gs"
    template_fields: Sequence[str] = ("bucket", "prefix", *FilesToMixpanelOperator.template_fields)

    def __init__(self, *, bucket: str, prefix: str | Sequence[str] = "", **kwargs: Any) -> None:
        super().__init__(sources="", **kwargs)
        self.bucket = bucket
        self.prefix = prefix

    def execute(self, context: Any) -> dict[str, Any]:
        """Imports them."""
        prefixes = [self.prefix] if isinstance(self.prefix, str) else self.prefix
        self.sources = [f"{self.scheme}://{self.bucket}/{prefix}" for prefix in prefixes]
        return super().execute(context)


class S3ToMixpanelOperator(GCSToMixpanelOperator):
    """The same of an S3 bucket."""

    scheme = "s3"


class MixpanelProfileOperator(_CommandOperator):
    """Looks at files before they are imported, and fails where there is something that must not be: a gate.

    Args:
        fails_for: levels of findings for which it fails: `problem`, `warning`, `note`.
        sample: the share of the records that is looked at.
        others: see `_CommandOperator`.
    """

    def __init__(self, *, fails_for: Sequence[str] = ("problem",), sample: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fails_for = fails_for
        self.sample = sample

    def execute(self, context: Any) -> dict[str, Any]:
        """Looks at them."""
        found = self._run("profile", "--sample", str(self.sample))
        findings = [one for one in found.get("findings", ()) if one.get("level") in self.fails_for]
        for one in findings:
            self.log.warning("%s", one.get("sentence") or one)
        if findings:
            raise AirflowFailException(f"The profile has {len(findings)} findings that must not be.")
        return {"count": found.get("count"), "findings": len(found.get("findings", ()))}


class _State:
    """The command's checkpoints, in a folder of this try, kept in the task's state store from one try to the next.

    Args:
        context: the task's.
        folder: for the files; None where they have a place of their own.
    """

    def __init__(self, context: Any, folder: Path | None) -> None:
        self._store = context.get("task_state_store")
        self._folder = folder
        self._kept = ""

    def restored(self) -> dict[str, str]:
        """The setting that names the folder, with what an earlier try left in it."""
        if self._folder is None or self._store is None:
            return {}
        for name, text in json.loads(self._store.get(_STATE) or "{}").items():
            file = self._folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return {"XDG_STATE_HOME": os.fspath(self._folder)}

    def save(self) -> None:
        """Keeps what there is now, if that is something new: each line that the command says asks for it."""
        if self._folder is None or self._store is None:
            return
        files = [file for file in self._folder.rglob("*") if file.is_file() and file.stat().st_size <= _MAX_STATE_FILE]
        state = json.dumps({os.fspath(file.relative_to(self._folder)): file.read_text() for file in files})
        if state != self._kept:
            self._store.set(_STATE, state)
            self._kept = state
