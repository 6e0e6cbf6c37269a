"""References say what the row is called that they lead to, as far as whoever looks may read it."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from pylon.client.admin import AdminError
from pylon.tui.dashboard import Dashboard
from tests.screens.data_fakes import ADA, FakeTable, task
from tests.screens.fakes import ScriptedAdmin, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import open_tasks
from tests.screens.test_users_screen import _seen

BOB = {"id": "u-bob", "name": "Bob", "_seq": 2}


class Owners(FakeTable):
    """Owners of whom somebody else reads fewer."""

    def __init__(self, rows: list[dict[str, Any]], seen_by_others: set[str]) -> None:
        super().__init__(rows)
        self._seen_by_others = seen_by_others

    def __call__(self, given: dict[str, Any]) -> dict[str, Any]:
        """Answer as to whom it is."""
        found = super().__call__(given)
        if given.get("as"):
            found["rows"] = [one for one in found["rows"] if one["id"] in self._seen_by_others]
        return found


async def _opened(
    app: Dashboard, admin: ScriptedAdmin, pilot: Pilot[int]
) -> tuple[FakeTable, Owners]:
    """Open tasks of two owners."""
    table = await open_tasks(app, admin, pilot)
    table.rows[1] = task(1, ownerId="u-bob")
    owners = Owners([dict(ADA), dict(BOB)], {"u-ada"})
    admin.answers["admin/data/Owner"] = owners
    admin.say(status(head=1))
    return table, owners


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_a_reference_says_what_it_leads_to_and_its_id_under_the_cursor(
    size: tuple[int, int],
) -> None:
    """One question for all that are in sight; asked again when something was written."""
    async with opened(size) as (app, admin, pilot):
        _, owners = await _opened(app, admin, pilot)
        text = await _seen(app, "Ada", "Bob")
        assert "u-ada" not in text
        await pilot.press("l", "l", "l", "l")
        text = await _seen(app, "‹ownerId", "u-ada", "u-bob")
        assert "Ada" not in text, "what is filtered, sorted and copied is the id"
        await pilot.press("h")
        await _seen(app, "Ada")
        asked = len(owners.asked)
        assert asked <= 3
        owners.rows[0]["name"] = "Ada Lovelace"
        admin.say(status(head=2))
        await _seen(app, "Ada Lovelace")


async def test_as_somebody_no_row_lends_a_word_that_he_may_not_read() -> None:
    """Asked as him and as of when he looks; what the owner saw is forgotten before."""
    async with opened() as (app, admin, pilot):
        _, owners = await _opened(app, admin, pilot)
        await _seen(app, "Ada", "Bob")
        before = len(owners.asked)
        app.state.data.look_as("eve@example.com")
        app.pane.keep_current()
        assert app.state.data.labels == {}
        text = await _seen(app, "as eve@example.com", "Ada", "u-bob")
        assert "Bob" not in text
        assert [one["as"] for one in owners.asked[before:]] == ["eve@example.com"]
        app.state.data.stand(1)
        await until(app, lambda _: owners.asked[-1]["as_of"] == 1)


async def test_what_cannot_be_asked_stays_an_id() -> None:
    """And it is asked again after a rest, not with every frame."""
    async with opened() as (app, admin, pilot):
        await _opened(app, admin, pilot)
        asked: list[dict[str, Any]] = []

        def refuse(given: dict[str, Any]) -> dict[str, Any]:
            asked.append(given)
            raise AdminError("it cannot be read")

        admin.answers["admin/data/Owner"] = refuse
        app.state.data.look_as("eve@example.com")
        app.draw()
        await _seen(app, "as eve@example.com", "u-ada", "u-bob")
        await until(app, lambda _: bool(asked))
        await pilot.pause(0.5)
        assert len(asked) == 1
