"""Branches of a running app: made beside writers, switched to, compared, dropped, killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue
from pylon.client import PylonClient
from pylon.client.events import NetworkChanged
from pylon.server.storage.backup import verify_file
from pylon.server.storage.making import claimed
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.shell import Shell

APP = """
from __future__ import annotations

from pylon import App, Entity, field

app = App("branched")


@app.entity(read="true", insert="auth.userId != null", update="auth.userId != null",
            delete="auth.userId != null")
class Thing(Entity):
    name: str
    secret: str | None = field(default=None, private=True)


@app.job
def note(ctx, text: str) -> None:
    ctx.db.insert("Thing", name=text)


@app.mutation
def later(ctx, text: str) -> None:
    ctx.jobs.enqueue(note, delay=3600, text=text)
"""
NOT_ON_TRY = """

import json
from pathlib import Path

if json.loads((Path(__file__).parent / ".pylon" / "branch.json").read_text())["branch"] == "try":
    raise RuntimeError("not on this branch")
"""
TOKEN = "the-owner"


class World:
    """A runtime, somebody signed in, the owner, and a client that follows all the time."""

    def __init__(self, served: ServedProject) -> None:
        self.served = served
        self.pylon = Shell(served)
        self.ada: Caller
        self.client: PylonClient
        self.owner = Caller(served, TOKEN, None)

    @property
    def data(self) -> Path:
        return self.served.project / ".pylon"

    async def names(self) -> list[str]:
        listed = await self.served.anonymous().get("/api/entities/Thing?limit=1000&order=name")
        return [row["name"] for row in listed.body["rows"]]

    async def head(self) -> str:
        return str((await self.served.anonymous().get("/api/health")).body["head"])

    async def branch(self) -> str:
        return str((await self.owner.get("/api/admin/status")).body["branch"])

    async def agree(self) -> None:
        """Wait until the client holds exactly what is there."""
        head = await self.head()
        async with asyncio.timeout(60):
            # Told that the network is back, it does not wait for the end of its backoff.
            while self.client.cursor != head or not self.client.is_settled:
                self.client.shell.dispatch(NetworkChanged(is_online=True))
                await asyncio.sleep(0.05)
        held = sorted(row["name"] for row in self.client.rows("Thing"))
        assert held == await self.names()


@pytest.fixture
async def world(serve: Serve) -> AsyncIterator[World]:
    made = World(await serve(APP, environment={"PYLON_ADMIN_TOKEN": TOKEN}))
    made.ada = await made.served.login("ada@example.com")
    await made.ada.insert("Thing", name="one", secret="s")
    async with PylonClient(made.served.url) as client:
        made.client = client
        client.query("Thing")
        await made.agree()
        yield made


async def test_a_branch_has_a_life_of_its_own_and_clients_follow(world: World) -> None:
    """There and back: each switch is a new epoch, also that to main; who is signed in stays so."""
    epochs = [(await world.head()).partition(":")[0]]
    pid = world.served.pid
    said = await world.pylon("branch", "create", "try")
    assert "a copy of main" in said
    await world.ada.insert("Thing", name="main only")
    old = await world.head()
    assert "is on try" in await world.pylon("branch", "switch", "try")
    assert await world.branch() == "try"
    assert await world.names() == ["one"]
    epochs.append((await world.head()).partition(":")[0])
    pulled = await world.served.anonymous().get(f"/api/sync/pull?cursor={old}")
    assert pulled.body["error"]["details"]["reason"] == "epoch_changed"
    await world.agree()
    assert (await world.ada.get("/api/auth/me")).status == 200
    await world.ada.insert("Thing", name="try only")
    await world.agree()
    await world.pylon("branch", "switch", "main")
    await world.agree()
    assert await world.names() == ["main only", "one"]
    epochs.append((await world.head()).partition(":")[0])
    assert len(set(epochs)) == 3
    assert world.served.pid == pid, "the process is the same"
    await world.served.stop()
    await world.served.start()
    assert (await world.head()).partition(":")[0] == epochs[-1], "a restart is no switch"
    status = jsonvalue.parse((await world.pylon(
        "status", str(world.served.project), "--json", is_for_project=False
    )).encode())  # fmt: skip
    assert (status["branch"], status["is_running"]) == ("main", True)


async def test_what_was_ended_meanwhile_does_not_come_back(world: World) -> None:
    """A session ended after the branch was made is not valid in it; one begun since is."""
    gone = await world.served.login("bob@example.com")
    await world.pylon("branch", "create", "try")
    assert (await gone.post("/api/auth/logout", None)).status == 204
    again = await world.served.login("bob@example.com")
    stranger = await world.served.login("later@example.com")
    await world.pylon("branch", "switch", "try")
    assert (await gone.get("/api/auth/me")).status == 401
    assert (await again.get("/api/auth/me")).status == 200
    assert (await stranger.get("/api/auth/me")).status == 401, "the branch has no such account"


async def test_what_waits_runs_once_in_the_place_where_it_was(world: World) -> None:
    """A job that waits is cancelled in the copy, and says so; on main it is still scheduled."""
    await world.ada.call("later", text="by the job")
    await world.pylon("branch", "create", "try", "--switch")
    (job,) = (await world.owner.get("/api/admin/jobs?name=note")).body["jobs"]
    assert job["state"] == "cancelled"
    assert "runs where that was copied from" in str(job)
    await world.pylon("branch", "switch", "main")
    (job,) = (await world.owner.get("/api/admin/jobs?name=note")).body["jobs"]
    assert job["state"] == "scheduled"


async def test_differences_are_counted_and_shown_by_page(world: World) -> None:
    """Added, removed and changed rows, private fields too, over the API and as a command."""
    for n in range(5):
        await world.ada.insert("Thing", id=f"t{n}", name=f"n{n}", secret="s")
    await world.pylon("branch", "create", "old")
    await world.ada.ask("PATCH", "/api/entities/Thing/t1", {"secret": "other"})
    await world.ada.ask("DELETE", "/api/entities/Thing/t2")
    await world.ada.insert("Thing", id="t9", name="new")
    counts = (await world.owner.get("/api/admin/branches-diff?old=old")).body
    thing = next(one for one in counts["entities"] if one["entity"] == "Thing")
    assert (thing["added"], thing["removed"], thing["changed"]) == (1, 1, 1)
    pages, after = [], ""
    while True:
        page = (await world.owner.get(
            f"/api/admin/branches-diff?old=old&entity=Thing&limit=1&after={after}"
        )).body  # fmt: skip
        pages += page["rows"]
        if page["next"] is None:
            break
        after = page["next"]
    assert [(one["id"], one["kind"], one["fields"]) for one in pages] == [
        ("t1", "changed", ["secret"]), ("t2", "removed", []), ("t9", "added", []),
    ]  # fmt: skip
    said = await world.pylon("branch", "diff", "old", "main", "--entity", "Thing")
    assert '~ Thing/t1\n    secret: "s" -> "other"' in said
    await world.served.stop()
    assert await world.pylon("branch", "diff", "old", "--entity", "Thing") == said
    for wrong in ("old=nothing", "old=old&entity=Nothing", "old=old&entity=Thing&limit=0"):
        await _refused_offline(world, wrong)


async def _refused_offline(world: World, wrong: str) -> None:
    given = dict(part.split("=") for part in wrong.split("&"))
    arguments = ["branch", "diff", given["old"]]
    for name in ("entity", "limit"):
        arguments += [f"--{name}", given[name]] if name in given else []
    code = 2 if "limit" in given else 1
    assert await world.pylon(*arguments, code=code)


async def test_what_is_refused_says_why(world: World) -> None:
    """Names, the one in use, main, a second of a name, a drop that is not confirmed."""
    await world.pylon("branch", "create", "try")
    owner = world.owner
    for method, body, code in (
        ("branches", {"name": "../x"}, "INVALID_ARGUMENT"),
        ("branches", {"name": "main"}, "BRANCH_REFUSED"),
        ("branches", {"name": "before-x"}, "INVALID_ARGUMENT"),
        ("branches", {"name": "try"}, "BRANCH_REFUSED"),
        ("branches", {"name": "x", "of": "nothing"}, "BRANCH_UNKNOWN"),
        # A slip of who wants a masked copy makes no copy of everything.
        ("branches", {"name": "x", "masked": "true"}, "INVALID_ARGUMENT"),
        ("branches", {"name": "x", "keep": ["Thing.name"]}, "INVALID_ARGUMENT"),
        ("branches/main/switch", {}, "BRANCH_REFUSED"),
        ("branches/nothing/switch", {}, "BRANCH_UNKNOWN"),
        ("branches/main/drop", {"confirm": "main"}, "BRANCH_REFUSED"),
        ("branches/try/drop", {}, "BRANCH_REFUSED"),
    ):
        answer = await owner.post(f"/api/admin/{method}", body)
        assert answer.code == code, (method, body, answer)
    assert "is in use" in await world.pylon("branch", "switch", "main", code=1)
    assert "--yes" in await world.pylon("branch", "drop", "try", code=1)
    await world.pylon("branch", "switch", "try")
    assert "is in use" in await world.pylon("branch", "drop", "try", "--yes", code=1)
    await world.pylon("branch", "switch", "main")
    await world.pylon("branch", "drop", "try", "--yes")
    assert "try" not in await world.pylon("branch", "list")
    assert not list((world.data / "branches").iterdir())


async def test_a_copy_is_one_state_while_others_write(world: World) -> None:
    """Writers go on; the branch folds from its log, and only its owner reads it."""

    async def write() -> None:
        number = 0
        while True:
            number += 1
            await world.ada.insert("Thing", name=f"w{number}", secret="x" * 500)

    writing = asyncio.ensure_future(write())
    try:
        for n in range(3):
            await world.pylon("branch", "create", f"b{n}")
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    for n in range(3):
        path = world.data / "branches" / f"b{n}" / "app.db"
        _, faults = await verify_file(path, is_live=False)
        assert faults == []
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("what", ["create", "switch", "drop"])
async def test_a_kill_at_any_moment_leaves_one_or_the_other(world: World, what: str) -> None:
    """`kill -9` in the middle: the branch is whole or not there, and one of the two is in use."""
    await world.pylon("branch", "create", "try")
    await world.ada.insert("Thing", name="main only")
    wanted = {"main": ["main only", "one"], "try": ["one"]}
    for milliseconds in (0, 2, 5, 10, 20, 40, 80, 150):
        body: dict[str, Any] = {"confirm": f"x{milliseconds}"}
        path = f"branches/{body['confirm']}/drop"
        if what == "create":
            path, body = "branches", {"name": f"k{milliseconds}"}
        elif what == "switch":
            other = "main" if await world.branch() == "try" else "try"
            path, body = f"branches/{other}/switch", {}
        else:
            await world.owner.post("/api/admin/branches", {"name": body["confirm"]})
        asking = asyncio.ensure_future(world.owner.post(f"/api/admin/{path}", body))
        await asyncio.sleep(milliseconds / 1000)
        await world.served.stop(signal.SIGKILL)
        await asyncio.gather(asking, return_exceptions=True)
        await world.served.start()
        current = await world.branch()
        assert await world.names() == wanted[current]
        left = [one.name for one in (world.data / "branches").iterdir()]
        assert not [one for one in left if one.startswith(".")]
        for one in left:
            _, faults = await verify_file(world.data / "branches" / one / "app.db", is_live=True)
            assert faults == []
    await world.agree()


async def test_a_branch_that_the_app_does_not_start_on_is_left_again(world: World) -> None:
    """Said, and everybody goes on where he was, under a new epoch."""
    await world.pylon("branch", "create", "try")
    epoch = (await world.head()).partition(":")[0]
    (world.served.project / "app.py").write_text(APP + NOT_ON_TRY)
    said = await world.pylon("branch", "switch", "try", code=1)
    assert "it is back on main" in said
    assert await world.branch() == "main"
    await world.agree()
    assert (await world.ada.get("/api/auth/me")).status == 200
    assert (await world.head()).partition(":")[0] != epoch


async def test_a_damaged_branch_is_not_switched_to(world: World) -> None:
    """It is looked at before anything stops."""
    await world.pylon("branch", "create", "try")
    epoch = (await world.head()).partition(":")[0]
    path = world.data / "branches" / "try" / "app.db"
    text = bytearray(path.read_bytes())
    place = text.index(b"_pylon_sessions")
    text[place : place + 15] = b"_pylon_zessions"
    path.write_bytes(text)
    said = await world.pylon("branch", "switch", "try", code=1)
    assert "DATABASE_UNUSABLE" in said
    assert (await world.head()).partition(":")[0] == epoch


async def test_production_switches_only_with_consent(serve: Serve) -> None:
    """Create and diff are allowed; a switch says whom it concerns, and wants consent."""
    world = World(await serve(APP, mode="serve", environment={"PYLON_ADMIN_TOKEN": TOKEN}))
    await world.pylon("branch", "create", "try")
    await world.pylon("branch", "diff", "try")
    assert "production" in await world.pylon("branch", "switch", "try", code=1)
    await world.pylon("branch", "switch", "try", "--consent")
    assert await world.branch() == "try"


async def test_without_a_runtime_it_is_the_same(world: World) -> None:
    """Create, switch, list and drop over the closed database; the next start goes by them."""
    await world.served.stop()
    folder = world.data / "branches"
    (folder / ".new-try" / "half").mkdir(parents=True)  # by a command that was killed
    with claimed(folder, "try"):
        assert "is being made already" in await world.pylon("branch", "create", "try", code=1)
    await world.pylon("branch", "create", "try")
    assert [one.name for one in folder.iterdir()] == ["try"]
    await world.pylon("branch", "switch", "try")
    listed = jsonvalue.parse((await world.pylon("branch", "list", "--json")).encode())
    assert listed["current"] == "try"
    assert [one["name"] for one in listed["branches"]] == ["main", "try"]
    await world.served.start()
    assert await world.branch() == "try"
    await world.agree()
    await world.served.stop()
    await world.pylon("branch", "switch", "main")
    await world.pylon("branch", "drop", "try", "--yes")
    await world.served.start()
    await world.agree()


async def test_files_stay_as_long_as_any_branch_has_them(world: World) -> None:
    """The bytes are shared by hash: gone on main, still there for the branch, swept after it."""
    sent = await world.ada.ask(
        "POST", "/api/files", data=b"shared", headers={"X-Filename": "a.txt"}
    )
    assert sent.status == 201, sent
    blobs = world.data / "files" / "blobs"

    def bytes_there() -> list[bytes]:
        return [one.read_bytes() for one in blobs.glob("??/*")]

    await world.pylon("branch", "create", "try")
    file_id = sent.body["id"]
    assert (await world.owner.post(f"/api/admin/files/{file_id}/delete", {})).status == 200
    await world.owner.post("/api/admin/files/sweep", {"now": True})
    assert bytes_there() == [b"shared"]
    await world.pylon("branch", "drop", "try", "--yes")
    await world.owner.post("/api/admin/files/sweep", {"now": True})
    assert bytes_there() == []


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_a_stop_during_a_switch_is_a_stop(world: World) -> None:
    """SIGTERM between the two lives ends the process; the next start has the new branch."""
    await world.pylon("branch", "create", "try")
    await world.owner.post("/api/admin/branches/try/switch", {})
    assert await world.served.stop() == 0
    await world.served.start()
    assert await world.branch() == "try"
