"""A project for Dagster: each day's prefix of a bucket, profiled, imported, checked.

    dagster dev -f tests/engines/dagster/example.py

with MIXPANEL_PROJECT_TOKEN, and BUCKET as the address of a bucket, in the environment.
"""

import os

import dagster as dg

from importer.orchestrators.dagster import MixpanelResource, mixpanel_import

BUCKET = os.environ.get("BUCKET", "gs://events")

events = mixpanel_import(
    name="events_in_mixpanel",
    prefix=BUCKET + "/archive/{partition}/",
    partitions_def=dg.DailyPartitionsDefinition("2025-06-01", end_date="2025-07-01"),
    max_reject_share=0.02,
)

definitions = dg.Definitions(
    assets=[events],
    jobs=[dg.define_asset_job("import_a_day", [events])],
    resources={
        "mixpanel": MixpanelResource(
            project_token=dg.EnvVar("MIXPANEL_PROJECT_TOKEN"),
            api_url=os.environ.get("MIXPANEL_API_URL", ""),
            rejects=BUCKET + "/own/rejects",
            checkpoints=BUCKET + "/own/checkpoints",
        )
    },
)
