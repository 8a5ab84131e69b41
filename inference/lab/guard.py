"""Who may ask the lab, and what browsers are told about its answers."""

import hashlib
import hmac
import json
from collections.abc import MutableMapping
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",  # other pages in the browser get no tile of this lab
    "Cross-Origin-Opener-Policy": "same-origin",
}
_WELCOME: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HistoSpark lab: token needed</title>
<h1>This lab asks for its token</h1>
<p>Open the whole link that <code>histospark lab</code> printed where it was started; it ends in <code>?token=…</code>.
<p>The browser then keeps the token until it is closed. A lab that was started anew has a new one.
</html>
"""


class Guard:
    """Answers 401 to whoever has no token, where one is set, and puts safe headers on every answer.

    `/?token=…` with the right token is answered like `/`, and sets the cookie that all else asks for.

    Args:
        app: what is guarded.
        token: secret; None lets everybody ask who reaches the port.
    """

    def __init__(self, app: ASGIApp, token: str | None = None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        # Browsers do not tell ports apart: a name of its own keeps the labs of one machine apart.
        self._cookie = f"histospark_lab_{hashlib.sha256(self._token or b'').hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; nothing but HTTP is spoken here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope)
        brought = request.query_params.get("token") if scope["path"] == "/" else None
        is_new = self._token is not None and self._is_right(brought)
        cookie = self._new_cookie(brought) if is_new and brought is not None else None
        may_ask = self._token is None or is_new or self._is_right(request.cookies.get(self._cookie))
        app = self._app if may_ask else _refusal(request)
        await app(scope, receive, _with_headers(send, cookie))

    def _is_right(self, brought: str | None) -> bool:
        return self._token is not None and brought is not None and hmac.compare_digest(brought.encode(), self._token)

    def _new_cookie(self, token: str) -> str:
        return f"{self._cookie}={token}; HttpOnly; SameSite=Strict; Path=/"


def _refusal(request: Request) -> Response:
    if request.url.path == "/":
        return HTMLResponse(_WELCOME, 401)
    return error_response(401, "this lab asks for its token: open the link that histospark lab printed")


def error_response(status: int, message: str) -> Response:
    """An error as one line of JSON."""
    return Response(json.dumps({"error": message}), status, media_type="application/json")


def _with_headers(send: Send, cookie: str | None) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = _headers_of(message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "private, no-cache")
            if cookie is not None:
                headers["Set-Cookie"] = cookie
        await send(message)

    return sending


def _headers_of(message: MutableMapping[str, Any]) -> MutableHeaders:
    message.setdefault("headers", [])
    return MutableHeaders(scope=message)
