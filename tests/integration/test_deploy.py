"""The files of docs/deploy, as they are: proxies in front of a real runtime, units, the container.

Only addresses, ports and certificates are put in; what a person would copy is what runs here.
"""

from __future__ import annotations

import asyncio
import io
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from pylon.devtools import scaffold
from pylon.server.settings_table import SETTINGS
from pylon.testing.served import ServedProject
from tests.conftest import ROOT, Serve

DEPLOY = ROOT / "docs" / "deploy"
APP = """
from __future__ import annotations
from collections.abc import AsyncIterator
from pylon import App, Entity

app = App("chat")


@app.entity(read="true", insert="true")
class Note(Entity):
    body: str


@app.action(allow="true")
async def slowly(ctx) -> AsyncIterator[int]:
    for n in range(3):
        yield n
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nginx(folder: Path, port: int, upstream: int) -> list[str]:
    """Write nginx's own file around the project's, and return the command."""
    site = (DEPLOY / "nginx.conf").read_text()
    site = site.replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    site = re.sub(r"\n *ssl_certificate(_key)? [^\n]*", "", site)
    site = site.replace("127.0.0.1:4321", f"127.0.0.1:{upstream}")
    (folder / "site.conf").write_text(site)
    places = "\n".join(
        f"{one}_temp_path {folder}/{one};"
        for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;\n"
        f"events {{}}\nhttp {{ access_log off;\n{places}\ninclude {folder}/site.conf; }}\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", f"{folder}/error"]


def caddy(folder: Path, port: int, upstream: int) -> list[str]:
    """Write the project's Caddyfile without TLS, and return the command."""
    site = (DEPLOY / "Caddyfile").read_text()
    site = site.replace("chat.example {", f"http://chat.example:{port} {{")
    site = site.replace("127.0.0.1:4321", f"127.0.0.1:{upstream}")
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + site)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@asynccontextmanager
async def behind(kind: str, folder: Path, served: ServedProject) -> AsyncIterator[str]:
    """Run a proxy in front of a runtime and yield its address."""
    folder.mkdir()
    port = _free_port()
    command = {"nginx": nginx, "caddy": caddy}[kind](folder, port, served.port)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": str(folder)},
    )  # fmt: skip
    try:
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


HOST = {"Host": "chat.example"}


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
async def test_a_proxy_passes_what_pylon_needs(kind: str, serve: Serve, tmp_path: Path) -> None:
    """Pages, sockets, streams, files of many megabytes; the studio's door stays inside."""
    if shutil.which(kind, path="/usr/sbin:/usr/bin") is None:
        pytest.skip(f"{kind} is not installed")
    served = await serve(APP, is_started=False)
    (served.project / "pylon.toml").write_text(
        '[server]\norigins = ["http://chat.example"]\ntrusted_proxies = ["127.0.0.1"]\n'
        "[files]\nanonymous = true\n"
    )
    await served.start()
    async with (
        behind(kind, tmp_path / kind, served) as url,
        aiohttp.ClientSession(headers=HOST) as session,
    ):
        async with session.get(f"{url}/api/health") as answer:
            assert (answer.status, (await answer.json())["app"]) == (200, "chat")
        async with session.get(f"{url}/api/admin/status") as answer:
            assert answer.status == 404
        async with session.get(f"{url}/api/health", headers={"Host": "evil.example"}) as answer:
            assert "app" not in await answer.text()
        async with session.ws_connect(
            f"{url}/api/sync/ws", origin="http://chat.example"
        ) as connected:
            await connected.send_json(
                {"type": "hello", "protocol": 1, "client_id": "c", "cursor": None, "schema": ""}
            )
            assert (await connected.receive_json(timeout=60))["type"] == "welcome"
        parts = []
        async with session.post(
            f"{url}/api/fn/slowly", json={}, headers={"Accept": "text/event-stream"}
        ) as answer:
            assert answer.content_type == "text/event-stream"
            async for line in answer.content:
                parts += [line] if line.startswith(b"data: {") else []
        assert len(parts) >= 3
        large = io.BytesIO(bytes(5 * 2**20))
        async with session.post(f"{url}/api/files", data=large) as answer:
            assert answer.status == 201, await answer.text()


def test_the_units_are_what_systemd_takes(tmp_path: Path) -> None:
    """systemd's own check of each unit, with programs and users that this machine has."""

    async def verified(path: Path) -> str:
        process = await asyncio.create_subprocess_exec(
            "systemd-analyze", "verify", str(path),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        return "\n".join(line for line in out.decode().splitlines() if path.name in line)

    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    for unit in sorted(DEPLOY.glob("*.service")) + sorted(DEPLOY.glob("*.timer")):
        text = unit.read_text()
        text = re.sub(r"(ExecStart=)\S+", r"\1/bin/true", text).replace("User=chat", "User=root")
        copy = tmp_path / unit.name
        copy.write_text(text)
        assert asyncio.run(verified(copy)) == ""


def test_the_container_is_no_root_and_keeps_its_data() -> None:
    """What the image promises: an own user, and volumes for all that the runtime writes."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    steps = [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line[:1].isalpha()]
    named = dict(steps)
    assert named["USER"] == "app"
    assert '"/app/.pylon"' in named["VOLUME"]
    assert named["ENV"].split("=")[1] in named["VOLUME"]
    assert named["CMD"] == '["pylon", "serve", "--host", "0.0.0.0"]'
    names = [name for name, _ in steps]
    assert names.index("USER") > max(at for at, name in enumerate(names) if name == "RUN")


def test_an_image_holds_nothing_of_the_machine_that_built_it() -> None:
    """`COPY . .` takes a folder as it is: rows, sessions and secrets are named to be left out.

    What lies in the image where a volume is mounted becomes the first content of that volume.
    """
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert "COPY --chown=app . .\n" in dockerfile
    assert "Only with the .dockerignore beside it" in dockerfile
    left_out = set((DEPLOY / ".dockerignore").read_text().splitlines())
    assert {".pylon", ".env", ".venv", ".git", "*-bug-*.zip"} <= left_out
    kept = {one for one in scaffold.GITIGNORE.splitlines() if one}
    named = {one.removeprefix("**/").rstrip("/") for one in left_out}
    assert {one.rstrip("/") for one in kept} <= named, "what is in no repository is in no image"
    docs = (ROOT / "docs" / "deploy.md").read_text()
    assert "(deploy/.dockerignore)" in docs


def test_nginx_takes_files_as_large_as_the_default() -> None:
    """client_max_body_size is above [files] max_mb, or uploads end at the proxy."""
    found = re.search(r"client_max_body_size (\d+)m", (DEPLOY / "nginx.conf").read_text())
    assert found is not None
    assert int(found[1]) > SETTINGS["files.max_mb"].default
