"""Functions that do nothing: what the platform alone costs at the start."""

import functions_framework
import functions_framework.aio
from cloudevents.http.event import CloudEvent
from starlette.requests import Request
from starlette.responses import Response


@functions_framework.cloud_event
def empty_cloud_event(_: CloudEvent) -> None:
    """Takes any event."""


@functions_framework.aio.http
async def empty_async(_: Request) -> Response:
    """Takes any request."""
    return Response(status_code=204)
