"""`pylon policies` on a project that does not run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from pylon import jsonvalue
from pylon.cli.main import cli
from pylon.server.offline import open_people

APP = r"""
from __future__ import annotations
from pylon import App, Entity, Ref, actor, field

app = App("shop")

@app.entity(
    read="data.title == 'odd \x1b[31m name' || isOwner()",
    insert="isOwner()",
    update="isOwner() && hasRole('clerk')",
    delete="hasRole('ghost')",
)
class Order(Entity):
    owner: Ref["User"] = field(default=actor)
    title: str
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project that was never started."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "app.py").write_text(APP, encoding="utf-8")
    return folder


def _said(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["policies", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_sentences_and_flags_are_printed(project: Path) -> None:
    """One line for each policy, its flags below, and nothing that steers the terminal."""
    said = _said(str(project))
    assert "Order            insert  its owner is the caller\n" in said
    assert "! open to the world in part: no sign-in is needed\n" in said
    assert "· differs between update and delete\n" in said
    assert "\x1b" not in said
    assert "unused role" not in said
    assert not (project / ".pylon").exists()


def test_roles_are_held_against_the_accounts(project: Path) -> None:
    """Roles that nobody has, and those that no policy names, are told once there are accounts."""

    async def grant() -> None:
        async with open_people(project) as people:
            await people.change_role("ada@example.com", "clerk", grant=True)
            await people.change_role("ada@example.com", "boss", grant=True)

    asyncio.run(grant())
    said = _said(str(project))
    assert "! unused role: no account has the role ghost\n" in said
    assert "the role clerk\n" not in said.replace("the caller has the role clerk\n", "")
    assert said.endswith("! roles that accounts have and no policy names: boss\n")


def test_json_has_all_of_it(project: Path) -> None:
    """Texts, places, flags and what was not decided, for programs."""
    found = jsonvalue.parse(_said(str(project), "--json").encode())
    assert found["roles_without_policy"] is None
    row = next(one for one in found["rows"] if one["access"] == "update")
    assert row == {
        "entity": "Order", "access": "update", "policy": "isOwner() && hasRole('clerk')",
        "in_words": "its owner is the caller and the caller has the role clerk",
        "file": "app.py", "line": 10, "flags": [], "not_decided": [],
    }  # fmt: skip
