"""`pylon studio --web`: the dashboard drawn in a real browser, and who does not get in."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser

from pylon.supervisor.claim import supervised
from tests.kept import end, make_project

pytest.importorskip("textual_serve", reason="pip install 'pylon-runtime[web]'")
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[tuple[Path, str]]:
    """A project, and the link that opens its dashboard in a browser."""
    project = make_project(tmp_path / "kept")
    (project / "pylon.toml").write_text("[server]\nport = 0\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", "studio", "--web", str(project),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 120)).decode()
        yield project, line.removeprefix("studio on ").strip()
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 60)
        is_left = supervised(project) is not None
        end(project)
    assert not is_left, "what was started for it is stopped with it"


async def test_the_dashboard_is_drawn_and_takes_keys(
    studio: tuple[Path, str], browser: Browser
) -> None:
    """From the start, without a click; nothing is loaded from elsewhere; a link works once."""
    _, link = studio
    context = await browser.new_context(viewport={"width": 1000, "height": 600})
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    drawn: list[str] = []
    page.on(
        "websocket",
        lambda socket: socket.on(
            "framereceived",
            lambda frame: drawn.append(frame if isinstance(frame, str) else frame.decode()),
        ),
    )

    async def shows(words: str) -> None:
        async with asyncio.timeout(90):
            while words not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", "".join(drawn)):
                await asyncio.sleep(0.1)

    await page.goto(link)
    assert "token" not in page.url
    await shows("kept")
    await shows("No change yet")
    drawn.clear()
    await page.keyboard.press("0")
    await shows("durability")
    await page.screenshot(path=os.environ.get("PYLON_SHOT", str(studio[0] / "shot.png")))
    origin = link.split("/")[2]
    assert {url.split("/")[2] for url in asked} == {origin}
    stranger = await (await browser.new_context()).new_page()
    for address in (link, link.partition("/open")[0] + "/"):
        answer = await stranger.goto(address)
        assert answer is not None
        assert answer.status == 403
    await context.close()


async def test_nobody_else_gets_in(studio: tuple[Path, str]) -> None:
    """Foreign hosts, foreign pages, guesses, other addresses of this machine: refused, each."""
    _, link = studio
    base, _, token = link.partition("/open?token=")
    port = int(base.split(":")[2].partition("/")[0])
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:

        async def status(address: str, **headers: str) -> int:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            async with http.get(address, headers=named, allow_redirects=False) as answer:
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert token not in await answer.text()
                return answer.status

        assert await status(link, Host="evil.example") == 421
        assert await status(link, Host=f"localhost:{port}") == 421
        assert await status(link, Origin="http://evil.example") == 403
        assert await status(f"{base}/open?token=guess") == 403
        assert await status(f"{base}/", Cookie="pylon_studio=guess") == 403
        assert await status(f"http://127.0.0.1:{port}/") == 403
        assert await status(f"{base}/static/js/textual.js") == 403
        assert await status(f"{base}/ws", Upgrade="websocket", Connection="Upgrade") == 403
        async with http.get(link, allow_redirects=False) as opened:
            assert opened.status == 303
            cookie = opened.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert f"Path=/{base.rpartition('/')[2]}/" in cookie
        held = cookie.partition(";")[0]
        assert await status(f"{base}/", Cookie=held) == 200
        assert await status(f"{base}/ws", Cookie=held, Origin="http://evil.example") == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"{base}/ws", headers={"Cookie": held})
        assert await status(link) == 403  # it was used
    for host in ("127.0.0.2", "::1"):
        with pytest.raises(OSError, match=r"Connect call failed|Cannot assign"):
            await asyncio.open_connection(host, port)
