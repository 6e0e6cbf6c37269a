"""Rows whose values are made to break a terminal: nothing of them is obeyed, and all of it fits."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from pylon.printable import clean
from pylon.testing.grid import grid, shown
from tests.screens.data_fakes import FakeTable, data_field, whole
from tests.screens.fakes import status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import SIZES
from tests.screens.test_users_screen import _seen

#: What steers terminals, writes from right to left, is two columns wide, or has no width at all.
NASTY = (
    "\x1b[2J\x1b]0;owned\x07", "\x9b31m red", "\u202egnorw ot thgir", "\u0634\u0644\u0627\u0645",
    "\u65e5\u672c\u8a9e" * 30, "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 20, "a\u0301" * 200,
    "\x00nul\x7f", "line\nline\r\ttab", "[bold red]markup[/] [@click=app.quit]x[/]", "\ufeff\u200b",
)  # fmt: skip
COLUMNS = 200
STEERING = {"\x1b", "\x9b", "\x07", "\u202e", "\x00", "\x7f", "\r"}


def _table() -> tuple[FakeTable, dict[str, object]]:
    """Return rows of two hundred columns, every value of them nasty, and their entity."""
    fields = [data_field(f"field{n}", "text" if n % 3 else "json") for n in range(COLUMNS)]
    rows = [
        {"id": f"r{at}{NASTY[at][:3]}", "_seq": at,
         **{one["name"]: NASTY[(at + n) % len(NASTY)] for n, one in enumerate(fields)}}
        for at in range(len(NASTY))
    ]  # fmt: skip
    rows[0]["field1"] = "x" * 1_000_000
    entity = {"name": "Wide", "doc": None, "sync": True, "fields": fields, "rows": len(rows),
              "bytes": 1}  # fmt: skip
    return FakeTable(rows), entity


@pytest.mark.parametrize("size", SIZES)
async def test_no_value_breaks_the_screen(size: tuple[int, int]) -> None:
    """Grid, whole row, columns, copies: what is drawn is harmless, and as wide as the screen."""
    async with opened(size) as (app, admin, pilot):
        table, entity = _table()
        admin.answers |= {"admin/data": {"entities": [entity]}, "admin/data/Wide": table}
        admin.answers[f"admin/data/Wide/{admin.quoted(table.rows[0]['id'])}"] = whole(table.rows[0])
        admin.say(status())
        await until(app, lambda text: "head 0" in text)

        def fits() -> None:
            lines = grid(app)
            assert len(lines) == size[1]
            assert all(cell_len(line) <= size[0] for line in lines)
            assert not STEERING & set(shown(app))

        await pilot.press("3")
        await _seen(app, "Wide", f"{len(NASTY)}")
        await pilot.press("enter")
        await _seen(app, f"1/{len(NASTY)}")
        fits()
        for _ in range(3):
            await pilot.press(*["right"] * 9, "down")
            fits()
        await pilot.press(*["right"] * (COLUMNS - 27))
        await _seen(app, f"‹field{COLUMNS - 1}")
        fits()
        await pilot.press("space", "g", "i")
        await _seen(app, "field0", "esc back")
        fits()
        await pilot.press("escape", "c")
        await _seen(app, "Columns", "field0")
        fits()
        await pilot.press("escape")
        await _seen(app, "1 marked")
        fits()


async def test_the_whole_of_a_large_value_is_copied_and_not_laid_out() -> None:
    """A million characters: the beginning is shown, with how many more there are."""
    async with opened() as (app, admin, pilot):
        table, entity = _table()
        entity["fields"] = [data_field("field1", "text")]
        row = {"id": "r", "_seq": 1, "field1": "y" * 1_000_000}
        admin.answers |= {
            "admin/data": {"entities": [entity]}, "admin/data/Wide": FakeTable([row]),
            "admin/data/Wide/r": whole(row),
        }  # fmt: skip
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        await pilot.press("3")
        await _seen(app, "Wide")
        await pilot.press("enter")
        await _seen(app, "1/1", "yyyy")
        await pilot.press("i")
        await _seen(app, "esc back", "field1")
        await pilot.press("G")
        await _seen(app, "992,000 characters more: y copies all")
        assert clean(table.rows[0]["field1"]) == table.rows[0]["field1"]
