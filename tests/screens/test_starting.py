"""A dashboard that is opened while the runtime is still on its way."""

from __future__ import annotations

import asyncio
from typing import Any

from pylon.cli.dashboard import greeting_of
from pylon.client.admin import AdminError
from pylon.testing.grid import grid
from pylon.tui.registry import SCREENS
from pylon.tui.widgets.line_list import LineList
from tests.screens.fakes import changes, files, functions, jobs, queues, runs, status, users
from tests.screens.test_dashboard import opened, until


async def test_no_page_is_opened_at_a_port_that_nobody_listens_on() -> None:
    """Any port was asked for: o opens the one that the runtime got, and waits until it is told."""
    async with opened() as (app, admin, pilot):
        app.url = "http://127.0.0.1:0"
        await pilot.press("o")
        await until(app, lambda text: "no address yet" in text)
        assert app.page_url() == ""
        admin.say(status())
        await until(app, lambda text: ":4321" in text)
        assert app.page_url() == "http://127.0.0.1:4321"


def test_the_greeting_names_no_port_that_nobody_listens_on() -> None:
    """Port 0 is a wish and no address."""
    assert ":0" not in greeting_of("http://127.0.0.1:0")
    assert "starting" in greeting_of("http://127.0.0.1:0")
    assert "http://127.0.0.1:4321" in greeting_of("http://127.0.0.1:4321")


async def test_no_screen_says_that_there_is_nothing_before_it_knows() -> None:
    """While the first answer is not there, it is being read; then there is none, in its words."""
    async with opened((80, 40)) as (app, admin, pilot):
        known = asyncio.Event()
        answers: dict[str, Any] = {
            "admin/jobs": jobs(), "admin/workflows": runs(), "admin/files": files(),
            "admin/users": users(), "admin/doctor": {"findings": []},
            "admin/backups": {"backups": [], "schedule": None, "proven_age_s": None,
                              "next_at": None, "to": None},
        }  # fmt: skip

        async def get(path: str, **params: Any) -> Any:
            await known.wait()
            if path not in answers:
                raise AdminError("not asked about here")
            return answers[path]

        admin.get = get  # type: ignore[method-assign]
        for screen in SCREENS:
            app.action_pane(screen.name)
            await pilot.pause()
            empty = [one for one in app.pane.query(LineList) if one.size.height and not one.rows]
            if screen.name in ("projects", "commands", "health"):
                continue  # of this machine, of this session; there it says that nobody answers
            assert empty, screen.name
            said = [one._said_of_none() for one in empty]
            assert all("reading" in one or "being" in one for one in said), said
        known.set()
        admin.say(status(), changes(), {"type": "clients", "clients": []}, functions(), queues())
        for name, words in (
            ("functions", "No function is found"), ("functions", "No function was called yet"),
            ("jobs", "No job is found"), ("jobs", "No queue yet"), ("log", "No change yet"),
            ("workflows", "No run is found"), ("workflows", "No workflow yet"),
            ("files", "No file is found"), ("users", "Nobody is found"),
            ("clients", "Nobody is connected"), ("mail", "No mail was sent"),
            ("runtime", "has printed nothing"), ("doctor", "Nothing deserves a look"),
            ("backups", "There is no backup yet"),
        ):  # fmt: skip
            app.action_pane(name)
            await until(app, lambda text, words=words: words in text)  # type: ignore[misc]
            assert "reading" not in "\n".join(grid(app))
