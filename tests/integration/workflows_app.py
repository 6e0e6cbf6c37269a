"""The app that tests of workflows serve."""

from __future__ import annotations

WORKFLOWS = """
from __future__ import annotations

import asyncio
import os
import time

from pylon import App, Entity, Refused, StepFailed

app = App("flows")
HERE = os.path.dirname(__file__)


@app.entity(read="true", insert="auth.userId != null", update="hasRole('admin')")
class Note(Entity):
    text: str
    by: str | None = None


def _append(text):
    with open(os.path.join(HERE, "JOURNAL"), "a") as journal:
        journal.write(text + "\\n")


@app.mutation
def note(ctx, text: str) -> str:
    ctx.db.insert("Note", text=text, by=ctx.auth.user_id or "nobody")
    return text.upper()


@app.mutation
def refuse(ctx, text: str):
    ctx.db.insert("Note", text="undone")
    raise Refused("SOLD_OUT", text, left=0)


@app.mutation
def breaks(ctx, until: int = 99):
    ctx.db.insert("Note", text="undone")
    with open(os.path.join(HERE, "TRIES"), "a+") as tries:
        tries.write("x")
        tries.seek(0)
        count = len(tries.read())
    if count < until:
        raise ValueError("broken")
    return count


@app.action
async def act(ctx, text: str, wait: float = 0.0) -> str:
    _append(f"begin {text}")
    await asyncio.sleep(wait)
    _append(f"end {text}")
    return text[::-1]


@app.mutation
def big(ctx) -> str:
    ctx.db.insert("Note", text="undone")
    return "x" * 300_000


@app.action
async def stubborn(ctx):
    _append("begin")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        pass
    try:
        await ctx.run(note, text="from beyond")
    finally:
        _append("beyond")


@app.workflow
async def stuck(ctx):
    await ctx.step("stubborn", stubborn)


@app.query
def count(ctx) -> int:
    return ctx.db.count("Note")


@app.query
def roles(ctx) -> list[str]:
    return sorted(ctx.auth.roles)


@app.workflow
async def order(ctx, item: str) -> dict:
    first = await ctx.step("reserve", note, text=f"reserve {item}")
    second = await ctx.step("charge", act, text=item)
    await ctx.sleep(60)
    data = await ctx.wait_for("paid", timeout=3600)
    both = await ctx.gather(
        ctx.step("mail", act, text="mail"), ctx.step("ship", note, text=f"ship {item}")
    )
    return {"first": first, "second": second, "paid": data, "both": both}


@app.workflow
async def saga(ctx, fail: bool = True) -> str:
    await ctx.step("reserve", note, text="reserved")
    try:
        await ctx.step("charge", refuse, text="no money")
    finally:
        await ctx.step("release", note, text="released")
    return "never"


@app.workflow
async def cancellable(ctx) -> str:
    try:
        await ctx.step("reserve", note, text="reserved")
        await ctx.wait_for("never")
    finally:
        await ctx.step("release", note, text="released")


@app.workflow
async def handles(ctx) -> list:
    found = []
    try:
        await ctx.step("refuse", refuse, text="no")
    except Refused as refused:
        found.append([refused.code, refused.message, refused.details])
    try:
        await ctx.step("breaks", breaks, retries=2, backoff=4)
    except StepFailed as failed:
        found.append([failed.code, failed.step, failed.message])
    try:
        await ctx.wait_for("nothing", timeout=30)
    except TimeoutError as error:
        found.append(str(error))
    return found


@app.workflow
async def comes_round(ctx) -> int:
    return await ctx.step("breaks", breaks, until=3, backoff=4)


@app.workflow
async def parent(ctx, names: list) -> list:
    return await ctx.gather(*(ctx.child(child, name=one) for one in names))


@app.workflow
async def child(ctx, name: str) -> str:
    await ctx.sleep(5)
    if name == "bad":
        raise Refused("BAD", "a bad child", name=name)
    return await ctx.step("note", note, text=name)


@app.workflow
async def endless(ctx):
    return await ctx.child(endless)


@app.workflow
async def branches(ctx) -> list:
    seen = []

    async def line(name, seconds):
        await ctx.sleep(seconds)
        seen.append(name)
        await ctx.step(f"{name} notes", note, text=name)
        await ctx.sleep(seconds)
        seen.append(name.upper())
        return [name, ctx.new_id(), ctx.random.randrange(1000)]

    found = await ctx.gather(line("a", 3), line("b", 1), ctx.step("c", act, text="c"))
    return [seen, found, ctx.now.isoformat()]


@app.workflow
async def sleepy(ctx, seconds: float):
    await ctx.sleep(seconds)


@app.workflow
async def who(ctx) -> list:
    await ctx.sleep(5)
    return [ctx.auth.user_id, await ctx.step("roles", roles)]


@app.workflow
async def misuse(ctx, how: str):
    if how == "foreign":
        await asyncio.sleep(1)
    elif how == "forgotten":
        ctx.step("note", note, text="x")
    elif how == "twice":
        one = ctx.sleep(1)
        await one
        await one
    elif how == "db":
        ctx.db.insert("Note", text="x")
    elif how == "no function":
        await ctx.step("x", _append, text="x")
    elif how == "task":
        await asyncio.gather(ctx.sleep(1), ctx.sleep(1))
    elif how == "forever":
        while True:
            await ctx.step("note", note, text="x")
    elif how == "spins":
        while True:
            pass
    elif how == "swallows":
        while True:
            try:
                await ctx.sleep(1000)
            except BaseException:
                pass
    elif how == "cancels":
        raise asyncio.CancelledError
    elif how == "not json":
        return object()
    elif how == "big":
        await ctx.step("big", act, text="x" * 300_000, retries=0)
    elif how == "big result":
        await ctx.step("big", big, retries=0)
    elif how == "exits":
        raise SystemExit(3)


@app.workflow
async def slow(ctx) -> str:
    return await ctx.step("slow", act, text="slow", wait=3600, timeout=0.05, retries=0)


@app.workflow
async def acts(ctx, n: int, wait: float = 0.0) -> list:
    return [await ctx.step(f"act {k}", act, text=f"{n}.{k}", wait=wait) for k in range(3)]


@app.workflow
async def mixes(ctx, n: int, wait: float = 0.0) -> list:
    first = await ctx.step("m0", note, text=f"m{n}.0")
    await ctx.sleep(wait)
    both = await ctx.gather(
        ctx.step("a0", act, text=f"0.{n}", wait=wait), ctx.step("m1", note, text=f"m{n}.1")
    )
    await ctx.sleep(wait)
    return [first, both, await ctx.step("m2", note, text=f"m{n}.2")]


@app.workflow
async def mended(ctx) -> list:
    first = await ctx.step("first", note, text="first")
    return [first, await ctx.step("second", mends, retries=0)]


@app.mutation
def mends(ctx) -> str:
    if not os.path.exists(os.path.join(HERE, "MENDED")):
        raise ValueError("broken")
    return "mended"


@app.workflow
async def kills(ctx):
    await ctx.step("dies", dies)


@app.mutation
def dies(ctx):
    os.kill(os.getpid(), 9)


@app.mutation
def start(ctx, fn: str, key: str | None = None, args: dict = {}, fail: bool = False,
          as_system: bool = False) -> str:
    if as_system:
        with ctx.as_system():
            return ctx.workflows.start(fn, key=key, **args)
    run = ctx.workflows.start(fn, key=key, **args)
    if fail:
        raise Refused("ROLLED_BACK", "on purpose")
    return run


@app.mutation
def start_many(ctx, fn: str, count: int, args: dict = {}) -> int:
    for _ in range(count):
        ctx.workflows.start(fn, **args)
    return count


@app.mutation
def signal(ctx, run: str, event: str, data: dict | str | int | None = None) -> bool:
    return ctx.workflows.signal(run, event, data)


@app.mutation
def cancel(ctx, run: str) -> bool:
    return ctx.workflows.cancel(run)


@app.action
async def from_action(ctx, item: str) -> list:
    run = await ctx.workflows.start(order, item=item)
    await ctx.workflows.signal(run, "paid", 1)
    return [run, (await ctx.workflows.get(run)).name]


@app.query
def run(ctx, id: str) -> dict | None:
    found = ctx.workflows.get(id)
    return None if found is None else {
        "state": found.state, "result": found.result, "error": found.error
    }
"""
