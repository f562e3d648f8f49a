"""The two entry points. The settings are read here, at the start, so that a wrong one stops it with a sentence."""

import functions_framework
from cloudevents.http.event import CloudEvent

from importer import starting

SETTINGS = starting.settings()


@functions_framework.cloud_event
def gcs_import(event: CloudEvent) -> None:
    """Imports the object that was written to a bucket (`google.cloud.storage.object.v1.finalized`)."""
    starting.bucket_source(SETTINGS).handle(event)
