"""The health of a real runtime: figures come each second, and every collection has its limit."""

from __future__ import annotations

import re

from pylon import jsonvalue
from tests.conftest import Serve
from tests.shell import Shell

APP = """
from __future__ import annotations

import time

from pylon import App, Entity

app = App("notes")


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str


@app.query
def count(ctx) -> int:
    return len(ctx.db.list("Note"))


@app.query
def slow(ctx) -> int:
    time.sleep(0.15)
    return len(ctx.db.list("Note"))
"""


async def test_figures_come_and_say_what_is_slow(serve: Serve) -> None:
    """A slow function shows in the lag, among functions, and its statement among queries."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    pylon = Shell(served)
    for n in range(3):
        await ada.insert("Note", text=str(n))
        await ada.post("/api/fn/slow", {})
    seen: object = None
    for _ in range(20):
        found = jsonvalue.parse((await pylon("health", "--json")).encode())
        samples = found["samples"]
        if max(samples["loop_lag_ms"], default=0) >= 50 and sum(samples["writes"]) >= 3:
            break
        seen = {name: samples[name] for name in ("loop_lag_ms", "writes", "calls")}
    else:
        raise AssertionError(f"no lag is seen: {seen}")
    lengths = {len(values) for values in samples.values()}
    assert len(lengths) == 1
    assert {"slow"} <= {one["name"] for one in found["slow_functions"]}
    assert any("Note" in one["sql"] for one in found["slow_queries"])
    assert found["disk"]["free_bytes"] > 0
    assert {(one["queue"], one["available"]) for one in found["jobs"]} == {("mail", 0)}
    assert max(samples["memory_mb"]) > 10
    text = await pylon("health", "--all", "--ascii")
    assert "loop_lag_ms" in text
    assert "JOB QUEUE" in text
    assert "TAIL_BYTES_MAX" in text
    assert re.search("[▁-█]", text) is None


async def test_every_collection_says_how_full_it_is(serve: Serve) -> None:
    """Each limit that bounds what memory holds is named, with size and limit."""
    served = await serve(APP)
    found = jsonvalue.parse((await Shell(served)("health", "--json")).encode())
    held = {one["bound"]: one for one in found["held"]}
    assert all(one["size"] >= 0 and one["limit"] > 0 for one in held.values())
    kept = {
        "CALLS_KEPT_MAX", "SLOW_CALLS_KEPT_MAX", "FUNCTIONS_COUNTED_MAX", "LOG_LINES_KEPT_MAX",
        "OUTBOX_MAILS_MAX", "TAIL_ENTRIES_MAX", "TAIL_BYTES_MAX", "WRITER_QUEUE_MAX",
        "SOCKETS_MAX", "SUBSCRIPTIONS_TOTAL_MAX", "SNAPSHOTS_MAX", "CLIENTS_MAX", "WANTS_KEPT_MAX",
        "SHAPES_MAX", "JOBS_RUNNING_MAX", "WORKFLOWS_ACTIVE_MAX", "LONG_QUERIES_MAX",
        "HASHES_WAITING_MAX", "ACTIONS_MAX", "EXPLAINED_OPERATIONS_MAX", "SEND_QUEUE_BYTES_MAX",
        "LIVE_KEPT_BYTES_MAX", "CONNECTIONS_MAX", "IMAGES_WAITING_MAX", "SUBSCRIPTION_COSTS_MAX",
        "HEALTH_SAMPLES_KEPT_MAX",
    }  # fmt: skip
    assert kept - set(held) == set()


async def test_what_a_subscription_costs_is_counted(serve: Serve) -> None:
    """Pushes and bytes of a socket that follows, by entity and filter."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    socket = await ada.sync({"id": "s", "entity": "Note"}, {"id": "f", "fn": "count"})
    await socket.until("snapshot")
    await ada.insert("Note", text="pushed")
    await socket.until("changes")
    found = jsonvalue.parse((await Shell(served)("health", "--json")).encode())
    said = await Shell(served)("health")
    await socket.close()
    (one,), (followed,) = found["subscriptions"], found["followed"]
    assert (followed["function"], followed["args"], followed["followers"]) == ("count", "{}", 1)
    assert followed["runs"] >= 1
    assert "FOLLOWED CALL" in said
    assert (one["entity"], one["connections"], one["evaluations"]) == ("Note", 1, 1)
    assert one["pushes"] == 1
    assert one["bytes"] > 20
