"""The app that is measured: an entity as its PocketBase twin has it, a team's rows, idle jobs."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from pylon import App, Entity, Text, actor, field, index

app = App("bench", version="1")


@app.entity(
    read="auth.userId != null",
    insert="auth.userId == data.ownerId",
    update="auth.userId == data.ownerId",
    delete="auth.userId == data.ownerId",
)
class Item(Entity):
    ownerId: str = field(default=actor)
    title: str = field(max_length=200)
    body: Text = field(max_length=5_000)
    count: int = 0


@app.entity(
    read="exists Member(team == data.team, userId == auth.userId)", insert="auth.userId != null"
)
class TeamRow(Entity):
    team: str = field(index=True)
    body: Text


@app.entity(read="true", insert="auth.userId != null", delete="auth.userId != null")
class Member(Entity):
    team: str
    userId: str

    by_team = index("team", "userId")


@app.job
def nothing(ctx, n: int):
    """Do nothing: what is measured is the queue."""


@app.job(queue="pickup")
def pickup(ctx, sent: float) -> float:
    """Return for how many milliseconds it waited."""
    return time.time() * 1000 - sent


@app.mutation(timeout=30)
def fill(ctx, count: int):
    """Enqueue many."""
    for n in range(count):
        ctx.jobs.enqueue(nothing, n=n)


@app.workflow
async def nap(ctx, at_ms: int):
    """Sleep until a time."""
    await ctx.sleep_until(datetime.fromtimestamp(at_ms / 1000, UTC))


@app.mutation(timeout=30)
def nap_many(ctx, count: int, at_ms: int):
    """Start many."""
    for _ in range(count):
        ctx.workflows.start(nap, at_ms=at_ms)


@app.mutation
def enqueue_one(ctx, n: int):
    """Enqueue one."""
    ctx.jobs.enqueue(nothing, n=n)


@app.mutation
def enqueue_pickup(ctx):
    """Enqueue one that says how long it waited."""
    ctx.jobs.enqueue(pickup, sent=time.time() * 1000)
