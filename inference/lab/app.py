"""The addresses of the lab: GET only, ids looked up in the run, errors in one line."""

import json
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from cluster.errors import UsageError
from inference.lab.colors import MAPS, colored_png
from inference.lab.guard import Guard, error_response
from inference.lab.heat_image import first_shown
from inference.lab.not_shown import NotShownError
from inference.lab.page_files import STATIC, PageFile, page_files
from inference.lab.run_files import digest
from inference.lab.run_view import REPORT, RunView
from inference.lab.slide_rows import SlideRow, listed

__all__ = ["STATIC", "THIS_MACHINE", "lab_app"]

THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1", "[::1]")

_THREADS: Final = 8  # that cut tiles at once; bounds the memory, and keeps two or four cores busy
_MOST_DIGITS: Final = 9
_REPORT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
_FOREVER: Final = "private, max-age=31536000, immutable"


def lab_app(view: RunView, token: str | None = None, hosts: tuple[str, ...] = THIS_MACHINE) -> ASGIApp:
    """The lab of a run.

    Memory: what the run keeps, and 8 tiles being cut (see `SlideImage`).

    Args:
        view: of the run.
        token: who knows it may look; None lets everybody look who reaches the port.
        hosts: names under which it may be asked for, `*` for any. A page elsewhere whose name suddenly leads to this
            machine (DNS rebinding) is refused by it.
    """
    routes = [
        Route("/", _page),
        Route("/report", _report),
        Route("/heatmaps/{slide_id}.png", _picture_of_report),
        Route("/api/run", _run),
        Route("/api/slides", _slides),
        Route("/api/slides/{slide_id}", _slide),
        Route("/slides/{slide_id}/thumbnail.jpg", _thumbnail),
        Route("/slides/{slide_id}/probability", _probability),
        Route("/slides/{slide_id}/tiles/{level}/{column}_{row}.jpg", _tile),
        Route("/slides/{slide_id}/heat/{level}/{column}_{row}.png", _heat_tile),
        Route("/static/{name:path}", _static),
    ]
    handlers: dict[Any, Any] = {
        NotShownError: _not_shown,
        HTTPException: _http_error,
        UsageError: _damaged_run,
        Exception: _our_fault,
    }
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)]
    app = Starlette(routes=routes, exception_handlers=handlers, middleware=middleware, lifespan=_with_threads)
    app.state.view, app.state.page = view, page_files()
    app.router.redirect_slashes = False
    return Guard(app, token)


@asynccontextmanager
async def _with_threads(app: Starlette) -> AsyncIterator[None]:
    del app
    current_default_thread_limiter().total_tokens = _THREADS
    yield


async def _page(request: Request) -> Response:
    return _page_file(request, "index.html")


async def _static(request: Request) -> Response:
    return _page_file(request, request.path_params["name"])


def _page_file(request: Request, name: str) -> Response:
    """From memory, so without a thread."""
    page: Mapping[str, PageFile] = request.app.state.page
    if name not in page:
        raise HTTPException(404)
    file = page[name]
    headers = {"ETag": file.etag}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def _report(request: Request) -> Response:
    headers = {"Content-Security-Policy": _REPORT_POLICY}
    return Response(_view(request).files.read(REPORT), media_type="text/html; charset=utf-8", headers=headers)


def _picture_of_report(request: Request) -> Response:
    """The report's links lead here: it tells of heatmaps by their place beside it."""
    return Response(_view(request).heat_picture(request.path_params["slide_id"]), media_type="image/png")


def _run(request: Request) -> Response:
    return _json(_view(request).facts())


def _slides(request: Request) -> Response:
    rows = _view(request).rows.now()  # before the answer begins, so that a damaged run is told
    return StreamingResponse(_json_list(rows), media_type="application/json")


def _slide(request: Request) -> Response:
    return _json(_view(request).slide(request.path_params["slide_id"]))


def _thumbnail(request: Request) -> Response:
    view, slide_id = _view(request), request.path_params["slide_id"]
    version = view.slide_version(slide_id)
    return _picture(request, version, "thumbnail", "image/jpeg", lambda: view.thumbnail(slide_id))


def _tile(request: Request) -> Response:
    view, slide_id, place = _view(request), request.path_params["slide_id"], _place(request)
    version = view.slide_version(slide_id)
    return _picture(request, version, place, "image/jpeg", lambda: view.tile(slide_id, *place))


def _heat_tile(request: Request) -> Response:
    view, slide_id, place = _view(request), request.path_params["slide_id"], _place(request)
    name = request.query_params.get("map", MAPS[0])
    if name not in MAPS:
        raise NotShownError(400, f"no such color map; there are {', '.join(MAPS)}")
    threshold = _number(request, "threshold", view.recipe.inference.threshold)
    if not 0 <= threshold <= 1:
        raise NotShownError(400, "threshold is a probability, 0 to 1")
    first, version = first_shown(threshold), view.heat_version(slide_id)

    def make() -> bytes:
        return colored_png(view.heat_tile(slide_id, *place), name, first)

    return _picture(request, version, (place, name, first), "image/png", make)


def _probability(request: Request) -> Response:
    x, y = (_number(request, name) for name in ("x", "y"))
    return _json({"probability": _view(request).probability(request.path_params["slide_id"], x, y)})


def _picture(request: Request, version: str, what: object, media_type: str, make: Callable[[], bytes]) -> Response:
    """A picture that the browser keeps: asked for by its version (`v`) forever, else as long as the ETag is right."""
    etag = f'"{digest(version, what)}"'
    asked_by_version = request.query_params.get("v") == version
    headers = {"ETag": etag, "Cache-Control": _FOREVER if asked_by_version else "private, no-cache"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(make(), media_type=media_type, headers=headers)


def _view(request: Request) -> RunView:
    view: RunView = request.app.state.view
    return view


def _place(request: Request) -> tuple[int, int, int]:
    """Level, column and row; other routes than ours catch no signs, so only digits have to be looked at."""
    level, column, row = (_whole(request.path_params[name]) for name in ("level", "column", "row"))
    return level, column, row


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise NotShownError(404, "no such tile: level, column and row are whole numbers from 0")
    return int(text)


def _number(request: Request, name: str, default: float | None = None) -> float:
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise NotShownError(400, f"{name} is a number")
    return value


def _json(value: object) -> Response:
    return Response(json.dumps(value, allow_nan=False), media_type="application/json")


def _json_list(rows: Mapping[str, SlideRow]) -> Iterator[str]:
    """The slides as one JSON list, a part at a time."""
    start = "["
    for part in listed(rows.values()):
        text = json.dumps(part, allow_nan=False)[1:-1]
        yield f"{start}{text}" if text else ""
        start = "," if text else start
    yield "[]" if start == "[" else "]"


def _not_shown(request: Request, error: NotShownError) -> Response:
    del request
    return error_response(error.status, str(error))


def _http_error(request: Request, error: HTTPException) -> Response:
    del request
    reasons = {404: "the lab has no such address", 405: "the lab is only read: GET and HEAD"}
    return error_response(error.status_code, reasons.get(error.status_code, "this request cannot be answered"))


def _damaged_run(request: Request, error: UsageError) -> Response:
    del request
    return error_response(500, str(error))


def _our_fault(request: Request, error: Exception) -> Response:
    del request, error  # uvicorn tells the terminal
    return error_response(500, "the lab failed at this; its terminal tells more")
