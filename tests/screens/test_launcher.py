"""The launcher: known projects, read as text."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue, paths
from pylon.cli import dashboard as cli_dashboard
from pylon.clock import SystemClock
from pylon.desktop import install as desktop
from pylon.desktop.files import ID
from pylon.devtools import scaffold
from pylon.supervisor import registry
from pylon.supervisor.claim import Record
from pylon.testing.grid import shown
from pylon.tui import project_actions
from pylon.tui.launcher import Choice, Launcher
from tests.kept import end, make_project


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
        text = await _until(app, "● running")
        assert "4399" in text
        assert "○ stopped" in text
        assert "today" in text
        await pilot.press("down", "enter")
        await _left(app)
    assert app.return_value == Choice(open=tmp_path / "sleeping")


def _told(project: Path, **changed: object) -> None:
    """Write down what a supervisor that lives would: this process."""
    now = SystemClock().now_ms()
    record = Record(
        pid=os.getpid(), started_ms=now, mode="dev", host="127.0.0.1", port=4400, since_ms=now
    )
    paths.write_private(
        paths.supervisor_file(project), jsonvalue.encode({**asdict(record), **changed})
    )


async def test_what_supervisors_and_backups_say_is_shown(tmp_path: Path) -> None:
    """Asleep with its port, failed with its reason, disk, the last proven backup, days, sizes."""
    now, day = SystemClock().now_ms(), 86_400_000
    failing, dozing = _project(tmp_path, "failing"), _project(tmp_path, "dozing")
    _told(dozing, state="asleep")
    _told(failing, state="failed", why="no app", error="broken\x1b[31m here", error_at_ms=now - day)
    backups = dozing / ".pylon" / "backups"
    backups.mkdir(parents=True)
    (dozing / ".pylon" / "app.db").write_bytes(b"x" * 5000)
    for name, state, age in (("b1", "proven", 3), ("b2", "proven", 2), ("b3", "failed", 1)):
        (backups / f"{name}.db").write_bytes(b"12345")
        record = {"state": state, "at_ms": now - age * day, "bytes": 5 if name != "b2" else 6}
        (backups / f"{name}.json").write_bytes(jsonvalue.encode(record))
    app = Launcher(SystemClock())
    async with app.run_test(size=(200, 50)) as pilot:
        text = await _until(app, "☾ asleep")
        assert "✗ failed" in text
        assert "1 d ago: broken" in text
        assert "\x1b" not in text
        (line,) = [one for one in text.splitlines() if "dozing" in one]
        assert "4400" in line
        assert "5." in line  # KiB: the data and what lies beside it
        assert "3 d ago" in line  # b2 is not whole any more, b3 is not proven
        await pilot.press("i")
        await _until(app, "last proven backup")


async def test_a_project_is_started_put_to_sleep_woken_and_stopped(tmp_path: Path) -> None:
    """By keys alone, with a real keeper behind them."""
    project = make_project(tmp_path / "kept")
    (project / "pylon.toml").write_text("[server]\nport = 0\n")
    registry.remember_project(project, SystemClock().now_ms())
    app = Launcher(SystemClock())
    try:
        async with app.run_test(size=(120, 30)) as pilot:
            await _until(app, "○ stopped")
            for key, state in (("s", "● running"), ("z", "☾ asleep"), ("s", "● running"),
                               ("x", "○ stopped")):  # fmt: skip
                await pilot.press(key)
                await _until(app, state)
    finally:
        end(project)


async def test_a_served_project_is_not_stopped_by_a_key_alone(tmp_path: Path) -> None:
    """x, r and z ask by its name first: people are behind it. One of development just stops."""
    served = _project(tmp_path, "shop")
    _told(served, mode="serve", state="running")
    asked: list[str] = []

    async def ask(project: Path, verb: str) -> dict[str, Any]:
        asked.append(f"{verb} {project.name}")
        return {}

    app = Launcher(SystemClock())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(project_actions, "ask_supervisor", ask)
        async with app.run_test(size=(100, 24)) as pilot:
            await _until(app, "● running")
            for key, verb in (("x", "Stop"), ("r", "Restart"), ("z", "Sleep")):
                await pilot.press(key)
                await _until(app, f"{verb} shop? It is served")
                await pilot.press("n")
                await pilot.pause()
            assert asked == []
            await pilot.press("x")
            await _until(app, "Stop shop? It is served")
            await pilot.press("y")
            await pilot.pause()
            assert asked == ["stop shop"]
            _told(served, mode="dev", state="running")
            await _until(app, "● running")
            app._pane.ask_again()
            await pilot.pause(1.5)
            await pilot.press("x")
            await pilot.pause()
            assert asked == ["stop shop", "stop shop"]


async def test_a_process_that_took_the_number_of_an_ended_runtime_is_left_alone(
    tmp_path: Path,
) -> None:
    """The list is a moment old: what is ended is the runtime that runs now, or nothing."""
    project = _project(tmp_path, "gone")
    ended: list[int] = []
    app = Launcher(SystemClock())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(project_actions.os, "kill", lambda pid, number: ended.append(pid))
        async with app.run_test(size=(100, 24), notifications=True):
            await _until(app, "○ stopped")
            row = {**app._pane.list.rows[0], "pid": os.getpid(), "is_supervised": False}  # type: ignore[union-attr]
            project_actions.ProjectActions(app, lambda: None).do("stop", row)
            await _until(app, "gone has ended by now")
    assert ended == []
    assert project.is_dir()


async def test_forgetting_leaves_the_folder(tmp_path: Path) -> None:
    """f asks, then takes it off the list; nothing is deleted."""
    project = _project(tmp_path, "old")
    app = Launcher(SystemClock())
    async with app.run_test(size=(80, 24)) as pilot:
        await _until(app, "○ stopped")
        await pilot.press("f")
        await _until(app, "Forget old?")
        await pilot.press("y")
        text = await _until(app, "No project yet")
        assert "UNTOUCHED" in text
        assert "LDER" not in text  # no column of which only a stump has room
    assert (project / "app.py").is_file()


async def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    """A known project whose folder was removed is marked, not opened; enter has its place below."""
    project = _project(tmp_path, "gone")
    (project / "app.py").unlink()
    project.rmdir()
    app = Launcher(SystemClock())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await _until(app, "✗ missing")
        await _until(app, "enter Open")
        await _until(app, "q Quit")
        for key in ("enter", "s"):
            await pilot.press(key)
            await _until(app, "its folder is gone")
        await pilot.press("q")
    assert app.return_value == Choice()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the menu of Linux")
async def test_the_palette_puts_pylon_into_the_menu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notice says the line that does the same; a failure is said with its code."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    entry = tmp_path / "share/applications" / f"{ID}.desktop"
    app = Launcher(SystemClock())
    async with app.run_test(size=(120, 30), notifications=True) as pilot:

        async def chosen(said: str) -> None:
            await pilot.press("ctrl+p")
            await _until(app, "Search for commands")
            await pilot.press(*"applications")
            await _until(app, "Put Pylon into the applications menu")
            await pilot.press("enter")
            await _until(app, said)

        await chosen("pylon desktop install")
        assert entry.is_file()
        desktop.remove()
        entry.parent.mkdir(parents=True)
        entry.write_text("somebody's own")
        await chosen("DESKTOP_TAKEN")


async def test_creating_asks_for_template_and_name() -> None:
    """c offers the templates, then asks for a name."""
    offered = [(one.name, one.summary) for one in scaffold.templates()]
    app = Launcher(SystemClock(), templates=offered)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        text = await _until(app, "chat: Channels")
        assert text.index("blank: ") < text.index("api: "), "the usual one stands first"
        await pilot.press("down", "down", "enter")
        await _until(app, "New project in")
        await pilot.press(*"mine", "enter")
        await _left(app)
    assert app.return_value == Choice(create="mine", template="chat")


def test_the_list_of_projects_offers_every_template_of_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What `pylon new --list` has, `c` has; packages of one that has some are asked about."""
    asked: list[tuple[str, ...]] = []

    async def told(self: Launcher) -> Choice:
        asked.append(tuple(name for name, _ in self._templates))
        return Choice()

    monkeypatch.setattr(Launcher, "run_until_told", told)
    monkeypatch.setattr(cli_dashboard, "demand_terminal", lambda _: None)
    assert cli_dashboard.open_shelf() == 0
    assert asked == [tuple(one.name for one in scaffold.templates())]
    assert "react" in asked[0]


def test_packages_of_a_project_that_was_made_in_the_list_are_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page on Vite does not start without them."""
    said: list[str] = []

    async def told(self: Launcher) -> Choice:
        return Choice(create="page", template="react")

    def confirm(text: str, **_: object) -> bool:
        said.append(text)
        return False

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Launcher, "run_until_told", told)
    monkeypatch.setattr(cli_dashboard, "demand_terminal", lambda _: None)
    monkeypatch.setattr(cli_dashboard, "open_project", lambda project: len(project.name))
    monkeypatch.setattr("click.confirm", confirm)
    assert cli_dashboard.open_shelf() == len("page")
    assert said == ["install its npm packages now?"]


async def test_a_name_that_will_not_do_is_said_in_its_place() -> None:
    """The prompt stays open with what is wrong; a better name goes through."""
    app = Launcher(SystemClock(), lambda name: "has a space" if " " in name else "")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        await _until(app, "blank: one entity")
        await pilot.press("enter")
        await _until(app, "New project in")
        await pilot.press(*"my app", "enter")
        await _until(app, "has a space")
        await pilot.press(*["backspace"] * 4, "enter")
        await _left(app)
    assert app.return_value == Choice(create="my", template="blank")


async def test_a_project_is_started_and_stopped_from_the_list(tmp_path: Path) -> None:
    """s starts it in the background, x stops it; a broken one says why."""
    project = _project(tmp_path, "real")
    (project / "app.py").write_text("from pylon import App\n\napp = App('real')\n")
    (project / "pylon.toml").write_text("[server]\nport = 0\n")
    app = Launcher(SystemClock())
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        await _until(app, "○ stopped")
        await pilot.press("s")
        await _until(app, "● running")
        await pilot.press("x")
        await _until(app, "○ stopped")
        (project / "app.py").write_text("this is no Python")
        await pilot.press("s")
        await _until(app, "did not start")


async def _until(app: Launcher, words: str) -> str:
    """Return the screen once it shows these words."""
    for _ in range(600):
        if words in (text := shown(app)):
            return text
        await asyncio.sleep(0.1)
    raise AssertionError(f"{words} was never shown:\n{shown(app)}")


async def _left(app: Launcher) -> None:
    """Return once the launcher has been left by a choice."""
    for _ in range(600):
        if app.return_value is not None:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"nothing was chosen:\n{shown(app)}")
