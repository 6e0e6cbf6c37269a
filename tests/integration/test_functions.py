"""Functions over HTTP: arguments, refusals, failures, budgets, visibility."""

from __future__ import annotations

import asyncio
import time

from tests.conftest import Serve
from tests.integration.apps import NOTES


async def test_a_mutation_changes_rows_and_answers(serve: Serve) -> None:
    """The value comes back; the change is in the row."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    note = await ada.insert("Note", text="quiet")
    answer = await ada.call("shout", noteId=note["id"])
    assert (answer.status, answer.body["value"]) == (200, "QUIET")
    assert (await ada.get(f"/api/entities/Note/{note['id']}")).body["kind"] == "loud"
    refused = await ada.call("shout", noteId=note["id"])
    assert (refused.status, refused.code) == (422, "ALREADY_LOUD")


async def test_a_function_has_the_authority_of_its_caller(serve: Serve) -> None:
    """`ctx.db` asks the same policies: another's note can't be changed by way of a function."""
    served = await serve(NOTES)
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    secret = await ada.insert("Note", text="mine", secret=True)
    assert (await bob.call("shout", noteId=secret["id"])).code == "NOT_FOUND"
    opened = await ada.insert("Note", text="mine")
    assert (await bob.call("shout", noteId=opened["id"])).code == "POLICY_DENIED"
    assert (await bob.call("mine")).body["value"] == 0
    assert (await ada.call("mine")).body["value"] == 2


async def test_a_failing_function_leaves_nothing_and_says_nothing(serve: Serve) -> None:
    """INTERNAL carries an id and no secret; the row it wrote is gone; the log has the traceback."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    answer = await ada.call("writeThenFail")
    assert (answer.status, answer.code) == (500, "INTERNAL")
    assert "secret inside" not in str(answer.body)
    assert (await ada.get("/api/entities/Note")).body["rows"] == []
    await served.stop()
    assert "the secret inside" in served.output
    # The traceback begins where the app's own code does.
    traceback = served.output.partition("Traceback")[2]
    assert traceback.splitlines()[1].strip().startswith(f'File "{served.project / "app.py"}"')


async def test_a_function_over_its_budget_is_stopped_alone(serve: Serve) -> None:
    """It is rolled back and answered; the runtime serves on."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    answer = await ada.call("spin")
    assert (answer.status, answer.code) == (503, "FUNCTION_TIMEOUT")
    assert (await ada.get("/api/entities/Note")).body["rows"] == []
    assert (await ada.insert("Note", text="after"))["text"] == "after"


ACTIONS = (
    NOTES
    + """

import asyncio


@app.action(timeout=0.2)
async def sleeps(ctx) -> int:
    await asyncio.sleep(30)
    return 1


@app.action(timeout=0.2)
async def drips(ctx):
    while True:
        await asyncio.sleep(0.01)
        yield 1


@app.action
async def meets_one(ctx) -> int:
    raise TimeoutError("of another service")
"""
)


async def test_an_action_over_its_budget_is_stopped_and_says_so(serve: Serve) -> None:
    """One that waits and one that yields for ever; a TimeoutError of the app's own is INTERNAL."""
    served = await serve(ACTIONS)
    ada = await served.login("ada@example.com")
    for name in ("sleeps", "drips"):
        answer = await asyncio.wait_for(ada.call(name), 5)
        assert (answer.status, answer.code) == (503, "FUNCTION_TIMEOUT"), name
    assert (await ada.call("meets_one")).code == "INTERNAL"


SLOW = """
from __future__ import annotations

import time

from pylon import App, Entity

app = App("slow")


@app.entity(read="true", insert="auth.userId != null")
class Item(Entity):
    n: int
    text: str


@app.mutation
def fill(ctx, count: int) -> None:
    for n in range(count):
        ctx.db.insert("Item", n=n, text="some words to look through " * 20)


@app.mutation
def sleep(ctx) -> None:
    ctx.db.insert("Item", n=-1, text="slept")
    time.sleep(30)


@app.mutation
def stubborn(ctx) -> None:
    ctx.db.insert("Item", n=-1, text="stubborn")
    for _ in range(3):
        try:
            time.sleep(10)
        except:
            pass


@app.mutation
def scan(ctx) -> int:
    ctx.db.insert("Item", n=-1, text="scanned")
    return sum(ctx.db.count("Item", where={"text": {"contains": f"not {n}"}}) for n in range(10**6))


@app.query
def look(ctx) -> int:
    where = {"or": [{"text": {"contains": f"not {n}"}} for n in range(99)]}
    return sum(ctx.db.count("Item", where=where) for _ in range(10**6))
"""


async def test_whatever_takes_too_long_is_stopped_and_rolled_back_alone(serve: Serve) -> None:
    """Sleep, reads without end, and code that catches everything; others of the batch are kept."""
    served = await serve(SLOW)
    ada = await served.login("ada@example.com")
    for _ in range(5):
        await ada.call("fill", count=200)
    for name in ("sleep", "stubborn", "scan", "look"):
        started = time.monotonic()
        beside = [ada.insert("Item", n=1000 + n, text=name) for n in range(3)]
        answer, *_ = await asyncio.gather(ada.call(name), *beside)
        assert (answer.status, answer.code) == (503, "FUNCTION_TIMEOUT"), name
        assert time.monotonic() - started < 10, f"{name} goes on"
    rows = (await ada.post("/api/query/Item", {"where": {"n": {">=": 1000}}})).body["rows"]
    assert len(rows) == 12
    assert (await ada.post("/api/query/Item", {"where": {"n": -1}})).body["rows"] == []


async def test_arguments_are_validated_and_all_problems_named(serve: Serve) -> None:
    """Missing, unknown and wrongly typed arguments are refused before the function runs."""
    ada = await (await serve(NOTES)).login("ada@example.com")
    assert (await ada.call("double", n=21)).body["value"] == 42
    for args in ({}, {"n": "x"}, {"n": 1, "m": 2}, {"n": True}, {"n": 1.5}, {"n": 2**53}):
        assert (await ada.call("double", **args)).code == "INVALID_ARGUMENT", args


async def test_internal_and_unknown_functions_are_not_there(serve: Serve) -> None:
    """An internal function answers as if it did not exist; strangers are asked to sign in."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    assert (await ada.call("hidden")).code == "NOT_FOUND"
    assert (await ada.call("nothing")).code == "NOT_FOUND"
    assert (await served.anonymous().call("mine")).code == "UNAUTHENTICATED"


WRONG = """
from __future__ import annotations

from pylon import App

app = App("wrong")


@app.query(allow="true")
def large(ctx) -> int:
    return 2**53


@app.mutation(allow="true")
def nothing(ctx) -> object:
    return object()


@app.action(allow="true")
async def text(ctx) -> int:
    return "seven"


@app.mutation(allow="true")
def broken(ctx) -> int:
    return 1 // 0
"""


async def test_every_internal_error_has_an_id_that_the_log_carries(serve: Serve) -> None:
    """Also where a result is not what was declared; the answer says nothing of the reason."""
    served = await serve(WRONG)
    ada = await served.login("ada@example.com")
    ids = []
    for name in ("large", "nothing", "text", "broken"):
        answer = await ada.call(name)
        assert (answer.status, answer.code) == (500, "INTERNAL"), name
        ids.append(answer.body["error"]["details"]["id"])
        assert "zero" not in str(answer.body)
        assert "BigInt" not in str(answer.body)
        pushed = await ada.post(
            "/api/sync/push", {"operations": [{"op_id": f"o-{name}", "fn": name, "args": {}}]}
        )
        error = pushed.body["results"][0]["error"]
        if error["code"] == "INTERNAL":
            ids.append(error["details"]["id"])
    assert len(set(ids)) == 6, "two of them are mutations"
    await served.stop()
    for one in ids:
        assert f"id={one}" in served.output


OUTGOING = """
from __future__ import annotations

import aiohttp
from pylon import App

app = App("outgoing")


@app.action(allow="true")
async def fetch(ctx, url: str) -> str:
    try:
        async with ctx.http.get(url) as answer:
            return await answer.text()
    except aiohttp.ClientError as error:
        return f"refused: {error}"
"""


async def test_outgoing_requests_reach_no_private_address(serve: Serve) -> None:
    """Names, literals, mapped addresses and the runtime itself: all refused by the guard."""
    served = await serve(OUTGOING)
    nobody = served.anonymous()
    for url in (
        f"http://127.0.0.1:{served.port}/api/health", f"http://localhost:{served.port}/api/health",
        f"http://[::ffff:127.0.0.1]:{served.port}/", "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/", "http://0.0.0.0/", "http://[::1]:80/", "http://[fd00::1]/",
        # The same behind gateways from IPv6: NAT64, 6to4, Teredo, and the form of old.
        "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::a00:1]/", "http://[2002:7f00:1::]/",
        "http://[2001:0:4136:e378:8000:63bf:f5ff:fffe]/", "http://[::127.0.0.1]/",
        "http://[::ffff:0:7f00:1]/",
        # Public by Python's list, and of no host in the world: protocols, sites, examples.
        "http://192.0.0.8/", "http://192.88.99.1/", "http://[fec0::1]/", "http://[5f00::1]/",
        "http://[3fff::1]/",
    ):  # fmt: skip
        answer = await nobody.call("fetch", url=url)
        assert answer.status == 200, answer
        assert "not a public address" in answer.body["value"], (url, answer.body)


HOOKED = """
from pylon import App, Entity

app = App("hooked")
begun = []


@app.entity(read="true")
class Mark(Entity):
    name: str


@app.mutation(internal=True)
def mark(ctx, name: str) -> None:
    ctx.db.insert(Mark, name=name)


@app.on_start
async def bare():
    begun.append("bare")


@app.on_start
async def started(ctx):
    await ctx.run(mark, name=f"{begun[0]} {ctx.identity.kind.value}")
"""


async def test_a_hook_gets_a_context_if_it_asks_for_one(serve: Serve) -> None:
    """With the system's authority: nobody else may insert here, and an internal function runs."""
    served = await serve(HOOKED)
    rows = (await served.anonymous().get("/api/entities/Mark")).body["rows"]
    assert [row["name"] for row in rows] == ["bare system"]
