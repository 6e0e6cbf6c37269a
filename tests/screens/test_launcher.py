"""The launcher: known projects, read as text."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pylon import jsonvalue, paths
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.testing.grid import shown
from pylon.tui.launcher import Choice, Launcher


def _project(folder: Path, name: str) -> Path:
    project = folder / name
    project.mkdir()
    (project / "app.py").write_text("")
    registry.remember_project(project, SystemClock().now_ms())
    return project


async def test_projects_are_listed_with_state_and_last_use(tmp_path: Path) -> None:
    """A running one shows its port, a stopped one that it is stopped."""
    _project(tmp_path, "sleeping")
    running = _project(tmp_path, "awake")
    paths.write_private(
        paths.runtime_file(running),
        jsonvalue.encode(
            {"pid": os.getpid(), "port": 4399, "host": "127.0.0.1", "app": "awake", "mode": "dev",
             "started_ms": SystemClock().now_ms()}
        ),
    )  # fmt: skip
    app = Launcher(SystemClock())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.2)
        text = shown(app)
        assert "● running" in text
        assert "4399" in text
        assert "○ stopped" in text
        assert "just now" in text
        await pilot.press("down", "enter")
        await pilot.pause(0.1)
    assert app.return_value == Choice(open=tmp_path / "sleeping")


async def test_forgetting_leaves_the_folder(tmp_path: Path) -> None:
    """f asks, then takes it off the list; nothing is deleted."""
    project = _project(tmp_path, "old")
    app = Launcher(SystemClock())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.2)
        await pilot.press("f")
        await pilot.pause(0.1)
        assert "Forget old?" in shown(app)
        await pilot.press("y")
        await pilot.pause(0.2)
        assert "No project yet" in shown(app)
    assert (project / "app.py").is_file()


async def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    """A known project whose folder was removed is marked, not opened; enter has its place below."""
    project = _project(tmp_path, "gone")
    (project / "app.py").unlink()
    project.rmdir()
    app = Launcher(SystemClock())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await _until(app, "✗ missing", 5)
        await _until(app, "enter Open", 5)
        await _until(app, "q Quit", 5)
        for key in ("enter", "s"):
            await pilot.press(key)
            await _until(app, "its folder is gone", 5)
        await pilot.press("q")
    assert app.return_value == Choice()


async def test_creating_asks_for_template_and_name() -> None:
    """c offers the templates, then asks for a name."""
    app = Launcher(SystemClock())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        await pilot.pause(0.1)
        assert "chat: the whole example" in shown(app)
        await pilot.press("down", "enter")
        await pilot.pause(0.1)
        await pilot.press(*"mine", "enter")
        await pilot.pause(0.1)
    assert app.return_value == Choice(create="mine", template="chat")


async def test_a_name_that_will_not_do_is_said_in_its_place() -> None:
    """The prompt stays open with what is wrong; a better name goes through."""
    app = Launcher(SystemClock(), lambda name: "has a space" if " " in name else "")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        await _until(app, "blank: one entity", 5)
        await pilot.press("enter")
        await _until(app, "New project in", 5)
        await pilot.press(*"my app", "enter")
        await _until(app, "has a space", 5)
        await pilot.press(*["backspace"] * 4, "enter")
        await pilot.pause(0.1)
    assert app.return_value == Choice(create="my", template="blank")


async def test_a_project_is_started_and_stopped_from_the_list(tmp_path: Path) -> None:
    """s starts it in the background, x stops it; a broken one says why."""
    project = _project(tmp_path, "real")
    (project / "app.py").write_text("from pylon import App\n\napp = App('real')\n")
    (project / "pylon.toml").write_text("[server]\nport = 0\n")
    app = Launcher(SystemClock())
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        await pilot.pause(0.2)
        await pilot.press("s")
        await _until(app, "● running", 20)
        await pilot.press("x")
        await _until(app, "○ stopped", 10)
        (project / "app.py").write_text("this is no Python")
        await pilot.press("s")
        await _until(app, "did not start", 20)


async def _until(app: Launcher, words: str, seconds: float) -> None:
    for _ in range(int(seconds / 0.1)):
        if words in shown(app):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{words} was never shown:\n{shown(app)}")
