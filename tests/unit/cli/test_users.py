"""`pylon users` on a closed database: each verb does what it says, and says what it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pylon import jsonvalue
from pylon.cli.main import cli
from pylon.cli.users import _every
from pylon.client.admin import AdminError
from pylon.server.auth import people


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path / "club"
    folder.mkdir()
    (folder / "app.py").write_text("from pylon import App\napp = App('club')\n")
    return folder


def _said(project: Path, *arguments: str, code: int = 0) -> str:
    asked = CliRunner().invoke(cli, [*arguments, "--project", str(project)])
    assert asked.exit_code == code, asked.output
    return asked.output or str(asked.exception)


def test_an_account_is_invited_looked_at_locked_out_and_deleted(project: Path) -> None:
    """From the first invitation to the end, before the app has ever run."""
    assert "no accounts yet" in _said(project, "users", code=1)
    assert "/auth/link#t=" in _said(project, "users", "invite", "ada@example.com", "--role", "boss")
    shown = jsonvalue.parse(_said(project, "users", "show", "ada@example.com", "--json").encode())
    assert (shown["roles"], shown["totp"], shown["disabled"]) == (["boss"], False, False)
    assert "state    invited" in _said(project, "users", "show", "ada@example.com")
    assert "is disabled" in _said(project, "users", "disable", "ada@example.com")
    assert "disabled" in _said(project, "users", "--search", "BOSS")
    assert "no account has nobody" in _said(project, "users", "--search", "nobody", code=1)
    assert "is enabled" in _said(project, "users", "enable", "ada@example.com")
    _said(project, "token", "ada@example.com", "--name", "made")
    listed = jsonvalue.parse(_said(project, "users", "show", "ada@example.com", "--json").encode())
    (session,) = listed["sessions"]
    line = f"  {session['id']}  token    made"
    assert line in _said(project, "users", "show", "ada@example.com")
    assert "2 ended" in _said(project, "users", "revoke", "ada@example.com")
    assert "had no second factor" in _said(project, "users", "reset-factor", "ada@example.com")
    assert "there is no account" in _said(project, "users", "show", "eve@example.com", code=1)
    assert "is deleted" in _said(project, "users", "delete", "ada@example.com", "--yes")
    assert "no accounts yet" in _said(project, "users", code=1)


@pytest.mark.parametrize("option", [("--project", "elsewhere"), ("--json",)])
def test_options_in_front_of_a_verb_are_refused(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...]
) -> None:
    """They would be left out, and the verb act on the project of this folder."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "app.py").write_text("from pylon import App\napp = App('x')\n")
    _said(project, "users", "invite", "ada@example.com")
    monkeypatch.chdir(project)
    words = ["users", *(str(tmp_path / one) if one == "elsewhere" else one for one in option)]
    asked = CliRunner().invoke(cli, [*words, "disable", "ada@example.com"])
    assert asked.exit_code == 2
    assert "options stand behind disable" in asked.output
    shown = jsonvalue.parse(_said(project, "users", "show", "ada@example.com", "--json").encode())
    assert not shown["disabled"]
    assert _said(project, "users", "list") == _said(project, "users")


def test_all_accounts_are_listed_however_many_there_are(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, none cut off and none twice."""
    monkeypatch.setattr(people, "_LIST_MAX", 2)
    emails = [f"u{n}@example.com" for n in range(5)]
    for email in emails:
        _said(project, "users", "invite", email)
    listed = jsonvalue.parse(_said(project, "users", "--json").encode())
    assert [one["email"] for one in listed] == emails
    found = jsonvalue.parse(_said(project, "users", "--search", "u3", "--json").encode())
    assert [one["email"] for one in found] == ["u3@example.com"]


def test_links_are_made_with_what_the_env_file_says(project: Path) -> None:
    """Secrets of providers and the origin stand there; a closed project reads it, too."""
    (project / "pylon.toml").write_text(
        "[auth]\nmethods = ['magic', 'oauth']\n[auth.oauth.github]\nclient_id = 'env:CLUB_ID'\n"
    )
    assert "CLUB_ID" in _said(project, "login-link", "ada@example.com", code=1)
    (project / ".env").write_text("CLUB_ID=x\nPYLON_SERVER_ORIGINS=https://club.example\n")
    assert "https://club.example/auth/link#t=" in _said(project, "login-link", "ada@example.com")
    assert "https://club.example/auth/link#t=" in _said(project, "users", "invite", "b@example.com")


async def test_pages_that_lead_nowhere_end() -> None:
    """A runtime of another version that tells one page again and again is not asked for ever."""

    async def page(after: str | None) -> dict[str, Any]:
        return {"users": [{"id": "u1"}], "next": "same"}

    with pytest.raises(AdminError, match="again and again"):
        await _every(page)
