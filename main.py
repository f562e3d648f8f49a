"""The two entry points. The settings are read here, at the start, so that a wrong one stops it with a sentence."""

import flask
import functions_framework
import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from importer import bootstrap

SETTINGS = bootstrap.settings()


@functions_framework.http
def gcs_import(request: flask.Request) -> tuple[str, int]:
    """Imports the object that was written to a bucket, as Eventarc announces it, or the bucket's own notification."""
    return bootstrap.bucket_source(SETTINGS).answer(request.method, dict(request.headers), request.get_data())


@functions_framework.aio.http
async def pubsub_import(request: Request) -> Response:
    """Imports the message that a Pub/Sub push brings, and answers once Mixpanel has it."""
    return await bootstrap.push_source(SETTINGS).handle(request)
