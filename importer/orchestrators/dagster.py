"""Dagster: a resource, a factory of assets whose partitions are prefixes, an asset check on rejects, a component.

    importing = mixpanel_import(name="events", prefix="gs://my-events/{partition}/", partitions_def=daily)
    mixpanel = MixpanelResource(project_token=dg.EnvVar("MIXPANEL_PROJECT_TOKEN"))
    defs = dg.Definitions(assets=[importing], resources={"mixpanel": mixpanel})

What an asset does is a command in a process of its own (`commands.process`). A backfill of many partitions is one run,
which imports the newest first; a retry goes on where the try before it was, by what lies in `checkpoints`. All of them
take a slot of the pool `mixpanel`: one core sends seven times what a project may take.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from importer.commands.process import Command, CommandFailed, counts, too_many_rejects
from importer.errors import SettingsError

POOL = "mixpanel"
"""The pool that all imports take a slot of."""


class MixpanelResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """What an import needs to reach a project of Mixpanel. Give secrets as `dg.EnvVar`.

    Attributes:
        project_id, username, secret: the project's number, and a service account.
        project_token: the project's token, where there is no service account.
        region: where the project's data lies: us, eu or in.
        api_url: another address of the API, such as a stand-in's.
        rejects, checkpoints: where these lie, as IMPORT_REJECTS and IMPORT_CHECKPOINTS.
        settings: more of the importer's settings, by name.
    """

    project_id: str = ""
    username: str = ""
    secret: str = ""
    project_token: str = ""
    region: str = "us"
    api_url: str = ""
    rejects: str = ""
    checkpoints: str = ""
    settings: dict[str, str] = {}  # noqa: RUF012 (a field, which pydantic copies)

    def variables(self) -> dict[str, str]:
        """The settings that it means, as variables."""
        found = {
            "MIXPANEL_PROJECT_ID": self.project_id,
            "MIXPANEL_SERVICE_ACCOUNT_USERNAME": self.username,
            "MIXPANEL_SERVICE_ACCOUNT_SECRET": self.secret,
            "MIXPANEL_PROJECT_TOKEN": self.project_token,
            "MIXPANEL_REGION": "" if self.api_url else self.region,
            "MIXPANEL_API_URL": self.api_url,
            "IMPORT_REJECTS": self.rejects,
            "IMPORT_CHECKPOINTS": self.checkpoints,
        }
        return {**self.settings, **{name: value for name, value in found.items() if value}}

    def run(self, words: Sequence[str], log: Any, **more: str | None) -> dict[str, Any]:
        """Runs a command of the importer.

        Args:
            words: its name and arguments.
            log: of the run; it gets what the command says.
            more: settings, by name.

        Returns:
            What it wrote.

        Raises:
            Failure: it did not do all of its work. Where another try may not go better, none is made.
        """
        variables = {**self.variables(), **{name: value for name, value in more.items() if value}}
        try:
            return Command(words, variables, log.info).run()
        except SettingsError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        except CommandFailed as failed:
            metadata = {name: dg.MetadataValue.int(number) for name, number in counts(failed.result).items()}
            raise dg.Failure(str(failed), metadata, allow_retries=failed.retry) from None


def mixpanel_import(
    *,
    name: str,
    prefix: str,
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    mapping: str | None = None,
    max_reject_share: float = 0.01,
    profiles: bool = False,
    retries: int = 3,
    retry_seconds: float = 30.0,
    group_name: str | None = None,
    deps: Sequence[Any] = (),
) -> dg.AssetsDefinition:
    """An asset: what lies under a prefix, in Mixpanel. Its resource is called `mixpanel`.

    Args:
        name: the asset's.
        prefix: a path, `gs://` or `s3://`; `{partition}` in it stands for the partition's key.
        partitions_def: its partitions; a backfill of several is one run.
        mapping: as IMPORT_MAPPING.
        max_reject_share: of the records, from 0 to 1; with more, the asset check `rejects` fails.
        profiles: whether the files are looked at first, which the run then ends with where there is a problem.
        retries, retry_seconds: how often a run that failed is tried again, and the first wait, which then doubles.
        group_name, deps: see Dagster's `asset`.
    """

    @dg.asset(
        name=name,
        partitions_def=partitions_def,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions_def else None,
        check_specs=[dg.AssetCheckSpec("rejects", asset=name, description=f"At most {max_reject_share:.2%} rejected.")],
        retry_policy=dg.RetryPolicy(max_retries=retries, delay=retry_seconds, backoff=dg.Backoff.EXPONENTIAL),
        pool=POOL,
        kinds={"mixpanel"},
        group_name=group_name,
        deps=deps,
        description=f"What lies under {prefix}, in Mixpanel.",
    )
    def importing(context: dg.AssetExecutionContext, mixpanel: MixpanelResource) -> Iterator[Any]:
        keys = sorted(context.partition_keys, reverse=True) if context.has_partition_key_range else []
        keys = keys or ([context.partition_key] if context.has_partition_key else [])
        sources = [prefix.format(partition=key) for key in keys] or [prefix]
        if profiles:
            _profile(context, mixpanel, sources, mapping)
        result = mixpanel.run(["import", "--progress", "--", *sources], context.log, IMPORT_MAPPING=mapping)
        yield dg.MaterializeResult(metadata=_metadata(result, mixpanel, keys))
        sentence = too_many_rejects(result, max_reject_share)
        yield dg.AssetCheckResult(
            check_name="rejects",
            passed=sentence is None,
            description=sentence,
            metadata={name: dg.MetadataValue.int(number) for name, number in counts(result).items()},
        )

    return importing


class MixpanelImport(dg.Component, dg.Model, dg.Resolvable):
    """A component: what lies under a prefix, in Mixpanel. See `mixpanel_import`.

    Attributes:
        name, prefix, mapping, max_reject_share, profiles: see there.
        daily_from: the first day (2025-01-31), where each day is a partition; `{partition}` is then a day.
    """

    name: str
    prefix: str
    mapping: str | None = None
    max_reject_share: float = 0.01
    profiles: bool = False
    daily_from: str | None = None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The asset; the resource `mixpanel` is the project's."""
        return dg.Definitions(
            assets=[
                mixpanel_import(
                    name=self.name,
                    prefix=self.prefix,
                    partitions_def=dg.DailyPartitionsDefinition(self.daily_from) if self.daily_from else None,
                    mapping=self.mapping,
                    max_reject_share=self.max_reject_share,
                    profiles=self.profiles,
                )
            ]
        )


def _profile(
    context: dg.AssetExecutionContext, mixpanel: MixpanelResource, sources: Sequence[str], mapping: str | None
) -> None:
    found = mixpanel.run(["profile", "--", *sources], context.log, IMPORT_MAPPING=mapping)
    problems = [one for one in found.get("findings", ()) if one.get("level") == "problem"]
    for one in problems:
        context.log.warning(one.get("sentence"))
    if problems:
        raise dg.Failure(f"The profile has {len(problems)} problems; nothing was imported.", allow_retries=False)


def _metadata(result: dict[str, Any], mixpanel: MixpanelResource, keys: Sequence[str]) -> dict[str, Any]:
    found = counts(result)
    return {
        "dagster/row_count": found["imported"],
        **found,
        "files": len(result.get("files", ())),
        **({"rejects": dg.MetadataValue.path(mixpanel.rejects)} if mixpanel.rejects and found["rejected"] else {}),
        **({"partitions": list(keys)} if keys else {}),
    }
