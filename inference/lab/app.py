"""In work: the lab's addresses."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from inference.lab.run_view import RunView

STATIC = Path(__file__).with_name("static")


def lab_app(view: RunView, token: str | None = None) -> Starlette:
    """In work."""
    del view, token
    return Starlette(routes=[Route("/", _page), Mount("/static", StaticFiles(directory=STATIC))])


def _page(request: Request) -> FileResponse:
    del request
    return FileResponse(STATIC / "index.html")
