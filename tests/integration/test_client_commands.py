"""`pylon clients` and `pylon reload` against a running app: keys of the dashboard as lines."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner

from pylon.cli.main import cli
from tests.conftest import Serve

APP = """
from pylon import App, Entity

app = App("notes")


@app.entity()
class Note(Entity):
    text: str
"""


async def test_the_keys_of_a_client_are_lines(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is connected is listed, shown, has its network spoiled and mended, is cut off."""
    served = await serve(APP)
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))

    async def pylon(*arguments: str, code: int = 0) -> Any:
        given = [*arguments, "--project", str(served.project)]
        asked = await asyncio.to_thread(CliRunner().invoke, cli, given)
        assert asked.exit_code == code, (asked.output, asked.exception)
        return asked.output

    ada = await served.login("ada@example.com")
    socket = await ada.sync(client_id="tab 1")
    await socket.until("welcome")
    listed = json.loads(await pylon("clients", "--json"))
    assert [one["client_id"] for one in listed] == ["tab 1"]
    assert "tab 1" in await pylon("clients", "list")
    assert "subscription" not in await pylon("clients", "show", "tab 1", "--unseen")
    shape = json.loads(await pylon("clients", "network", "tab 1", "latency=5", "--json"))
    assert shape["network"]["latency_ms"] == 5
    assert "as it is" in await pylon("clients", "network", "tab 1")
    assert "one of latency" in str(
        await asyncio.to_thread(
            lambda: CliRunner().invoke(cli, ["clients", "network", "x", "lss=1"]).output
        )
    )
    assert json.loads(await pylon("clients", "resync", "tab 1", "--json")) == {"resynced": 1}
    assert "1 closed" in await pylon("clients", "disconnect", "tab 1")
    assert "generation 2" in await pylon("reload")
    (served.project / "app.py").write_text(APP + "oops\n")
    assert "oops" in await pylon("reload", code=1)
