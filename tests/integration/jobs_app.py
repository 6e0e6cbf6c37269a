"""The app that tests of jobs serve."""

from __future__ import annotations

JOBS = """
from __future__ import annotations

import asyncio
import os
from datetime import datetime

from pylon import App, Entity, Refused
from pylon.errors import Unavailable

app = App("jobs")


@app.entity(read="true", insert="auth.userId != null")
class Note(Entity):
    text: str
    by: str | None = None


def _append(text):
    with open(os.path.join(os.path.dirname(__file__), "JOURNAL"), "a") as journal:
        journal.write(text + "\\n")


@app.job
def write(ctx, text: str) -> str:
    ctx.progress(1, "written")
    return ctx.db.insert("Note", text=text, by=ctx.auth.user_id or "nobody").text.upper()


@app.job
def as_admin(ctx) -> list[str]:
    return sorted(ctx.auth.roles)


@app.job
async def as_admin_later(ctx) -> list[str]:
    return sorted(ctx.auth.roles)


@app.job(retries=2, backoff=4)
def fails(ctx):
    ctx.db.insert("Note", text="undone")
    raise ValueError("broken")


@app.job(retries=0)
def spoils(ctx):
    raise ValueError("spoilt")


@app.job
def refuses(ctx):
    raise Refused("NO", "never")


@app.job(unique=("name",), retries=0)
async def once(ctx, name: str, wait: float = 0.0) -> str:
    await asyncio.sleep(wait)
    return name


@app.job(queue="narrow", concurrency=1)
async def counts(ctx, n: int):
    await ctx.run(note, text=f"begin {n}")
    await asyncio.sleep(0.01)
    await ctx.run(note, text=f"end {n}")


@app.job(queue="limited")
def limited(ctx, n: int):
    ctx.db.insert("Note", text=f"limited {n}")


@app.job(retries=0)
async def hangs(ctx):
    ctx.progress(0.25, "hanging")
    await asyncio.sleep(3600)


@app.job(timeout=0.05, retries=0)
async def too_slow(ctx):
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        await asyncio.sleep(0.05)
        await ctx.run(note, text="from beyond")


@app.job(retries=0)
def spins(ctx):
    while True:
        pass


@app.job(retries=50, backoff=0.01)
async def acts(ctx, n: int, wait: float = 0.0) -> int:
    _append(f"begin {n} {ctx.job.attempt} {os.getpid()}")
    await asyncio.sleep(wait)
    await ctx.run(note, text=f"acted {n}")
    _append(f"end {n} {ctx.job.attempt} {os.getpid()}")
    return n


@app.job(retries=50, backoff=0.01)
def adds(ctx, n: int):
    ctx.db.insert("Note", text=f"added {n}")


@app.job(retries=0)
def cancels(ctx, other: str) -> bool:
    return ctx.jobs.cancel(other)


@app.job(retries=0)
def looks(ctx, other: str):
    raise Refused("SEEN", ctx.jobs.get(other).state)


@app.job(retries=0)
def unavailable(ctx):
    raise Unavailable("not now")


@app.job(retries=1)
def dies(ctx):
    os.kill(os.getpid(), 9)


@app.cron("*/10 * * * *")
def tick(ctx):
    ctx.db.insert("Note", text=f"tick {ctx.now:%H:%M}")


@app.mutation(internal=True)
def note(ctx, text: str):
    with ctx.as_system():
        ctx.db.insert("Note", text=text)


@app.mutation
def enqueue(ctx, fn: str, args: dict = {}, delay: float | None = None, key: str | None = None,
            priority: int = 0, count: int = 1, as_system: bool = False,
            fail: bool = False) -> list[str]:
    options = {"delay": delay, "key": key, "priority": priority, **args}
    if as_system:
        with ctx.as_system():
            ids = [ctx.jobs.enqueue(fn, **options)]
    else:
        ids = [ctx.jobs.enqueue(fn, **options) for _ in range(count)]
    if fail:
        raise Refused("ROLLED_BACK", "on purpose")
    return ids


@app.mutation
def enqueue_many(ctx, fn: str, first: int, count: int, wait: float | None = None):
    more = {} if wait is None else {"wait": wait}
    for n in range(first, first + count):
        ctx.jobs.enqueue(fn, n=n, **more)


@app.mutation
def enqueue_at(ctx, at: datetime) -> str:
    return ctx.jobs.enqueue(write, text="at", at=at)


@app.mutation
def cancel(ctx, id: str) -> bool:
    return ctx.jobs.cancel(id)


@app.mutation
def mail(ctx, to: str, subject: str = "Hello", text: str | None = "hi", html: str | None = None,
         template: str | None = None, data: dict = {}, fail: bool = False) -> str:
    if template is not None:
        subject = text = None
    sent = ctx.mail.send(to, subject, text, html, template=template, data=data)
    if fail:
        raise Refused("ROLLED_BACK", "on purpose")
    return sent


@app.action
async def from_action(ctx, text: str) -> str:
    job = await ctx.jobs.enqueue(write, text=text)
    await ctx.mail.send("ann@example.com", "From an action", "hi")
    return job


@app.query
def job(ctx, id: str) -> dict | None:
    found = ctx.jobs.get(id)
    return None if found is None else {
        "state": found.state, "result": found.result, "error": found.error,
        "attempt": found.attempt, "progress": found.progress, "said": found.progress_text,
    }
"""
