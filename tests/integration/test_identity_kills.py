"""Kills in the middle of what changes who somebody is and what he sees: all of it, or nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pylon.server.storage.migration_plan import stored_schema
from pylon.server.storage.verify import verify
from tests.integration.identity_steps import STEPS, People, cut_off
from tests.integration.killing import KilledProject
from tests.integration.oidc_provider import OidcProvider

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
#: Before and after the commit, and once the answer is out; with a larger scale between the others.
POINTS = ["commit.before:1", "commit.after:1"] + (
    ["answer.sent:1", "commit.during:1", "commit.before:2", "commit.after:2"] if SCALE > 1 else []
)
APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, Text, field, index

app = App("kills")
ALL = "auth.userId != null"


@app.entity(read=ALL, insert=ALL, update=ALL, delete=ALL)
class Room(Entity):
    name: str = ""


@app.entity(read=ALL, insert=ALL, update=ALL, delete=ALL)
class Member(Entity):
    roomId: str
    userId: Ref["User"] = field(on_delete="cascade")

    by_room = index("roomId", "userId")


@app.entity(read="exists Member(roomId == data.roomId, userId == auth.userId)",
            insert=ALL, update=ALL, delete=ALL)
class Message(Entity):
    roomId: str
    ownerId: Ref["User"] = field(on_delete="cascade")
    text: Text = field(search=True)

    by_room = index("roomId")
"""


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[People]:
    provider = OidcProvider()
    await provider.start()
    project = tmp_path / "app"
    project.mkdir()
    (project / "app.py").write_text(APP)
    (project / "pylon.toml").write_text(
        '[auth]\nmethods = ["magic", "oauth", "password", "guest"]\n' + provider.section()
    )
    served = KilledProject(project, tmp_path / "state")
    yield People(served, provider)
    await served.close()
    await provider.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_leaves_all_of_a_step_or_nothing(
    people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Each step in turn; then the log folds, no account is double, and no link or row is lost."""
    served, armed = people.served, tmp_path / "armed"
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    path = served.project / ".pylon" / "app.db"

    def rows(sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(sql, params).fetchall()

    kills = 0
    assert await served.start_until(f"{point}:{armed}") is None, served.output
    for step in STEPS:
        act, check = await step(people)
        armed.touch()
        answer = await cut_off(act)
        if answer is None:
            assert await served.killed(5), (step, point)
        kills += answer is None
        await served.stop(signal.SIGKILL)
        armed.unlink()
        assert await served.start_until(f"{point}:{armed}") is None, served.output
        await check(answer, rows)
        _check_all(path)
    assert kills == len(STEPS) or not point.startswith("commit.") or point.endswith("2"), kills


def _check_all(path: Path) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        assert verify(database, stored_schema(database)) == []

        def none(sql: str) -> None:
            assert database.execute(sql).fetchall() == [], sql

        none("SELECT id FROM _pylon_accounts EXCEPT SELECT id FROM User")
        none("SELECT id FROM User EXCEPT SELECT id FROM _pylon_accounts")
        for table in ("sessions", "passwords", "totp", "recovery", "identities"):
            none(f"SELECT user_id FROM _pylon_{table} EXCEPT SELECT id FROM _pylon_accounts")
        none(
            "SELECT seq FROM _pylon_log AS l WHERE entity = 'Member' AND NOT EXISTS (SELECT 1 FROM"
            " _pylon_log WHERE tx = l.tx AND kind = 'slice' AND entity = 'Message')"
        )
        none(
            "SELECT seq FROM _pylon_log AS l WHERE kind = 'slice' AND NOT EXISTS (SELECT 1 FROM"
            " _pylon_log WHERE tx = l.tx AND kind <> 'slice')"
        )
