"""`[web] dev`: the project's own web server beside the runtime, under one address (I73, I74)."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import psutil

APP = """
from __future__ import annotations
from pylon import App, Entity

app = App("small")


@app.entity(read="true")
class Note(Entity):
    body: str
"""
#: Answers what it was asked and told; `/socket` sends back what it gets; `/end` ends it.
WEB = """
import asyncio, os, sys
from aiohttp import WSMsgType, web

async def page(request):
    if request.path == "/end":
        os._exit(3)
    if request.path == "/socket":
        socket = web.WebSocketResponse(protocols=["echo-1"])
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(f"{socket.ws_protocol}: {message.data}")
        return socket
    told = {key.lower(): value for key, value in request.headers.items()}
    body = (await request.read()).decode()
    answer = web.json_response({
        "path": request.raw_path, "method": request.method, "body": body, "told": told,
        "token": os.environ.get("PYLON_ADMIN_TOKEN"), "pid": os.getpid(),
    })
    answer.headers["X-Mine"] = "kept"
    answer.set_cookie("theirs", "1")
    return answer

app = web.Application()
app.router.add_route("*", "/{tail:.*}", page)
print("web is up", flush=True)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


@asynccontextmanager
async def developing(project: Path, command: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Yield the address of `pylon dev` on a project with this web server, and its process."""
    project.mkdir()
    (project / "app.py").write_text(APP)
    (project / "web.py").write_text(WEB)
    (project / "pylon.toml").write_text(f"[web]\ndev = '{command}'\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", "dev", "--no-tui", "--port", "0", str(project),
        env={**os.environ, "PYLON_STATE_DIR": str(project.parent / "s"), "PYLON_ADMIN_TOKEN": "t"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 120)
        found = re.search(rb"http://\S+", line)
        assert found is not None, line
        yield found[0].decode(), psutil.Process(process.pid)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def answered(session: aiohttp.ClientSession, url: str, **headers: str) -> dict[str, object]:
    """Return what the web server says once it answers."""
    for _ in range(600):
        async with session.get(url, headers=headers) as answer:
            if answer.status == 200:
                return dict(await answer.json())
        await asyncio.sleep(0.1)
    raise AssertionError("it never answered")


async def until(holds: Callable[[], bool]) -> None:
    """Return as soon as something holds."""
    for _ in range(600):
        if holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never held")


async def test_pages_modules_and_sockets_come_through_one_address(tmp_path: Path) -> None:
    """What is not ours is asked of it: any method, its socket. No secret of ours goes."""
    command = f"{sys.executable} web.py {{port}}"
    async with (
        developing(tmp_path / "p", command) as (url, _),
        aiohttp.ClientSession() as session,
    ):
        said = await answered(
            session, f"{url}/src/a%20b.tsx?t=1", Cookie="pylon_session=secret", Authorization="B x"
        )
        told = said["told"]
        assert isinstance(told, dict)
        assert (said["path"], said["token"]) == ("/src/a%20b.tsx?t=1", None)
        assert "secret" not in str(said)
        assert told["host"].startswith("127.0.0.1:")
        assert "authorization" not in told
        async with session.post(f"{url}/x", data=b"given") as answer:
            assert (await answer.json())["body"] == "given"
            assert answer.headers["X-Mine"] == "kept"
            assert "Set-Cookie" not in answer.headers, "cookies of this address are ours"
        async with session.ws_connect(f"{url}/socket", protocols=("echo-1",)) as socket:
            await socket.send_str("hello")
            assert await socket.receive_str(timeout=30) == "echo-1: hello"
        async with session.get(f"{url}/api/health") as answer:
            assert (await answer.json())["app"] == "small"
        async with session.get(f"{url}/api/nothing") as answer:
            assert answer.status == 404, "what is ours is never theirs"
        async with session.get(f"{url}/_pylon/client.js") as answer:
            assert "small" in await answer.text()


async def test_foreign_pages_do_not_reach_it(tmp_path: Path) -> None:
    """The gate stands before it, too: Host and Origin (I74)."""
    command = f"{sys.executable} web.py {{port}}"
    async with (
        developing(tmp_path / "p", command) as (url, _),
        aiohttp.ClientSession() as session,
    ):
        await answered(session, f"{url}/")
        async with session.get(f"{url}/", headers={"Host": "evil.example"}) as answer:
            assert answer.status == 421
        foreign = {"Origin": "http://evil.example", "Upgrade": "websocket", "Connection": "Upgrade"}
        async with session.get(f"{url}/socket", headers=foreign) as answer:
            assert answer.status == 403
        # What is no path must not become a part of the host that is asked.
        host = url.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(f"OPTIONS * HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_it_is_started_again_and_ends_with_us(tmp_path: Path) -> None:
    """Gone: the page says so and waits. It comes back; killed from outside, we take it along."""
    command = f"{sys.executable} web.py {{port}}"
    async with (
        developing(tmp_path / "p", command) as (url, ours),
        aiohttp.ClientSession() as session,
    ):
        first = await answered(session, f"{url}/")
        async with session.get(f"{url}/end", headers={"Accept": "text/html"}) as answer:
            assert answer.status in (502, 503)
            text = await answer.text()
            assert "does not answer yet" in text
            assert "web.py" in text
        second = await answered(session, f"{url}/")
        assert second["pid"] != first["pid"]
        ours.send_signal(signal.SIGKILL)
        pid = second["pid"]
        assert isinstance(pid, int)
        await until(lambda: not psutil.pid_exists(pid))


async def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The runtime serves on; the page and the error name the command."""
    async with (
        developing(tmp_path / "p", "no-such-program {port}") as (url, _),
        aiohttp.ClientSession() as session,
    ):
        async with session.get(f"{url}/", headers={"Accept": "text/html"}) as answer:
            assert answer.status == 503
            assert "no-such-program" in await answer.text()
        async with session.get(f"{url}/main.js") as answer:
            assert (await answer.json())["error"]["code"] == "UNAVAILABLE"
        async with session.get(f"{url}/api/health") as answer:
            assert answer.status == 200
