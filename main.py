"""The two entry points. The settings are read here, at the start, so that a wrong one stops it with a sentence."""

import functions_framework
import functions_framework.aio
from cloudevents.http.event import CloudEvent
from starlette.requests import Request
from starlette.responses import Response

from importer import bootstrap

SETTINGS = bootstrap.settings()


@functions_framework.cloud_event
def gcs_import(event: CloudEvent) -> None:
    """Imports the object that was written to a bucket (`google.cloud.storage.object.v1.finalized`)."""
    bootstrap.bucket_source(SETTINGS).handle(event)


@functions_framework.aio.http
async def pubsub_import(request: Request) -> Response:
    """Imports the message that a Pub/Sub push brings, and answers once Mixpanel has it."""
    return await bootstrap.push_source(SETTINGS).handle(request)
