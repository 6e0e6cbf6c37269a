"""Every call leaves a trace: who, how long, what it read and wrote; never a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon import limits
from pylon.server.http.admin_functions import functions_of, slow_calls
from pylon.testing import running

APP = '''
from __future__ import annotations

from pylon import App, Entity, Text

app = App("traced")


@app.entity(read="true", insert="auth.userId != null")
class Item(Entity):
    n: int
    text: Text = ""


@app.mutation
def fill(ctx, count: int) -> int:
    for n in range(count):
        ctx.db.insert("Item", n=n, text="kept")
    ctx.jobs.enqueue(later, n=1)
    return len(ctx.db.list("Item"))


@app.job
def later(ctx, n: int) -> None:
    ctx.db.insert("Item", n=n)


@app.query(allow="args.secret != 'no'")
def slow(ctx, secret: str) -> int:
    """Look for it."""
    return ctx.db.count("Item", where={"text": secret})


@app.action
async def outer(ctx) -> int:
    await ctx.run(_inner)
    return 1


@app.mutation
def _inner(ctx) -> None:
    ctx.db.insert("Item", n=5)
    raise ValueError("inner")
'''


async def test_every_way_to_call_leaves_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push over the socket, its job, a query, a nested call that fails, a refusal."""
    monkeypatch.setattr(limits, "SLOW_CALL_MS", 0.0)  # the clock of the test stands still
    (tmp_path / "app.py").write_text(APP)
    async with running(tmp_path) as rt:
        services = rt.runtime.services
        book = services.observer.calls
        ada = await rt.user("ada@example.com")
        identity = next(one.identity for one in services.hub.connections())
        assert await ada.call("fill", count=3) == 3
        await rt.settled()
        await ada.insert("Item", n=9)
        for name, args in (
            ("slow", {"secret": "hunter2"}), ("slow", {"secret": "no"}), ("outer", {}),
        ):  # fmt: skip
            await services.executor.call(identity, name, args, cause="test")
        by_name: dict[str, dict[str, Any]] = {}
        for call in book.newest:
            by_name.setdefault(call.name, call.to_json())
        fill = by_name["fill"]
        assert (fill["kind"], fill["user"]) == ("mutation", "ada@example.com")
        assert (fill["rows_read"], fill["rows_written"]) == (3, 3)
        assert fill["statements"] >= 5
        assert by_name["later"]["cause"].startswith("job:later#")
        assert (by_name["later"]["kind"], by_name["later"]["rows_written"]) == ("job", 1)
        assert by_name["pylon.insert"]["rows_written"] == 1
        assert by_name["_inner"]["parent"] == by_name["outer"]["id"]
        assert (by_name["_inner"]["code"], by_name["outer"]["code"]) == ("INTERNAL", "INTERNAL")
        assert book.running == {}
        shown, _ = await slow_calls(services, [one for one in book.slow if one.name == "slow"])
        assert shown["slowest"][0]["plan"] == ["SCAN t"]
        assert '"text" = ?' in shown["slowest"][0]["sql"]
        assert "hunter2" not in str(shown)
        functions = {one["name"]: one for one in functions_of(services)}
        assert set(functions) == {"_inner", "fill", "later", "outer", "pylon.insert", "slow"}
        assert functions["slow"]["signature"] == "slow(secret: string): number"
        assert functions["slow"]["place"].startswith("app.py:")
        assert (functions["slow"]["calls"], functions["slow"]["refused"]) == (2, 1)
        assert functions["_inner"]["errors"] == 1
        assert functions["_inner"]["allow_in_words"] == "nobody from outside"
