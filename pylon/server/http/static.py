"""Files: the app's `web/` folder, the browser client, and pages that reload.

No name leaves its folder, no dotfile is served, and unknown paths without an extension give
`index.html`.
"""

from __future__ import annotations

import asyncio
import mimetypes
from html import escape
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from pylon.errors import MethodNotAllowed, NotFound
from pylon.server.http.exchange import Exchange

CLIENT_FOLDER = Path(__file__).resolve().parents[2] / "client" / "browser" / "dist"
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache"}  # fmt: skip
_DEV_SCRIPT = b'<script type="module" src="/_pylon/dev.js"></script>'
#: Python's own table, and not the system's: a type must not depend on the machine.
_TYPES = mimetypes.MimeTypes()
for _suffix, _kind in (
    (".js", "text/javascript"), (".mjs", "text/javascript"), (".ts", "application/typescript"),
    (".map", "application/json"), (".webmanifest", "application/manifest+json"),
    (".wasm", "application/wasm"), (".woff2", "font/woff2"), (".webp", "image/webp"),
    (".avif", "image/avif"),
):  # fmt: skip
    _TYPES.add_type(_kind, _suffix)
_FILE_BYTES_INLINE = 1_048_576
#: Where the name of the app stands, whose rows client.js keeps and that people sign in to.
_APP_MARK = b"__PYLON_APP__"
_NAMED = ("client.js", "elements.js")


def resolve(folder: Path, path: str) -> Path | None:
    """Return the file of a path below a folder; None where there is none, or it leads out."""
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") or part.startswith(".") or "\\" in part or "\0" in part
           for part in parts):  # fmt: skip
        return None
    candidate = folder.joinpath(*parts)
    try:
        real = candidate.resolve(strict=True)
    except OSError:
        return None
    if not real.is_relative_to(folder.resolve()):
        return None
    return real if real.is_file() else None


async def client_file(exchange: Exchange) -> web.StreamResponse:
    """GET /_pylon/…: the browser client that matches this runtime."""
    found = resolve(CLIENT_FOLDER, exchange.parts[0])
    if found is None:
        hint = None if CLIENT_FOLDER.is_dir() else "build it: make client"
        raise NotFound(f"the browser client has no {exchange.parts[0][:100]}", hint=hint)
    if found.name not in _NAMED:
        return _file_answer(found, is_dev=False)
    # Percent-encoded, a name is a name between quotes of any kind.
    name = quote(exchange.services.definitions.current.name, safe="").encode()
    data = found.read_bytes().replace(_APP_MARK, name, 1)
    return web.Response(
        body=data, headers={**_HEADERS, "Content-Type": content_type_of(found.name)}
    )


async def app_file(exchange: Exchange) -> web.StreamResponse:
    """Serve everything else: the app's own pages, or what its own web server makes of them."""
    services = exchange.services
    if services.web_server is not None:
        return await services.web_server.answer(exchange)
    if exchange.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(allow=("GET", "HEAD"))
    folder = services.definitions.current.root / "web"
    found = resolve(folder, exchange.path)
    if found is None and "." not in exchange.path.rpartition("/")[2]:
        found = resolve(folder, "index.html")
    if found is None:
        if exchange.path == "/":
            return _page(f"<h1>{escape(services.definitions.current.name)}</h1>"
                         "<p>It runs. Put an index.html into web/ to see it here.</p>")  # fmt: skip
        raise NotFound(f"there is no {exchange.path[:200]}")
    return _file_answer(found, is_dev=services.config.is_dev)


def content_type_of(name: str) -> str:
    """Return the Content-Type of a file by its name; texts are UTF-8."""
    kind = _TYPES.guess_type(name)[0] or "application/octet-stream"
    is_text = kind.startswith("text/") or kind.endswith(("javascript", "typescript", "json"))
    return f"{kind}; charset=utf-8" if is_text else kind


def _file_answer(path: Path, *, is_dev: bool) -> web.StreamResponse:
    kind = content_type_of(path.name)
    stat = path.stat()
    if stat.st_size > _FILE_BYTES_INLINE:
        return web.FileResponse(path, headers={**_HEADERS, "Content-Type": kind})
    data = path.read_bytes()
    if is_dev and kind.startswith("text/html"):
        data = data.replace(b"</body>", _DEV_SCRIPT + b"</body>", 1)
    return web.Response(body=data, headers={**_HEADERS, "Content-Type": kind})


async def dev_events(exchange: Exchange) -> web.StreamResponse:
    """GET /_pylon/dev/events: tells open pages to load again; in development only."""
    if exchange.method == "HEAD":
        return web.Response(headers={"Content-Type": "text/event-stream"})
    answer = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await answer.prepare(exchange.request)
    await answer.write(b": connected\n\n")
    waiting: asyncio.Queue[bytes] = asyncio.Queue(maxsize=10)
    listeners = exchange.services.page_listeners
    listeners.add(waiting)
    try:
        while not exchange.services.is_stopping:
            try:
                async with asyncio.timeout(15):
                    event = await waiting.get()
            except TimeoutError:
                event = b": still here\n\n"
            await answer.write(event)
    except (ConnectionError, asyncio.CancelledError):
        pass
    finally:
        listeners.discard(waiting)
    return answer


def wake_pages(listeners: set[asyncio.Queue[bytes]]) -> None:
    """Have the streams of open pages look whether the runtime is stopping."""
    for waiting in listeners:
        if not waiting.full():
            waiting.put_nowait(b": goodbye\n\n")


def tell_pages_to_reload(listeners: set[asyncio.Queue[bytes]]) -> int:
    """Have open pages load again; returns how many were told."""
    for waiting in listeners:
        if not waiting.full():
            waiting.put_nowait(b"event: reload\ndata: {}\n\n")
    return len(listeners)


def _page(body: str) -> web.Response:
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport"'
        ' content="width=device-width, initial-scale=1"><title>Pylon</title>'
        '<link rel="icon" href="data:,">'
        "<style>:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
        "body{max-width:22rem;margin:18vh auto 0;padding:0 1rem}"
        f"</style><body>{body}</body></html>"
    )
    return web.Response(
        text=text, content_type="text/html", headers={**_HEADERS, "X-Frame-Options": "DENY"}
    )
