"""The pages under /auth/: sign-in, one-time links, one's own account.

Each is a shell around an element of `/_pylon/elements.js`. No script and no style stands in them,
and nothing of another host is loaded: their Content-Security-Policy says so. The project's
`web/auth.css` and `web/auth-logo.*` make them look like the app.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

from aiohttp import web

from pylon.server.http.exchange import Exchange
from pylon.server.http.static import resolve

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY, "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache", "Cross-Origin-Opener-Policy": "same-origin",
}  # fmt: skip
_THEME: Final = "auth.css"
_LOGOS: Final = ("auth-logo.svg", "auth-logo.png", "auth-logo.webp")


async def sign_in_page(exchange: Exchange) -> web.StreamResponse:
    """GET /auth/: all ways in that the app has turned on."""
    return _page(exchange, "Sign in to", '<pylon-sign-in page level="1"></pylon-sign-in>')


async def link_page(exchange: Exchange) -> web.StreamResponse:
    """GET /auth/link#t=…: the page of a one-time link; looking at it uses nothing up."""
    return await sign_in_page(exchange)


async def account_page(exchange: Exchange) -> web.StreamResponse:
    """GET /auth/account: sessions, tokens, password, second factor, providers, leaving."""
    element = '<pylon-account level="1"></pylon-account>'
    return _page(exchange, "Your account at", element, shape=' class="wide"')


def _page(exchange: Exchange, title: str, element: str, *, shape: str = "") -> web.Response:
    definition = exchange.services.definitions.current
    text = page_text(definition.name, definition.root / "web", title, element, shape)
    return web.Response(text=text, content_type="text/html", headers=_HEADERS)


def page_text(app: str, folder: Path, title: str, element: str, shape: str = "") -> str:
    """Return the HTML of a page.

    Args:
        app: the app's name.
        folder: where a theme and a logo may be.
        title: what stands before the name in the title.
        element: the element that does it all.
        shape: attributes of `<main>`.
    """
    theme = '<link rel="stylesheet" href="/auth.css">' if resolve(folder, _THEME) else ""
    logo = next((one for one in _LOGOS if resolve(folder, one)), None)
    icon = "/favicon.ico" if resolve(folder, "favicon.ico") else "data:,"
    picture = f'<img class="logo" src="/{logo}" alt="{escape(app)}">' if logo else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} {escape(app)}</title>"
        f'<link rel="icon" href="{icon}">'
        f'<link rel="stylesheet" href="/_pylon/elements.css">{theme}'
        '<script type="module" src="/_pylon/elements.js"></script></head>'
        f"<body><main{shape}>{picture}{element}"
        "<noscript><h1>JavaScript is needed</h1><p>Turn it on for this site and load the page "
        "again.</p></noscript></main></body></html>"
    )
