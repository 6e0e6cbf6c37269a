"""A function that loops, allocates, throws or lies harms its call alone (I88)."""

from __future__ import annotations

import asyncio

from pylon.client.admin import AdminClient
from pylon.testing.served import ServedProject
from tests.conftest import Serve

APP = """
from __future__ import annotations

import asyncio
import os
import re
import sys

from pylon import App, Entity, Refused, Text

app = App("contained")


@app.entity(read="true", insert="auth.userId != null")
class Item(Entity):
    text: Text = ""


@app.mutation
def works(ctx, text: str) -> str:
    ctx.db.insert("Item", text=text)
    return text


class Silent(Exception):
    def __str__(self):
        raise SystemExit("no text")


class Endless(Exception):
    def __str__(self):
        while True:
            pass


class Base(BaseException):
    pass


def deep(n):
    return deep(n + 1)


def cycle():
    found = []
    found.append(found)
    return found


class Lazy(dict):
    def items(self):
        while True:
            pass


def trouble(ctx, kind: str):
    match kind:
        case "exit":
            sys.exit(0)
        case "os exit":
            os._exit(0)
        case "interrupt":
            raise KeyboardInterrupt
        case "base":
            raise Base("base")
        case "generator":
            raise GeneratorExit
        case "cancelled":
            raise asyncio.CancelledError
        case "recursion":
            deep(0)
        case "memory":
            return len(bytearray(2**46))
        case "silent":
            raise Silent
        case "endless":
            raise Endless
        case "huge":
            raise ValueError("x" * 3_000_000)
        case "large refusal":
            raise Refused("TOO_MUCH", "x" * 500_000)
        case "odd refusal":
            raise Refused("ODD", "odd", what=object())
        case "cycle":
            return cycle()
        case "yields":
            return (n for n in range(3))
        case "never asked":
            return Lazy(a=1)
        case "large":
            return "x" * 9_000_000
        case "loop":
            while True:
                pass
        case "catches":
            while True:
                try:
                    while True:
                        pass
                except:
                    pass
        case "pattern":
            re.match(r"(a+)+$", "a" * 64 + "b")


@app.mutation
def writes(ctx, kind: str):
    ctx.db.insert("Item", text=f"of {kind}")
    return trouble(ctx, kind)


@app.query
def reads(ctx, kind: str):
    return trouble(ctx, kind)


@app.action
async def acts(ctx, kind: str):
    return trouble(ctx, kind)


@app.job(retries=0)
def works_off(ctx, kind: str):
    ctx.db.insert("Item", text=f"of {kind}")
    return trouble(ctx, kind)


@app.job(retries=0)
async def works_away(ctx, kind: str):
    return trouble(ctx, kind)


@app.mutation
def enqueue(ctx, kind: str) -> list[str]:
    return [ctx.jobs.enqueue(one, kind=kind) for one in (works_off, works_away)]
"""
THROWS = (
    "exit", "os exit", "interrupt", "base", "generator", "cancelled", "recursion", "memory",
    "silent", "endless", "huge", "large refusal", "odd refusal", "cycle", "yields",
)  # fmt: skip
LOOPS = ("loop", "catches", "pattern", "never asked")


def admin_of(served: ServedProject) -> AdminClient:
    """Return the owner's way to a runtime."""
    path = next((served.state / "run").glob("*/admin.sock"))
    return AdminClient("http://127.0.0.1", socket_path=path)


async def test_whatever_a_function_does_the_next_call_works(serve: Serve) -> None:
    """The code says what it was, nothing is stored, and calls beside it are answered."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    expected = {
        **dict.fromkeys(THROWS, "INTERNAL"), **dict.fromkeys(LOOPS, "FUNCTION_TIMEOUT"),
        "large": "PAYLOAD_TOO_LARGE",
    }  # fmt: skip
    for kind, code in expected.items():
        for name in ("writes", "reads", "acts"):
            if name == "acts" and kind in LOOPS and kind != "never asked":
                continue  # it holds the loop: the supervisor's business
            beside = ada.call("works", text=f"beside {kind}")
            answer, fine = await asyncio.gather(ada.call(name, kind=kind), beside)
            assert answer.code == code, (name, kind, answer)
            assert fine.status == 200, (name, kind, fine)
    rows = (await ada.get("/api/entities/Item?limit=1000")).body["rows"]
    assert {row["text"] for row in rows} == {f"beside {kind}" for kind in expected}
    await served.stop()
    assert "Endless (its text could not be read: FunctionTimeout)" in served.output
    assert max(map(len, served.lines)) < 40_000


async def test_a_job_that_does_it_is_dead_and_others_run(serve: Serve) -> None:
    """`def` and `async def`: each is kept with its error, in bounded words."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    admin = admin_of(served)
    kinds = ("exit", "base", "cancelled", "memory", "silent", "huge", "large")
    for kind in kinds:
        assert (await ada.call("enqueue", kind=kind)).status == 200
    async with asyncio.timeout(60):
        while True:
            found = await admin.get("admin/jobs?state=dead")
            if len(found["jobs"]) == 2 * len(kinds):
                break
            await asyncio.sleep(0.05)
    await admin.close()
    assert all(len(one["error"]) < 3_000 for one in found["jobs"])
    assert {one["attempt"] for one in found["jobs"]} == {1}
    assert (await ada.call("works", text="after")).status == 200
