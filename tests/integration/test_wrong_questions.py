"""Questions that are put wrongly: told so, never answered as if half was not said."""

from __future__ import annotations

from pathlib import Path

from tests.integration.house import house

WRONG = (
    ("GET", "admin/jobs?stat=dead", None),
    ("GET", "admin/jobs?limit=-1", None),
    ("GET", "admin/log?befor=3", None),
    ("GET", "admin/users?find=ada", None),
    ("GET", "entities/Note/n1?includes=author", None),
    ("POST", "admin/jobs/retry", {"queue": ["mail"]}),
    ("POST", "admin/jobs/retry", {"name": 5}),
    ("POST", "admin/invite", {"email": "ada@example.com", "roles": [""]}),
    ("POST", "admin/invite", {"email": "ada@example.com", "roles": ["x" * 65]}),
    ("POST", "admin/invite", {"email": ".ada@example.com"}),
    ("POST", "auth/magic/send", {"email": "ada.@example.com"}),
)


async def test_what_is_asked_wrongly_is_told(tmp_path: Path) -> None:
    """Each is INVALID_ARGUMENT and names what is wrong; nobody was invited by half."""
    async with house(tmp_path) as at:
        owner, visitor = await at.program(), await at.program()
        owner.token = at.services.admin_tokens[0]
        for method, path, body in WRONG:
            who = owner if path.startswith("admin/") else visitor
            answer = await who.ask(method, f"/api/{path}", body)
            assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT"), (path, answer.body)
            assert answer.body["error"]["details"]["field"], path
        assert (await owner.get("/api/admin/users")).body["users"] == []
