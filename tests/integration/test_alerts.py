"""Alerts as `pylon serve` sends them: to a webhook and a mail server, each asked for real."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from pylon import jsonvalue
from pylon.cli.address import production_settings_of
from pylon.cli.alerting import Alerter
from pylon.supervisor.supervisor import Supervisor
from pylon.testing.manual_clock import ManualClock
from pylon.testing.served import ServedProject
from tests.conftest import Serve
from tests.integration.smtp_server import smtp_server
from tests.shell import Shell

APP = """
from __future__ import annotations

from pylon import App, Entity

app = App("notes")


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str
"""


class Hook:
    """Something that is posted alerts."""

    def __init__(self, status: int = 200) -> None:
        self.heard: list[dict[str, Any]] = []
        self._status = status
        self.port = 0

    async def __aenter__(self) -> Hook:
        app = web.Application()
        app.router.add_post("/secret-path", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def _take(self, request: web.Request) -> web.Response:
        self.heard.append(jsonvalue.parse(await request.read()))
        return web.Response(status=self._status)

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def toml(self, more: str = "") -> str:
        return f'[alerts]\nwebhook = "http://127.0.0.1:{self.port}/secret-path"\n{more}'


async def test_a_test_alert_arrives_where_that_was_consented_to(serve: Serve) -> None:
    """Without consent nothing on this machine is reached, and the address is not repeated."""
    async with Hook() as hook:
        served = await serve(APP, is_started=False)
        pylon = Shell(served)
        assert "alerts go nowhere" in await pylon("alerts", "test", code=1)
        toml = served.project / "pylon.toml"
        toml.write_text(hook.toml())
        said = await pylon("alerts", "test", code=1)
        assert "secret-path" not in said
        assert "if it is meant: [alerts] allow_private = true" in said
        assert "ctx.http" not in said
        assert hook.heard == []
        toml.write_text(hook.toml("allow_private = true\n"))
        assert "sent: webhook" in await pylon("alerts", "test")
        (heard,) = hook.heard
        assert (heard["kind"], heard["state"]) == ("test", "test")
        assert heard["text"] == heard["content"]
    async with Hook(500) as hook:
        toml.write_text(hook.toml("allow_private = true\n"))
        assert "it answered 500" in await pylon("alerts", "test", code=1)


async def test_an_alert_goes_by_mail(serve: Serve) -> None:
    """By the mail server of the settings."""
    async with smtp_server() as server:
        toml = (
            f'[mail]\nurl = "smtp://127.0.0.1:{server.port}"\nfrom = "a@a.example"\n'
            '[alerts]\nmail = ["you@your.example"]\n'
        )
        served = await serve(APP, is_started=False, toml=toml)
        await Shell(served)("alerts", "test")
        assert len(server.mails) == 1


@asynccontextmanager
async def _serving(served: ServedProject) -> AsyncIterator[None]:
    """Serve a project as an operator does, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", "serve", str(served.project), "--port", "0",
        env={**os.environ, "PYLON_STATE_DIR": str(served.state)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert b"listening" in await process.stdout.readline()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _first(hook: Hook) -> dict[str, Any]:
    """Return what it is told first."""
    async with asyncio.timeout(60):
        while not hook.heard:
            await asyncio.sleep(0.1)
    return hook.heard[0]


async def test_a_crash_loop_is_told_once(serve: Serve) -> None:
    """By the process that supervises, which is the one that is left."""
    async with Hook() as hook:
        toml = hook.toml("allow_private = true\nrestarts = 1\ndisk_percent = 0\n")
        served = await serve(APP, is_started=False, toml=toml)
        async with _serving(served):
            state = next((served.state / "run").glob("*/runtime.json"))
            os.kill(jsonvalue.parse(state.read_bytes())["pid"], signal.SIGKILL)
            heard = await _first(hook)
        assert (heard["kind"], heard["state"]) == ("restarts", "firing")
        assert "restarted once" in heard["text"]
        assert len(hook.heard) == 1


async def test_a_way_that_works_is_told_once_while_another_is_tried_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail leaves, the webhook answers 500 three times: one mail, three posts."""
    async with smtp_server() as server, Hook(500) as hook:
        toml = hook.toml(
            'mail = ["you@your.example"]\nallow_private = true\ndisk_percent = 100\n'
            f'[mail]\nurl = "smtp://127.0.0.1:{server.port}"\nfrom = "a@a.example"\n'
        )
        served = await serve(APP, is_started=False, toml=toml)
        monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
        clock = ManualClock()
        supervisor = Supervisor(served.project, clock, mode="serve", host="127.0.0.1", port=0)
        alerter = Alerter(supervisor, production_settings_of(served.project), clock)
        for _ in range(5):
            await alerter.step()
            await clock.advance(30.0)
        assert (len(server.mails), len(hook.heard)) == (1, 3)


async def test_a_filling_disk_is_told_once(serve: Serve) -> None:
    """Less is free than was asked for: no disk has all of itself free."""
    async with Hook() as hook:
        toml = hook.toml("allow_private = true\ndisk_percent = 100\n")
        served = await serve(APP, is_started=False, toml=toml)
        async with _serving(served):
            heard = await _first(hook)
        assert (heard["kind"], heard["state"]) == ("disk", "firing")
        assert "MiB are free" in heard["text"]
        assert len(hook.heard) == 1


async def test_a_failed_backup_is_told_once(serve: Serve) -> None:
    """Where the folder that it is to lie in is a file."""
    async with Hook() as hook:
        toml = hook.toml("allow_private = true\ndisk_percent = 0\n")
        served = await serve(APP, is_started=False, toml=toml)
        (served.project / ".pylon").mkdir(exist_ok=True)
        (served.project / ".pylon" / "backups").write_text("in the way")
        async with _serving(served):
            await Shell(served)("backups", "create", code=1)
            heard = await _first(hook)
        assert (heard["kind"], heard["state"]) == ("backup", "firing")
        assert len(hook.heard) == 1


@pytest.mark.parametrize(
    "line", ['mail = ["no address"]', 'webhook = "ftp://x"', "disk_percent = -1", "restarts = 0"]
)
async def test_wrong_settings_stop_the_start(serve: Serve, line: str) -> None:
    """Rather than the alert, on the day it is needed."""
    served = await serve(APP, is_started=False, toml=f"[alerts]\n{line}\n")
    with pytest.raises(Exception, match="alerts"):
        await served.start()
