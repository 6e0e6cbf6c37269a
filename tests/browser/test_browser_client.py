"""The built browser client in Chromium, against a real runtime: two people, losses, reloads."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, Text, actor, field

app = App("tiny")


@app.entity(read="auth.userId != null", insert="isOwner()", update="isOwner()", delete="isOwner()")
class Note(Entity):
    authorId: Ref["User"] = field(default=actor, immutable=True)
    body: Text = field(min_length=1)


@app.query
def howMany(ctx) -> int:
    return ctx.db.count("Note")
"""

PAGE = """<!doctype html><html><head><title>tiny</title><link rel="icon" href="data:,"></head>
<body><ul id="list"></ul><script type="module">
import { connect } from "/_pylon/client.js";
window.db = await connect();
window.notes = db.query("Note", { order: ["body"] });
notes.subscribe((rows) => list.replaceChildren(...rows.map((row) => {
  const item = document.createElement("li");
  item.textContent = row.body;
  return item;
})));
window.isUp = true;
</script></body></html>"""


class RuntimeProcess:
    """A runtime of its own, on a port that it keeps over restarts."""

    def __init__(self, project: Path, state: Path) -> None:
        self._project = project
        self._environment = {
            **os.environ,
            "XDG_STATE_HOME": str(state),
            "XDG_DATA_HOME": str(state),
        }
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        port = self.url.rpartition(":")[2] or "0"
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pylon.server", "--project", str(self._project), "--mode", "dev",
            "--port", port, "--detach", cwd=ROOT, env=self._environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            async for line in self._process.stdout:
                if line.startswith(b"listening on "):
                    self.url = line.decode().split()[-1]
                    return
        pytest.fail("the runtime did not start")

    async def pylon(self, *arguments: str) -> None:
        """Run a command for the project."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pylon", *arguments, "--project", str(self._project),
            cwd=ROOT, env=self._environment,
        )  # fmt: skip
        assert await process.wait() == 0

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(how)
            await self._process.wait()


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[RuntimeProcess]:
    """A running tiny app."""
    web = tmp_path / "tiny" / "web"
    web.mkdir(parents=True)
    (web.parent / "app.py").write_text(APP)
    (web / "index.html").write_text(PAGE)
    running = RuntimeProcess(web.parent, tmp_path / "state")
    await running.start()
    yield running
    await running.stop()


async def _visit(browser: Browser, runtime: RuntimeProcess, email: str) -> Page:
    """Return a page where this person is signed in and live."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(runtime.url)
    await page.wait_for_function("window.isUp")
    await page.evaluate("email => db.auth.devLogin(email)", email)
    await page.wait_for_function("db.auth.user && db.status.state === 'live'")
    return page


async def _texts(page: Page) -> list[str]:
    found: list[str] = await page.locator("#list li").all_inner_texts()
    return found


async def test_what_one_writes_the_other_sees(browser: Browser, runtime: RuntimeProcess) -> None:
    """Without refresh; a refused write is seen by nobody for longer than the answer takes."""
    alice = await _visit(browser, runtime, "alice@example.com")
    bob = await _visit(browser, runtime, "bob@example.com")
    row = await alice.evaluate("db.insert('Note', { body: 'hi' })")
    assert row["_seq"] > 0
    await bob.wait_for_function("notes.rows.length === 1")
    assert await _texts(bob) == ["hi"]
    refusal = await bob.evaluate(
        "id => db.update('Note', id, { body: 'mine now' }).catch((error) => error.code)", row["id"]
    )
    assert refusal == "POLICY_DENIED"
    assert await _texts(bob) == ["hi"]
    assert await bob.evaluate("db.call('howMany')") == 1


async def test_offline_writes_are_sent_on_return(browser: Browser, runtime: RuntimeProcess) -> None:
    """Both sides end equal, and the status says what is going on."""
    alice = await _visit(browser, runtime, "alice@example.com")
    bob = await _visit(browser, runtime, "bob@example.com")
    await alice.context.set_offline(True)
    await alice.wait_for_function("db.status.state === 'offline'")
    await alice.evaluate("void db.insert('Note', { body: 'offline' })")
    await bob.evaluate("db.insert('Note', { body: 'online' })")
    assert await _texts(alice) == ["offline"]
    assert await alice.evaluate("db.status.pending") == 1
    await alice.context.set_offline(False)
    await alice.wait_for_function("db.status.state === 'live' && db.status.pending === 0")
    for page in (alice, bob):
        await page.wait_for_function("notes.rows.length === 2")
        assert await _texts(page) == ["offline", "online"]


async def test_a_reload_goes_on_from_the_stored_cursor(
    browser: Browser, runtime: RuntimeProcess
) -> None:
    """Rows come from IndexedDB; the server is told what is held and sends it not again."""
    page = await _visit(browser, runtime, "alice@example.com")
    await page.evaluate("Promise.all(['a', 'b'].map((body) => db.insert('Note', { body })))")
    await page.wait_for_function("notes.rows.length === 2 && db.status.pending === 0")
    await _stored(page, rows=2)
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda data: frames.append(data)))
    received: list[str] = []
    page.on("websocket", lambda one: one.on("framereceived", lambda data: received.append(data)))
    await page.reload()
    await page.wait_for_function("window.isUp && notes.ready && db.status.state === 'live'")
    assert await _texts(page) == ["a", "b"]
    assert '"have":true' in frames[0]
    assert not any('"snapshot"' in frame for frame in received)


async def test_a_killed_runtime_costs_nothing_that_was_written(
    browser: Browser, runtime: RuntimeProcess
) -> None:
    """What was written while it was down is sent when it is back."""
    page = await _visit(browser, runtime, "alice@example.com")
    await runtime.stop(signal.SIGKILL)
    await page.wait_for_function("db.status.state === 'offline'")
    await page.evaluate("void db.insert('Note', { body: 'while down' })")
    await runtime.start()
    await page.wait_for_function(
        "db.status.state === 'live' && db.status.pending === 0", timeout=60_000
    )
    assert await _texts(page) == ["while down"]


async def test_a_page_follows_a_switch_of_branches(
    browser: Browser, runtime: RuntimeProcess
) -> None:
    """Rows of one branch are never shown on another; the page stays signed in, there and back."""
    page = await _visit(browser, runtime, "alice@example.com")
    await page.evaluate("db.insert('Note', { body: 'a' })")
    await runtime.pylon("branch", "create", "try")
    await page.evaluate("db.insert('Note', { body: 'main only' })")
    for branch, wanted in (("try", ["a"]), ("main", ["a", "main only"])):
        await runtime.pylon("branch", "switch", branch)
        await page.wait_for_function(
            "wanted => db.status.state === 'live' && notes.ready && "
            "JSON.stringify(notes.rows.map((row) => row.body)) === JSON.stringify(wanted)",
            arg=wanted, timeout=60_000,
        )  # fmt: skip
        assert await _texts(page) == wanted
        await page.evaluate(
            "db.insert('Note', { body: 'z' }).then((row) => db.delete('Note', row.id))"
        )
        await page.wait_for_function(
            "db.status.pending === 0 && notes.rows.length === " + str(len(wanted))
        )
    await page.reload()
    await page.wait_for_function("window.isUp && notes.ready && db.auth.user")
    assert await _texts(page) == ["a", "main only"]


async def test_signing_out_leaves_nothing_behind(browser: Browser, runtime: RuntimeProcess) -> None:
    """Neither on the page nor in IndexedDB (I33)."""
    page = await _visit(browser, runtime, "alice@example.com")
    await page.evaluate("db.insert('Note', { body: 'secret' })")
    await page.evaluate("db.auth.signOut()")
    assert await _texts(page) == []
    await page.wait_for_function("db.status.state === 'live'")
    await _stored(page, rows=0)


async def _stored(page: Page, *, rows: int) -> None:
    """Wait until IndexedDB holds so many rows."""
    count: Any = None
    async with asyncio.timeout(60):
        while count != rows:
            count = await page.evaluate("""async () => {
              const wait = (request) => new Promise((resolve) => {
                request.onsuccess = () => resolve(request.result);
              });
              const database = await wait(indexedDB.open(`pylon:${location.origin}:tiny`));
              // The seal, under empty names, is no row.
              const rows = database.transaction("rows").objectStore("rows");
              const found = await wait(rows.count(IDBKeyRange.lowerBound([" "])));
              database.close();
              return found;
            }""")
