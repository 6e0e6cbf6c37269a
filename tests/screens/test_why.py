"""Key w: a row, a user, an access, and then why."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.client.admin import AdminError
from pylon.testing.grid import grid
from tests.screens.fakes import ScriptedAdmin, change, changes, client, details, status
from tests.screens.test_dashboard import opened, until

FLIP = "would pass if role of the Member m_1 were 'editor'"
EXISTS = "exists Member(teamId == data.teamId, userId == auth.userId, role == 'editor')"
FOUND: dict[str, Any] = {
    "allowed": False, "entity": "Message", "id": "row-7", "access": "read",
    "policy": f"auth.isAdmin || {EXISTS}", "decided_by": f"hasRole('admin') || {EXISTS}",
    "flip": FLIP,
    "tree": {
        "kind": "any", "text": "…", "value": "false", "decides": True,
        "items": [
            {"kind": "test", "text": "hasRole('admin')", "value": "false",
             "operands": {"auth.roles": []}},
            {"kind": "exists", "text": EXISTS, "value": "unknown",
             "operands": {"data.teamId": "t_\x1b[31m7", "auth.userId": None},
             "nearest": {"id": "m_1", "role": "viewer"}, "misses": ["role == 'editor'"],
             "flip": FLIP},
        ],
    },
}  # fmt: skip
USERS = {"users": [{"email": "ada@example.com", "id": "u1"}, {"email": None, "id": "guest-1"}]}


def _answers(admin: ScriptedAdmin) -> None:
    admin.answers["admin/users"] = USERS
    admin.answers["admin/explain"] = FOUND


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_why_from_the_log(size: tuple[int, int]) -> None:
    """The row of the line, a user that is completed, an access; flip on top, decider marked."""
    async with opened(size) as (app, admin, pilot):
        _answers(admin)
        admin.say(status(head=7), changes(change(7)))
        await until(app, lambda text: "row-7" in text)
        await pilot.press("w")
        await until(app, lambda text: "As whom" in text)
        await pilot.press("a", "d")
        await until(app, lambda text: "ada@example.com" in text.split("As whom")[1])
        await pilot.press("right", "enter")
        await until(app, lambda text: "Why may ada@example.com" in text)
        await pilot.press("enter")
        text = await until(app, lambda text: "denied" in text)
        lines = grid(app)
        assert len(lines) == size[1]
        assert "✗ denied  read Message row-7  as ada@example.com" in lines[1]
        assert f"→ {FLIP}" in lines[2]
        for words in ("any of  ◀ decided", "✗ false   hasRole('admin')", "? unknown exists",
                      "auth.userId = absent", "nearest m_1", "misses role =="):  # fmt: skip
            assert words in text, words
        assert "\x1b" not in text
        asked = [body for path, body in admin.asked if path == "admin/explain"]
        assert asked[0] == {
            "entity": "Message", "id": "row-7", "as": "ada@example.com", "access": "read"
        }  # fmt: skip
        await pilot.press("y")
        await until(app, lambda _: "✗ denied  read" in app.clipboard)
        assert FLIP in app.clipboard
        await pilot.press("a")
        await pilot.pause()
        assert admin.asked[-1][1]["access"] == "insert"
        await pilot.press("u", *"anonymous", "enter")
        await until(app, lambda text: "as anonymous" in text)
        await pilot.press("escape")
        await until(app, lambda text: "Log" in text.splitlines()[0])


async def test_why_as_the_user_of_a_client() -> None:
    """On Clients the user is known and the row is asked for; what is not there is said."""
    async with opened() as (app, admin, pilot):
        _answers(admin)
        ada = client("ada")
        admin.answers["admin/clients/client-ada"] = details(ada, change(8, kind="delete", row=None))
        admin.say(status(head=9), {"type": "clients", "clients": [ada]})
        await pilot.press("4")
        await until(app, lambda text: "ada@example.com" in text)
        await pilot.press("w")
        await until(app, lambda text: "entity and row" in text)
        await pilot.press(*"Message", "enter")
        await until(app, lambda text: "a space, and the id" in text)
        await pilot.press("space", *"m1", "enter")
        await until(app, lambda text: "read it" in text)
        await pilot.press("down", "enter")
        await until(app, lambda text: "denied" in text)
        assert admin.asked[-1][1] == {
            "entity": "Message", "id": "m1", "as": "ada@example.com", "access": "insert"
        }  # fmt: skip
        await pilot.press("escape", "enter")
        await until(app, lambda text: "unseen   1 change" in text)

        async def gone(path: str, body: dict[str, Any]) -> dict[str, Any]:
            raise AdminError("there is no Message row-8", answer={"hint": "did you mean row-9?"})

        admin.post = gone  # type: ignore[method-assign]
        await pilot.press("w")
        await until(app, lambda text: "read it" in text)
        await pilot.press("enter")
        text = await until(app, lambda text: "there is no Message row-8" in text)
        assert "did you mean row-9?" in text


async def test_the_help_lists_it_and_elsewhere_it_says_where_it_works() -> None:
    """`?` names w; on a screen without rows it is no riddle."""
    async with opened((100, 60)) as (app, admin, pilot):
        admin.say(status())
        await pilot.press("question_mark")
        await until(app, lambda text: "Why may a user, or not" in text)
        await pilot.press("slash", *"its user")  # wherever it stands, the search finds it
        await until(app, lambda text: "Why may its user see the change" in text)
        await pilot.press("escape")
        await until(app, lambda text: "/ search" not in text)
        await pilot.press("m", "w")
        await until(app, lambda text: "w asks about a row of the Log" in text)
