"""Texts of a million characters: as much of them is laid out as can be, once, and keys go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from textual.widgets import Static

from pylon.printable import LAID_OUT_CHARACTERS_MAX, beginning, clean
from pylon.tui import columns
from pylon.tui.columns import Column, data_line
from pylon.tui.dialogs import Details
from tests.screens.fakes import status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_settings_screen import _answer

MILLION: Final = 1_000_000
LONG: Final = "\x1b" + "y" * (MILLION - 1)
#: What is said of the rest.
MORE: Final = f"… {MILLION - LAID_OUT_CHARACTERS_MAX:,} characters more"


def test_a_beginning_is_whole_where_it_can_be() -> None:
    """What is not too long stays as it is; of what is, it is said how much there is more."""
    exact = "x" * LAID_OUT_CHARACTERS_MAX
    assert beginning(exact) == exact
    assert (
        beginning(f"{exact}y", ": y copies all") == f"{exact} …\n… 1 characters more: y copies all"
    )


async def test_what_is_wrong_is_laid_out_in_part_and_once() -> None:
    """An error of a million characters, in a reload: news of each second draw it no more."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.say(status())
        app.take_reload(ok=False, note="app.py", plan="", mistakes=(f"app.py:1:1: {LONG}",))
        await pilot.press("0")
        await until(app, lambda text: "�yyyyy" in text)
        text = app.pane.query_one("#trouble-text", Static)
        assert len(str(text.content)) < LAID_OUT_CHARACTERS_MAX + 100
        drawn: list[Any] = []
        text.update = drawn.append  # type: ignore[method-assign,assignment]
        admin.say(status(head=7))
        await until(app, lambda text: "head 7" in text)
        assert drawn == []
        app.take_reload(ok=True, note="generation 2", plan="", mistakes=())
        await until(app, lambda text: "�yyyyy" not in text)


async def test_details_show_the_beginning_and_copy_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is in the pager; it is said how much that is."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.say(status())
        copied: list[str] = []
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        app.push_screen(Details("line", LONG))
        await until(app, lambda text: "esc back" in text)
        assert len(str(app.screen.query_one(Static).content)) < LAID_OUT_CHARACTERS_MAX + 100
        await pilot.press("G")
        await until(app, lambda text: f"{MORE}: P shows all in the pager" in text)
        await pilot.press("y")
        assert copied == [LONG]


async def test_mistakes_of_settings_are_laid_out_in_part(tmp_path: Path) -> None:
    """They quote what they complain of."""
    async with opened((100, 30)) as (app, admin, _):
        toml = f"[server]\nport = '{'y' * MILLION}'\n"
        admin.answers["admin/settings"] = _answer(tmp_path, toml)
        admin.say(status())
        app.action_pane("settings")
        await until(app, lambda text: "server.port is an integer" in text and "'yyyy" in text)
        drawn = str(app.pane.query_one("#settings-mistakes-text", Static).content)
        assert len(drawn) < LAID_OUT_CHARACTERS_MAX + 100


@pytest.mark.parametrize("keeps_end", [False, True])
def test_of_a_cell_no_more_is_looked_at_than_can_be_seen(
    monkeypatch: pytest.MonkeyPatch, keeps_end: bool
) -> None:
    """Each frame draws each line: what is beyond the cell is neither cleaned nor measured."""
    looked: list[int] = []

    def seen(text: object) -> str:
        looked.append(len(str(text)))
        return clean(text)

    monkeypatch.setattr(columns, "clean", seen)
    cells = ((f"begin {LONG} end", "plain"), ("b", "plain"))
    shown = (Column("A", 20, keeps_end=keeps_end), Column("B", 4))
    cell = data_line(shown, cells, 80)[0][0]
    assert max(looked) < 1_000
    assert (
        (cell.startswith(" …") and cell.endswith("y end "))
        if keeps_end
        else cell == (" begin �yyyyyyyyyyyy… ")
    )
