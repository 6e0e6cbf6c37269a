"""The owner looks at clients over real sockets: unseen changes, disconnects, networks, ghosts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue
from pylon.client.admin import AdminClient, AdminError
from pylon.client.client import PylonClient
from pylon.testing.served import ServedProject
from tests.conftest import Serve

APP = """
from pylon import App, Entity, Ref, actor, field

app = App("notes")


@app.entity(read="data.ownerId == auth.userId || data.shared == true", insert="auth.userId != null",
            update="isOwner()", delete="isOwner()")
class Note(Entity):
    text: str
    secret: str = field(default="s", private=True)
    shared: bool = False
    ownerId: Ref["User"] = field(default=actor)
"""
NOTES = {"id": "s1", "entity": "Note"}
#: What was lost is noticed at the next batch, at the latest with a heartbeat.
QUICK = "[limits]\nheartbeat_seconds = 1\n"


class Desk:
    """The owner's side of tests, closed when they end."""

    def __init__(self) -> None:
        self._open = AsyncExitStack()

    def admin(self, served: ServedProject) -> AdminClient:
        """Return the owner's client, by the run-time token over TCP."""
        token = next(Path(served.state).glob("run/*/token")).read_text().strip()
        admin = AdminClient(served.url, token=token)
        self._open.push_async_callback(admin.close)
        return admin

    async def client(self, served: ServedProject, email: str) -> tuple[PylonClient, Any]:
        """Return a client that is live, and its query of notes."""
        caller = await served.login(email)
        client = await PylonClient(served.url, token=caller.token).open()
        self._open.push_async_callback(client.close)
        notes = client.query("Note")
        await notes.ready()
        return client, notes

    async def close(self) -> None:
        """Close all."""
        await self._open.aclose()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """Return a desk."""
    one = Desk()
    yield one
    await one.close()


async def _refused(admin: AdminClient, path: str, body: dict[str, Any] | None = None) -> str:
    """Return the code with which something is refused."""
    with pytest.raises(AdminError) as refused:
        await (admin.get(path) if body is None else admin.post(path, body))
    return refused.value.code


async def _until(holds: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not await holds() if asyncio.iscoroutinefunction(holds) else not holds():
        assert time.monotonic() < end, "it never came to be"
        await asyncio.sleep(0.02)


async def test_a_client_shows_what_it_has_not_seen(serve: Serve, desk: Desk) -> None:
    """The changes after its stored cursor, as its caller may see them, and nothing private."""
    served = await serve(APP)
    admin = desk.admin(served)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    socket = await ada.sync(NOTES, client_id="ada-1")
    await socket.until("snapshot")
    mine = await ada.insert("Note", text="mine")
    await bob.insert("Note", text="his")
    await bob.insert("Note", text="ours", shared=True)
    await asyncio.sleep(0.2)
    shown = await admin.get("admin/clients/ada-1")
    texts = [one["row"]["text"] for one in shown["unseen"]["changes"]]
    assert texts == ["mine", "ours"]
    assert all("secret" not in one["row"] for one in shown["unseen"]["changes"])
    mine_cursor = f"{shown['unseen']['through'].rpartition(':')[0]}:{mine['_seq']}"
    assert shown["client"]["email"] == "ada@example.com"
    assert shown["client"]["subscriptions"][0]["entity"] == "Note"
    await socket.send({"type": "stored", "cursor": f"{mine_cursor}"})

    async def is_behind() -> bool:
        one = (await admin.get("admin/clients/ada-1"))["client"]
        return one["lag_changes"] == 2 and one["lag_s"] >= 0.2

    await _until(is_behind)
    batch = await socket.until("changes")
    assert shown["unseen"]["changes"][0]["seq"] == batch["changes"][0]["seq"] == mine["_seq"]
    while not batch["through"].endswith(str(mine["_seq"] + 2)):
        batch = await socket.until("changes")
    await socket.send({"type": "stored", "cursor": batch["through"], "pending": 3})

    async def is_seen() -> bool:
        found = await admin.get("admin/clients/ada-1")
        return found["unseen"]["changes"] == [] and found["client"]["pending"] == 3

    await _until(is_seen)
    assert (await admin.get("admin/clients/ada-1"))["next"] == {"kind": "nothing"}
    await socket.close()
    await bob.insert("Note", text="later", shared=True)

    async def is_away() -> bool:
        return bool((await admin.get("admin/clients/ada-1"))["client"]["state"] == "offline")

    await _until(is_away)
    await served.login("eve@example.com")  # a row of an entity that the client did not want
    away = await admin.get("admin/clients/ada-1")
    assert [one["row"]["text"] for one in away["unseen"]["changes"]] == ["later"]
    assert [one["entity"] for one in away["client"]["subscriptions"]] == ["Note"]
    assert (await admin.post("admin/roles", {"user": "ada@example.com", "role": "x"}))["roles"]
    changed = await admin.get("admin/clients/ada-1")
    assert changed["unseen"]["resync"] == "identity_changed"
    old = await admin.get("admin/clients/ada-1", cursor="other:5")
    assert old["unseen"]["resync"] == "epoch_changed"
    for wrong in ("admin/clients/nobody", "admin/clients/ada-1/nothing"):
        assert await _refused(admin, wrong) == "NOT_FOUND"


async def test_a_client_that_signs_in_is_one_client(serve: Serve, desk: Desk) -> None:
    """Its time as nobody leaves no line, whichever socket ends first, and after it left, too."""
    served = await serve(APP)
    admin, ada = desk.admin(served), await served.login("ada@example.com")

    async def lines() -> list[tuple[str, str | None]]:
        found = (await admin.get("admin/clients"))["clients"]
        return [(one["state"], one["email"]) for one in found if one["client_id"] == "page"]

    before = await served.anonymous().sync(client_id="page")
    await before.until("welcome")
    after = await ada.sync(client_id="page")
    await after.until("welcome")
    await before.close()
    await asyncio.sleep(2.5)  # what left was stored by now
    assert await lines() == [("live", "ada@example.com")]
    await after.close()
    await asyncio.sleep(0.2)
    assert await lines() == [("offline", "ada@example.com")]
    await asyncio.sleep(2.5)
    assert await lines() == [("offline", "ada@example.com")]
    assert (await admin.get("admin/log-stats"))["clients"] == 1


async def test_no_name_of_a_client_keeps_the_owner_from_it(serve: Serve, desk: Desk) -> None:
    """A client chooses its name: whatever that is, it is shown, and disconnected, by it."""
    served = await serve(APP)
    admin, nobody = desk.admin(served), served.anonymous()
    page = await nobody.sync(client_id="page")
    await page.until("welcome")
    for name in ("a/b", "page/disconnect", "../shutdown?#", "%2F", "\x1b[31m"):
        hostile = await nobody.sync(client_id=name)
        await hostile.until("welcome")
        path = f"admin/clients/{admin.quoted(name)}"
        assert (await admin.get(path))["client"]["client_id"] == name
        assert await admin.post(f"{path}/disconnect", {}) == {"disconnected": 1}
        await hostile.until("goaway")
    assert (await admin.get("admin/clients/page"))["client"]["state"] == "live"
    await page.close()


async def test_round_trips_are_measured_while_somebody_looks(serve: Serve, desk: Desk) -> None:
    """Looking at a client pings it; its answer is the round trip, with the network's latency."""
    served = await serve(APP)
    admin = desk.admin(served)
    await desk.client(served, "ada@example.com")

    async def round_trip() -> float | None:
        rows = (await admin.get("admin/clients"))["clients"]
        value: float | None = rows[0]["round_trip_ms"]
        return value

    async def is_measured() -> bool:
        return await round_trip() is not None

    await _until(is_measured)
    assert 0 <= (await round_trip() or 0) < 1_000
    name = (await admin.get("admin/clients"))["clients"][0]["client_id"]
    await admin.post(f"admin/clients/{name}/network", {"latency_ms": 150})

    async def is_slower() -> bool:
        return (await round_trip() or 0) >= 300

    await _until(is_slower)


async def test_a_client_comes_again_after_a_disconnect_and_starts_over_on_resync(
    serve: Serve, desk: Desk
) -> None:
    """Both end with the same rows; the connection is another after a disconnect."""
    served = await serve(APP)
    admin = desk.admin(served)
    client, notes = await desk.client(served, "ada@example.com")
    await client.insert("Note", text="one")
    first = (await admin.get("admin/clients"))["clients"][0]
    name = first["client_id"]
    assert (await admin.post(f"admin/clients/{name}/resync", {}))["resynced"] == 1
    await _until(lambda: client.status.state == "live" and len(notes.rows) == 1)
    assert (await admin.post(f"admin/clients/{name}/disconnect", {}))["disconnected"] == 1

    async def is_another() -> bool:
        rows = (await admin.get("admin/clients"))["clients"]
        return bool(rows) and rows[0]["connection_id"] not in (None, first["connection_id"])

    await _until(is_another)
    await client.insert("Note", text="two")
    assert {one.text for one in notes.rows} == {"one", "two"}


async def test_lost_and_doubled_frames_end_in_convergence(serve: Serve, desk: Desk) -> None:
    """With half of all batches lost and half of everything doubled, the replica ends right."""
    served = await serve(APP, toml=QUICK)
    admin = desk.admin(served)
    client, notes = await desk.client(served, "ada@example.com")
    bob = await served.login("bob@example.com")
    name = (await admin.get("admin/clients"))["clients"][0]["client_id"]
    await admin.post(
        f"admin/clients/{name}/network",
        {"loss": 0.5, "duplicate": 0.5, "latency_ms": 5, "jitter_ms": 20},
    )
    wanted = set()
    for number in range(8):
        await bob.insert("Note", text=f"bob {number}", shared=True)
        await client.insert("Note", text=f"ada {number}")
        wanted |= {f"bob {number}", f"ada {number}"}
    await admin.post(f"admin/clients/{name}/network", {})
    await bob.insert("Note", text="last", shared=True)
    wanted.add("last")
    await _until(lambda: {one.text for one in notes.rows} == wanted, 30)
    assert len(notes.rows) == 17


async def test_offline_half_open_and_asleep(serve: Serve, desk: Desk) -> None:
    """Offline cuts and refuses; half-open and asleep say nothing; all end well when over."""
    served = await serve(APP, toml=QUICK)
    admin = desk.admin(served)
    client, notes = await desk.client(served, "ada@example.com")
    bob = await served.login("bob@example.com")
    name = (await admin.get("admin/clients"))["clients"][0]["client_id"]
    first = await client.insert("Note", text="first")

    async def stored() -> int:
        shown = await admin.get(f"admin/clients/{name}")
        return int(shown["client"]["cursor"].rpartition(":")[2])

    async def has_stored() -> bool:
        return await stored() >= first["_seq"]

    await _until(has_stored)
    for number, mode in enumerate(("offline", "half_open", "asleep"), start=1):
        await admin.post(f"admin/clients/{name}/network", {"mode": mode})
        await bob.insert("Note", text=mode, shared=True)
        await asyncio.sleep(0.3)
        assert len(notes.rows) == number, mode
        if mode == "offline":
            await _until(lambda: client.status.state == "offline")
            shown = await admin.get(f"admin/clients/{name}")
            assert shown["client"]["state"] == "offline"
            await asyncio.sleep(1.0)  # it has tried to come by now
            assert await stored() >= first["_seq"]
            assert shown["client"]["network"]["mode"] == "offline"
            assert shown["unseen"]["changes"][-1]["row"]["text"] == "offline"
        await admin.post(f"admin/clients/{name}/network", {"mode": "open"})
        await _until(lambda number=number: len(notes.rows) == number + 1, 40)  # type: ignore[misc]


async def test_networks_are_shaped_in_development_only(serve: Serve, desk: Desk) -> None:
    """In production the route does not exist (I73)."""
    served = await serve(APP, mode="serve")
    admin = desk.admin(served)
    socket = await served.anonymous().sync(NOTES, client_id="c")
    await socket.until("snapshot")
    assert await _refused(admin, "admin/clients/c/network", {"mode": "offline"}) == "NOT_FOUND"
    assert (await admin.get("admin/clients/c"))["client"]["network"] is None
    await socket.close()


async def _ids_of_sessions(caller: Any) -> list[str]:
    """Return whose they are; when they were last seen changes with each question."""
    return [one["id"] for one in (await caller.get("/api/auth/sessions")).body["sessions"]]


async def test_a_ghost_sees_as_its_user_and_changes_nothing(serve: Serve, desk: Desk) -> None:
    """Frames as the user gets them; pushes refused; no session, no known client; in the log."""
    served = await serve(APP)
    admin = desk.admin(served)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    await ada.insert("Note", text="mine")
    await bob.insert("Note", text="his")
    sessions = await _ids_of_sessions(ada)
    about = await admin.get("admin/ghost/ada@example.com")
    assert about["user_id"] == ada.user_id
    assert "Note" in about["entities"]
    async with served.session.ws_connect(
        f"{served.url}/api/admin/ghost/ada@example.com/api/sync/ws",
        headers={"Authorization": f"Bearer {admin._token}"},
    ) as socket:
        hello = {"type": "hello", "protocol": 1, "client_id": "ghost", "subscriptions": [NOTES]}
        await socket.send_str(jsonvalue.encode_text(hello))
        welcome = await socket.receive_json()
        assert welcome["user_id"] == ada.user_id
        page = await socket.receive_json()
        assert [row["text"] for row in page["rows"]] == ["mine"]
        push = {
            "type": "push", "request_id": "r",
            "operations": [{"op_id": "o", "fn": "pylon.insert",
                            "args": {"entity": "Note", "values": {"text": "ghostly"}}}],
        }  # fmt: skip
        await socket.send_str(jsonvalue.encode_text(push))
        refused = await socket.receive_json()
        assert refused["type"] == "error"
        assert refused["error"]["code"] == "POLICY_DENIED"
        await socket.send_str('{"type":"stored","cursor":"' + welcome["head"] + '"}')
        shown = (await admin.get("admin/clients"))["clients"]
        assert [one["is_ghost"] for one in shown] == [True]
        assert (await admin.get("admin/status"))["clients"] == 0
    assert len((await ada.get("/api/entities/Note")).body["rows"]) == 1
    assert await _ids_of_sessions(ada) == sessions
    await _until(lambda: "ghost.left" in served.output)
    assert "ghost.came as ada@example.com" in served.output
    assert (await admin.get("admin/clients"))["clients"] == []
    batch = await admin.get("admin/ghost/ada@example.com/api/sync/pull")
    assert {one.get("row", {}).get("text") for one in batch["changes"]} & {"mine", "his"} == {
        "mine"
    }
    stranger = await served.session.get(f"{served.url}/api/admin/ghost/ada@example.com")
    assert stranger.status == 401
