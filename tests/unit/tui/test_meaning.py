"""Whom the beginning of an address means."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pylon.tui import meaning
from pylon.tui.meaning import begun_by


def _account(number: int, email: str | None) -> dict[str, Any]:
    return {"id": f"u{number}", "email": email}


def test_an_address_is_meant_by_its_beginning() -> None:
    """Large or small; not by what stands inside of it, nor is one without an address."""
    accounts = [_account(1, "Ada@a.example"), _account(2, "bob@ada.example"), _account(3, None)]
    assert begun_by("ADA", accounts) == ["Ada@a.example"]


def test_the_id_of_an_account_is_itself() -> None:
    """Though somebody's address may begin with it."""
    accounts = [_account(1, "u1@a.example"), _account(2, "u1.too@a.example")]
    assert begun_by("u1", accounts) == []


@pytest.mark.parametrize(("others", "searches"), [(3, ["ada"]), (200, ["ada", "email:ada"])])
async def test_who_is_not_among_the_first_is_looked_for_by_address(
    monkeypatch: pytest.MonkeyPatch, others: int, searches: list[str]
) -> None:
    """A word may stand anywhere in an account: a full page of those need not have the one."""
    asked: list[str] = []
    ada = _account(1_000, "ada@a.example")

    async def get(path: str, search: str, limit: int) -> dict[str, Any]:
        asked.append(search)
        of_others = [_account(n, f"o{n}@ada.example") for n in range(others)]
        return {"users": [ada] if search.startswith("email:") else of_others[:limit]}

    monkeypatch.setattr(meaning, "say", lambda *_, **__: None)
    meant: list[str] = []
    app: Any = SimpleNamespace()
    admin: Any = SimpleNamespace(get=get)
    await meaning._as_whom(app, admin, "ada", meant.append)
    assert asked == searches
    assert meant == ["ada" if others < 200 else "ada@a.example"]
