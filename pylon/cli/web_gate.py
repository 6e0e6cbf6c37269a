"""Who may see the dashboard in a browser: this machine alone, by a link that works once.

What serves the terminal (textual-serve) asks nobody who he is, so nothing reaches it but through
here. The cookie is bound to a path that nobody can guess: cookies of one address go to all its
ports, and other programs of this machine are none of our business.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from pylon.cli.peer_user import user_of_peer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
COOKIE: Final = "pylon_studio"
HOST: Final = "127.0.0.1"
_HEADERS: Final = {
    # Nothing of the page goes out, not even for a font.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin", "Server": "Pylon",
}  # fmt: skip


class WebGate:
    """The gate of one `pylon studio --web`; `secret()` makes a text nobody can guess."""

    def __init__(self, port: int, secret: Callable[[], str], when_used: Callable[[], None]) -> None:
        """Make it; `when_used()` is called when a link was used, and another one holds."""
        self._origin = f"http://{HOST}:{port}"
        self._host = f"{HOST}:{port}"
        self._secret = secret
        self._when_used = when_used
        self._cookie = secret()
        self._link = secret()
        #: Everything is below it.
        self.prefix = f"/{secret()}"

    @property
    def link(self) -> str:
        """Return the address that opens the dashboard, once."""
        return f"{self._origin}{self.prefix}/open?token={self._link}"

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        return self._origin

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or answer it with why not."""
        answer = self._refusal(request)
        if answer is None:
            answer = await handler(request)
        if not answer.prepared:
            answer.headers.update(_HEADERS)
        return answer

    def _refusal(self, request: web.Request) -> web.StreamResponse | None:
        if request.headers.get("Host", "") != self._host:
            return _said(HTTPStatus.MISDIRECTED_REQUEST, "this is another host's")
        origin = request.headers.get("Origin")
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        if (origin is not None or is_socket) and origin != self._origin:
            return _said(HTTPStatus.FORBIDDEN, "another page may not ask this one")
        if request.method not in ("GET", "HEAD"):
            return _said(HTTPStatus.METHOD_NOT_ALLOWED, "there is nothing to send here")
        if request.path == f"{self.prefix}/open":
            return self._open(request)
        given = request.cookies.get(COOKIE, "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self._cookie.encode()):
            return _said(
                HTTPStatus.FORBIDDEN,
                "Open the link that `pylon studio --web` printed. Each works once.",
            )
        return None

    def _open(self, request: web.Request) -> web.StreamResponse:
        if _is_of_another_user(request):
            return _said(HTTPStatus.FORBIDDEN, "This link is another user's.")
        given = request.query.get("token", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self._link.encode()):
            return _said(
                HTTPStatus.FORBIDDEN, "This link was used, or is none. The terminal has the next."
            )
        self._link = self._secret()
        answer = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": f"{self.prefix}/"})
        answer.set_cookie(
            COOKIE, self._cookie, path=f"{self.prefix}/", httponly=True, samesite="Strict"
        )
        self._when_used()
        return answer


def _is_of_another_user(request: web.Request) -> bool:
    """Tell whether somebody else of this machine asks: who opens a browser shows the link to all.

    Root may do whatever the owner may. Where nothing says who it is, the link must do.
    """
    ends = [request.get_extra_info(name) for name in ("peername", "sockname")]
    if not hasattr(os, "getuid") or not all(isinstance(one, tuple) for one in ends):
        return False
    user = user_of_peer(ends[0][:2], ends[1][:2])
    return user is not None and user not in (0, os.getuid())


def _said(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")
