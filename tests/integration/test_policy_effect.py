"""What a reload that changes a policy changes for whom, over real callers and rows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pylon.client.admin import AdminClient
from pylon.testing.served import ServedProject
from tests.conftest import Serve

APP = """
from __future__ import annotations
from pylon import App, Entity, Ref, actor, field

app = App("notes")

@app.entity(read="isOwner()", insert="isOwner()", update="isOwner()")
class Note(Entity):
    owner: Ref["User"] = field(default=actor)
    is_public: bool = False
    left: str | None = None

@app.query(allow="hasRole('clerk')")
def count(ctx): return 1
"""


def _admin(served: ServedProject) -> AdminClient:
    token = next(Path(served.state).glob("run/*/token")).read_text().strip()
    return AdminClient(served.url, token=token)


async def _after(admin: AdminClient, served: ServedProject, text: str) -> dict[str, Any]:
    """Save, reload, and return what the stream tells of it."""
    (served.project / "app.py").write_text(text)
    stream = admin.stream()
    async with asyncio.timeout(60):
        async for message in stream:
            if message["type"] == "status":
                answer = await admin.post("admin/reload", {})
                assert answer["ok"], answer
                break
        async for message in stream:
            if message["type"] == "policy_change" and message.get("is_news", True):
                return message
    raise AssertionError("the stream ended")


async def test_gains_and_losses_are_told_per_caller(serve: Serve) -> None:
    """Rows gained and lost by sampled callers, with examples, and one line for log and screen."""
    served = await serve(APP)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    public = [await ada.insert("Note", is_public=True) for _ in range(3)]
    await ada.insert("Note")
    await bob.insert("Note")
    admin = _admin(served)
    opened = APP.replace('read="isOwner()"', 'read="isOwner() || data.is_public == true"')
    told = await _after(admin, served, opened.replace("hasRole('clerk')", "auth.userId != null"))
    (note, count) = told["changes"]
    assert {one["who"]: (one["gained"], one["lost"]) for one in note["effects"]} == {
        "anonymous": (3, 0),
        "bob@example.com": (3, 0),
    }
    assert set(note["effects"][0]["gained_ids"]) == {row["id"] for row in public}
    assert (note["sampled"], note["total"], note["users"]) == (5, 5, 3)
    assert note["before"] == "its owner is the caller"
    assert {one["who"] for one in count["effects"]} == {"ada@example.com", "bob@example.com"}
    assert told["line"] == (
        "Note.read: anonymous +3 rows, bob@example.com +3 (of 5 sampled); "
        "count(): ada@example.com may call it now, bob@example.com may call it now"
    )
    async with asyncio.timeout(60):
        while f"policy.changed {told['line']}" not in served.output:
            await asyncio.sleep(0.02)
    told = await _after(admin, served, APP.replace('read="isOwner()"', "read=\"hasRole('x')\""))
    note = told["changes"][0]
    assert {one["who"]: (one["gained"], one["lost"]) for one in note["effects"]} == {
        "anonymous": (0, 3),
        "ada@example.com": (0, 4),
        "bob@example.com": (0, 4),
    }
    # Inserts are about rows to come; a field that went takes its policy with it.
    left = APP.replace('read="isOwner()"', 'read="data.left == null"')
    await _after(admin, served, left)
    gone = left.replace("    left: str | None = None\n", "").replace(
        'read="data.left == null", insert="isOwner()"', 'read="isOwner()", insert="hasRole(\'x\')"'
    )
    told = await _after(admin, served, gone)
    notes = {f"{one['subject']}.{one['access']}": one["note"] for one in told["changes"]}
    assert notes["Note.insert"] == "it is about rows that are not there yet"
    assert notes["Note.read"].startswith("it can't be measured: no such column: t.left")
    await admin.close()
