"""The live view's page: three files, served as they are."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

FILES = Path(__file__).parent / "static"

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
_NAMES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}


def routes() -> list[Route]:
    """The routes of the page."""
    return [Route(path, _file) for path in _NAMES]


async def _file(request: Request) -> FileResponse:
    return FileResponse(FILES / _NAMES[request.url.path], headers=_HEADERS)
