"""What `y` copies as curl runs in a shell as it is, and asks what the dashboard showed."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pylon.client.admin import AdminClient
from pylon.tui.copying import row_path
from pylon.tui.try_form import call_copies
from tests.conftest import Serve

APP = """
from pylon import App, Entity, field

app = App("notes")


@app.entity(read="auth.userId != null", insert="true")
class Note(Entity):
    text: str
    code: str = field(default="hush", private=True)


@app.query
def caller(ctx, word: str) -> str:
    return f"{word} {ctx.auth.user_id}"
"""
_TOKEN = "the-token-of-a-runtime-elsewhere"


async def _shell(line: str, **environment: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", line, env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return json.loads(said) if said.startswith(b"{") else said.decode()


async def test_lines_of_curl_run_as_they_are(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row as its owner and as a user, and a call, past all that a shell takes apart."""
    served = await serve(APP, environment={"PYLON_ADMIN_TOKEN": _TOKEN})
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    ada = await served.login("ada@example.com")
    note = await ada.insert("Note", text="it's $HOME")
    path = row_path("Note", note["id"])

    local = AdminClient.local(Path(served.project))
    found = await _shell(local.curl(path))
    assert (found["row"]["text"], found["row"]["code"]) == ("it's $HOME", "hush")
    seen = await _shell(local.curl(path, **{"as": "ada@example.com"}))
    assert seen["row"]["text"] == "it's $HOME"
    assert "code" not in seen["row"]
    assert "error" in await _shell(local.curl(path, **{"as": "anonymous"}))

    args = {"word": "it's; $HOME"}
    for user, told in (("ada@example.com", ada.user_id), ("system", None)):
        line = dict(call_copies("caller", args, user, local.curl, None))["curl"]
        assert await _shell(line) == {"value": f"it's; $HOME {told}"}
    line = dict(call_copies("caller", args, "anonymous", local.curl, None))["curl"]
    assert (await _shell(line))["error"]["code"] == "UNAUTHENTICATED"

    elsewhere = AdminClient(served.url, token=_TOKEN)
    line = elsewhere.curl(path)
    assert _TOKEN not in line, "a secret is not copied"
    assert (await _shell(line, PYLON_ADMIN_TOKEN=_TOKEN))["row"]["id"] == note["id"]
    assert "is the token of that runtime" in await _shell(line, PYLON_ADMIN_TOKEN="")
