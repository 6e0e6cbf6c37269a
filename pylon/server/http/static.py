"""Files: the app's `web/` folder, the browser client, the sign-in page, and pages that reload.

No name leaves its folder, no dotfile is served, and unknown paths without an extension give
`index.html`.
"""

from __future__ import annotations

import asyncio
import mimetypes
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
#: In client.js: where the name of the app stands that it keeps rows for.
_APP_MARK = b"__PYLON_APP__"


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
    if found.name != "client.js":
        return _file_answer(found, is_dev=False)
    # Percent-encoded, a name is a name between quotes of any kind.
    name = quote(exchange.services.definitions.current.name, safe="").encode()
    data = found.read_bytes().replace(_APP_MARK, name, 1)
    return web.Response(
        body=data, headers={**_HEADERS, "Content-Type": content_type_of(found.name)}
    )


async def app_file(exchange: Exchange) -> web.StreamResponse:
    """Serve everything else: the app's own pages."""
    if exchange.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(allow=("GET", "HEAD"))
    services = exchange.services
    folder = services.definitions.current.root / "web"
    found = resolve(folder, exchange.path)
    if found is None and "." not in exchange.path.rpartition("/")[2]:
        found = resolve(folder, "index.html")
    if found is None:
        if exchange.path == "/":
            return _page(f"<h1>{_escaped(services.definitions.current.name)}</h1>"
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


async def sign_in_page(exchange: Exchange) -> web.StreamResponse:
    """GET /auth/: the built-in sign-in page, in plain HTML and a little script."""
    name = _escaped(exchange.services.definitions.current.name)
    where = _WHERE_IN_DEV if exchange.services.config.is_dev else ""
    return _page(_SIGN_IN.replace("{app}", name).replace("{where}", where))


async def link_page(exchange: Exchange) -> web.StreamResponse:
    """GET /auth/link?t=…: the page of a one-time link; looking at it uses nothing up."""
    return _page(_LINK.replace("{app}", _escaped(exchange.services.definitions.current.name)))


def _escaped(text: str) -> str:
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


def _page(body: str) -> web.Response:
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport"'
        ' content="width=device-width, initial-scale=1"><title>Pylon</title>'
        '<link rel="icon" href="data:,">'
        "<style>:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
        "body{max-width:22rem;margin:18vh auto 0;padding:0 1rem}form{display:grid;gap:.8rem}"
        "label{display:grid;gap:.2rem}label[hidden]{display:none}"
        "input,button{font:inherit;padding:.5rem .7rem}.error{color:#c0392b;min-height:1.5em}"
        f"</style><body>{body}</body></html>"
    )
    return web.Response(
        text=text, content_type="text/html", headers={**_HEADERS, "X-Frame-Options": "DENY"}
    )


_WHERE_IN_DEV = " In development it is on the dashboard's Mail screen and in .pylon/outbox/."
_LINK = """<main><h1>Sign in to {app}</h1>
<form id="f"><label id="email" hidden>E-mail that it was sent to
<input name="email" type="email" autocomplete="email"></label>
<label id="totp" hidden>Code of your second factor
<input name="totp" autocomplete="one-time-code"></label>
<button>Sign in</button><p class="error" role="alert" id="e"></p></form></main>
<script type="module">
const f = document.querySelector("#f"), e = document.querySelector("#e");
const ask = (id) => {
  const label = document.querySelector("#" + id);
  label.hidden = false; label.querySelector("input").focus();
};
f.addEventListener("submit", async (event) => {
  event.preventDefault();
  e.textContent = "";
  const t = new URLSearchParams(location.hash.slice(1) || location.search).get("t") ?? "";
  const body = {t};
  for (const name of ["email", "totp"]) {
    if (f.elements[name].value) body[name] = f.elements[name].value;
  }
  const answer = await fetch("/api/auth/link", {method: "POST",
    headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  if (answer.ok) { location.replace("/"); return; }
  const {error} = await answer.json();
  e.textContent = error.message;
  if (error.details?.confirm === "email") ask("email");
  if (error.details?.second_factor) ask("totp");
});
</script>"""

_SIGN_IN = """<main><h1>Sign in to {app}</h1>
<form id="f"><label>E-mail <input name="email" type="email" required autocomplete="email"></label>
<label id="c" hidden>Code <input name="code" autocomplete="one-time-code"></label>
<button>Send me a code</button><p id="n" role="status">We send you a code; there is no password.</p>
<p class="error" role="alert" id="e"></p></form></main>
<script type="module">
const f = document.querySelector("#f"), c = document.querySelector("#c");
const e = document.querySelector("#e");
const asked = new URLSearchParams(location.search).get("next") ?? "/";
const next = /^\\/(?![\\/\\\\])/.test(asked) ? asked : "/";
const post = async (path, body) => {
  const answer = await fetch("/api/auth/magic/" + path, {method: "POST",
    headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  if (!answer.ok) throw new Error((await answer.json()).error.message);
};
f.addEventListener("submit", async (event) => {
  event.preventDefault();
  e.textContent = "";
  const email = f.elements.email.value;
  try {
    if (c.hidden) {
      await post("send", {email});
      c.hidden = false; f.elements.email.readOnly = true; f.elements.code.focus();
      document.querySelector("#n").textContent = "The code is on its way.{where}";
      f.querySelector("button").textContent = "Sign in";
    } else {
      await post("verify", {email, code: f.elements.code.value});
      location.assign(next);
    }
  } catch (problem) { e.textContent = problem.message; }
});
</script>"""
