"""`def` functions with a larger `timeout=`: whole on a thread, the loop free, stopped in time."""

from __future__ import annotations

import asyncio

from tests.conftest import Serve
from tests.integration.test_containment import admin_of

APP = """
from __future__ import annotations

import time

from pylon import App, Entity, Refused, Text

app = App("long")


@app.entity(read="true", insert="auth.userId != null")
class Item(Entity):
    n: int = 0
    text: Text = ""


def spin(seconds):
    end = time.monotonic() + seconds
    found = 0
    while time.monotonic() < end:
        found += 1
    return found


@app.mutation(timeout=20)
def crunch(ctx, seconds: float) -> int:
    ctx.db.insert("Item", n=1, text="before")
    spin(seconds)
    ctx.db.insert("Item", n=2, text="after")
    ctx.jobs.enqueue(works_long, seconds=0.3)
    return len(ctx.db.list("Item"))


@app.job(timeout=20, retries=0)
def works_long(ctx, seconds: float) -> int:
    ctx.db.insert("Item", n=3, text="job")
    spin(seconds)
    return 1


@app.job(timeout=60, retries=0)
def spins_once(ctx) -> None:
    with open(__file__ + ".begun", "a") as begun:
        begun.write("x")
        begun.flush()
        if begun.tell() == 1:
            spin(60)
    ctx.db.insert("Item", n=8, text="in the next process")


@app.mutation
def later(ctx) -> str:
    return ctx.jobs.enqueue(spins_once)


@app.query(timeout=20)
def ponder(ctx, seconds: float) -> int:
    spin(seconds)
    return ctx.db.count("Item")


def trouble(ctx, kind):
    ctx.db.count("Item")
    match kind:
        case "loop":
            while True:
                pass
        case "swallows":
            for _ in range(3):
                try:
                    while True:
                        pass
                except:
                    pass
        case "sql":
            where = {"or": [{"text": {"contains": f"not {n}"}} for n in range(99)]}
            while True:
                ctx.db.count("Item", where=where)
        case "exit":
            raise SystemExit(0)
        case "refuses":
            raise Refused("NO", "not so")


@app.mutation(timeout=0.3)
def ends_late(ctx, kind: str) -> None:
    ctx.db.insert("Item", n=4, text="never")
    trouble(ctx, kind)


@app.query(timeout=0.3)
def looks_late(ctx, kind: str) -> None:
    trouble(ctx, kind)
"""


async def test_others_are_answered_while_a_long_function_runs(serve: Serve) -> None:
    """Health, reads, a live socket and a query; writes wait behind it and are then done."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    socket = await ada.sync({"id": "all", "entity": "Item"})
    assert (await socket.until("snapshot"))["done"]
    for name in ("crunch", "ponder"):
        long = asyncio.ensure_future(ada.call(name, seconds=1.5))
        await asyncio.sleep(0.3)
        write = asyncio.ensure_future(ada.insert("Item", n=9, text="behind"))
        for _ in range(20):
            assert (await ada.get("/api/health")).status == 200
            assert (await ada.get("/api/entities/Item")).status == 200
        assert not long.done()
        assert write.done() is (name == "ponder"), "a query holds up nobody"
        assert (await long).status == 200
        assert (await write)["n"] == 9
    seen: list[int] = []
    while seen.count(9) < 2 or 3 not in seen:
        message = await socket.until("changes")
        seen += [one["row"]["n"] for one in message["changes"] if one.get("row")]
    assert seen[:3] == [1, 2, 9], "in the order of their commits"
    admin = admin_of(served)
    found = (await admin.get("admin/functions/crunch"))["last_calls"][0]
    await admin.close()
    assert found["rows_written"] == 2


async def test_a_long_function_is_stopped_at_its_time_and_rolled_back(serve: Serve) -> None:
    """In Python, in SQL, where it catches everything; what it raises is its own; the next works."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    await ada.insert("Item", n=0, text="some words " * 200)
    for kind, code in (
        ("loop", "FUNCTION_TIMEOUT"), ("swallows", "FUNCTION_TIMEOUT"),
        ("sql", "FUNCTION_TIMEOUT"), ("exit", "INTERNAL"), ("refuses", "NO"),
    ):  # fmt: skip
        for name in ("ends_late", "looks_late"):
            write = asyncio.ensure_future(ada.insert("Item", n=9, text="behind"))
            answer = await ada.call(name, kind=kind)
            assert answer.code == code, (name, kind, answer)
            assert (await write)["n"] == 9
            assert (await ada.call("crunch", seconds=0.0)).status == 200
    rows = (await ada.get("/api/entities/Item?limit=1000")).body["rows"]
    assert [row for row in rows if row["n"] == 4] == []
    pushed = await ada.post(
        "/api/sync/push",
        {"operations": [
            {"op_id": "a", "fn": "pylon.insert", "args": {"entity": "Item", "values": {"n": 5}}},
            {"op_id": "b", "fn": "ends_late", "args": {"kind": "loop"}},
            {"op_id": "c", "fn": "pylon.insert", "args": {"entity": "Item", "values": {"n": 6}}},
        ], "atomic": True},
    )  # fmt: skip
    assert [one["error"]["code"] for one in pushed.body["results"]][1] == "FUNCTION_TIMEOUT"
    rows = (await ada.get("/api/entities/Item?limit=1000")).body["rows"]
    assert [row for row in rows if row["n"] in (5, 6)] == []


async def test_a_stop_ends_a_long_function_and_gives_its_job_back(serve: Serve) -> None:
    """The runtime ends in its time; the attempt does not count, and the next process runs it."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    assert (await ada.call("later")).status == 200
    begun = served.project / "app.py.begun"
    async with asyncio.timeout(60):
        while not (begun.exists() and begun.read_text()):
            await asyncio.sleep(0.01)
    pushed = {"op_id": "a", "fn": "crunch", "args": {"seconds": 0.0}}
    behind = asyncio.ensure_future(ada.post("/api/sync/push", {"operations": [pushed]}))
    await asyncio.sleep(0.1)
    assert await served.stop() == 0
    _ = await asyncio.gather(behind, return_exceptions=True)
    await served.start()
    async with asyncio.timeout(60):
        while not (rows := (await ada.get("/api/entities/Item")).body["rows"]):
            await asyncio.sleep(0.01)
    assert [one["n"] for one in rows] == [8]
    assert begun.read_text() == "xx"
    (again,) = (await ada.post("/api/sync/push", {"operations": [pushed]})).body["results"]
    assert again["status"] == "applied", "what was not done is not remembered as done"
