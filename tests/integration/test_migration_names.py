"""The plan of a migration that waits names the code, the calls and the clients that it breaks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from typing import Any

from pylon import jsonvalue
from pylon.testing.served import Caller
from tests.conftest import Serve
from tests.shell import Shell

APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, field, index

app = App("named")


@app.entity(read="true", insert="auth.userId != null")
class Box(Entity):
    label: str = "box"


@app.entity(read="true", insert="auth.userId != null")
class Note(Entity):
    title: str = "t"
    body: str = ""
    rank: int = 0
    boxId: Ref["Box"] | None = None

    by_rank = index("rank")


WORD = "ti" + "tle"


def shown(note):
    return {"title": note.title}


@app.query(allow="true")
def titles(ctx) -> list[str]:
    return [one.title for one in ctx.db.list(Note, order=["rank"])]


@app.query(allow="true")
def helped(ctx) -> list[dict[str, str]]:
    return [shown(one) for one in ctx.db.list(Note)]


@app.query(allow="true")
def built(ctx) -> int:
    return ctx.db.count(Note, where={WORD: "a"})


@app.query(allow="true")
def bodies(ctx, prefix: str = "") -> list[str]:
    return [one.body for one in ctx.db.list(Note)]


@app.mutation
def add(ctx, title: str) -> str:
    return ctx.db.insert(Note, title=title, body="x").id
"""
NEXT = (
    APP.replace('    title: str = "t"\n', "")
    .replace('    by_rank = index("rank")\n', "")
    .replace("def bodies(ctx, prefix: str", "def bodies(ctx, least: int")
    .replace('least: int = ""', "least: int = 0")
)
TOKEN = "the-owner"


async def test_code_calls_and_subscriptions_are_named(serve: Serve) -> None:
    """Two clients: one asks by what goes and is refused, one goes on; code has its places."""
    served = await serve(APP, environment={"PYLON_ADMIN_TOKEN": TOKEN})
    owner = Caller(served, TOKEN, None)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    await ada.insert("Note", title="a", body="b")
    by_title = [
        {"id": "s1", "entity": "Note", "where": {"title": "a"}, "order": ["title"]},
        {"id": "s2", "fn": "built"},
        {"id": "s3", "fn": "bodies", "args": {"prefix": "x"}},
    ]
    socket = await ada.sync(*by_title, client_id="ada")
    goes_on = {"id": "s1", "entity": "Note", "where": {"body": "b"}}
    other = await bob.sync(goes_on, client_id="bob")
    for _ in range(2):
        await socket.until("value")

    (served.project / "app.py").write_text(NEXT)
    answer = (await owner.post("/api/admin/reload", {})).body
    assert not answer["ok"]
    assert "BREAKS: titles" in answer["plan"]

    plan: dict[str, Any] = (await owner.get("/api/admin/schema")).body["plan"]
    code = {(one["name"], one["verdict"]): one for one in plan["code"]}
    assert set(code) == {
        ("titles", "breaks"), ("titles", "slower"), ("helped", "may break"), ("add", "breaks"),
        ("built", "may break"), ("bodies", "look at"),
    }  # fmt: skip
    line = next(at for at, text in enumerate(NEXT.splitlines(), 1) if "one.title for" in text)
    assert code["titles", "breaks"]["place"] == f"app.py:{line}"
    assert code["titles", "breaks"]["step"] == "drop Note.title"
    assert code["add", "breaks"]["what"] == "writes Note.title"
    assert code["built", "may break"]["what"] == "was seen to ask for Note by title"
    assert code["built", "may break"]["place"] is None

    assert plan["calls"] == [{"name": "bodies", "changes": ["takes no prefix any more"]}]
    clients = plan["clients"]
    assert (clients["connected"], clients["resync"]) == (2, 1)
    (rows, function) = clients["subscriptions"]
    assert rows["fate"] == function["fate"] == "refused"
    assert rows["why"] == "Note has no field title"
    assert (rows["clients"], rows["order"]) == (1, ["title"])
    assert jsonvalue.parse(rows["where"].encode()) == {"title": "a"}
    assert function["fn"] == "bodies"
    assert "prefix" in function["why"]

    pylon = Shell(served)
    at = str(served.project)
    for command in (("schema", "--project", at), ("migrate", at)):
        said = await pylon(*command, is_for_project=False)
        assert "BREAKS: add (app.py:" in said, command
        assert "CALLERS: bodies takes no prefix any more" in said
        assert "1 of 2 connected clients loads anew" in said
        assert 'REFUSED: Note where {"title":"a"} order title, 1 client' in said
    told = jsonvalue.parse((await pylon("migrate", at, "--json", is_for_project=False)).encode())
    assert told["clients"] == clients
    refused = await pylon("migrate", at, "--apply", is_for_project=False, code=1)
    assert f"apply it there with: pylon reload --migrate --project {at}" in refused

    given = {"consent": True, "plan": plan["hash"]}
    assert (await owner.post("/api/admin/reload", given)).body["ok"]
    assert (await socket.until("resync"))["reason"] == "schema_changed"
    await ada.insert("Note", body="b")
    await other.until("changes")
    assert not any(one["type"] == "resync" for one in other.seen)


async def test_a_runtime_that_hangs_is_said_to_be_waited_for_and_ctrl_c_goes_on(
    serve: Serve,
) -> None:
    """After a second it says what for, and until when; the plan comes all the same."""
    served = await serve(APP)
    (served.project / "app.py").write_text(NEXT)
    os.kill(served.pid, signal.SIGSTOP)
    try:
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pylon", "migrate", str(served.project), stdout=PIPE, stderr=PIPE,
            env={**os.environ, "PYLON_STATE_DIR": str(served.state)},
        )  # fmt: skip
        assert command.stderr is not None
        said = (await command.stderr.readline()).decode()
        assert "has not answered yet who is connected: waiting up to 30 s" in said
        assert "ctrl+c shows the plan without that" in said
        command.send_signal(signal.SIGINT)
        out, err = (one.decode() for one in await command.communicate())
    finally:
        os.kill(served.pid, signal.SIGCONT)
    assert command.returncode == 0, err
    assert "drop Note.title" in out
    assert "is not known: its answer was not waited for" in err
    assert f"apply it with: pylon reload --migrate --project {served.project}" in err
