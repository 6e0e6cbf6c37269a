"""Which branches of the policies a run takes: counted, sampled, written, shown."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pylon import jsonvalue
from pylon.cli.main import cli
from pylon.client.admin import AdminClient
from pylon.client.connection import ServerRefused
from pylon.testing import running
from tests.conftest import Serve

APP = """
from __future__ import annotations
from pylon import App, Entity, Ref, actor, field

app = App("notes")

@app.entity(
    read="isOwner() || hasRole('clerk')",
    insert="isOwner()",
    update="isOwner()",
    delete="isOwner() && data.title == 'x' || hasRole('clerk')",
)
class Note(Entity):
    owner: Ref["User"] = field(default=actor)
    title: str
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of its own."""
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "app.py").write_text(APP, encoding="utf-8")
    return folder


def _found(project: Path) -> dict[str, dict[str, Any]]:
    stored = jsonvalue.parse((project / ".pylon" / "policy-coverage.json").read_bytes())
    return stored["policies"]


async def _policies(*arguments: str) -> Result:
    """Run the command beside the loop: it has one of its own."""
    return await asyncio.to_thread(CliRunner().invoke, cli, ["policies", *arguments])


def _branches(found: dict[str, Any]) -> list[tuple[int, int, int]]:
    return [(one["true"], one["false"], one["unknown"]) for one in found["branches"]]


async def test_tests_of_one_process_add_up(project: Path) -> None:
    """Writes are counted as they are judged; the next test goes on from there."""
    for title in ("x", "y"):
        async with running(project, policy_coverage=True) as rt:
            ada = await rt.user("ada@example.com")
            note = await ada.insert("Note", title=title)
            try:
                await ada.delete("Note", note.id)
            except ServerRefused:
                assert title == "y"
    delete = _found(project)["Note.delete"]
    # The whole, isOwner() && title, isOwner(), title, hasRole: title decided once each way.
    assert _branches(delete) == [(1, 1, 0), (1, 1, 0), (2, 0, 0), (1, 1, 0), (0, 1, 0)]
    said = (await _policies(str(project), "--coverage")).output
    assert "✗ never true  the caller has the role clerk: true 0, false 1, unknown 0" in said
    assert "✗ always true  its owner is the caller: true 2, false 0, unknown 0" in said
    rows = jsonvalue.parse((await _policies(str(project), "--coverage", "--json")).output.encode())[
        "rows"
    ]
    assert {row["access"]: row["coverage"]["asked"] for row in rows if row["entity"] == "Note"}[
        "delete"
    ] == 2
    (project / "app.py").write_text(APP.replace("data.title == 'x'", "data.title == 'z'"))
    said = (await _policies(str(project), "--coverage")).output
    assert "not counted (the policy is new, or another now)" in said


async def test_nothing_is_counted_unless_asked_for(project: Path) -> None:
    """No file appears beside the app, and the command says how to get one."""
    async with running(project) as rt:
        await (await rt.user("ada@example.com")).insert("Note", title="x")
    assert not (project / ".pylon").exists()
    result = await _policies(str(project), "--coverage")
    assert result.exit_code == 1
    assert "--policy-coverage" in result.output


async def test_lists_are_sampled(serve: Serve) -> None:
    """What SQLite answered is asked again of rows that were returned and of others."""
    served = await serve(APP, extra=("--policy-coverage",))
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    await ada.insert("Note", title="x")
    before = (await bob.get("/api/entities/Note")).body["rows"]
    assert before == []
    await ada.get("/api/entities/Note")
    token = next(Path(served.state).glob("run/*/token")).read_text().strip()
    admin = AdminClient(served.url, token=token)
    async with asyncio.timeout(60):
        while True:
            found = await admin.get("admin/policies")
            row = next(one for one in found["rows"] if one["access"] == "read")
            if row["coverage"]["sampled"]:
                break
            await asyncio.sleep(0.1)
    assert found["coverage_is_live"] is True
    assert _branches(row["coverage"])[1][:2] == (1, 1) or row["coverage"]["asked"] > 0
    opened = APP.replace("isOwner() || hasRole('clerk')", "hasRole('clerk')")
    (served.project / "app.py").write_text(opened)
    assert (await admin.post("admin/reload", {}))["ok"]
    await ada.get("/api/entities/Note")
    await admin.close()
    await served.stop()
    stored = _found(served.project)
    assert stored["Note.read"]["policy"] == "hasRole('clerk')"
    assert stored["Note.insert"]["asked"] == 1, "what stayed goes on over a reload"
    assert _branches(stored["Note.read"])[0][0] == 0
    assert stored["Note.read"]["sampled"] >= 1
