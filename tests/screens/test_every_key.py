"""Every screen of the registry with every key that it has, pressed over a real runtime.

A key that nothing comes of is a dead one: each changes the picture, opens something, goes
somewhere, or says why it does nothing. Those that act are held against their words, too; a key
without an entry fails. The keys that all screens have are pressed in test_shared_keys, those of
the windows above them in test_every_window.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from textual.pilot import Pilot

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.testing.warm import WarmProject
from pylon.tui.dashboard import Dashboard
from pylon.tui.entry import Entry
from pylon.tui.registry import SCREENS
from tests.museum import PLAIN, SHOWN, fill_museum, make_museum
from tests.screens.pressing import Comes, Fingers, Ledger, StayingDashboard, owners
from tests.screens.test_dashboard import until

pytestmark = pytest.mark.timeout(600)

#: What each own key of a screen leads to; empty: the picture is another.
_SEEN: Final[dict[str, dict[str, str]]] = {
    "projects": {
        "projects.start": "its folder is gone", "projects.stop": "its folder is gone",
        "projects.sleep": "its folder is gone", "projects.restart": "its folder is gone",
        "projects.about": "folder",
        "projects.forget": "Forget idle?",
    },
    "log": {
        "log.travel": "left right: transactions", "log.lens": "last changed by", "log.mark": "",
        "log.diff": "enter: rows", "log.save": "as a test", "log.replay": "Replay changes",
    },
    "data": {
        "data.row": "ownerId", "data.sort": "", "data.columns": "Columns",
        "data.referrers": "Note by thingId", "data.create": "new Thing", "data.duplicate": "like",
        "data.edit": "ctrl+s", "data.delete": "Delete Thing", "data.undo": "nothing",
        "data.redo": "nothing was undone",
        "data.mark": "marked", "data.range": "marked", "data.mark-down": "marked",
        "data.mark-up": "marked", "data.unmark": "", "data.export": "xport", "data.sql": "SELECT",
        "data.lens": "last changed by", "data.blame": "", "data.travel": "left right: transactions",
        "data.look-as": "Look as", "data.return": "enter opens an entity",
        "other-list": "enter opens an entity", "copy": "as JSON", "why": "",
    },
    "clients": {},
    "functions": {"functions.try": "", "functions.order": "order: calls", "other-list": ""},
    "jobs": {
        "jobs.retry": "", "jobs.cancel": "", "jobs.pause-queue": "Pause queue",
        "jobs.retry-dead": "dead job", "jobs.slots": "Schedules", "other-list": "",
    },
    "workflows": {
        "runs.signal": "", "runs.cancel": "", "runs.retry": "", "runs.rerun": "", "other-list": "",
    },
    "policies": {},
    "users": {
        "users.grant": "Grant to", "users.take-role": "Take", "users.disable": "Disable ",
        "users.end-all": "End all its sessions", "users.reset-factor": "second factor",
        "users.export": "Export ", "users.delete": "Delete ", "users.erase": "Erase ",
        "users.ghost": "reads only", "users.sign-in-as": "Sign in as", "users.invite": "Invite",
    },
    "mail": {"mail.preview": "Templates"},
    "files": {
        "files.order": "", "files.delete": "Delete ", "files.open": "no browser here",
        "files.sweep": "Sweep", "files.verify": "Verify",
    },
    "backups": {
        "backups.create": "", "backups.verify": "", "backups.restore": "Restore backup",
        "backups.send": "Send backup", "backups.drop": "Drop backup",
    },
    "health": {"health.doctor": ": Doctor", "health.log": ": Runtime log"},
    "doctor": {},
    "schema": {"schema.apply": "no migration waits"},
    "branches": {
        "branches.create": "Create a branch", "branches.switch": "is in use",
        "branches.diff": "this one is in", "branches.drop": "is in use",
    },
    "settings": {"settings.edit": "lies on the runtime"},
    "runtime": {},
    "commands": {},
}  # fmt: skip


async def test_no_key_of_any_screen_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    """Each of them, from the place where it is meant to be pressed."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BROWSER", "/nonexistent/browser")
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.chdir(tmp_path)
    registry.remember_project(tmp_path / "idle", 1)
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    admin = AdminClient.local(served.project)
    dead: list[str] = []
    try:
        await served.start()
        sockets = await fill_museum(served, PLAIN)
        app = StayingDashboard(SystemClock(), admin)
        app.url = served.url
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await until(app, lambda text: "● museum" in text)
            fingers = Fingers(app, pilot, ledger)
            for screen in SCREENS:
                keys = owners(type(app.panes[screen.name]))
                ids = {str(binding.id) for _, binding in keys.values()}
                assert ids == set(_SEEN[screen.name]), screen.name
                for key, (owner, binding) in keys.items():
                    await _arrive(app, pilot, screen)
                    wanted = _SEEN[screen.name][str(binding.id)] or Comes.ANOTHER
                    row = (owner.__name__, str(binding.id), key)
                    fault = await fingers.press_one(row, wanted, None)
                    dead += [f"{screen.name}: {fault}"] if fault else []
        for socket in sockets:
            await socket.close()
    finally:
        await admin.close()
        await served.close()
    assert not dead, "\n\n".join(dead)


async def _arrive(app: Dashboard, pilot: Pilot[int], screen: Entry) -> None:
    """Go to a screen as it was at first: no window above it, no filter, nothing marked."""
    if app._is_paused:
        app.action_pause()
    app.state.data.as_of = None
    app.action_pane(screen.name)
    app.clear_notifications()
    await app.action_back()
    if screen.name == "data":
        while app.state.data.place is not None:
            app.panes["data"].action_return()  # type: ignore[attr-defined]
    await until(app, lambda text: SHOWN[screen.name].replace("running", "idle") in text)
    if screen.name == "data":
        await pilot.press("enter")
        await until(app, lambda text: "coffee" in text)
    await pilot.pause()
