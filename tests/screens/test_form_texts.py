"""The form of a row, and texts that its fields can't hold as they are."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App

from pylon.testing.grid import shown
from pylon.tui.screens.row_form import RowForm
from tests.screens.data_fakes import data_field

#: Line ends of two kinds, and what Unicode takes for one: an area of text has one kind alone.
BREAKS = "a\r\nb\nc\u2028d\x85e"
FIELDS = [
    data_field("title", "str", required=True), data_field("note", "text", nullable=True),
    data_field("extra", "json", nullable=True), data_field("sign", "str", nullable=True),
]  # fmt: skip
ROW = {"id": "t1", "title": "one", "note": BREAKS, "extra": {"x": BREAKS}, "sign": '""', "_seq": 1}


@pytest.mark.parametrize("is_new", [False, True])
async def test_what_nobody_touched_stays_as_it_was(is_new: bool) -> None:
    """Another field is saved, and those are not sent; of a row like it they are sent as they came.

    Who changed nothing is not asked whether to throw it away.
    """
    saved: list[dict[str, Any]] = []
    app: App[None] = App()
    async with app.run_test(size=(100, 40)) as pilot:
        form = RowForm(
            "Task", FIELDS, ROW, lambda values, _: saved.append(values), is_new=is_new
        )  # fmt: skip
        await app.push_screen(form)
        await pilot.press("escape")
        await pilot.pause()
        assert "Leave without" not in shown(app)
        assert app.screen is not form
        form = RowForm(
            "Task", FIELDS, ROW, lambda values, _: saved.append(values), is_new=is_new
        )  # fmt: skip
        await app.push_screen(form)
        await pilot.press("end", "!", "ctrl+s")
        await pilot.pause()
    rest = {name: ROW[name] for name in ("note", "extra", "sign")}
    assert saved == [{"title": "one!", **(rest if is_new else {})}]
