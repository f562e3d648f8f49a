"""A DAG for Airflow: each day's prefix of a bucket, profiled, imported, checked.

Its connection is `mixpanel_default`; BUCKET is the bucket's name. Shared by all: `airflow pools set mixpanel 4 ""`.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG

from importer.orchestrators.airflow import GCSToMixpanelOperator, MixpanelProfileOperator

BUCKET = os.environ.get("BUCKET", "events")

with DAG(
    "events_to_mixpanel",
    start_date=datetime(2025, 6, 1),  # noqa: DTZ001 (Airflow takes it for UTC)
    schedule="@daily",
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=1)},
):
    profiled = MixpanelProfileOperator(
        task_id="profile",
        sources=f"gs://{BUCKET}/archive/{{{{ ds }}}}/",
        sample=0.1,
        fails_for=[],  # ["problem"]: nothing is imported then
    )
    imported = GCSToMixpanelOperator(
        task_id="import",
        bucket=BUCKET,
        prefix="archive/{{ ds }}/",
        rejects=f"gs://{BUCKET}/own/rejects",
        checkpoints=os.environ.get("CHECKPOINTS"),
        max_reject_share=0.02,
    )
    profiled >> imported
