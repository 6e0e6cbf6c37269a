"""A runtime that hangs or grows under its supervisor: named, ended, started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pylon import limits
from pylon.client.admin import AdminError
from pylon.clock import SystemClock
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.supervisor import Supervisor, SupervisorEvent

APP = """
from __future__ import annotations

import time

from pylon import App, Entity, Text

app = App("held")
KEPT = []


@app.entity(read="true", insert="auth.userId != null")
class Item(Entity):
    text: Text = ""


@app.mutation
def keep(ctx, text: str) -> None:
    ctx.db.insert("Item", text=text)


@app.action
async def blocks(ctx) -> None:
    nap()


def nap():
    time.sleep(60)


@app.mutation
def wants(ctx) -> int:
    ctx.db.insert("Item", text="wanted")
    return len(bytearray(2_000_000_000))


@app.query(timeout=5)
def hoards(ctx, megabytes: int) -> int:
    KEPT.append(b"x" * (megabytes * 1_000_000))
    return len(KEPT)
"""


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[tuple[Supervisor, list[SupervisorEvent]]]:
    """A supervised runtime that may have 400 MiB, and what its supervisor tells."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "pylon.toml").write_text("[limits]\nmemory_mb = 400\n")
    supervisor = Supervisor(tmp_path, SystemClock(), mode="serve", port=0)
    told: list[SupervisorEvent] = []
    supervisor.listen(told.append)
    await supervisor.start()
    await supervisor.until(ProcessState.RUNNING, ProcessState.FAILED, timeout_s=60)
    yield supervisor, told
    await supervisor.stop()


async def _call(supervisor: Supervisor, fn: str, **args: Any) -> Any:
    return await supervisor.admin.post("admin/call", {"fn": fn, "args": args})


async def _another(supervisor: Supervisor, pid: int | None) -> None:
    async with asyncio.timeout(60):
        while supervisor.pid in (pid, None) or supervisor.state is not ProcessState.RUNNING:
            await asyncio.sleep(0.05)


async def test_a_runtime_that_hangs_is_named_and_started_again(
    watched: tuple[Supervisor, list[SupervisorEvent]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action that blocks: its name and place, a line in the log; what was stored is there."""
    supervisor, told = watched
    monkeypatch.setattr(limits, "HANG_REPORT_SECONDS", 0.5)
    monkeypatch.setattr(limits, "HANG_RESTART_SECONDS", 2.5)
    await _call(supervisor, "keep", text="acknowledged")
    pid = supervisor.pid
    with pytest.raises(AdminError):
        await _call(supervisor, "blocks")
    await _another(supervisor, pid)
    stacks = [one.text for one in told if one.kind == "stack"]
    assert "in nap" in stacks[0]
    assert any('"function.hung blocks at app.py:' in one for one in supervisor.lines)
    said = [one.text for one in told if one.state is ProcessState.BACKING_OFF]
    assert "held by blocks at app.py:" in said[0]
    found = await supervisor.admin.post("admin/query", {"entity": "Item"})
    assert [row["text"] for row in found["rows"]] == ["acknowledged"]


async def test_memory_is_bounded_and_what_is_kept_leads_to_a_restart(
    watched: tuple[Supervisor, list[SupervisorEvent]],
) -> None:
    """Asking for too much is the call's own failure; keeping much is said, with a new process."""
    supervisor, _ = watched
    pid = supervisor.pid
    for _ in range(3):
        with pytest.raises(AdminError, match="wants failed"):
            await _call(supervisor, "wants")
        await _call(supervisor, "keep", text="after")
    assert supervisor.pid == pid
    for _ in range(60):
        if supervisor.pid != pid:
            break
        with suppress(AdminError):
            await _call(supervisor, "hoards", megabytes=20)
        await asyncio.sleep(0.05)
    await _another(supervisor, pid)
    assert any("runtime.memory it keeps" in one for one in supervisor.lines)
    found = await supervisor.admin.post("admin/query", {"entity": "Item"})
    assert len(found["rows"]) == 3
