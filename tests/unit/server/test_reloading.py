"""Generations swap one after the other, and no hook of an app holds them up."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pylon import limits
from pylon.clock import SystemClock
from pylon.errors import Unavailable
from pylon.schema.model import Schema
from pylon.server import reloading
from pylon.server.reloading import Reloader, run_hooks

#: A project without data migrations.
NOWHERE = Path("no-such-folder")
NOTHING = Schema(entities={})

GENERATION: Any = SimpleNamespace(generation=1)
EXECUTOR: Any = None


async def test_a_hook_that_hangs_is_cancelled_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it lets itself be cancelled or not; the log names it."""
    monkeypatch.setattr(limits, "HOOK_SECONDS", 0.02)
    told: list[str] = []
    goes_on = asyncio.Event()

    async def hangs() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            told.append("cancelled")

    async def stubborn() -> None:
        while not goes_on.is_set():
            try:
                await goes_on.wait()
            except asyncio.CancelledError:
                told.append("not me")

    async def last() -> None:
        told.append("last")

    async with asyncio.timeout(60):
        await run_hooks(GENERATION, (hangs, stubborn, last), EXECUTOR)
    assert told == ["cancelled", "not me", "last"]
    assert "app.hook_timed_out hangs" in caplog.text
    assert "app.hook_timed_out stubborn" in caplog.text
    assert "last" not in caplog.text
    goes_on.set()
    await asyncio.sleep(0)


async def test_a_stop_that_is_given_up_leaves_no_hook_running() -> None:
    """Who runs the hooks may be cancelled himself: then the one under way is, too."""
    ended = asyncio.Event()

    async def hangs() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    running = asyncio.ensure_future(run_hooks(GENERATION, (hangs,), EXECUTOR))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(60):
        await ended.wait()


async def test_reloads_at_once_run_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the other's generation before it, and stops that one's hooks once."""
    told: list[str] = []

    def generation(number: int) -> Any:
        async def on_start() -> None:
            await asyncio.sleep(0.01)
            told.append(f"start {number}")

        async def on_stop() -> None:
            await asyncio.sleep(0.01)
            told.append(f"stop {number}")

        return SimpleNamespace(
            generation=number, root=NOWHERE, schema=NOTHING, on_start=(on_start,),
            on_stop=(on_stop,), slice_rules={}, read_meanings={},
        )  # fmt: skip

    async def migrated(*_: object, **__: object) -> Any:
        await asyncio.sleep(0.01)
        return SimpleNamespace(render=lambda: "")

    async def unchanged(*_: object) -> list[str]:
        return []

    monkeypatch.setattr(reloading, "load_app", lambda _, generation: made(generation))
    monkeypatch.setattr(reloading, "migrate", migrated)
    monkeypatch.setattr(reloading, "use_policies", unchanged)
    made = generation
    holder: Any = SimpleNamespace(current=generation(1))
    hub: Any = SimpleNamespace(app_reloaded=lambda: None)
    database: Any = SimpleNamespace(schema=NOTHING)
    reloader = Reloader(database, holder, hub, EXECUTOR, lambda: None, SystemClock())
    answers = await asyncio.gather(reloader.reload(), reloader.reload())
    assert [one["generation"] for one in answers] == [2, 3]
    assert told == ["stop 1", "start 2", "stop 2", "start 3"]


async def test_a_version_that_could_not_be_remembered_is_served_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in use when its policies are remembered: whoever is connected must hear of it."""
    told: list[str] = []

    class Policies:
        async def demand(self, _: Any) -> None:
            told.append("demanded")

        async def remember(self, _: Any) -> None:
            raise Unavailable("the disk is full", reason="disk_full")

    async def migrated(*_: object, **__: object) -> Any:
        return SimpleNamespace(render=lambda: "")

    async def unchanged(*_: object) -> list[str]:
        return []

    monkeypatch.setattr(reloading, "migrate", migrated)
    monkeypatch.setattr(reloading, "use_policies", unchanged)
    new: Any = SimpleNamespace(
        generation=2,
        root=NOWHERE,
        schema=NOTHING,
        on_start=(),
        on_stop=(),
        slice_rules={},
        read_meanings={},
    )
    holder: Any = SimpleNamespace(current=SimpleNamespace(generation=1, on_stop=()))
    hub: Any = SimpleNamespace(app_reloaded=lambda: told.append("hub"))
    policies: Any = Policies()
    database: Any = SimpleNamespace(schema=NOTHING)
    reloader = Reloader(
        database, holder, hub, EXECUTOR, lambda: told.append("worker"), SystemClock(), policies,
        load=lambda _: new,
    )  # fmt: skip
    answer = await reloader.reload()
    assert answer["ok"]
    assert holder.current is new
    assert told == ["demanded", "hub", "worker"]
    assert "app.policies_not_remembered the disk is full" in caplog.text


@pytest.mark.parametrize("trouble", [RecursionError("too deep"), SystemExit(1)])
async def test_a_good_save_is_served_though_nobody_can_say_what_it_breaks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: BaseException
) -> None:
    """Advice is worth no reload, and its making does not hold the loop."""
    threads: set[int] = set()

    def fails(*_: object, **__: object) -> dict[str, Any]:
        threads.add(threading.get_ident())
        raise trouble

    async def migrated(*_: object, **__: object) -> Any:
        return SimpleNamespace(render=lambda: "  rename Note.title")

    async def unchanged(*_: object) -> list[str]:
        return []

    monkeypatch.setattr(reloading, "code_under", fails)
    monkeypatch.setattr(reloading, "migrate", migrated)
    monkeypatch.setattr(reloading, "use_policies", unchanged)
    new: Any = SimpleNamespace(
        generation=2, root=NOWHERE, schema=NOTHING, on_start=(), on_stop=(), slice_rules={},
        read_meanings={},
    )  # fmt: skip
    holder: Any = SimpleNamespace(current=SimpleNamespace(generation=1, on_stop=()))
    hub: Any = SimpleNamespace(app_reloaded=lambda: None)
    database: Any = SimpleNamespace(schema=NOTHING)
    reloader = Reloader(
        database, holder, hub, EXECUTOR, lambda: None, SystemClock(), load=lambda _: new
    )
    answer = await reloader.reload()
    assert answer["ok"]
    assert holder.current is new
    assert answer["plan"].splitlines() == [
        "  rename Note.title", "  what it breaks of the code is not known: the log says why",
    ]  # fmt: skip
    assert "app.code_not_read" in caplog.text
    assert type(trouble).__name__ in caplog.text
    assert threads
    assert threading.get_ident() not in threads
