"""The live view's page: files that are served as they are, a script for each idea."""

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
_NAMES = {f"/{file.name}": file for file in FILES.iterdir() if file.suffix in {".css", ".js"}}
_NAMES["/"] = FILES / "index.html"


def routes() -> list[Route]:
    """The routes of the page."""
    return [Route(path, _file) for path in _NAMES]


async def _file(request: Request) -> FileResponse:
    return FileResponse(_NAMES[request.url.path], headers=_HEADERS)
