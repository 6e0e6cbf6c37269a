"""Erasing a person: nothing of him is left in any file of the project, also after a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pylon.client.admin import AdminClient, AdminError
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve

ADA, BOB = "ada-canary@example.com", "bob@example.com"
KEY = {"Idempotency-Key": "asked-1"}
CANARY = "ada-wrote-this-canary"
APP = """
from __future__ import annotations

from pylon import App, Entity, File, Ref, Text, actor, field

app = App("diary", version="1")


@app.entity(read="auth.userId != null", insert="isOwner()", update="isOwner()", delete="isOwner()")
class Page(Entity):
    ownerId: Ref["User"] = field(default=actor, on_delete="cascade")
    text: Text = field(default="", search=True)
    picture: File | None = None


@app.entity(read="auth.userId != null", insert="true", update="true", delete="true")
class Remark(Entity):
    pageId: Ref["Page"] = field(on_delete="cascade")
    text: str = ""


@app.entity(read="auth.userId != null", insert="auth.userId != null", update="true")
class Task(Entity):
    forId: Ref["User"] | None = field(default=None, on_delete="set_null")
    text: str = ""


@app.entity(read="auth.userId != null", insert="auth.userId != null", delete="true")
class Deed(Entity):
    ownerId: Ref["User"] = field(default=actor)


@app.job
def note(ctx, text: str) -> str:
    return text


@app.job
def later(ctx, text: str):
    raise ValueError(text)


@app.workflow
async def wait(ctx, text: str):
    await ctx.sleep(86_400)


@app.mutation(allow="auth.userId != null")
def work(ctx, text: str, to: str) -> str:
    ctx.jobs.enqueue(note, text=text)
    ctx.jobs.enqueue(later, text=text, delay=3600)
    ctx.workflows.start(wait, text=text)
    ctx.mail.send(to, "hello", text)
    return text


@app.mutation(allow="auth.userId != null")
def about(ctx, page: str) -> str:
    return ctx.db.get(Page, page).text
"""


async def _lived_in(served: ServedProject) -> tuple[Caller, Caller, str]:
    """Have somebody leave traces everywhere; returns her, another, and her id."""
    ada, bob = await served.login(ADA), await served.login(BOB)
    ada_id = str(ada.user_id)
    picture = await ada.ask(
        "POST", "/api/files", data=f"{CANARY} bytes".encode(),
        headers={"Content-Type": "text/plain"},
    )  # fmt: skip
    assert picture.status == 201, picture.body
    page = await ada.insert("Page", text=CANARY, picture=picture.body["id"])
    gone = await ada.insert("Page", text=f"{CANARY} that she deleted herself")
    assert (await ada.ask("DELETE", f"/api/entities/Page/{gone['id']}")).status == 204
    await bob.insert("Remark", pageId=page["id"], text=f"under {CANARY}")
    task = await bob.insert("Task", forId=ada_id, text="water the plants")
    await ada.ask("PATCH", f"/api/entities/Task/{task['id']}", {"text": "done"})
    await ada.call("work", text=CANARY, to=ADA)
    told = await bob.ask(
        "POST", "/api/fn/about", {"page": page["id"]}, headers={"Idempotency-Key": "asked-1"}
    )
    assert told.body["value"] == CANARY
    return ada, bob, ada_id


def _places(folder: Path, *texts: str) -> list[str]:
    """Return which files of a project have one of these texts in them."""
    return [
        f"{path.relative_to(folder)}: {text}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for text in texts
        if text.encode() in path.read_bytes()
    ]


async def _until_mailed(served: ServedProject) -> None:
    for _ in range(600):
        if list((served.project / ".pylon" / "outbox").glob("*.eml")):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("no mail was written")


async def _erase(served: ServedProject, user: str) -> dict[str, Any]:
    (socket,) = (served.state / "run").glob("*/admin.sock")
    admin = AdminClient("http://127.0.0.1", socket_path=socket)
    try:
        return await admin.post(f"admin/users/{user}/erase", {}, is_patient=True)
    finally:
        await admin.close()


async def test_nothing_of_him_is_in_any_file(serve: Serve) -> None:
    """Rows, log, answers, jobs, runs, mail, bytes, search: not a byte; others' things stay."""
    served = await serve(APP)
    _, bob, ada_id = await _lived_in(served)
    await _until_mailed(served)
    data = served.project / ".pylon"
    assert len(_places(data, CANARY, ADA, ada_id)) > 5, "there is something to erase"
    done = await _erase(served, ada_id)
    assert done["email"] == ADA
    assert done["rows"] >= 4
    assert {key for key, value in done.items() if value == 0} == {"rows_left", "work_left"}
    assert _places(data, CANARY, ADA, ada_id) == []
    (task,) = (await bob.get("/api/entities/Task")).body["rows"]
    assert (task["forId"], task["text"]) == (None, "done")
    again = await bob.ask(
        "POST", "/api/fn/about", {"page": "x"}, headers={"Idempotency-Key": "asked-1"}
    )
    assert again.status in (200, 409), "the operation is remembered, without its answer"
    assert (await bob.get("/api/search/Page?q=canary")).body["rows"] == []
    with pytest.raises(AdminError, match="there is no account"):
        await _erase(served, ada_id)
    await served.stop()
    verified = subprocess.run(
        [sys.executable, "-m", "pylon", "verify", str(served.project)], check=False,
        env={**os.environ, "PYLON_STATE_DIR": str(served.state)}, capture_output=True, text=True,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def test_replicas_of_before_start_over(serve: Serve) -> None:
    """A cursor of before is served no more: what it would have led to is gone (I12, I17)."""
    served = await serve(APP)
    _, bob, ada_id = await _lived_in(served)
    before = (await bob.get("/api/health")).body["head"]
    await _erase(served, ada_id)
    pulled = await bob.get(f"/api/sync/pull?cursor={before}")
    assert (pulled.status, pulled.code) == (410, "RESYNC_REQUIRED")
    now = (await bob.get("/api/health")).body["head"]
    await bob.insert("Task", text="new")
    pulled = await bob.get(f"/api/sync/pull?cursor={now}")
    assert [one["row"]["text"] for one in pulled.body["changes"]] == ["new"]


async def test_a_row_that_holds_on_to_him_is_said_and_nothing_is_changed(serve: Serve) -> None:
    """on_delete="restrict": which entity, which field, how many."""
    served = await serve(APP)
    ada, _, ada_id = await _lived_in(served)
    await ada.insert("Deed")
    with pytest.raises(AdminError, match="1 rows of Deed"):
        await _erase(served, ada_id)
    assert len((await ada.get("/api/entities/Page")).body["rows"]) == 1


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.06, 0.1, 0.15])
async def test_killed_on_the_way_the_next_start_goes_on(serve: Serve, delay: float) -> None:
    """Wherever it was killed: not begun, or after the next start nothing is left (I5)."""
    served = await serve(APP)
    _, bob, ada_id = await _lived_in(served)
    for number in range(300):
        await bob.insert("Task", forId=ada_id, text=f"task {number}")
    await _until_mailed(served)
    asked: asyncio.Task[Any] = asyncio.create_task(_erase(served, ada_id))
    await asyncio.sleep(delay)
    await served.stop(signal.SIGKILL)
    await asyncio.gather(asked, return_exceptions=True)
    with closing(sqlite3.connect(served.project / ".pylon" / "app.db")) as database:
        (begun,) = database.execute("SELECT count(*) FROM _pylon_meta WHERE key = 'erasing'")
        (there,) = database.execute("SELECT count(*) FROM _pylon_accounts WHERE id = ?", (ada_id,))
    await served.start()
    if begun == (0,) and there == (1,):
        return  # it had not begun
    data = served.project / ".pylon"
    for _ in range(300):
        if _places(data, CANARY, ADA, ada_id) == []:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(_places(data, CANARY, ADA, ada_id))
