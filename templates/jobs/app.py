"""A print shop: pictures are uploaded, prints are ordered, and the work is done in the background."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

from pylon import App, Entity, File, Ref, Refused, actor, field, index, now, webhooks

app = App("prints", version="1")

OPEN = ["ordered", "checked", "paid", "packed"]


@app.entity(read="isOwner() || hasRole('staff')")
class Order(Entity):
    """Rows are written by the functions below alone: there is no policy for writing them."""

    ownerId: Ref["User"] = field(default=actor, immutable=True, on_delete="cascade")
    title: str = field(min_length=1, max_length=100, immutable=True)
    picture: File = field(immutable=True)
    copies: int = field(default=1, min=1, max=100, immutable=True)
    state: Literal["ordered", "checked", "paid", "packed", "sent", "given up"] = "ordered"
    note: str = ""
    run: str | None = None
    orderedAt: datetime = field(default=now, immutable=True)

    by_state = index("state", "orderedAt")


@app.entity(read="hasRole('staff')")
class Report(Entity):
    day: str
    orders: int


# --- what a page calls


@app.mutation(rate="20/minute")
def order(ctx, title: str, picture: str, copies: int = 1) -> str:
    """Store the order, check its picture and begin its workflow: all of it, or nothing."""
    if ctx.db.count("Order", where={"ownerId": ctx.auth.user_id, "state": {"in": OPEN}}) >= 5:
        raise Refused("TOO_MANY_ORDERS", "five of your orders are still open")
    file = ctx.files.get(picture)
    if file is None or not file.type.startswith("image/"):
        raise Refused("NO_PICTURE", "that is not a picture of yours")
    with ctx.as_system():
        row = ctx.db.insert(
            "Order", ownerId=ctx.auth.user_id, title=title, picture=picture, copies=copies
        )
    run = ctx.workflows.start(fulfil, key=row.id, orderId=row.id)
    with ctx.as_system():
        ctx.db.update("Order", row.id, run=run)
    return row.id


@app.mutation(allow="hasRole('staff')")
def packed(ctx, orderId: str):
    """Tell the workflow that somebody has packed it."""
    found = ctx.db.get("Order", orderId)
    if found is None or found.run is None or not ctx.workflows.signal(found.run, "packed", {}):
        raise Refused("NOT_OPEN", "that order is not open")


@app.query
def board(ctx) -> dict[str, int]:
    """Count the orders that the caller may see, by state; pages follow it live."""
    return {state: ctx.db.count("Order", where={"state": state}) for state in [*OPEN, "sent"]}


@app.action(allow="true", rate="30/minute")
async def quote(ctx, copies: int) -> AsyncIterator[str]:
    """Tell a price line by line, as a slow calculation would."""
    total = 0.0
    for amount, words in [
        (copies * 0.4, f"{copies} print{'' if copies == 1 else 's'}"),
        (2.5, "postage"),
    ]:
        total += amount
        yield f"{words}: {amount:.2f}"
    yield f"together: {total:.2f}"


# --- what happens in the background


@app.workflow
async def fulfil(ctx, orderId: str) -> str:
    """Take one order from the till to the post, over restarts and days."""
    pages = await ctx.step("check", check_later, orderId=orderId)
    await ctx.wait_for("checked", timeout=600)
    receipt = await ctx.step("charge", charge, orderId=orderId, key=ctx.run_id, retries=3)
    try:
        await ctx.step("paid", move, orderId=orderId, state="paid", note=receipt)
        await ctx.wait_for("packed", timeout=3 * 86_400)
        await ctx.step("packed", move, orderId=orderId, state="packed", note="leaves tonight")
        await ctx.sleep(6 * 3_600)
        await ctx.step("sent", move, orderId=orderId, state="sent", note=receipt)
    except TimeoutError:
        await ctx.step("give back", refund, receipt=receipt)
        await ctx.step("given up", move, orderId=orderId, state="given up", note="nobody packed it")
    return pages


@app.mutation(internal=True)
def check_later(ctx, orderId: str) -> str:
    return ctx.jobs.enqueue(check, orderId=orderId)


@app.job(queue="pictures", retries=3, timeout=60, concurrency=2, unique=("orderId",))
async def check(ctx, orderId: str) -> int:
    """Read the picture piece by piece, and tell how far."""
    found = await ctx.run(order_of, orderId=orderId)
    size, read = found["picture"]["size"], 0
    async with ctx.files.open(found["picture"]["id"]) as pieces:
        async for piece in pieces:
            read += len(piece)
            ctx.progress(read / max(size, 1), "looking at the picture")
    await ctx.run(checked, orderId=orderId)
    return read


@app.query(internal=True)
def order_of(ctx, orderId: str) -> Order:
    return ctx.db.get("Order", orderId)


@app.mutation(internal=True)
def checked(ctx, orderId: str):
    found = ctx.db.get("Order", orderId)
    with ctx.as_system():
        ctx.db.update("Order", orderId, state="checked")
    ctx.workflows.signal(found.run, "checked", {})


@app.action(internal=True)
async def charge(ctx, orderId: str, key: str) -> str:
    """Stand in for a bank, which would be handed `key` so that it charges once."""
    return f"receipt {key[-6:]}"


@app.action(internal=True)
async def refund(ctx, receipt: str):
    ctx.log.info("given back: %s", receipt)


@app.mutation(internal=True)
def move(ctx, orderId: str, state: str, note: str):
    """Move an order on, and tell its owner by mail: in one transaction."""
    with ctx.as_system():
        row = ctx.db.update("Order", orderId, state=state, note=note)
    if state in ("sent", "given up") and ctx.auth.email is not None:
        ctx.mail.send(ctx.auth.email, template="moved", data={"title": row.title, "state": state})


@app.cron("0 6 * * *", tz="Europe/Berlin")
def report(ctx):
    """Note each morning how many orders are open."""
    orders = ctx.db.count("Order", where={"state": {"in": OPEN}})
    ctx.db.insert("Report", day=ctx.now.date().isoformat(), orders=orders)


@app.webhook("warehouse")
async def warehouse(ctx, request):
    """Let the warehouse say by a signed call that it packed something."""
    webhooks.check_github(request, os.environ["WAREHOUSE_SECRET"])
    with ctx.as_system():
        await ctx.once(request.headers["X-Delivery"], packed, orderId=request.json()["orderId"])
