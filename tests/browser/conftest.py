"""What browser tests share: Chromium, a tiny app, and a Chromium that can be killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web
from playwright.async_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    Playwright,
    async_playwright,
    expect,
)

from pylon.testing.served import Caller, ServedProject
from tests.conftest import ROOT, Serve

# A bound on hanging: a busy machine draws late.
expect.set_options(timeout=60_000)

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

APP = """
from __future__ import annotations

from pylon import App, Entity, Json, Ref, Text, actor, field

app = App("tiny")


@app.entity(read="auth.userId != null", insert="isOwner()", update="isOwner()", delete="isOwner()")
class Note(Entity):
    authorId: Ref["User"] = field(default=actor, immutable=True)
    body: Text = field(min_length=1)
    constructor: str | None = None
    toString: Json | None = None
"""

PAGE = """<!doctype html><html><head><title>tiny</title><link rel="icon" href="data:,"></head>
<body><ul id="list"></ul><script type="module">
import { connect } from "/_pylon/client.js";
window.db = await connect();
window.notes = db.query("Note", { order: ["body"] });
notes.subscribe((rows) => list.replaceChildren(...rows.slice(0, 100).map((row) => {
  const item = document.createElement("li");
  item.textContent = row.body;
  return item;
})));
window.isUp = true;
</script></body></html>"""

#: What the browser holds of the app, read without its client.
STORED = """async () => {
  const wait = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const name = `pylon:${location.origin}:tiny`;
  const isThere = (await indexedDB.databases()).some((one) => one.name === name);
  if (!isThere) return { head: null, rows: [], pending: [] };
  const database = await wait(indexedDB.open(name));
  const transaction = database.transaction(["meta", "rows", "pending"]);
  // The seal, under empty names, is no row.
  const [head, rows, pending] = await Promise.all([
    wait(transaction.objectStore("meta").get("head")),
    wait(transaction.objectStore("rows").getAll(IDBKeyRange.lowerBound([" "]))),
    wait(transaction.objectStore("pending").getAll()),
  ]);
  database.close();
  return { head: head ?? null, rows: rows.map(({ row }) => row), pending };
}"""


def chromium() -> str:
    """Return where Chromium is."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path is not None, "browser tests need Chromium; make test installs it"
    assert (ROOT / "pylon/client/browser/dist/client.js").is_file(), "build it: make client"
    return path


@pytest.fixture
async def playwright() -> AsyncIterator[Playwright]:
    """The driver."""
    async with async_playwright() as running:
        yield running


@pytest.fixture
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """A headless Chromium."""
    launched = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
    yield launched
    await launched.close()


@pytest.fixture
async def tiny(serve: Serve) -> ServedProject:
    """A running tiny app; /empty.html is a page of its origin without the client."""
    served = await serve(APP, is_started=False)
    web = served.project / "web"
    web.mkdir()
    (web / "index.html").write_text(PAGE)
    (web / "empty.html").write_text("<!doctype html><title>empty</title>")
    return await served.start()


async def signed_in(context: BrowserContext, served: ServedProject, caller: Caller) -> None:
    """Give a browser the session of somebody who signed in elsewhere."""
    assert caller.token is not None
    await context.add_cookies([
        {"name": "pylon_session", "value": caller.token, "url": served.url}
    ])  # fmt: skip


async def visit(context: BrowserContext, served: ServedProject) -> Page:
    """Return a page of the app that is up."""
    page = await context.new_page()
    await page.goto(served.url)
    await page.wait_for_function("window.isUp")
    return page


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _has_members(session: int) -> bool:
    """Tell whether any process is left of a session."""
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == session and _is_alive(psutil.Process(pid)):
                return True
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return False


class MortalBrowser:
    """A Chromium with a profile on disk and a process group of its own, to be killed."""

    def __init__(self, playwright: Playwright, profile: Path) -> None:
        self._playwright = playwright
        self._profile = profile
        self._process: asyncio.subprocess.Process | None = None
        self._browser: Browser | None = None

    async def start(self) -> BrowserContext:
        """Start it on its profile, whatever the last end left there."""
        port_file = self._profile / "DevToolsActivePort"
        port_file.unlink(missing_ok=True)
        for name in ("SingletonLock", "SingletonSocket", "SingletonCookie"):
            (self._profile / name).unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            chromium(), *FLAGS, "--headless=new", "--remote-debugging-port=0",
            f"--user-data-dir={self._profile}", "about:blank", start_new_session=True,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(60):
            while not port_file.exists() or "\n" not in port_file.read_text():
                await asyncio.sleep(0.02)
        port = port_file.read_text().split("\n")[0]
        self._browser = await self._playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        return self._browser.contexts[0]

    async def kill(self) -> None:
        """End it and all its processes at once."""
        assert self._process is not None
        session = self._process.pid
        family = psutil.Process(session).children(recursive=True)
        os.killpg(session, signal.SIGKILL)
        await self._process.wait()
        # One that is still dying holds the lock of the stored data; the next browser can't open it.
        # Those that were born meanwhile, and by others, are known by their session.
        async with asyncio.timeout(60):
            while any(map(_is_alive, family)) or _has_members(session):
                await asyncio.sleep(0.01)
        if self._browser is not None:
            await self._browser.close()
        self._process = self._browser = None

    async def close(self) -> None:
        """End it if it runs."""
        if self._process is not None:
            await self.kill()


@pytest.fixture
async def mortal(playwright: Playwright, tmp_path: Path) -> AsyncIterator[MortalBrowser]:
    """A browser to kill."""
    running = MortalBrowser(playwright, tmp_path / "profile")
    (tmp_path / "profile").mkdir()
    yield running
    await running.close()


class BrokenServer:
    """Serves the page and answers everything else with 503 or 429; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.url = ""

    async def start(self, port: int = 0) -> web.AppRunner:
        """Start listening, by default on a free port."""
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/empty.html", self._empty)
        app.router.add_get("/_pylon/client.js", self._client)
        app.router.add_route("*", "/{path:.*}", self._refuse)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _empty(self, _: web.Request) -> web.Response:
        return web.Response(text="<!doctype html>", content_type="text/html")

    async def _client(self, _: web.Request) -> web.Response:
        script = (ROOT / "pylon/client/browser/dist/client.js").read_text(encoding="utf-8")
        # As the runtime serves it: with the name of the app whose rows the browser keeps.
        text = script.replace("__PYLON_APP__", "tiny")
        return web.Response(text=text, content_type="text/javascript")

    async def _refuse(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        status = 429 if len(self.asked) % 4 == 0 else 503
        error = {"code": "UNAVAILABLE", "message": "no"}
        return web.json_response({"error": error}, status=status)


async def stored(context: BrowserContext, served: ServedProject) -> dict[str, Any]:
    """Return head, rows and pending mutations as the browser holds them."""
    page = await context.new_page()
    await page.goto(f"{served.url}/empty.html")
    for _ in range(120):
        try:
            found: dict[str, Any] = await page.evaluate(STORED)
        except Error as error:
            if "opening backing store" not in str(error):
                raise
            # The killed browser has not let go of its files yet.
            await asyncio.sleep(0.25)
        else:
            await page.close()
            return found
    raise AssertionError("the store of the browser does not open again")
