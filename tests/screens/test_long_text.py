"""A text too long for a form: what stands in its place, and the way through the user's editor."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.grid import shown
from pylon.tui.dashboard import Dashboard
from pylon.tui.screens.long_text import FORM_TEXT_CHARS
from tests.screens.data_fakes import task, whole
from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import open_tasks
from tests.screens.test_users_screen import _seen

PATH = "admin/data/Task/t0000000"
LONG = "long words\x1b[2J " * (FORM_TEXT_CHARS // 5)


def _sent(admin: Any) -> list[Any]:
    return [body["values"] for path, body in admin.asked if path == f"{PATH}/update"]


async def test_a_long_text_is_not_put_into_a_line_and_stays_unless_it_is_edited() -> None:
    """Its length and its beginning are seen; what is typed in other fields goes without it."""
    async with opened((80, 24)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        admin.answers[PATH] = whole(task(0, note=LONG))
        admin.answers[f"{PATH}/update"] = {"seq": 7, "row": task(0, title="task 0!", _seq=7)}
        await pilot.press("e")
        await _seen(app, f"{len(LONG):,} characters: enter opens your editor", "long words")
        await pilot.press("end", "!", "ctrl+s")
        await _seen(app, "✓ update Task t0000000")
        assert _sent(admin) == [{"title": "task 0!"}]


async def test_a_long_text_goes_through_the_editor_to_the_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what the editor changed is changed, but for the newline that it puts at the end."""
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "the end\\n" >> "$1"\nprintf %s "$1" > "$0.named"\n')
    editor.chmod(0o700)
    monkeypatch.setenv("VISUAL", str(editor))
    monkeypatch.setattr(Dashboard, "suspend", lambda _: nullcontext())
    async with opened((80, 24)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        admin.answers[PATH] = whole(task(0, note=LONG))
        admin.answers[f"{PATH}/update"] = {"seq": 7, "row": task(0, _seq=7)}
        await pilot.press("e")
        await _seen(app, "enter opens your editor")
        await pilot.press("tab", "tab", "tab", "tab", "enter")
        await _seen(app, f"{len(LONG) + len('the end'):,} characters")
        assert not Path((tmp_path / "editor.named").read_text()).exists()
        await pilot.press("ctrl+s")
        await _seen(app, "✓ update Task t0000000")
        assert _sent(admin) == [{"note": f"{LONG}the end"}]


async def test_where_no_editor_can_be_opened_it_is_said_and_the_text_stays() -> None:
    """A terminal that can't be lent, as in a browser."""
    async with opened((80, 24)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        admin.answers[PATH] = whole(task(0, note=LONG))
        await pilot.press("e")
        await _seen(app, "enter opens your editor")
        await pilot.press("tab", "tab", "tab", "tab", "enter")
        await until(app, lambda text: "no editor can be opened here" in text)
        assert f"{len(LONG):,} characters" in shown(app)
