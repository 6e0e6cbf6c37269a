"""The Policies screen: the matrix in words, flags, and what the last reload changed for whom."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.testing.grid import grid, shown
from tests.screens.fakes import AT, status
from tests.screens.test_dashboard import opened, until

CHANGE: dict[str, Any] = {
    "type": "policy_change", "at": AT, "generation": 2, "ms": 3.0,
    "line": "Note.read: bob +12 rows, anonymous +340 (of 2,000 sampled)",
    "changes": [
        {"subject": "Note", "access": "read", "before": "never", "now": "always", "note": "",
         "sampled": 2000, "total": 9000, "users": 4,
         "effects": [{"who": "bob\x1b[31m", "roles": ["clerk"], "gained": 12, "lost": 0,
                      "gained_ids": ["n1", "n2"], "lost_ids": []}]},
        {"subject": "Note", "access": "insert", "before": "never", "now": "always",
         "note": "it is about rows that are not there yet", "sampled": 0, "total": 0, "users": 0,
         "effects": []},
    ],
}  # fmt: skip


def _flag(name: str, detail: str = "", at: int | None = None, *, is_note: bool = False) -> Any:
    return {"name": name, "detail": detail, "at": at, "is_note": is_note}


def _row(entity: str, access: str, words: str, *flags: Any, **changed: Any) -> dict[str, Any]:
    return {
        "entity": entity, "access": access, "policy": "isOwner()", "in_words": words,
        "file": "app.py", "line": 10, "flags": list(flags), "not_decided": [],
        "coverage": None, **changed,
    }  # fmt: skip


MATRIX: dict[str, Any] = {
    "generation": 1,
    "rows": [
        _row("Note", "read", "always", _flag("open to the world"), _flag("always true")),
        _row("Note", "update", "the caller is its \x1b[31mowner", policy="isOwner()"),
        _row("Note", "delete", "the caller has the role ghost",
             _flag("unused role", "no account has the role ghost", 22),
             _flag("uses now", is_note=True),
             policy="isOwner()\n|| hasRole('ghost')", not_decided=["never true"],
             coverage={"asked": 6, "sampled": 0, "branches": [
                 {"depth": 0, "words": "all", "true": 4, "false": 2, "unknown": 0},
                 {"depth": 1, "words": "one", "true": 4, "false": 2, "unknown": 0},
                 {"depth": 1, "words": "two", "true": 0, "false": 2, "unknown": 0}]}),
        _row("Note", "insert", "nobody (no policy)", _flag("closed", is_note=True), policy=None),
    ],
    "roles_without_policy": ["boss"],
    "change": None,
}  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_the_matrix_is_in_words_with_its_flags(size: tuple[int, int]) -> None:
    """Each flag has a sign and a word, on small screens and on large ones."""
    async with opened(size) as (app, admin, pilot):
        admin.answers["admin/policies"] = MATRIX
        admin.say(status())
        await until(app, lambda text: "chat" in text)
        await pilot.press("9")
        text = await until(app, lambda text: "unused role" in text)
        lines = {"".join(line.split()[:2]): line for line in grid(app)}
        assert "! open +1" in lines["Noteread"]
        assert "✓" in lines["Noteupdate"]
        assert "! unused role" in lines["Notedelete"]
        assert "· closed" in lines["Noteinsert"]
        assert "boss" in text
        assert ("3 of 4" in lines["Notedelete"]) is (size[0] >= 100)
        assert "\x1b" not in text
        assert all(len(line) <= size[0] for line in grid(app))


async def test_details_show_the_text_with_carets() -> None:
    """Place, numbered lines, a caret below the role, every flag, and what was not decided."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/policies"] = MATRIX
        admin.say(status())
        await until(app, lambda text: "chat" in text)
        await pilot.press("9")
        await until(app, lambda text: "unused role" in text)
        await pilot.press("slash", *"ghost", "enter", "enter")
        text = await until(app, lambda text: "app.py:10" in text)
        lines = [line.strip(" │") for line in text.splitlines()]
        place = next(at for at, line in enumerate(lines) if "|| hasRole('ghost')" in line)
        assert lines[place + 1].endswith("^ no account has the role ghost")
        raw = text.splitlines()
        assert raw[place].index("ghost") == raw[place + 1].index("^")
        assert "! unused role: no account has the role ghost" in lines
        assert "· uses now" in lines
        assert "? not decided: never true" in lines
        assert "coverage: 3 of 4 (asked: 6, sampled: 0)" in lines
        await pilot.press("escape", "escape")
        await until(app, lambda text: "app.py:10" not in text and " 3/5" in text)


async def test_a_reload_says_what_it_changed_for_whom() -> None:
    """One line at once, and on the Health screen; all of it behind enter on Policies."""
    async with opened((120, 30)) as (app, admin, pilot):
        admin.answers["admin/policies"] = {**MATRIX, "change": CHANGE}
        admin.say(status(), CHANGE)
        await until(app, lambda text: "bob +12 rows" in text)
        await pilot.press("0")
        await until(app, lambda text: "policies Note.read: bob +12 rows" in text)
        await pilot.press("9")
        await until(app, lambda text: "Δ 12:00" in text and "unused role" in text)
        await pilot.press("g", "enter")
        text = await until(app, lambda text: "before: never" in text)
        assert "bob�[31m (clerk)  +12 (n1, n2, …)" in text
        assert "4 callers, 2,000 of 9,000 rows" in text
        assert "not measured: it is about rows that are not there yet" in text
        assert "\x1b" not in shown(app)


async def test_what_was_changed_before_is_no_news() -> None:
    """A dashboard that comes later shows the last change, and says nothing."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/policies"] = {**MATRIX, "change": CHANGE}
        admin.say(status(), {**CHANGE, "is_news": False})
        await until(app, lambda text: "chat" in text)
        await pilot.press("9")
        await until(app, lambda text: "Δ 12:00" in text)
        assert not app._notifications


async def test_copying_a_policy() -> None:
    """The sentence, the expression, the details and JSON can be copied."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/policies"] = MATRIX
        admin.say(status())
        await until(app, lambda text: "chat" in text)
        await pilot.press("9")
        await until(app, lambda text: "unused role" in text)
        await pilot.press("g", "y")
        await until(app, lambda text: "in words: always" in text and "policy: isOwner()" in text)
